"""Reading a story token by token: what is true in the world beside what the activations hold.

Control, for each kind of token: the same probes on an untrained model, on shuffled labels, and the
commonest value. Where the value is said, an untrained model reads it as well: it is the word
itself. `places_above_controls` names the kinds that lie above every control; elsewhere a right
value is luck.

Units: share of tokens read right, and probability of the true value, in [0, 1]; n = test stories,
none of which begins like a training story.

    interp run state_decoding --world stories --variable place --html decoded.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.cost import announce
from interp.core.errors import ConfigError, near_misses
from interp.core.hooks import Name
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, plain
from interp.methods.activations import reading_examples, site_label
from interp.methods.data.examples import Example, sample_stories
from interp.methods.probes.classifier import L2, class_directions, fit_operations
from interp.methods.probes.state_decoders import Decoders, fit_decoders, scored, thinned
from interp.methods.probes.state_tracking import (
    PLACES,
    UNKNOWN,
    WHERE,
    Track,
    check_holds_on,
    decoder_name,
    state_variables,
    track,
)
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import Fact, World, check_name

if TYPE_CHECKING:
    import pandas as pd

CURVES = {
    "untrained": "untrained model",
    "shuffled": "shuffled labels",
    "majority": "commonest value",
}


TESTED_FROM = 500_000
"""Held-out stories below this number are there to be read; accuracy is counted on those above."""


@dataclass(frozen=True, kw_only=True)
class StateDecoding(Result):
    """A story with the world's state at each token beside the one that is read there.

    Attributes:
        variable: what is read: somebody's `place`, say.
        text: the story.
        tokens: tokens of the story, for display.
        about: whom or what the variable is about, a row of the grids each.
        classes: values of the variable, in the order of all class axes.
        site: hook point that is decoded, as (short name, layer).
        site_name: the site in words.
        truth: number of the true value; -1 where the text has not determined it yet.
        where: what the text does at the token, of the row's view: a number into `places`.
        places: `asked`, `named`, `told`, `after`, `elsewhere`: in words in `WHERE`.
        probability: probability of each value, as read; nan where nothing is true yet, or nothing
            can read.
        accuracy: by place: the share read right on test stories, with its interval over stories.
        controls: accuracy by control and place: `untrained` (the same decoders trained on an
            untrained model), `shuffled` labels and `majority` (always the commonest value).
        decoders: names of the classifiers: a place, or `elsewhere: Anna`.
        weight: weights of the decoders, in the site's own units.
        bias: biases of the decoders.
        n_train: stories that the decoders were trained on.
        n_test: stories that the decoders were tested on.
        familiar: tokens at which this story is, so far, word for word a training story.
    """

    variable: str
    text: str
    tokens: tuple[str, ...]
    about: tuple[str, ...]
    classes: tuple[str, ...]
    site: tuple[str, int]
    site_name: str
    truth: Int[Tensor, "entity pos"]
    where: Int[Tensor, "entity pos"]
    places: tuple[str, ...] = PLACES
    probability: Float[Tensor, "entity pos class"]
    accuracy: dict[str, Interval]
    controls: dict[str, dict[str, Interval]]
    decoders: tuple[str, ...]
    weight: Float[Tensor, "decoder class d_model"]
    bias: Float[Tensor, "decoder class"]
    n_train: int
    n_test: int
    familiar: int
    columns: ClassVar = {
        "where": "where",
        "true": "truth",
        "read": "read",
        "right": "right",
        "p_true": "p_true",
    }
    labels: ClassVar = {"entity": ("entity", "about"), "token": ("pos", "tokens")}

    @property
    def read(self) -> Int[Tensor, "entity pos"]:
        """The most probable value's number; -1 where nothing is read."""
        best = self.probability.nan_to_num(-1.0).argmax(-1)
        return torch.where(self.probability.isnan().any(-1), UNKNOWN, best)

    @property
    def right(self) -> Bool[Tensor, "entity pos"]:
        """Where the value read is the true one."""
        return (self.read == self.truth) & (self.truth != UNKNOWN)

    @property
    def wrong(self) -> Bool[Tensor, "entity pos"]:
        """Where a value is read, and is not the true one."""
        return (self.read != self.truth) & (self.read != UNKNOWN)

    @property
    def p_true(self) -> Float[Tensor, "entity pos"]:
        """The probability given to the true value; nan where nothing is read."""
        value = self.truth.clamp_min(0)[..., None]
        return self.probability.gather(-1, value)[..., 0]

    def directions(self, decoder: str = "named") -> Float[Tensor, "class d_model"]:
        """A unit vector a value at this decoder's tokens: its weights less the values' mean.

        Raises:
            ConfigError: no such decoder; those there are are named.
        """
        if decoder not in self.decoders:
            raise ConfigError(f"No decoder {decoder!r}.{near_misses(decoder, self.decoders)}")
        return class_directions(self.weight[self.decoders.index(decoder)])

    def finding(self) -> str:
        above = [place in self.places_above_controls for place in self.places]
        counted = torch.tensor(above)[self.where]
        n, right = (int((flags & counted).sum()) for flags in (self.right | self.wrong, self.right))
        here = f"this story, wherever controls cannot: {right} of {n}"
        if not self.accuracy:
            return f"{self.variable}, {self.site_name}: too few stories to count; {here}"
        best = max(self.accuracy, key=lambda place: (self._margin(place), place))
        accuracy = self.accuracy[best]
        controls = ", ".join(
            f"{CURVES[name]} {of[best].value:.2f}"
            for name, of in self.controls.items()
            if best in of
        )
        return (
            f"{self.variable}, {self.site_name}, {WHERE[best]}: {plain(accuracy)} "
            f"({controls}; n = {accuracy.n}); {here}"
        )

    def _margin(self, place: str) -> float:
        """How far it lies above the strongest control there."""
        others = [control[place].value for control in self.controls.values() if place in control]
        return self.accuracy[place].value - max(others, default=0.0)

    @property
    def places_above_controls(self) -> tuple[str, ...]:
        """The places where it lies above every control."""
        return tuple(
            place
            for place, accuracy in self.accuracy.items()
            if all(accuracy.above(c[place]) for c in self.controls.values() if place in c)
        )

    def caption(self) -> str:
        above = self.places_above_controls
        readable = ", ".join(WHERE[place] for place in above)
        unreadable = ", ".join(WHERE[place] for place in self.accuracy if place not in above)
        sentences = [
            f"{self.finding()}. The true '{self.variable}' at each token, from the word that "
            "determines it on, and the most probable one as linear probes read it. A probe for "
            f"each kind of token, trained on {self.n_train} other stories, tested on "
            f"{self.n_test}; 95 % bootstrap intervals over stories, of each kind of token alone, "
            f"not corrected for {len(self.accuracy)} kinds.",
        ]
        if self.familiar:
            sentences.append(
                f"WARNING: {self.familiar} of these tokens stand, with all before them, in a "
                "training story too."
            )
        if "untrained" not in self.controls:
            sentences.append("No untrained model could be made to compare with.")
        if readable:
            sentences.append(f"It lies above every control: {readable}.")
        if unreadable:
            sentences.append(f"It does not: {unreadable}; read nothing into those.")
        sentences.append("That it can be read does not show that it is used.")
        return " ".join(sentences)

    def frame(self) -> "pd.DataFrame":
        """One row a token and entity of which something is true; values by their names."""
        whole = super().frame()
        values = dict(enumerate(self.classes)) | {UNKNOWN: ""}
        names = {"where": dict(enumerate(self.places)), "true": values, "read": values}
        whole = whole.assign(**{column: whole[column].map(names[column]) for column in names})
        return whole[whole["true"] != ""].sort_values(["pos", "entity"], ignore_index=True)


