"""`interp doctor`: checks of this machine, with advice for what fails."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import click

GIB = 2**30
NEEDED_MEMORY_GIB = 2
NEEDED_DISK_GIB = 1


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the table; `needed` means that the main job fails without it."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    needed: bool = True

    def __str__(self) -> str:
        verdict = "ok     " if self.ok else "missing"
        advice = f"; {self.advice}" if self.advice and not self.ok else ""
        return f"{verdict}  {self.name:<16} {self.detail}{advice}"


@click.command()
def command() -> None:
    """Check what works on this machine.

    What does not work comes with advice.
    """
    failed = False
    for check in checks():
        click.echo(str(check))
        failed |= check.needed and not check.ok
    if failed:
        raise click.exceptions.Exit(1)


def checks() -> Iterator[Check]:
    """Every check, each made when it is asked for, so that slow ones do not hold up the rest."""
    yield _python()
    yield from (_package(name) for name in ("torch", "transformers", "transformer_lens"))
    yield _device()
    yield _memory()
    yield _disk()
    yield _writable()
    yield _shipped_model()
    yield _browser()
    yield from (_extra(name) for name in ("gguf", "tensorboard", "wandb"))


def _python() -> Check:
    detail = ".".join(map(str, sys.version_info[:3]))
    return Check(
        name="Python", ok=sys.version_info >= (3, 11), detail=detail, advice="install 3.11 or newer"
    )


def _package(name: str) -> Check:
    advice = f"run: pip install {name.replace('_', '-')}"
    try:
        import_module(name)
    except ImportError as error:
        return Check(name=name, ok=False, detail=f"does not import ({error})", advice=advice)
    return Check(name=name, ok=True, detail=version(name))


def _device() -> Check:
    if find_spec("torch") is None:
        return Check(name="device", ok=False, detail="unknown without torch", advice="see above")
    import torch

    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        return Check(name="device", ok=True, detail=f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Check(name="device", ok=True, detail="mps")
    return Check(name="device", ok=True, detail=f"cpu: {threads}; no GPU, and the demo needs none")


def _memory() -> Check:
    free = free_memory_bytes() / GIB
    return Check(
        name="memory",
        ok=free >= NEEDED_MEMORY_GIB,
        detail=f"{free:.1f} GiB available",
        advice=f"the demo needs {NEEDED_MEMORY_GIB} GiB: close other programs",
    )


def free_memory_bytes() -> int:
    """Memory a new program can have; where the system does not tell, all there is."""
    table = Path("/proc/meminfo")
    if table.exists():
        rows = dict(line.split(":", 1) for line in table.read_text().splitlines())
        if "MemAvailable" in rows:
            return int(rows["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / GIB
    return Check(
        name="disk",
        ok=free >= NEEDED_DISK_GIB,
        detail=f"{free:.1f} GiB free in this folder",
        advice=f"the demo needs {NEEDED_DISK_GIB} GiB: free some space, or use another folder",
    )


def _writable() -> Check:
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            return Check(name="write access", ok=True, detail="this folder")
    except OSError as error:
        advice = "use a folder of your own, or give --out"
        return Check(name="write access", ok=False, detail=f"none here ({error})", advice=advice)


def _shipped_model() -> Check:
    from interp.cli.model_folders import model_folders
    from interp.models.io.load import SHIPPED

    folders = [folder.name for folder in model_folders(SHIPPED)]
    return Check(
        name="shipped model",
        ok=bool(folders),
        detail=", ".join(folders) or "none",
        advice="train one with: interp demo",
        needed=False,
    )


def _browser() -> Check:
    from interp.report.chromium import find_chromium, no_chromium

    path = find_chromium()
    advice = no_chromium("A PDF or a picture")
    return Check(
        name="browser", ok=path is not None, detail=path or "none", advice=advice, needed=False
    )


def _extra(name: str) -> Check:
    try:
        return Check(name=name, ok=True, detail=version(name), needed=False)
    except PackageNotFoundError:
        advice = f"optional; run: pip install {name}"
        return Check(name=name, ok=False, detail="not installed", advice=advice, needed=False)
