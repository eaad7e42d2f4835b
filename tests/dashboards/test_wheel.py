"""The wheel holds every file of the package, and serves the shipped model where it is installed."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from dashboards.launch import HOST, is_up
from tests.dashboards.browsing import outside, own_port, settle

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def tracked(*below: str) -> list[str]:
    """The files of the repository, by their paths in it."""
    command = ["git", "ls-files", "-z", *below]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in output.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a clean copy of the repository."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-q", "-w", str(out), str(copy)], check=True)
    (process,) = out.glob("*.whl")
    return process


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A fresh environment with the wheel; what it depends on is borrowed from this one."""
    target = tmp_path_factory.mktemp("environment")
    venv.create(target)
    pip = [sys.executable, "-m", "pip", "--python", str(target / "bin" / "python"), "install"]
    subprocess.run([*pip, "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = target.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return target


def test_every_file_of_the_package_and_every_shipped_model_is_inside(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert [name for name in tracked("interp", "dashboards") if name not in inside] == []
    assert [n for n in tracked("trained_models") if f"interp/{n}" not in inside] == []
    tops = {name.partition("/")[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"interp", "dashboards"}


def test_the_installed_dashboard_shows_the_shipped_model(page, installed, tmp_path):
    port = own_port()
    output = {k: v for k, v in os.environ.items() if not k.startswith(("INTERP_", "PYTHON"))}
    command = [str(installed / "bin" / "interp"), "dashboard", "--port", str(port)]
    server = subprocess.Popen(command, cwd=tmp_path, env=output, stdout=subprocess.DEVNULL)
    try:
        assert is_up(server, port)
        address = f"http://{HOST}:{port}"
        page.goto(f"{address}/surprise")
        page.get_by_text("400,416 parameters").wait_for()
        page.get_by_role("button", name="Copy link").wait_for()
        settle(page)
        assert page.locator("[data-testid=stException]").count() == 0
        assert outside(page, address) == []
    finally:
        server.terminate()
        server.wait()
