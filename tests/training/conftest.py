"""One packed corpus for every run of these tests."""

from pathlib import Path

import pytest

from tests.training.tiny_run import write_tiny_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny packed corpus."""
    return write_tiny_corpus(tmp_path_factory.mktemp("training"))
