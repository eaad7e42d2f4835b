"""Puts the shipped models of the checkout's `trained_models/` into the wheel, under `interp/`."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = Path("trained_models")


class BuildWithModels(build_py):
    """Copies the models into what is built; an editable install uses the checkout's."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode and MODELS.exists():
            goal = Path(self.build_lib) / "interp" / MODELS
            shutil.copytree(MODELS, goal, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithModels})
