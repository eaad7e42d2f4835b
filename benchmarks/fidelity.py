"""Does better prediction go with a more faithful map, over seeds and over models of several sizes?

    python benchmarks/fidelity.py --runs runs/seeds/seed-0 runs/seeds/seed-1 runs/seeds/seed-2
    python benchmarks/fidelity.py --sizes 1x48 2x64 3x96 --steps 300 --out runs/sizes

Runs are those of `benchmarks/seeds.py`, or any others of one world. With `--sizes` (layers x width)
models are trained on the `words` level of the stories, two seeds each, where short runs suffice to
learn something. Prints a table for docs/learning.md.
"""

import argparse
from pathlib import Path

import interp
from interp.analyses.behavior.fidelity import Fidelity
from interp.core.protocols import LanguageModel
from interp.models.io.presets import get_preset
from interp.training.data.corpus import Corpus
from interp.training.data.sources import write_world_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.recipes import demo_recipe

LEVEL = "words"
DOCUMENTS = 3_000
SEEDS = (0, 1)
COLUMNS = ("ρ with the loss", "ρ with the step", "ρ at equal steps", "ρ at the ends")


def main() -> None:
    """Train what is missing, read every checkpoint, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", default=[])
    parser.add_argument("--sizes", nargs="+", default=[])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--most", type=int, default=8)
    parser.add_argument("--stories", type=int, default=400)
    parser.add_argument("--variables", nargs="+", default=["place", "holder"])
    parser.add_argument("--out", type=Path, default=Path("runs/sizes"))
    options = parser.parse_args()
    runs, level = [interp.load_model(run) for run in options.runs], "full"
    if options.sizes:
        runs += [m for size in options.sizes for m in trained(size, options.steps, options.out)]
        level = LEVEL
    first, *others = runs
    world = interp.load_world("stories")
    result = interp.fidelity(
        first, world, options.variables, models=others, most=options.most, level=level,
        n_stories=options.stories, n_test=options.stories // 2,
    )  # fmt: skip
    result.save(options.out / "fidelity")
    print_table(result)
    print(result.caption())


def trained(size: str, steps: int, out: Path) -> list[LanguageModel]:
    """A model a seed of that size, trained now where it is not there."""
    layers, width = map(int, size.split("x"))
    corpus_folder = out / "corpus"
    if not (corpus_folder / "corpus.json").exists():
        write_world_corpus(
            interp.load_world("stories"), corpus_folder, n_documents=DOCUMENTS, n_held_out=200,
            levels=(LEVEL,),
        )  # fmt: skip
    corpus, models = Corpus.open(corpus_folder), []
    for seed in SEEDS:
        run = out / f"{size}-seed-{seed}"
        if not (run / "model.safetensors").exists():
            train(config(corpus.tokenizer.d_vocab, layers, width, steps, seed), corpus.folder, run)
        models.append(interp.load_model(run))
    return models


def config(d_vocab: int, layers: int, width: int, steps: int, seed: int) -> TrainConfig:
    """The demo's settings at another size, without its curriculum."""
    recipe = demo_recipe()
    model = get_preset(recipe.preset, d_vocab=d_vocab, n_layers=layers, d_model=width,
                       n_heads=max(1, width // 32), d_mlp=2 * width)  # fmt: skip
    settings = dict(recipe.settings) | {"eval_every": steps, "checkpoint_every": 100}
    return TrainConfig(model=model, steps=steps, seed=seed, **settings)


def print_table(result: Fidelity) -> None:
    """A row a reading: at the first and the last step, and every correlation."""
    heads = ["reading", "at the highest loss", "at the lowest", "untrained", *COLUMNS]
    print(f"| {' | '.join(heads)} |")
    print("|" + "---|" * 8)
    highest = max(range(len(result.loss)), key=lambda i: result.loss[i].value)
    for task in result.tasks:
        rows = [result.accuracy[task][i] for i in (highest, result.best)]
        cells = [f"{i.value:.2f}" for i in (*rows, result.untrained[task])]
        for compared in result.correlations.values():
            each = compared[task]
            ends = f" [{each.low:+.2f}, {each.high:+.2f}]" if each.low == each.low else ""
            cells.append(f"{each.value:+.2f}{ends}" if each.n else "")
        print(f"| {task} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
