"""A tiny model in a folder, for commands to open."""

import pytest

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.tokenizer import Tokenizer

TEXT = "Anna is in the garden. Ben is in the kitchen."


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A model that reads `TEXT`."""
    tokenizer = Tokenizer.words([TEXT])
    sizes = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=32)
    model = GPT(sizes, tokenizer, seed=1, name="tiny")
    return str(save_model(model, tmp_path_factory.mktemp("models") / "tiny"))
