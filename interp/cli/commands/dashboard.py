"""`interp dashboard`: every instrument in a browser, on this machine only."""

import signal
from importlib import import_module
from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--port",
    default=8501,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port on 127.0.0.1.",
)
def command(folders: tuple[Path, ...], port: int) -> None:
    """Open the dashboard in a browser.

    It shows the shipped models and your runs, or the models and runs in FOLDERS.
    """
    serve(port, folders)


def serve(port: int | None = None, folders: tuple[Path, ...] = ()) -> None:
    """Serve the dashboard until Ctrl-C.

    Args:
        port: on 127.0.0.1; None = 8501, or the next that is free.
        folders: where models and runs are; the usual places when empty.

    Raises:
        ConfigError: the port is taken.
        SystemExit: the server ended by itself, with its exit code.
    """
    # By name: the library never imports the application that stands on it.
    launch = import_module("dashboards.launch")
    port = launch.free_port() if port is None else port
    server = launch.start(port, folders)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the server would outlive us
    try:
        if launch.is_up(server, port):
            click.echo(f"dashboard  http://{launch.HOST}:{port}  (Ctrl-C ends it)")
        code = server.wait()
    except KeyboardInterrupt:
        return
    finally:
        server.terminate()
        server.wait()
    if code:
        raise SystemExit(code)
