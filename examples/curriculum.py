"""Does the order of the lessons matter? A curriculum beside its controls, at equal tokens.

In the world `homes` only one thing is hard: how many words stand between a name and its place. The
curriculum goes from none to three. The controls draw the very same levels equally often: shuffled
(their average mixture from the first step on) and backwards (anti). All orders spend the last part
at the widest gap, so that none is measured fresh from other text.

    python examples/curriculum.py [--quick] [--seeds 3] [--out runs/curriculum]
"""

import argparse
from pathlib import Path

import interp
from interp.analyses.learning.curriculum import ANSWERS, LOSS, Curriculum
from interp.models.io.presets import get_preset
from interp.training.data.corpus import Corpus
from interp.training.data.curriculum import Stage
from interp.training.data.sources import write_world_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.pacing import paced

CURRICULUM, SHUFFLED, ANTI = "curriculum", "shuffled", "anti"
PAPERS = """\
Bengio et al. 2009: a curriculum reaches a lower error than no curriculum (shapes: easy ones first,
then all; language: the vocabulary grows), at equal time.
Wu et al. 2021, "When Do Curricula Work?": on ordinary image benchmarks curricula, anti-curricula
and random orders of growing pools all end alike; curricula help only where the time is short or
labels are noisy.
Here: two layers, a short budget, and a skill that cannot be had at once: the wide gap needs two
position heads and a match together, the gap of none is plain induction."""


def stages(order: str, levels: tuple[str, ...], steps: int) -> tuple[Stage, ...]:
    """The stages of an order."""
    return paced(levels, steps, pacing="overlapping", order=order, last=0.15)


def run(corpus: Corpus, folder: Path, order: str, *, seed: int, steps: int, every: int) -> None:
    """Train one model unless its folder is there."""
    if (folder / "model.safetensors").exists():
        return
    shape = get_preset(
        "demo", d_vocab=corpus.tokenizer.d_vocab, n_layers=2, d_model=64, n_heads=4, d_head=32,
        d_mlp=128, n_ctx=96,
    )  # fmt: skip
    config = TrainConfig(
        model=shape, steps=steps, batch_size=16, context=72, rows="document",
        stages=stages(order, corpus.levels(), steps), muon_lr=0.01, embed_lr=0.02, head_lr=0.006,
        scalar_lr=0.006, warmup_steps=10, stable_fraction=0.8, seed=seed, eval_every=0,
        eval_tokens=1152, checkpoint_every=every,
    )  # fmt: skip
    train(config, corpus.folder, folder)


def written(folder: Path, documents: int) -> Corpus:
    """The text of every level, told now or before."""
    if not (folder / "corpus.json").exists():
        world = interp.load_world("homes")
        write_world_corpus(world, folder, n_documents=documents, n_held_out=20)
    return Corpus.open(folder)


def compared(corpus: Corpus, out: Path, orders: list[str], seeds: int, steps: int) -> Curriculum:
    """All runs, one after the other, and what the instrument says of them."""
    names = [(order, seed) for seed in range(seeds) for order in orders]
    folders = {pair: out / f"{pair[0]}-{steps}-steps-seed-{pair[1]}" for pair in names}
    for (order, seed), folder in folders.items():
        run(corpus, folder, order, seed=seed, steps=steps, every=50)
        print(f"trained {folder.name}", flush=True)
    models = [interp.load_model(folders[pair]) for pair in names]
    return interp.curriculum(
        models[0],
        models[1:],
        world=interp.load_world("homes"),
        labels=[order for order, _ in names],
        baseline=SHUFFLED,
        n_stories=100,
        checkpoints=13,
    )


def report(result: Curriculum) -> None:
    """The numbers, the verdicts, and the papers'."""
    print(f"\nOn {result.levels[-1]}, after {result.tokens[-1]:,} tokens (95 % over seeds):")
    for name in result.names:
        print(
            f"{name:>11}: loss {result.last(name)}; answers {result.last(name, ANSWERS)}; "
            f"share that reaches {result.threshold:.0%} right: {result.reached(name)}"
        )
    for name in result.names[1:]:
        print(
            f"{name} against {result.baseline}: loss {result.verdict(name, LOSS)}, answers "
            f"{result.verdict(name, ANSWERS)}"
        )
    print("\nLoss since a level left the mixture (nats/token; nan: it never left):")
    for name in result.names:
        lost = result.forgetting[result.members(name)].nanmean(0).tolist()
        text = ", ".join(f"{lv} {x:+.2f}" for lv, x in zip(result.levels, lost, strict=True))
        print(f"{name:>11}: {text}")
    print(f"\n{PAPERS}")


def main() -> None:
    """Train, compare, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, two orders, fewer steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/curriculum"))
    arguments = parser.parse_args()
    orders = [SHUFFLED, CURRICULUM] if arguments.quick else [SHUFFLED, CURRICULUM, ANTI]
    steps, seeds = (250, 1) if arguments.quick else (700, arguments.seeds)
    corpus = written(arguments.out / "corpus", 300 if arguments.quick else 1_500)
    result = compared(corpus, arguments.out, orders, seeds, steps)
    report(result)
    for view in ("loss", "answers", "mixture", "end"):
        result.figure(view=view).write_html(arguments.out / f"{view}.html")
    result.save(arguments.out / "result")
    print(f"\nfigures: {arguments.out}/loss.html, answers.html, mixture.html, end.html")


if __name__ == "__main__":
    main()
