"""The demo's recipe from several seeds: answers by kind of question beside the best shortcuts.

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
    parser.add_argument("--seed", type=int, default=0, help="of the stories they are asked about")
    options = parser.parse_args()
    world = interp.load_world("stories")
    sizes = {"n_stories": options.stories, "n_eventful": 2 * options.stories}
    results = {
        seed: interp.comprehension(
            trained(seed, options.out),
            world,
            **sizes,
            n_generated=options.stories,
            seed=options.seed,
        )
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
    """A row a kind of question: accuracy by seed, and the best shortcuts, listed and found."""
    seeds = list(results)
    print(
        "| stories | question | n |"
        + "".join(f" seed {seed} |" for seed in seeds)
        + " best listed shortcut | best found shortcut |"
    )
    print("|" + "---|" * (5 + len(seeds)))
    for row in results[seeds[0]].rows:
        rows = [result.row(row.kind, row.split) for result in results.values()]
        cells = "".join(
            f" {r.accuracy.value:.2f} [{r.accuracy.low:.2f}, {r.accuracy.high:.2f}] |" for r in rows
        )
        names = [row.strongest(by_search=by_search) for by_search in (False, True)]
        shortcuts = "".join(
            f" {row.shortcuts[name].value:.2f} ({name}) |" for name in names if name
        )
        print(f"| {row.split} | {row.kind} | {row.n} |{cells}{shortcuts}")
    for name, value in (
        ("regret, nats per token", lambda r: f"{r.regret.value:.4f}"),
        ("well-formed sentences", lambda r: f"{r.well_formed['model'].value:.3f}"),
        ("consistent sentences", lambda r: f"{r.consistent['model'].value:.3f}"),
        ("whole texts that keep all rules", lambda r: f"{r.tellable['model'].value:.3f}"),
    ):
        cells = "".join(f" {value(r)} |" for r in results.values())
        print(f"| held_out | {name} | |{cells} | |")


if __name__ == "__main__":
    main()
