"""The demo's recipe from several seeds: answers by kind of question beside the best shortcuts.

    python benchmarks/seeds.py --long --seeds 0 1 2 --out runs/seeds

Each seed tells its own corpus and draws its own weights. A seed that is trained already is only
measured. Prints two tables for docs/seeds.md: the world's questions, and short stories put together
by hand, which the world's program did not draw.
"""

import argparse
import random
from pathlib import Path

import interp
from interp.core.statistics.intervals import Interval, clopper_pearson
from interp.models.io.load import load_model
from interp.training.data.corpus import Corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.recipes import demo_recipe
from interp.worlds.village import HELD_OUT_PLACE, OBJECTS, PEOPLE, PLACES

BEGINNING = "It is a sunny morning. {a} is in the {p}. {b} is in the {q}. {c} is in the {r}."
TALES = {  # what happens, and where the thing is then
    "its taker moves": ("{a} takes the {x}. {a} goes to the {s}.", "s"),
    "given, and the giver leaves": (
        "{a} takes the {x}. {a} goes to the {q}. {a} gives the {x} to {b}. {a} goes to the {s}.",
        "q",
    ),
    "given, and the new holder moves": (
        "{a} takes the {x}. {a} goes to the {q}. {a} gives the {x} to {b}. {b} goes to the {s}.",
        "s",
    ),
    "dropped, and the dropper moves": (
        "{a} takes the {x}. {a} goes to the {s}. {a} drops the {x}. {a} goes to the {t}.",
        "s",
    ),
    "dropped, and taken by another who moves": (
        "{a} takes the {x}. {a} goes to the {s}. {a} drops the {x}. {b} goes to the {s}. "
        "{b} takes the {x}. {b} goes to the {t}.",
        "t",
    ),
}


def main() -> None:
    """Train what is missing, measure all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--long", action="store_true", help="the recipe of the shipped model")
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--stories", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="of the stories they are asked about")
    options = parser.parse_args()
    world = interp.load_world("stories")
    sizes = {"n_stories": options.stories, "n_eventful": 2 * options.stories}
    results = {
        seed: interp.comprehension(
            trained(seed, options.out, long=options.long),
            world,
            **sizes,
            n_generated=options.stories,
            seed=options.seed,
        )
        for seed in options.seeds
    }
    print_table(results)
    models = [trained(seed, options.out, long=options.long) for seed in options.seeds]
    print_tales(models, options.seeds, options.stories)


def trained(seed: int, out: Path, *, long: bool) -> "interp.GPT":
    """The model of a seed, trained now if it is not there."""
    recipe, run = demo_recipe(seed, long=long), out / f"seed-{seed}"
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
        shortcuts = "".join(
            f" {row.shortcuts[name].value:.2f} ({name}) |" if name else " |"
            for name in (row.best_listed, row.discovery)
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


def tale(name: str, number: int) -> tuple[str, str]:
    """A story of a kind up to its question, and the answer's word; nobody is in a new place."""
    draw, (events, where) = random.Random(f"{name} {number}"), TALES[name]
    people, thing = draw.sample(PEOPLE, 3), draw.choice(OBJECTS)
    usual = [place for place in PLACES if place not in map(HELD_OUT_PLACE.get, people)]
    names = dict(zip("abc", people, strict=True)) | {"x": thing}
    names |= dict(zip("pqrst", draw.sample(usual, 5), strict=True))
    text = f"{BEGINNING} {events} Where is the {{x}}?".format(**names)
    return text, f" {names[where].capitalize()}"


def share_right(model: "interp.GPT", name: str, n: int) -> Interval:
    """How many tales of a kind end with the right word, with its exact interval."""
    hits = 0
    for text, answer in (tale(name, number) for number in range(n)):
        hits += model.generate(text, max_new_tokens=1, temperature=0).text == answer
    return clopper_pearson(hits, n)


def print_tales(models: list["interp.GPT"], seeds: list[int], n: int) -> None:
    """A row a kind of tale."""
    print(f"\n| told by hand, n = {n} | " + " | ".join(f"seed {seed}" for seed in seeds) + " |")
    print("|" + "---|" * (1 + len(seeds)))
    for name in TALES:
        rows = [share_right(model, name, n) for model in models]
        print(
            f"| {name} | "
            + " | ".join(f"{r.value:.2f} [{r.low:.2f}, {r.high:.2f}]" for r in rows)
            + " |"
        )


if __name__ == "__main__":
    main()
