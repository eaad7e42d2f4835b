"""The demo's recipe from several seeds: answers by kind of question beside the best shortcut.

    python benchmarks/seeds.py --seeds 0 1 2 --out runs/seeds

Each seed tells its own corpus and draws its own weights. A seed that is trained already is only
measured. Prints a table for docs/seeds.md.
"""

import argparse
from pathlib import Path

import interp
from interp.models.io.load import load_model
from interp.training.data.corpus import Corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.recipes import demo_recipe


def main() -> None:
    """Train what is missing, measure all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--stories", type=int, default=300)
    options = parser.parse_args()
    world = interp.load_world("stories")
    results = {
        seed: interp.comprehension(trained(seed, options.out), world, n_stories=options.stories)
        for seed in options.seeds
    }
    print_table(results)


def trained(seed: int, out: Path) -> "interp.GPT":
    """The model of a seed, trained now if it is not there."""
    recipe, run = demo_recipe(seed=seed), out / f"seed-{seed}"
    if not (run / "model.safetensors").exists():
        path = (run / "corpus" / "corpus.json").exists()
        corpus = Corpus.open(run / "corpus") if path else recipe.write_corpus(run / "corpus")
        train(recipe.config(corpus.tokenizer.d_vocab), corpus.folder, run)
    return load_model(run)


def print_table(results: dict) -> None:
    """A row a kind of question: accuracy by seed, and the best shortcut over the seeds."""
    seeds = list(results)
    print(
        "| stories | question |" + "".join(f" seed {seed} |" for seed in seeds) + " best shortcut |"
    )
    print("|" + "---|" * (3 + len(seeds)))
    for row in results[seeds[0]].rows:
        rows = [result.row(row.kind, row.split) for result in results.values()]
        strongest = max(rows, key=lambda r: r.shortcuts[r.best].value)
        cells = "".join(f" {r.accuracy.value:.2f} |" for r in rows)
        shortcut = f"{strongest.shortcuts[strongest.best].value:.2f} ({strongest.best})"
        print(f"| {row.split} | {row.kind} |{cells} {shortcut} |")
    for name, value in (
        ("regret, nats per token", lambda r: f"{r.regret.value:.4f}"),
        ("well-formed sentences", lambda r: f"{r.well_formed['model'].value:.3f}"),
        ("consistent sentences", lambda r: f"{r.consistent['model'].value:.3f}"),
    ):
        print(f"| held_out | {name} |" + "".join(f" {value(r)} |" for r in results.values()) + " |")


if __name__ == "__main__":
    main()
