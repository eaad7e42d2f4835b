"""What tests in a real browser share: a server, when a page is at rest, whom it asked."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards.launch import HOST, free_port, is_up, start

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE = 120_000
QUIET_MS = 500
CALLS = count()
AT_REST = """([quiet, call]) => {
    const now = performance.now()
    if (!window.watcher) {
        window.watcher = new MutationObserver(() => { window.changed = performance.now() })
        const all = {subtree: true, childList: true, attributes: true, characterData: true}
        window.watcher.observe(document, all)
    }
    const runs = document.querySelector('.stApp')?.dataset.testScriptState !== 'notRunning'
    if (window.asked !== call || runs) window.changed = now
    window.asked = call
    return now - window.changed > quiet
}"""
SHIPPED = Path(__file__).resolve().parents[2] / "trained_models"
HOSTILE = "<b>bold</b> ![](http://example.org/x.png) :smile: <script>document.title='x'</script>"


@contextmanager
def serving(folders: Sequence[Path], port: int | None = None) -> Iterator[str]:
    """A dashboard on these folders, stopped at the end; gives its address."""
    port = port or own_port()
    server = start(port, folders)
    try:
        assert is_up(server, port)
        yield f"http://{HOST}:{port}"
    finally:
        server.terminate()
        server.wait()


def own_port() -> int:
    """A free port, below those that the system gives to visitors, and another in each process."""
    return free_port(10_000 + os.getpid() * 17 % 20_000)


def outside(page: "Page", address: str) -> list[str]:
    """Requests that went to anybody but the server; a file of this machine is nobody."""
    own = (address, address.replace("http", "ws"), "data:", "blob:", "about:", "file:")
    return [url for url in page.asked if not url.startswith(own)]


def settle(page: "Page") -> None:
    """Wait until nothing runs and nothing on the page has changed for a while."""
    page.wait_for_function(AT_REST, arg=[QUIET_MS, next(CALLS)], polling=50)
