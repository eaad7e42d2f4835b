"""Calls of every instrument, under the names of version 0.1, whose results lie in `results/`.

A result `x-y` is of the instrument x. The calls stand in a copy of `runs/` (see `beside`): what is
measured of a run is kept in its folder, which would hide a change from the next who measures.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import interp
from tests.earlier.stories import EarlierStories

HERE = Path(__file__).resolve().parent
OPEN = "It is a sunny morning. Anna is"
START = "It is a sunny morning. Anna is in the"
PROMPT = f"{START} garden. Where is Anna?"
NAMES = (
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Frank",
    "Grace",
    "Henry",
    "Iris",
    "Jack",
    "Kate",
    "Leo",
)
LEVELS = ("gap-0", "gap-1")


@cache
def model(step=None):
    return interp.load_model(HERE / "models" / "stories-demo", step=step, device="cpu")


@cache
def world():
    return EarlierStories()


@cache
def story(number=7):
    return world().sample(number, split="held_out").text


def texts(n, split="held_out"):
    return [world().sample(number, split=split).text for number in range(n)]


def homes(n, level="gap-1"):
    return [interp.load_world("homes").sample(i, level=level).text for i in range(n)]


@cache
def run(name):
    return interp.load_model(f"runs/{name}", device="cpu")


@cache
def happy(method="mean_difference", layer=1):
    return interp.concept(
        model(), "happy", world=world(), site=("resid_post", layer), method=method, n_stories=60
    )


@cache
def writes():
    """The direction that steers best."""
    return happy("gradient", 3)


@cache
def lens():
    return interp.tuned_lens(model(), world=world(), n_stories=12, steps=20, batch=64)


@cache
def place():
    return interp.reading(
        model(), world(), "place", site=("resid_post", 2), n_stories=40, n_test=16
    )


# fmt: off
CALLS = {
    "allocation": lambda: interp.allocation(
        model(), world=world(), n_stories=2, steps=(256, 512, 1000), tolerance=0.02, k=8
    ),
    "attention": lambda: interp.attention(model(), PROMPT, untrained=2),
    "attention-edits": lambda: interp.attention(
        model(), START, edits=[happy().add(0.5)], untrained=1
    ),
    "blame": lambda: interp.blame(
        model(), prompt=PROMPT, answer=" Garden", tolerance=0.02, k=8, untrained=1
    ),
    "blame-world": lambda: interp.blame(model(512), world=world(), path=False, k=5, untrained=1),
    "comprehension": lambda: interp.comprehension(
        model(), world(), n_stories=12, n_fitted=60, n_generated=4, n_eventful=6
    ),
    "concept": lambda: happy(),
    "concept-gradient": lambda: writes(),
    "concept-texts": lambda: interp.concept(
        model(),
        [f"It is a sunny morning. {name} is in the garden." for name in NAMES],
        [f"It is a sunny morning. {name} is in the kitchen." for name in NAMES],
        site=("resid_post", 2),
        method="probe",
        at="last",
    ),
    "continuation": lambda: interp.continuation(
        model(),
        "It is a sunny morning. Anna is",
        [writes().add(0.75, where=writes().where_written)],
        max_new_tokens=16,
    ),
    "curriculum": lambda: interp.curriculum(
        run("forth-0"),
        [run("forth-1"), run("back-0"), run("back-1")],
        world=interp.load_world("homes"),
        levels=LEVELS,
        n_stories=5,
    ),
    "dials": lambda: interp.dials(
        model(), START, turns=["head 2.1 * 0", "neuron 2.17 * 3"], n_random=3
    ),
    "dials-suggested": lambda: interp.dials(model(), START, answer=" garden", n_random=2),
    "emergence": lambda: interp.emergence(
        model(),
        world(),
        measures=["loss", "accuracy", "log_prob"],
        n_stories=12,
        n_boot=20,
        steps=(0, 16, 64, 256, 512, 1000, 1700),
    ),
    "emergence-runs": lambda: interp.emergence(
        run("forth-0"),
        interp.load_world("homes"),
        runs=[run("forth-1"), run("back-0")],
        measures=["loss"],
        n_stories=5,
        n_boot=20,
        level="gap-1",
    ),
    "fidelity": lambda: interp.fidelity(
        model(), world(), ["place"], steps=(0, 256, 1700), n_stories=60, n_test=20, max_examples=150
    ),
    "gauges": lambda: interp.gauges(
        model(),
        "It is a sunny morning. Anna is",
        [writes().add(0.5, where=writes().where_written)],
        world=world(),
        concepts=["happy"],
        n_texts=6,
        n_random=3,
        n_stories=2,
        max_new_tokens=24,
    ),
    "growth": lambda: interp.growth(model(), START, world(), steps=(0, 64, 512, 1700), n_tokens=6),
    "head_effect": lambda: interp.head_effect(model(), PROMPT, untrained=1, shuffles=2),
    "head_effect-zero": lambda: interp.head_effect(
        model(), START, answer=" garden", kind="zero", untrained=1, shuffles=1
    ),
    "heads": lambda: interp.heads(model(), texts(3), n_sequences=4, length=12, untrained=2),
    "influence": lambda: interp.influence(
        model(), world=world(), n_stories=6, steps=(64, 512), k=3
    ),
    "learning_curve": lambda: interp.learning_curve(run("forth-0"), points=30),
    "learning_curve-shipped": lambda: interp.learning_curve(model()),
    "logit_lens": lambda: interp.logit_lens(model(), START, targets=[" garden"], k=3),
    "logit_lens-tuned": lambda: interp.logit_lens(model(), START, lens=lens(), k=2),
    "prediction": lambda: interp.prediction(
        model(), "It is a sunny morning.", temperature=0.8, top_k=20, top_p=0.9, seed=1, k=6
    ),
    "probe": lambda: interp.probe(
        model(), world(), "place", at="asked", n_stories=80, max_examples=150, n_untrained=1
    ),
    "probe-mlp": lambda: interp.probe(
        model(),
        world(),
        "mood",
        at="stated",
        sites=[("resid_post", 1)],
        kind="mlp",
        n_stories=60,
        max_examples=100,
        n_untrained=1,
    ),
    "reading": lambda: place(),
    "reading-again": lambda: interp.reading(
        model(),
        world(),
        "place",
        text=f"{START} garden. Ben is in the park.",
        site=("resid_post", 2),
        decoder=place(),
        n_stories=40,
        n_test=16,
    ),
    "scale": lambda: interp.scale(model(), world=world(), n_documents=6),
    "scale-law": lambda: interp.scale(run("forth-0"), runs=["runs/sweep"], n_documents=6, n_boot=6),
    "state_edit": lambda: interp.state_edit(
        model(), world(), "place", doses=(1.0,), n_stories=120, n_tune=30, n_test=30, n_random=2
    ),
    "steering": lambda: interp.steering(
        model(),
        writes(),
        world(),
        doses=(-0.5, 0.0, 0.5, 1.0),
        n_prompts=6,
        n_tokens=16,
        n_random=3,
        n_random_prompts=3,
        prompt_sentences=1,
        where=writes().where_written,
    ),
    "steering-screened": lambda: interp.steering(
        model(),
        "happy",
        world(),
        doses=(0.0, 0.75),
        sites=[("resid_post", 2), ("resid_post", 3)],
        n_prompts=4,
        n_tokens=12,
        n_random=2,
        n_random_prompts=2,
    ),
    "step": lambda: interp.step(
        model(), START, answer=" garden", lr=0.003, world=world(), k=4, n_random=2
    ),
    "step-adamw": lambda: interp.step(
        model(),
        START,
        answer=" garden",
        lr=0.001,
        optimizer="adamw",
        steps=2,
        untouched=["It is a rainy night. Ben is in the"],
        untouched_answers=[" kitchen"],
        k=3,
        n_random=1,
    ),
    "surprise": lambda: interp.surprise(model(), story(), world=world(), k=2),
    "surprise-step": lambda: interp.surprise(model(64), f"{START} garden.", k=3),
    "tuned_lens": lambda: interp.tuned_lens(run("forth-0"), homes(16), steps=10, batch=32),
    "watch": lambda: interp.watch(
        model(), world(), n_stories=8, n_probed=40, n_sequences=2, steps=(0, 64, 512, 1700)
    ),
}
# fmt: on
"""NAME -> a call; the instrument is NAME up to its first hyphen."""


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Stand in a folder with a copy of the runs in which nothing is measured yet."""
    before = Path.cwd()
    shutil.copytree(HERE / "runs", folder / "runs")
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
