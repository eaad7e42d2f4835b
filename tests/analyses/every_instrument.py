"""A small call of every instrument, for what must hold of all of them."""

import copy
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch

import interp
from interp.analyses.probing.concept import Concept
from interp.models.gpt import GPT
from interp.results.registry import get_instrument
from interp.results.result import Result
from tests.analyses.tiny_growing import growing_model
from tests.analyses.tiny_world import NAMES, TinyWorld

WORLD, PROMPT = TinyWorld(), "Anna sits in the attic."
TEXTS = [WORLD.sample(seed, split="held_out").text for seed in range(6)]
MOODS = [
    [f"{name} feels {mood}." for name in NAMES for mood in moods]
    for moods in (("glad",), ("grim", "meek"))
]
STEPS = (0, 16, 160)
STORIES = {"comprehension", "fidelity", "state_decoding", "state_edit"}
"""Instruments that ask a world for more than the tiny one has."""
RECORDS = {"curriculum", "learning_curve"}
"""Instruments of training records, which need runs on disk."""


@cache
def stories_world() -> object:
    return interp.load_world("stories")


@cache
def number_table() -> Path:
    """A file of texts, each labelled with a number."""
    path = Path(mkdtemp()) / "numbers.jsonl"
    texts = [WORLD.sample(number).text for number in range(60)]
    rows = [{"text": text, "label": len(text)} for text in texts]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


class History(dict):
    """Checkpoints by step, and the folder of the run."""

    folder: Path | None = None


def cast(model: GPT, dtype: torch.dtype) -> GPT:
    """A copy in another number format, and its checkpoints."""

    def alone(one: GPT) -> GPT:
        history, one.history = one.history, {}  # which holds all of them, and perhaps a folder
        twin = copy.deepcopy(one).to(dtype)
        one.history = history
        return twin

    twin = alone(model)
    twin.history = History({step: alone(each) for step, each in model.history.items()})
    twin.history.folder = getattr(model.history, "folder", None)
    return twin


@cache
def small_talker() -> GPT:
    """The first two layers of the shipped model, with a checkpoint that is untrained."""
    whole = interp.load_model("stories-demo")
    cfg = replace(whole.cfg, n_layers=2)
    model = GPT(cfg, whole.tokenizer, name="two layers").eval()
    model.load_state_dict(whole.state_dict(), strict=False)
    first = GPT(cfg, whole.tokenizer, name="two layers").eval()
    model.history = {0: first, 8: copy.deepcopy(first), 16: copy.deepcopy(model)}
    return model


@cache
def subject(name: str) -> GPT:
    """The model that a call is made on, in single precision."""
    if name in RECORDS:
        return interp.load_model("runs/forth-0")
    return small_talker() if name in STORIES else growing_model()


@cache
def glad(model: GPT) -> Concept:
    """A concept of the model, found before it is steered with."""
    return interp.concept(model, *MOODS, site=("resid_post", 1))


# fmt: off
CALLS = {
    "attention": lambda f, m: f(m, PROMPT, untrained=1),
    "blame": lambda f, m: f(m, prompt=PROMPT, answer=" Anna", k=2, untrained=1, tolerance=0.1),
    "checkpoint_metrics": lambda f, m: f(
        m, WORLD, n_stories=3, n_probed=20, n_sequences=2, steps=STEPS
    ),
    "checkpoint_viewer": lambda f, m: f(m, PROMPT, WORLD, steps=STEPS, n_tokens=3),
    "component_scaling": lambda f, m: f(m, PROMPT, n_random=2),
    "comprehension": lambda f, m: f(
        m, stories_world(), n_stories=3, n_fitted=20, n_generated=2, n_eventful=2,
        splits=["held_out"],
    ),
    "concept": lambda f, m: f(m, *MOODS, site=("resid_post", 1)),
    "continuation": lambda f, m: f(
        m, PROMPT, [interp.Scale(hook=("resid_post", 1), factor=0.5)], max_new_tokens=4
    ),
    "curriculum": lambda f, m: f(
        m, [cast(interp.load_model("runs/back-0"), m.embed.weight.dtype)],
        world=interp.load_world("homes"), levels=["gap-0", "gap-1"], n_stories=2,
    ),
    "emergence": lambda f, m: f(
        m, WORLD, measures=["loss"], n_stories=4, n_boot=4, steps=(0, 2, 6, 16, 40, 90, 160)
    ),
    "fidelity": lambda f, m: f(
        m, stories_world(), ["place"], steps=(0, 8, 16), n_stories=30, n_test=10, max_examples=80
    ),
    "gradient_step": lambda f, m: f(m, PROMPT, answer=" Anna", lr=0.003, k=2, n_random=1),
    "head_ablation": lambda f, m: f(m, PROMPT, untrained=1, shuffles=1),
    "heads": lambda f, m: f(m, TEXTS, n_sequences=3, length=4, untrained=1),
    "influence": lambda f, m: f(m, TEXTS, prompt=PROMPT, answer=" Anna", steps=STEPS, k=2),
    "learning_curve": lambda f, m: f(m, points=30),
    "logit_lens": lambda f, m: f(m, PROMPT, targets=[" Anna"], k=2),
    "loss_change_allocation": lambda f, m: f(m, TEXTS[:2], steps=(0, 16), tolerance=0.1, k=2),
    "prediction": lambda f, m: f(m, PROMPT, k=3),
    "probe": lambda f, m: f(m, WORLD, "mood", n_stories=60, max_examples=80, n_untrained=1),
    "regression_probe": lambda f, m: f(m, number_table(), n_untrained=1, folds=2),
    "scaling_law": lambda f, m: f(m, tokens=1000, words=800),
    "state_decoding": lambda f, m: f(
        m, stories_world(), "place", site=("resid_post", 2), n_stories=20, n_test=6
    ),
    "state_edit": lambda f, m: f(
        m, stories_world(), "place", doses=(1.0,), n_stories=150, n_tune=50, n_test=50, n_random=1
    ),
    "steering": lambda f, m: f(
        m, glad(m), words=["glad"], prompts=[PROMPT] * 3,
        doses=(0.0, 0.5), n_tokens=4, n_random=2, n_random_prompts=2,
    ),
    "steering_metrics": lambda f, m: f(
        m, PROMPT, [glad(m).add(0.5)], words=["glad"],
        n_texts=3, n_random=2, max_new_tokens=4,
    ),
    "surprise": lambda f, m: f(m, TEXTS[0], k=2),
    "tuned_lens": lambda f, m: f(m, TEXTS, steps=3, batch=16),
}
# fmt: on
"""Name -> a call of the instrument's function on a model."""


def measured(name: str, model: GPT) -> Result:
    """What the instrument says of the model."""
    return CALLS[name](get_instrument(name).function, model)
