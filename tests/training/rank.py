"""One rank of a run, for torchrun: rank.py CORPUS RUN STEPS ENGINE; leaves its pid in RUN."""

import os
import sys
from pathlib import Path

from interp.training.loop.pretrain import train
from tests.training.tiny_run import tiny_config


def main() -> None:
    """Train as this rank."""
    corpus, run, steps, engine = sys.argv[1:]
    Path(run).mkdir(parents=True, exist_ok=True)
    (Path(run) / f"rank-{os.environ['RANK']}.pid").write_text(str(os.getpid()))
    recipe = tiny_config(steps=int(steps), dropout=0.0)
    train(recipe, corpus, run, device="cpu", threads=1, engine=engine)


if __name__ == "__main__":
    main()
