"""Real results of a small untrained model that is saved, for tests of reports that are saved."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import interp
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.tokenizer import Tokenizer
from interp.results.result import Result

TEXT = "Anna is in the garden. Ben is in the kitchen."


@cache
def model() -> GPT:
    """It knows a dozen words; what it says of them does not matter here."""
    tokenizer = Tokenizer.words([TEXT])
    sizes = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=32)
    made = GPT(sizes, tokenizer, seed=1, name="tiny").eval()
    return interp.load_model(str(save_model(made, Path(mkdtemp(prefix="interp-test-")) / "tiny")))


@cache
def lens() -> Result:
    """What it would say at each layer."""
    return interp.logit_lens(model(), TEXT, targets=[" garden"])


@cache
def surprise() -> Result:
    """How likely each word was to it."""
    return interp.surprise(model(), TEXT)