def state_decoding(
    model: LanguageModel,
    world: World,
    variable: str = "place",
    *,
    story: int = 0,
    text: str | None = None,
    site: Name | None = None,
    decoder: StateDecoding | None = None,
    n_stories: int = 300,
    n_test: int = 100,
    level: str = "full",
    n_untrained: int = 1,
    l2: float = L2,
    seed: int = 0,
) -> StateDecoding:
    """Read a held-out story token by token: the world's state beside the one in the activations.

    A linear probe is trained on other stories for each kind of token (`WHERE`): just before an
    answer, at a name, where the value is said, later in the sentence; and, for tokens of sentences
    that do not name it, one for each person or thing. The truth changes at the word that
    determines it, and what no single word states (who holds what) at the end of the sentence.

    Args:
        model: to look into.
        world: that tells the stories and knows their state.
        variable: of the world, one that holds on: `place`, `mood`, `holder`, `object_place`.
        story: number of the held-out story.
        text: a story of your own in its place; the world must be able to read it.
        site: hook point as (short name, layer); the residual stream after the middle block if None.
        decoder: a result made before, whose probes read this story too; nothing is trained then.
        n_stories: training stories, of the world's `train` split.
        n_test: held-out stories that the accuracy is counted on.
        level: of the world's difficulty.
        n_untrained: 1 = train the same probes on an untrained model, as a control; 0 = leave out.
        l2: penalty of the probes, on standardised activations.
        seed: of stories, cells, shuffles and the untrained model.
    Returns:
        StateDecoding: truth and probabilities at each token, accuracies with controls, the probes.
    Raises:
        ConfigError: an unknown variable, or one that does not hold on.
        WorldError: `text` is not true to the world; says which sentence.
        TokenError: `text` has words the model does not know, or is too long.
        ModelMismatchError: `decoder` is of other weights.
        NotEnoughDataError: too few stories.
    Example:
        >>> state_decoding(model, world, "place").accuracy["asked"].value  # doctest: +SKIP
        1.0
    Source:
        Li et al. 2021, "Implicit Representations of Meaning in Neural Language Models" (state read
        per token); Hewitt & Liang 2019 (controls). Differs: the probe knows whom the sentence
        names, and each kind of token is counted apart.
    """
    call = dict(locals())
    report_progress("telling stories", 0, 1)
    site = _site(model, site, decoder)
    check_name(world.name, "variable", variable, world.variables)
    sample = world.sample(story, level=level, split="held_out")
    check_holds_on(variable, state_variables(sample.facts))
    facts = sample.facts if text is None else _own_facts(world, text)
    text = sample.text if text is None else text
    model.to_tokens(text)  # says which word the model does not know
    tracked = _tracked(model, world, text, facts, variable)
    with progress_range(0.0, 0.05):
        training = _stories(model, world, call, "train", n_stories)
    if decoder is None:
        fields = _trained(model, world, training, site, call)
    else:
        fields = _taken(decoder, model, variable)
    report_progress("reading the story", 1, 1)
    return StateDecoding(
        variable=variable,
        text=text,
        tokens=tuple(model.tokenizer.display(tracked.ids)),
        about=tracked.about,
        classes=tuple(world.variables[variable]),
        site=site,
        site_name=site_label(site, model.cfg.n_layers),
        truth=tracked.truth,
        where=tracked.where,
        probability=_probabilities(model, tracked, site, fields),
        **fields,
        familiar=_familiar(tracked, training),
        provenance=provenance(state_decoding, call, hooks=(f"{site[0]} {site[1]}",), prompt=text),
    )


