"""Grokking modular addition: memory first, then a circuit of rotations, then the right answers.

A one-layer transformer without norms learns ` a + b = c` modulo 59 from 40 % of the pairs. It knows
those by heart long before it is right about the others. Nanda et al. 2023 read off what it does in
the end: numbers become angles at a few frequencies, and angles are added. The share of those
frequencies grows while the answers to unseen pairs are still wrong: a measure of hidden progress.

As in the paper every update reads all training pairs, which are drawn from the ordered ones: a + b
may be known where b + a is asked for. (The world `modular` holds out both or none. From 40 % of
those, and random batches, nothing but the training pairs was learnt in 8,000 steps.)

    python examples/grokking.py [--quick] [--out runs/grokking]
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots
from torch import Tensor

import interp
from interp.core.protocols import LanguageModel
from interp.models.attention_mask import ForwardContext, causal_mask
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model, save_weights, write_settings
from interp.models.tokenizer import Tokenizer
from interp.plots import theme

KEPT, P, SHARE = 5, 59, 0.4
LEARNING_RATE, WARMUP_STEPS = 2e-3, 10
PANELS = ("loss of the answer (nats)", "power of the embedding by frequency (share)")


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Every equation of the world as tokens.

    Attributes:
        tokens: beginning of text, a, +, b, =; a varies slowest.
        numbers: token ids of 0 … p - 1.
        trained: which of them the training text may hold.
    """

    tokens: Tensor
    numbers: Tensor
    trained: Bool[Tensor, " pair"]

    @property
    def p(self) -> int:
        """The modulus."""
        return len(self.numbers)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One checkpoint.

    Attributes:
        train: loss on the pairs that were trained on, in nats per answer.
        test: on the others.
        test_accuracy: on the others.
        restricted: loss on all pairs with nothing but the key frequencies left in the logits.
        restricted_accuracy: with nothing else left.
        excluded: loss on the trained pairs without the key frequencies.
        power: of the embedding at the frequencies 1 … (p - 1) / 2; shares, their sum is 1.
    """

    step: int
    train: float
    test: float
    test_accuracy: float
    restricted: float
    restricted_accuracy: float
    excluded: float
    power: Float[Tensor, " frequency"]


def all_sums(tokenizer: Tokenizer, seed: int) -> Sums:
    """Every pair, and which of them are trained on: a random share, the same for the same seed."""
    numbers = [tokenizer.encode(f" {n}", bos=False)[0] for n in range(P)]
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    rows = [tokenizer.encode(f" {a} + {b} =") for a, b in pairs.tolist()]
    draws = torch.rand(len(pairs), generator=torch.Generator().manual_seed(seed))
    return Sums(tokens=torch.tensor(rows), numbers=torch.tensor(numbers), trained=draws < SHARE)


def right(p: int) -> Tensor:
    """The right answer to every pair."""
    return torch.cartesian_prod(torch.arange(p), torch.arange(p)).sum(1) % p


def answers(model: LanguageModel, sums: Sums) -> Float[Tensor, "pair number"]:
    """Logits of every number as the answer to every pair."""
    return model.run(sums.tokens).logits[:, -1, sums.numbers].double()


def waves(p: int) -> Float[Tensor, "frequency 2 p"]:
    """Cosine and sine of each frequency over the numbers, of length one."""
    angles = torch.arange(1, p // 2 + 1)[:, None] * torch.arange(p) * (2 * math.pi / p)
    return torch.stack([angles.cos(), angles.sin()], 1).double() * math.sqrt(2 / p)


def embedding_power(model: LanguageModel, sums: Sums) -> Float[Tensor, " frequency"]:
    """How much of the number embeddings' variance lies at each frequency."""
    embedded = model.weight("W_E").double()[sums.numbers]
    power = (waves(sums.p) @ (embedded - embedded.mean(0))).square().sum((1, 2))
    return power / power.sum()


def sum_waves(p: int, keys: Tensor) -> Float[Tensor, "wave pair"]:
    """cos and sin of w (a + b) for the key frequencies, over all pairs, of length one."""
    return waves(p)[keys].flatten(0, 1)[:, right(p)] / math.sqrt(p)


def read(model: LanguageModel, sums: Sums, keys: Tensor) -> Reading:
    """The numbers of one checkpoint."""
    p, logits = sums.p, answers(model, sums)
    answer = right(p)
    basis = sum_waves(p, keys)
    projected = basis.T @ (basis @ logits)
    restricted, excluded = logits.mean(0) + projected, logits - projected

    def loss(values: Tensor, rows: Tensor) -> float:
        return torch.nn.functional.cross_entropy(values[rows], answer[rows]).item()

    def accuracy(values: Tensor, rows: Tensor) -> float:
        return (values[rows].argmax(-1) == answer[rows]).double().mean().item()

    every = torch.ones_like(sums.trained)
    return Reading(
        step=model.step or 0,
        train=loss(logits, sums.trained),
        test=loss(logits, ~sums.trained),
        test_accuracy=accuracy(logits, ~sums.trained),
        restricted=loss(restricted, every),
        restricted_accuracy=accuracy(restricted, every),
        excluded=loss(excluded, sums.trained),
        power=embedding_power(model, sums),
    )


