"""Verdicts on what can be read from activations, for the table of `calibration.py`.

What is planted is written into the embedding of a tiny model that was never trained, a row a word,
so that whole instruments run on it with their own controls.
"""

import csv
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.calibration_table import generator_of, planted_provenance, verdict
from interp.analyses.probing.concept import concept
from interp.analyses.probing.probe import probe
from interp.analyses.probing.regression_probe import regression_probe
from interp.analyses.probing.state_decoding import StateDecoding
from interp.methods.data.examples import Example
from interp.methods.probes.classifier import L2
from interp.methods.probes.state_decoders import PLACES, fit_decoders, scored
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer

WIDTH, SIGNAL = 8, 3.0
"""Numbers a row, and how many of their standard deviations lie between two planted classes."""
EMBEDDING = ("resid_pre", 0)
CLASSES = ("no", "yes")
TRAINED_ON, STORIES, TOKENS = 200, 100, 2
"""Stories that decoders are trained and tested on, and tokens of each kind in a story."""


@cache
def _tokenizer(n_words: int) -> Tokenizer:
    return Tokenizer.words([" ".join(["x", *(f"w{i}" for i in range(n_words))])])


def _model(rows: Tensor) -> GPT:
    """A model whose embedding holds these rows, of the words ` w0`, ` w1`, …"""
    tokenizer = _tokenizer(len(rows))
    config = GPTConfig(
        n_layers=1, d_model=rows.shape[1], n_heads=1, d_vocab=tokenizer.d_vocab, n_ctx=4,
        positions="none", attn_only=True, tied=False, embed_std=1.0,
    )  # fmt: skip
    model = GPT(config, tokenizer).eval()
    with torch.no_grad():
        model.embed.weight[_ids(tokenizer, len(rows))] = rows
    return model


def _ids(tokenizer: Tokenizer, n_words: int) -> list[int]:
    return [tokenizer.encode(f"x w{i}")[-1] for i in range(n_words)]


def _rows(labels: Tensor, planted: bool, generator: torch.Generator) -> Tensor:
    """Normal numbers; where something is planted, the labels lie along a random direction."""
    rows = torch.randn(len(labels), WIDTH, generator=generator)
    direction = torch.randn(WIDTH, generator=generator)
    signal = SIGNAL * labels[:, None] * direction / direction.norm()
    return rows + signal * planted


def _table(folder: str, texts: list[str], labels: list) -> Path:
    path = Path(folder) / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *zip(texts, labels, strict=True)])
    return path


@verdict(
    "probe", "can be read: above every control", 60, promised=0.025,
    rows=("300 rows; nothing: rows that do not know the label; planted: a direction", 300, 0.5, 0),
    rare=("300 rows, one label has 80 %", 300, 0.8, 0),
    folds=("60 rows, 5-fold cross-validation", 60, 0.5, 5),
)  # fmt: skip
def readable(n: int, share: float, folds: int, planted: bool, seed: int) -> bool:
    """Labels that activations do not hold; or that lie along a direction of them."""
    generator = generator_of(planted, seed)
    flags = torch.rand(n, generator=generator) > share
    model = _model(_rows(flags.float(), planted, generator))
    texts = [f"x w{i}" for i in range(n)]
    return _probed(model, texts, flags, folds, seed)


@verdict(
    "probe", "can be read: above every control", 60, promised=0.025,
    is_planted=False,
    more=("300 rows; nothing: each of 30 words has a label of its own, in 8 numbers", 30, 8),
    wide=("300 rows; nothing: each of 30 words has a label of its own, in 64 numbers", 30, 64),
)  # fmt: skip
def remembered(n_words: int, width: int, planted: bool, seed: int) -> bool:
    """Each word has a label that no other word tells: memory reads it, as it would any other."""
    generator = generator_of(planted, seed)
    of_word = torch.arange(n_words) % 2
    model = _model(torch.randn(n_words, width, generator=generator))
    pairs = torch.randint(n_words, (300, 2), generator=generator).tolist()
    return _probed(
        model, [f"x w{a} w{b}" for a, b in pairs], of_word[[b for _, b in pairs]], 0, seed
    )


