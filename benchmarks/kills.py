"""Kill tiny training runs with SIGKILL at any moment, and compare each with one left alone.

    python benchmarks/kills.py --kills 1000

The aim is, by lot, a random moment or a temporary name that is seen in the run's folder, that is,
the inside of a write; a run that ends before its moment was not killed. The same call goes on after
each kill. In the end every file of the folder (weights, checkpoints, states, losses) must be that
of the undisturbed run, with no file or folder more. Prints a table for docs/training.md.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from interp.models.config import GPTConfig
from interp.training.data.sources import write_text_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig

TEXT = "the a cat dog bird sat ran slept on in near park mat tree . ,"
MOST_KILLS, MOST_WRITES = 8, 20
ANY, WRITE = "a random moment", "a write"


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A kill of a run.

    Attributes:
        aim: what it was aimed at.
        place: the folder inside the run that a temporary name was left in; empty where none was.
    """

    aim: str
    place: str


class Killer:
    """Runs one recipe undisturbed, and then under fire.

    Args:
        folder: a folder for the corpus and the runs.
        seed: seed of the moments.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.corpus = _corpus(folder)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["interp.training.loop.pretrain", "torch._dynamo"])
        self._run(folder / "warm-up").join()
        began = time.perf_counter()
        self._run(folder / "undisturbed").join()
        self.seconds = time.perf_counter() - began
        self.expected = content(folder / "undisturbed")

    def disturbed_run(self, name: str) -> tuple[list[Kill], list[str]]:
        """Kill a run some times; gives the kills, and the files that came out otherwise."""
        run, kills = self.folder / name, []
        for _ in range(self.random.randint(1, MOST_KILLS)):
            aim = self.random.choice((ANY, WRITE))
            process = self._run(run)
            self._wait(aim, run, process)
            process.kill()
            process.join()
            if process.exitcode == 0:
                break
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"{run} ended by itself, with exit code {process.exitcode}.")
            places = [path.parent.name.replace(name, "the run's own") for path in temporary(run)]
            kills.append(Kill(aim=aim, place=next(iter(places), "")))
        last = self._run(run)
        last.join()
        found = content(run) if last.exitcode == 0 else {}
        names = sorted({*found, *self.expected})
        return kills, [name for name in names if found.get(name) != self.expected.get(name)]

    def _run(self, run: Path) -> multiprocessing.Process:
        process = self.context.Process(target=_train, args=(self.corpus, run))
        process.start()
        return process

    def _wait(self, aim: str, run: Path, process: multiprocessing.Process) -> None:
        if aim == ANY:
            process.join(self.random.uniform(0, self.seconds))
            return
        names, count = set(), self.random.randint(1, MOST_WRITES)
        while len(names) < count and process.is_alive():
            names |= set(temporary(run))
            time.sleep(0.0002)
        time.sleep(self.random.choice((0, 0, 0.0005, 0.002)))


def temporary(run: Path) -> Iterator[Path]:
    """The temporary names in a run's folder."""
    for folder in (run / "states", run / "checkpoints", run):
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            continue
        yield from (folder / name for name in names if name.startswith("."))


def content(run: Path) -> dict[str, object]:
    """Every file and folder of a run, without what may differ: times, sessions and the lock."""
    return {
        str(path.relative_to(run)): _readable(path)
        for path in run.rglob("*")
        if path.name != "run.lock"
    }


def _readable(path: Path) -> object:
    if path.name == "run.json":
        return {k: v for k, v in json.loads(path.read_text()).items() if k != "sessions"}
    if path.name == "metrics.jsonl":
        records = map(json.loads, path.read_text().splitlines())
        return [record for record in records if record["kind"] != "speed"]
    if path.name == "README.md":  # It names the folder.
        return path.exists()
    return path.read_bytes() if path.is_file() else None


def _corpus(folder: Path) -> Path:
    source = folder / "words.txt"
    source.write_text(" ".join(random.Random(0).choices(TEXT.split(), k=4_000)))
    return write_text_corpus(source, folder / "corpus", tokenizer="words").folder


def _train(corpus: Path, run: Path) -> None:
    shape = dict(n_layers=1, d_model=16, n_heads=2, n_ctx=16, d_vocab=20)
    rhythm = dict(eval_every=5, eval_tokens=256, checkpoint_every=3, log_every=2, keep_full=2)
    config = TrainConfig(
        model=GPTConfig(**shape, dropout=0.1), steps=14, batch_size=4, context=16, **rhythm
    )
    train(config, corpus, run, device="cpu", threads=1)


def main() -> None:
    """Kill as often as asked, or until Ctrl-C, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kills, runs, wrong = [], 0, []
    with tempfile.TemporaryDirectory() as place, suppress(KeyboardInterrupt):
        killer = Killer(Path(place), options.seed)
        while len(kills) < options.kills:
            more, names = killer.disturbed_run(f"run-{runs}")
            kills, runs = kills + more, runs + 1
            if names:
                wrong.append(names)
                print(f"run {runs}, after {len(more)} kills: {', '.join(names)}", flush=True)
            shutil.rmtree(Path(place) / f"run-{runs - 1}")
    print("| aimed at | kills | a temporary name was left in |\n| --- | --- | --- |")
    for aim in (ANY, WRITE):
        left = Counter(kill.place or "none" for kill in kills if kill.aim == aim)
        places = ", ".join(f"{name} {count}" for name, count in left.most_common())
        print(f"| {aim} | {left.total()} | {places} |")
    print(f"\n{runs} runs, {len(kills)} kills, {len(wrong)} runs that ended otherwise")


if __name__ == "__main__":
    main()