def trained(folder: Path, steps: int, every: int, seed: int) -> LanguageModel:
    """Train, or take the run that is there."""
    run = folder / f"run-{steps}-seed-{seed}"
    if not (run / "model.safetensors").exists():
        tokenizer = Tokenizer.words(interp.load_world("modular").vocabulary)
        shape = GPTConfig(
            n_layers=1, d_model=96, n_heads=4, d_mlp=384, d_vocab=tokenizer.d_vocab, n_ctx=6,
            norm="none", act="relu", bias=False, tied=False, init_std=None, embed_std=0.1,
            head_std=0.1,
        )  # fmt: skip
        write_settings(shape, tokenizer, run)
        model = GPT(shape, tokenizer, seed=seed, name=run.name)
        learn(model, all_sums(tokenizer, seed), steps, every, run)
    return interp.load_model(run)


def learn(model: GPT, sums: Sums, steps: int, every: int, run: Path) -> None:
    """Full batches, and AdamW whose decay is what makes memory dear and rules cheap."""
    torch.set_flush_denormal(True)
    rows, answer = sums.tokens[sums.trained], sums.numbers[right(sums.p)][sums.trained]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1.0, fused=True
    )
    for step in range(steps + 1):
        if step % every == 0:
            save_weights(run, step, dict(model.named_parameters()))
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS)
        torch.nn.functional.cross_entropy(last_logits(model, rows), answer).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.step = steps
    save_model(model, run)


def last_logits(model: GPT, rows: Tensor) -> Float[Tensor, "pair d_vocab"]:
    """What `model(rows)[:, -1]` is; its one MLP is spared where nothing is asked: half the time."""
    (block,) = model.blocks
    x = model.embed(rows) + model.pos_embed.weight[: rows.shape[1]]
    visible, is_causal = causal_mask(rows.shape[1], 0, None, rows.device)
    x = x + block.attn(x, block.ln1, ForwardContext(None, visible, is_causal, None, None, 0.0))
    last = x[:, -1]
    return model.to_logits(last + block.mlp(last, None))


def figure(readings: list[Reading], keys: Tensor) -> go.Figure:
    """Losses over training, and the spectrum at the start and at the end."""
    drawing = make_subplots(rows=1, cols=2, subplot_titles=PANELS, horizontal_spacing=0.12)
    theme.style(drawing, title="Grokking: memory, then rotations, then the answers", height=460)
    steps = [reading.step for reading in readings]
    curves = ("train", "test", "restricted", "excluded")
    for number, name in enumerate(curves):
        values = [getattr(reading, name) for reading in readings]
        theme.add_line(drawing, steps, values, name=name, color=number, markers=False, row=1, col=1)
    drawing.update_yaxes(type="log", row=1, col=1).update_xaxes(title_text="step", row=1, col=1)
    frequencies = list(range(1, len(readings[0].power) + 1))
    for name, reading in (("first weights", readings[0]), ("last weights", readings[-1])):
        paint = theme.CONTROL if reading is readings[0] else theme.CATEGORICAL[0]
        drawing.add_bar(
            x=frequencies, y=reading.power.tolist(), name=name, marker_color=paint, row=1, col=2
        )
    drawing.update_layout(margin_t=110, legend_y=1.08)
    return drawing.update_xaxes(title_text="frequency", row=1, col=2)


def report(readings: list[Reading], keys: Tensor) -> None:
    """The story in numbers, beside the paper's."""
    for reading in readings[:: max(1, len(readings) // 12)]:
        top = reading.power.sort(descending=True).values[:KEPT].sum().item()
        print(
            f"step {reading.step:6,}  train {reading.train:9.2e}  test {reading.test:9.2e} "
            f"({reading.test_accuracy:.2f})  restricted {reading.restricted:9.2e} "
            f"({reading.restricted_accuracy:.2f})  excluded {reading.excluded:6.2f}  "
            f"power of the {KEPT} strongest frequencies {top:.2f}"
        )
    first = {
        share: next((r.step for r in readings if r.test_accuracy >= share), None)
        for share in (0.5, 0.99)
    }
    learned = next((r.step for r in readings if r.train < 0.01), None)
    print(
        f"known by heart at step {learned}; half of the unseen pairs right at {first[0.5]}, 99 % "
        f"at {first[0.99]}; key frequencies {sorted((keys + 1).tolist())}"
    )
    print(
        "Nanda et al. 2023 (p = 113, 30 % of the pairs, full batch): by heart at about 1,400 "
        "steps,\nunseen pairs right at about 9,400; five key frequencies; without them the "
        "training loss is\nworse than chance; with nothing else the test loss gets better, not "
        f"worse. Ours: p = {P},\n{SHARE:.0%} of the pairs, full batch, twice the learning rate; "
        f"uniform guessing costs {math.log(P):.2f} nats."
    )


def main() -> None:
    """Train, read every checkpoint, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the memorizing part only")
    parser.add_argument("--out", type=Path, default=Path("runs/grokking"))
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    steps = arguments.steps or (300 if arguments.quick else 5_000)
    torch.set_num_threads(1)
    began = time.process_time()
    model = trained(arguments.out, steps, max(50, steps // 50), arguments.seed)
    print(f"trained in {time.process_time() - began:.0f} CPU-seconds")
    sums = all_sums(model.tokenizer, arguments.seed)
    power = embedding_power(model, sums)
    keys = power.sort(descending=True).indices[:KEPT]
    readings = [read(model.history[step], sums, keys) for step in model.history]
    report(readings, keys)
    figure(readings, keys).write_html(arguments.out / "grokking.html")
    print(f"figure: {arguments.out / 'grokking.html'}")


if __name__ == "__main__":
    main()
