"""What reading activations and losses costs: peak memory and CPU time, beside a plain run.

    python benchmarks/memory.py

Each measurement runs in a process of its own with one thread, on a model of two layers, 64 wide,
with GPT-2's vocabulary. The peak is the process' largest resident memory less what it held before
the call, the time is CPU time of the call, best of three.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from interp.methods.activations import residual_sites, rows_at
from interp.methods.batches import nats_per_token
from interp.methods.data.examples import Example
from interp.models.config import GPTConfig
from interp.models.gpt import GPT

SIZES = dict(n_layers=2, d_model=64, n_heads=4, d_vocab=50_257, n_ctx=256)


def model() -> GPT:
    """Small beside its vocabulary, as probes and steering meet it in real models."""
    return GPT(GPTConfig(**SIZES), seed=0).eval()


def texts(count: int, length: int) -> torch.Tensor:
    """Rows of random ids."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, SIZES["d_vocab"], (count, length), generator=generator)


def activations(count: int) -> Callable[[], object]:
    """The residual streams at the last token of each text, of 160 tokens."""
    rows = texts(count, 160).tolist()
    examples = [
        Example(tokens=tuple(row), label="a", story=number, kind="k")
        for number, row in enumerate(rows)
    ]
    subject = model()
    return lambda: rows_at(subject, examples, residual_sites(subject))


def losses(count: int) -> Callable[[], object]:
    """What each token of each text costs."""
    subject, rows = model(), texts(count, 160).tolist()
    return lambda: nats_per_token(subject, rows)


def run(logits: bool) -> Callable[[], object]:
    """One pass over 64 texts of 128 tokens that caches the first layer."""
    subject, tokens = model(), texts(64, 128)
    return lambda: subject.run(tokens, cache=[("resid_post", 0)], logits=logits)


MEASUREMENTS = {
    "activations of 64 texts × 160 tokens": partial(activations, 64),
    "activations of 1024 texts × 160 tokens": partial(activations, 1024),
    "nats per token of 64 texts × 160 tokens": partial(losses, 64),
    "nats per token of 256 texts × 160 tokens": partial(losses, 256),
    '`run(cache=[("resid_post", 0)])`, 64 × 128': partial(run, True),
    "the same with `logits=False`": partial(run, False),
}


def peak_mebibytes() -> float:
    """The largest resident memory that this process has had."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes on a Mac, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(name: str) -> tuple[float, float]:
    """Peak in MiB beyond what stood before, and CPU seconds."""
    torch.set_num_threads(1)
    work = MEASUREMENTS[name]()
    before, seconds = peak_mebibytes(), []
    for _ in range(3):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return peak_mebibytes() - before, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    chosen = parser.parse_args().one
    if chosen:
        print("| {} | {:.0f} | {:.2f} |".format(chosen, *measure(chosen)), flush=True)
        return
    print("| what | peak, MiB | CPU seconds |\n| --- | --- | --- |", flush=True)
    for name in MEASUREMENTS:
        subprocess.run([sys.executable, __file__, "--one", name], check=True)


if __name__ == "__main__":
    main()
