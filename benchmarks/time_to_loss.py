"""CPU-seconds and steps to one held-out loss: nanoGPT's laptop recipe against our own.

Both are recipes of our own trainer and see the same characters, split 90/10; they take turns in
slices of their runs in one process, so that both meet the same machine. Evaluation is not counted.

    python benchmarks/time_to_loss.py [--text FILE] [--seed N] [--scale 0.01]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from interp.models.gpt import GPT
from interp.models.io.presets import get_preset
from interp.training.data.batches import Batches, fixed_batch
from interp.training.data.corpus import Corpus
from interp.training.data.sources import write_text_corpus
from interp.training.distributed import ProcessGroup
from interp.training.loop.evaluate import HeldOut
from interp.training.loop.update import Updater
from interp.training.recipe.config import TrainConfig

TEXT = Path("../shared/data/tinyshakespeare.txt")
SLICES = 40
CONTEXT = 64


def nanogpt_recipe(d_vocab: int, seed: int) -> TrainConfig:
    """The README's laptop run: AdamW 1e-3, cosine to 1e-4, batch 12, 2,000 steps.

    Source: karpathy/nanoGPT, README and config/train_shakespeare_char.py.
    """
    return TrainConfig(
        model=get_preset("nanogpt-shakespeare", d_vocab=d_vocab, n_ctx=CONTEXT),
        steps=2_000,
        batch_size=12,
        context=CONTEXT,
        optimizer="adamw",
        adamw_lr=1e-3,
        betas=(0.9, 0.99),
        weight_decay=0.1,
        warmup_steps=100,
        decay="cosine",
        final_fraction=0.1,
        grad_clip=1.0,
        seed=seed,
    )


def our_recipe(d_vocab: int, seed: int) -> TrainConfig:
    """Rotary positions, QK-norm, ReLU², zero output projections; Muon, linear decay, batch 24."""
    return TrainConfig(
        model=get_preset("shakespeare", d_vocab=d_vocab, n_ctx=CONTEXT),
        steps=170,
        batch_size=24,
        context=CONTEXT,
        seed=seed,
    )


@dataclass
class Contender:
    """A recipe at work, with its curve of (steps, CPU-seconds, held-out loss)."""

    name: str
    config: TrainConfig
    corpus: Corpus
    steps: int = 0
    cpu_seconds: float = 0.0
    curve: list[tuple[int, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.config
        torch.manual_seed(config.seed)
        self.model = GPT(config.model, self.corpus.tokenizer, seed=config.seed)
        batches = Batches(
            self.corpus, batch_size=config.batch_size, context=config.context, seed=config.seed
        )
        self.updater = Updater(config, self.model, batches, ProcessGroup(), "ddp")
        rows = fixed_batch(
            self.corpus, n_rows=config.eval_tokens // config.context, context=config.context
        )
        self.held_out = HeldOut(rows, 64, ProcessGroup())

    def train_to(self, steps: int) -> None:
        """Take turns up to `steps` updates, then evaluate."""
        began = time.process_time()
        for step in range(self.steps, steps):
            self.updater.update(step)
        self.updater.check(self.updater.read(), steps)
        self.cpu_seconds += time.process_time() - began
        self.steps = steps
        loss = self.held_out.evaluate(self.model, self.updater.autocast)["loss_nats_per_token"]
        self.curve.append((steps, self.cpu_seconds, loss))

    def first_at(self, loss: float) -> tuple[int, float] | None:
        """Steps and CPU-seconds at the first evaluation that is no worse than `loss`."""
        return next(((s, cpu) for s, cpu, steps in self.curve if steps <= loss), None)

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.model.parameters())


def race(contenders: Sequence[Contender]) -> None:
    """Run all to their ends, a slice of each in turn."""
    for turn in range(1, SLICES + 1):
        for contender in contenders:
            contender.train_to(round(contender.config.steps * turn / SLICES))
        text = "   ".join(f"{c.name} {c.steps}: {c.curve[-1][2]:.3f}" for c in contenders)
        print(f"{turn:3d}/{SLICES}   {text}", flush=True)


def table(baseline: Contender, ours: Contender) -> str:
    """The comparison, with what it was measured on."""
    target = baseline.curve[-1][2]
    lines = [
        f"{'recipe':<22}{'parameters':>12}{'steps':>8}{'loss':>9}{'CPU-s':>9}"
        f"{'steps to ' + format(target, '.3f'):>18}{'CPU-s':>9}",
    ]
    for contender in (baseline, ours):
        steps, cpu, loss = contender.curve[-1]
        reached = contender.first_at(target)
        rows = f"{reached[0]:>18}{reached[1]:>9.1f}" if reached else f"{'not reached':>18}{'-':>9}"
        lines.append(
            f"{contender.name:<22}{contender.parameters:>12,}{steps:>8}{loss:>9.3f}{cpu:>9.1f}{rows}"
        )
    reached = ours.first_at(target)
    ratio = f"{reached[1] / baseline.cpu_seconds:.2f}" if reached else "not reached"
    lines.append(
        f"CPU-seconds to the baseline's loss, share of the baseline's: {ratio} (goal 0.25); "
        f"parameters x {ours.parameters / baseline.parameters:.3f} (limit 1.15); "
        f"{torch.get_num_threads()} threads, {ours.config.eval_tokens:,} held-out characters, "
        f"seed {ours.config.seed}."
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Race, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=TEXT, help="UTF-8 text")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of steps")
    options = parser.parse_args(arguments)
    if not options.text.is_file():
        sys.exit(f"This benchmark needs a text; there is none at {options.text}. Give --text FILE.")
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_text_corpus(
            options.text, Path(folder) / "corpus", tokenizer="characters", by="tail"
        )
        recipes = {"nanoGPT laptop": nanogpt_recipe, "ours": our_recipe}
        contenders = []
        for name, recipe in recipes.items():
            config = recipe(corpus.tokenizer.d_vocab, options.seed)
            config = replace(config, steps=max(SLICES, round(config.steps * options.scale)))
            contenders.append(Contender(name, config, corpus))
        race(contenders)
        print(table(*contenders))


if __name__ == "__main__":
    main()