def _site(
    model: LanguageModel, site: Name | None, decoder: StateDecoding | None
) -> tuple[str, int]:
    chosen = site or (decoder.site if decoder else ("resid_post", model.cfg.n_layers // 2))
    if isinstance(chosen, str):
        raise ConfigError(f"state_decoding needs one site, as ('resid_post', 1); got {chosen!r}.")
    chosen = chosen[0], chosen[1] % model.cfg.n_layers
    if decoder and chosen != decoder.site:
        raise ConfigError(f"The decoder reads at {decoder.site}; got {chosen}.")
    return chosen


def _own_facts(world: World, text: str) -> tuple[Fact, ...]:
    # Not every world can follow a text that it did not tell, so this is not in the protocol.
    follow = getattr(world, "facts", None)
    if follow is None:
        raise ConfigError(
            f"World {world.name!r} cannot follow a text of your own. Read one of its stories."
        )
    return follow(text)


def _tracked(
    model: LanguageModel, world: World, text: str, facts: Sequence[Fact], variable: str
) -> Track:
    spans = [sentence.span for sentence in world.parse(text).sentences]
    return track(model.tokenizer, text, facts, spans, variable, tuple(world.variables[variable]))


def _stories(
    model: LanguageModel, world: World, call: dict[str, Any], split: str, count: int
) -> list[Track]:
    """Stories of a split, followed as far as the model can read them."""
    options = {"seed": call["seed"], "level": call["level"], "split": split}
    stories = sample_stories(world, count, first=0 if split == "train" else TESTED_FROM, **options)
    tracks = []
    for number, story in enumerate(stories):
        report_progress("following the stories", number, count)
        tracks.append(_tracked(model, world, story.text, story.facts, call["variable"]))
    return [each for each in tracks if len(each.ids) <= model.cfg.n_ctx]


def _cells(tracks: Sequence[Track], classes: Sequence[str], seed: int) -> list[Example]:
    cells = [cell for story, each in enumerate(tracks) for cell in each.cells(story, classes)]
    return thinned(cells, seed)


def _trained(
    model: LanguageModel,
    world: World,
    training: Sequence[Track],
    site: tuple[str, int],
    call: dict[str, Any],
) -> dict[str, Any]:
    """Decoders of this model, what they reach on test stories, and what an untrained one's do."""
    classes, seed = tuple(world.variables[call["variable"]]), call["seed"]
    cells = _cells(training, classes, seed)
    with progress_range(0.05, 0.1):
        testing = _stories(model, world, call, "held_out", call["n_test"])
    known = {each.ids[: each.settled] for each in training}
    testing = [each for each in testing if each.ids[: each.settled] not in known]
    test_cells = _cells(testing, classes, seed)
    _announce(model, cells, test_cells, len(classes), site, min(1, call["n_untrained"]))
    ends = 0.6 if call["n_untrained"] else 1.0
    with progress_range(0.1, ends, "this model: "):
        decoders, controls = _fitted_and_scored(model, cells, test_cells, classes, site, call)
    accuracy = controls.pop("probe", {})
    for twin in untrained_twins(model, min(1, call["n_untrained"]), seed):
        with progress_range(ends, 1.0, "untrained model: "):
            _, reached = _fitted_and_scored(twin, cells, test_cells, classes, site, call)
        controls = {"untrained": reached.get("probe", {}), **controls}
    return {
        "accuracy": accuracy,
        "controls": controls,
        "decoders": decoders.names,
        "weight": decoders.weight[:, 0],
        "bias": decoders.bias[:, 0],
        "n_train": len(training),
        "n_test": len(testing),
    }


def _announce(
    model: LanguageModel,
    cells: Sequence[Example],
    test_cells: Sequence[Example],
    n_classes: int,
    site: tuple[str, int],
    n_untrained: int,
) -> None:
    models, d_model, rows = 1 + n_untrained, model.cfg.d_model, len(cells)
    parts = [part for part in (cells, test_cells) if part]
    # All cells are shared out between the kinds of token, truth and shuffled labels together.
    kinds = len({cell.kind for cell in cells})
    fits = kinds * fit_operations(-(-rows // max(kinds, 1)), d_model, 2, n_classes)
    announce(
        model,
        *(reading_examples(model, part, [site], times=models) for part in parts),
        draws=n_untrained,
        operations=models * fits,
        copies=n_untrained,
        kept=rows * d_model,
        smaller="Take fewer stories (n_stories=, n_test=), or leave out the untrained model "
        "(n_untrained=0).",
    )


def _fitted_and_scored(
    model: LanguageModel,
    cells: Sequence[Example],
    test_cells: Sequence[Example],
    classes: Sequence[str],
    site: tuple[str, int],
    call: dict[str, Any],
) -> tuple[Decoders, dict[str, dict[str, Interval]]]:
    with progress_range(0.0, 0.8):
        decoders = fit_decoders(model, cells, classes, site, call["l2"], call["seed"])
    with progress_range(0.8, 1.0):
        return decoders, scored(model, decoders, test_cells, classes, site, call["seed"])


def _taken(decoder: StateDecoding, model: LanguageModel, variable: str) -> dict[str, Any]:
    """The fields that `_trained` gives, of a result whose decoders are used again."""
    remedy = "Train one on this model: leave `decoder` out."
    decoder.provenance.refuse_other(model, "A decoder needs the model it was trained on", remedy)
    if decoder.variable != variable:
        raise ConfigError(
            f"This decoder reads {decoder.variable!r}; {variable!r} was asked for. Leave `decoder` "
            "out."
        )
    names = ("accuracy", "controls", "decoders", "weight", "bias", "n_train", "n_test")
    return {name: getattr(decoder, name) for name in names}


def _probabilities(
    model: LanguageModel, tracked: Track, site: tuple[str, int], fields: dict[str, Any]
) -> Float[Tensor, "entity pos class"]:
    """The probability of each value wherever something is true and something can read it."""
    weight, bias, names = fields["weight"], fields["bias"], fields["decoders"]
    x = model.run(torch.tensor([tracked.ids]), cache=[site], logits=False)[site][0].float().cpu()
    probabilities = torch.full((*tracked.truth.shape, weight.shape[1]), float("nan"))
    for row, who in enumerate(tracked.about):
        for pos in torch.nonzero(tracked.truth[row] != UNKNOWN).flatten().tolist():
            name = decoder_name(PLACES[int(tracked.where[row, pos])], who)
            if name in names:
                which = names.index(name)
                probabilities[row, pos] = (weight[which] @ x[pos] + bias[which]).softmax(-1)
    return probabilities


def _familiar(tracked: Track, training: Sequence[Track]) -> int:
    """Tokens, from where something is true on, up to which a training story is the same."""
    same = 0
    for other in training:
        pairs = enumerate(zip(tracked.ids, other.ids, strict=False))
        shorter = min(len(tracked.ids), len(other.ids))
        same = max(same, next((i for i, (a, b) in pairs if a != b), shorter))
    return max(0, same - tracked.settled + 1)