def _probed(model: GPT, texts: list[str], flags: Tensor, folds: int, seed: int) -> bool:
    with TemporaryDirectory() as folder:
        path = _table(folder, texts, [CLASSES[int(flag)] for flag in flags])
        made = probe(model, labels=path, sites=[EMBEDDING], folds=folds, seed=seed)
    return made.beats_controls


@verdict(
    "regression_probe", "can be read: above every control", 60, promised=0.025,
    few=("60 rows; nothing: activations that do not know the number; planted: a direction", 60),
    many=("300 rows", 300),
)  # fmt: skip
def number_read(n: int, planted: bool, seed: int) -> bool:
    """Numbers that activations do not hold; or that lie along a direction of them."""
    generator = generator_of(planted, seed)
    numbers = torch.randn(n, generator=generator)
    model = _model(_rows(numbers, planted, generator))
    with TemporaryDirectory() as folder:
        path = _table(folder, [f"x w{i}" for i in range(n)], numbers.tolist())
        made = regression_probe(model, path, sites=[EMBEDDING], seed=seed)
    return made.beats_controls


@verdict(
    "concept", "readable: the AUROC's interval lies above one half", 200, promised=0.025,
    tiny=("8 texts of either kind (no verdict is given)", 8),
    few=("16 texts of either kind; nothing: activations that do not know the kind", 16),
    some=("40 texts of either kind", 40), many=("200 texts of either kind", 200),
)  # fmt: skip
def concept_read(n: int, planted: bool, seed: int) -> bool:
    """Texts of two kinds that activations do not tell apart; or that they do."""
    flags = torch.arange(2 * n) < n
    model = _model(_rows(flags.float(), planted, generator_of(planted, seed)))
    texts = [f"x w{i}" for i in range(2 * n)]
    made = concept(model, texts[:n], texts[n:], site=EMBEDDING, at="last", seed=seed)
    return made.readable


@verdict(
    "state_decoding", "one of 4 kinds of token lies above every control", 60,
    stories=("100 stories; nothing: activations that do not know the state; planted: a direction",),
)  # fmt: skip
def state_read(planted: bool, seed: int) -> bool:
    """Values at four kinds of token, which activations do not hold; or hold along a direction."""
    generator = generator_of(planted, seed)
    kinds, n_stories = PLACES[:4], TRAINED_ON + STORIES
    labels = torch.randint(2, (n_stories * TOKENS * len(kinds),), generator=generator)
    model = _model(_rows(labels.float(), planted, generator))
    ids = _ids(model.tokenizer, len(labels))
    per_story = TOKENS * len(kinds)
    cells = [
        Example(
            tokens=(ids[i],), label=CLASSES[label], story=i // per_story,
            kind=kinds[i % len(kinds)],
        )
        for i, label in enumerate(labels.tolist())
    ]  # fmt: skip
    known, new = cells[: TRAINED_ON * per_story], cells[TRAINED_ON * per_story :]
    reached = []
    for each in (model, model.untrained(seed)):
        decoders = fit_decoders(each, known, CLASSES, EMBEDDING, L2, seed)
        reached.append(scored(each, decoders, new, CLASSES, EMBEDDING, seed))
    own, twin = reached
    return bool(_decoded(own.pop("probe"), {"untrained": twin["probe"], **own}))


def _decoded(accuracy: dict, controls: dict) -> tuple[str, ...]:
    """The places that are above all controls, by the result's own rule; no story is shown."""
    nothing = torch.zeros(0, 0)
    return StateDecoding(
        variable="state", text="", tokens=(), about=(), classes=CLASSES, site=EMBEDDING,
        site_name="embedding", truth=nothing.long(), where=nothing.long(),
        probability=torch.zeros(0, 0, len(CLASSES)), accuracy=accuracy, controls=controls,
        decoders=(), weight=torch.zeros(0, len(CLASSES), WIDTH), bias=torch.zeros(0, len(CLASSES)),
        n_train=TRAINED_ON, n_test=STORIES, familiar=0, provenance=planted_provenance("decoding"),
    ).places_above_controls  # fmt: skip
