"""The Chromium on this machine, if there is one: found by name, asked to print a page."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from interp.core.errors import ConfigError

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
INSTALL = {
    "Linux": "sudo apt-get install chromium",
    "Darwin": "brew install --cask chromium",
    "Windows": "winget install Google.Chrome",
}
# The sandbox needs rights that containers mostly lack; the only page that is opened is our own.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
)
# The page's scripts draw for this many milliseconds of a clock that waits for them.
DRAWING = 120_000
SECONDS = 240


def find_chromium() -> str | None:
    """Path of a Chromium or a relative of it; BROWSER_PATH goes first; None where there is none."""
    named = (os.environ.get("BROWSER_PATH", ""), *NAMES, *PLACES)
    return next((path for name in named if name and (path := shutil.which(name))), None)


def no_chromium(what: str) -> str:
    """The sentence for a machine without a Chromium, with the one command that gets it."""
    command = INSTALL.get(platform.system(), INSTALL["Linux"])
    return f"{what} needs a Chromium on this machine; none was found. Get one with: {command}"


def print_page(html: str) -> bytes:
    """A page as PDF, on A4 sheets.

    Args:
        html: complete in itself.
    Raises:
        ConfigError: there is no Chromium, or it did not print.
    """
    chromium = find_chromium()
    if chromium is None:
        raise ConfigError(no_chromium("A PDF"))
    with TemporaryDirectory(prefix="interp-print-") as name:
        folder = Path(name)
        (folder / "report.html").write_text(html, encoding="utf-8")
        remark = _printed(chromium, folder)
        printed = folder / "report.pdf"
        if not printed.exists():
            raise ConfigError(
                f"A PDF needs {chromium} to print the page; it did not ({remark}). Save the report "
                "as .html, and print it from a browser."
            )
        return printed.read_bytes()


def _printed(chromium: str, folder: Path) -> str:
    """Let Chromium print; the last thing it said."""
    command = [
        chromium,
        *QUIET,
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=960,1400",
        f"--virtual-time-budget={DRAWING}",
        "--no-pdf-header-footer",
        f"--print-to-pdf={folder / 'report.pdf'}",
        (folder / "report.html").as_uri(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
