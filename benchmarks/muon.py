"""Our Muon beside `torch.optim.Muon` on the hidden matrices of a preset: time and difference.

    python benchmarks/muon.py [--preset demo] [--rounds 9]

Everything runs in one process with one thread; contestants take turns within a round, and what is
reported is the median over rounds. torch's optimizer takes one matrix a parameter, so queries, keys
and values come to it as parameters of their own: the same work, and the same update but for its
rounding (torch iterates in bfloat16 on every device).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from interp.models.gpt import GPT
from interp.models.io.presets import get_preset
from interp.training.loop.muon import Muon
from interp.training.loop.objective import Objective
from interp.training.loop.optimizers import matrix_splits, parameter_groups

MOMENTUM, LR = 0.95, 0.01
STEPS, ROWS = 20, 32


def hidden_matrices(preset: str) -> tuple[dict[str, Tensor], dict[str, list[int]]]:
    """Matrices with random gradients, and where queries, keys and values part."""
    model = GPT(get_preset(preset))
    matrices = parameter_groups(model)["hidden"]
    torch.manual_seed(0)
    for matrix in matrices.values():
        matrix.grad = torch.randn_like(matrix)
    return matrices, matrix_splits(model, matrices)


def ours(preset: str) -> tuple[list[Tensor], Callable[[], object]]:
    """The parameters, each part of them by itself, and one update of them."""
    matrices, splits = hidden_matrices(preset)
    muon = Muon(matrices, lr=LR, splits=splits)
    return _parts(matrices, splits), partial(muon.step, lr_scale=1.0, momentum=MOMENTUM)


def torchs(preset: str) -> tuple[list[Tensor], Callable[[], object]]:
    """The same parameters and gradients under `torch.optim.Muon`."""
    matrices, splits = hidden_matrices(preset)
    gradients = _parts({name: matrix.grad for name, matrix in matrices.items()}, splits)
    parameters = [torch.nn.Parameter(part.clone()) for part in _parts(matrices, splits)]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    options = {"lr": LR, "weight_decay": 0.0, "momentum": MOMENTUM}
    return parameters, torch.optim.Muon(parameters, **options).step


def _parts(matrices: dict[str, Tensor], splits: dict[str, list[int]]) -> list[Tensor]:
    return [
        part
        for name, matrix in matrices.items()
        for part in matrix.detach().split(splits.get(name, [len(matrix)]))
    ]


def difference(preset: str) -> float:
    """Of one update: the norm of ours less torch's, over the norm of ours."""
    (a, step), (b, other) = ours(preset), torchs(preset)
    before = torch.cat([part.flatten() for part in a])
    step(), other()
    changes = [torch.cat([part.detach().flatten() for part in x]) - before for x in (a, b)]
    return float((changes[0] - changes[1]).norm() / changes[0].norm())


def seconds(call: Callable[[], object], times: int) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def pass_of(preset: str) -> Callable[[], None]:
    """Forward and backward of a batch as the demo's: what an update costs without its optimizer."""
    model = GPT(get_preset(preset))
    tokens = torch.randint(model.cfg.d_vocab, (ROWS, min(97, model.cfg.n_ctx)))
    objective, weights = Objective(model), torch.ones(tokens.shape)

    def once() -> None:
        objective(tokens, weights)[0].backward()
        model.zero_grad()

    return once


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.preset}: updates differ by {difference(options.preset):.1e} of their length")
    calls = {"ours": ours(options.preset)[1], "torch's": torchs(options.preset)[1]}
    calls["forward and backward"] = pass_of(options.preset)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.rounds + 1):
        for name, call in calls.items():
            times[name].append(seconds(call, 1 if name.startswith("forward") else STEPS))
    for name, values in times.items():
        print(f"{name}: {1000 * statistics.median(values[1:]):.2f} ms")
    ratios = [b / a for a, b in zip(times["ours"][1:], times["torch's"][1:], strict=True)]
    print(f"torch's over ours: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
