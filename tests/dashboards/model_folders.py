"""Small untrained model folders for the tests of the dashboard: what counts is what is shown."""

import json
from functools import cache
from pathlib import Path

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.tokenizer import Tokenizer
from interp.worlds import load_world

SIZES = {"n_layers": 2, "d_model": 16, "n_heads": 2, "n_ctx": 160, "positions": "rotary"}


@cache
def words(world: str) -> Tokenizer:
    """The words of a world."""
    return Tokenizer.words([load_world(world).sample(n).text for n in range(200)])


@cache
def letters() -> Tokenizer:
    """Bytes, which encode any text."""
    return Tokenizer.bytes_bpe(["Once upon a time there was a small garden."] * 20, 270)


def make_model(folder: Path, *, world: str | None = "stories", seed: int = 0) -> Path:
    """A model folder; of words and of a world, or of bytes and of no world."""
    tokenizer = letters() if world is None else words(world)
    cfg = GPTConfig(d_vocab=tokenizer.d_vocab, **SIZES)
    save_model(GPT(cfg, tokenizer, seed=seed, name=folder.name).eval(), folder)
    if world is not None:
        record = json.loads((folder / "run.json").read_text())
        record["corpus"] = {"source": {"world": world}}
        (folder / "run.json").write_text(json.dumps(record))
    losses = [{"kind": "eval", "step": n, "loss_nats_per_token": 5.0 - n / 10} for n in range(9)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, losses)))
    return folder
