"""`interp dashboard`: every instrument in a browser, on this machine only."""

import signal
from importlib import import_module
from pathlib import Path

import click


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--port",
    default=8501,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port on 127.0.0.1.",
)
def command(paths: tuple[Path, ...], port: int) -> None:
    """Open the dashboard in a browser.

    It shows the shipped models and your runs, or those in PATHS: GGUF files, model folders of
    interp or of `transformers`, and folders of such.
    """
    serve(port, paths)


def serve(port: int | None = None, folders: tuple[Path, ...] = ()) -> None:
    """Serve the dashboard until Ctrl-C.

    Args:
        port: on 127.0.0.1; None = 8501, or the next that is free.
        folders: models, or folders of models and runs; the usual places when empty.

    Raises:
        ConfigError: the port is taken.
        CheckpointError: a path is a file that is no model.
        SystemExit: the server ended by itself, with its exit code.
    """
    from interp.core.errors import CheckpointError
    from interp.models.io.importing import GGUF, OPENED

    for path in folders:
        if path.is_file() and path.suffix.lower() != GGUF:
            raise CheckpointError(f"{OPENED}; {path} is none of the first two. Give one of them.")
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
