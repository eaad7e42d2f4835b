"""A concept as a direction: found from examples, tested on others, ready to steer with.

`concept.add(dose)`, `.project()` and `.clamp(dose)` are edits for `run` and `generate`; with
`model=` they refuse a model, or a checkpoint, in which the direction was not found.

Control: AUROC on held-out stories beside that of random directions, of directions fitted to
shuffled labels, and of a bag of words, which needs no model. Where one token is read, a random
direction does well too: three words are three points, and most lines sort three points.

Units: a dose of 1 is the site's median norm, the first position left out (it often holds a vector
many times longer than the others). The concept lies where the projection is larger, on held-out
examples too: the interval of the AUROC lies above one half and `result.readable` is true. Where it
does not, the result says so; a `gradient`, which is made to write, often writes and cannot be read.
After the last layer nothing reads an edit: it writes the answer, not what leads to it.

    interp run concept --world stories --positive happy --html happy.html
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.analyses.probing._natural_gradient import natural_gradient_passes, natural_gradients
from interp.core.alignment import token_range
from interp.core.cost import announce
from interp.core.edits import Add, Clamp, Project, Where
from interp.core.errors import ConfigError, NotEnoughDataError, near_misses
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel, Tokenizer
from interp.core.statistics.association import auroc
from interp.core.statistics.intervals import Interval, plain
from interp.core.statistics.significance import smallest_rank_sum_p
from interp.methods.activations import (
    NORMED,
    WRITES_ANSWER,
    mean_rows,
    median_norms,
    nothing_reads,
    reading_examples,
    rows_at,
    site_label,
)
from interp.methods.data.contrast_pairs import concept_group, text_examples, word_examples
from interp.methods.data.examples import Example, groups, sample_stories, split
from interp.methods.probes.classifier import fit_operations
from interp.methods.probes.directions import (
    N_SHUFFLED,
    Method,
    direction_controls,
    fit_directions,
)
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import Story, World

At = Literal["mean", "last", "asked", "stated", "state"]
ConceptSentence = tuple[int, list[int], range, str, str]
"""Number of the story, its token ids, the sentence's tokens, concept and kind."""
CHANCE, MOST_P = 0.5, 0.05
CONTROLS = {
    "random": "random directions",
    "shuffled": "shuffled labels",
    "bag_of_words": "bag of words",
}


@dataclass(frozen=True, kw_only=True)
class Concept(Result):
    """A unit direction at one site, and what shows that it is one.

    Attributes:
        name: name of the concept.
        among: the values it is told apart from (the words of a world's group); empty for plain
            texts.
        method: `mean_difference`, `pca`, `probe` or `gradient`.
        at: positions that were compared.
        site: hook point, as (short name, layer).
        direction: unit length. Along it the positive examples lie higher, also those it was not
            found from, if `readable`. A `gradient` points to where the concept's own tokens grow
            more probable, wherever examples lie.
        median_norm: median norm of the site's activations, the first position left out: the dose
            of 1.
        auroc: chance that a held-out positive lies above a held-out negative.
        controls: AUROC of random directions, of directions fitted to shuffled labels (mean and
            middle 95 %), and of a bag of words (which needs no model at all).
        projections: where the held-out examples lie along it, in shares of the median norm.
        positive: which of the held-out examples are positive.
        n_train: examples the direction was found from.
        slots: token ids that come right before the group's words in the world's text; empty for
            plain texts. `where_written` edits at these only.
        written: for each of `among`, the token by which it most often shows in each kind of
            sentence that shows the group, the commonest kind first (` happy`, ` Happy`, ` skips`;
            -1: it shows in none); empty for plain texts.
        writes_answer: no layer reads the site, so that an edit there pushes the logits alone.
        readable: whether held-out positive examples lie higher along the direction: the interval of
            `auroc` lies above one half, and the examples are enough (4 of either kind are) for no
            order of them to be likely by chance. It follows from `auroc` and `positive`.
    """

    name: str
    among: tuple[str, ...]
    method: str
    at: str
    site: tuple[str, int]
    direction: Float[Tensor, " d_model"]
    median_norm: float
    auroc: Interval
    controls: dict[str, Interval]
    projections: Float[Tensor, " example"]
    positive: Bool[Tensor, " example"]
    n_train: int
    slots: tuple[int, ...] = ()
    written: tuple[tuple[int, ...], ...] = ()
    writes_answer: bool = False
    readable: bool = False
    columns: ClassVar = {"projection_share": "projections", "positive": "positive"}

    def __post_init__(self) -> None:
        # Of so few examples every order comes by chance, and resampling one in which all positives
        # happen to lie above would call that certain.
        count = int(self.positive.sum())
        enough = smallest_rank_sum_p(count, len(self.positive) - count) < MOST_P
        # Kept with the result, so that whoever opens the file need not know the rule.
        object.__setattr__(self, "readable", self.auroc.low > CHANCE and enough)
        super().__post_init__()

    @property
    def where_written(self) -> Where:
        """The positions after which the group's words come in the world's text, by their token.

        Elsewhere an edit can only break sentences: a mood may follow `is`, never `takes the`.
        """
        return Where(tokens=frozenset(self.slots)) if self.slots else Where()

    def add(
        self, dose: float = 1.0, *, where: Where | None = None, model: LanguageModel | None = None
    ) -> Add:
        """The edit that adds `dose` median norms of the direction; negative doses push away.

        Raises:
            ModelMismatchError: `model` is given and is another.
        """
        self._check(model)
        vector = self.direction * self.median_norm
        return Add(hook=self.site, vector=vector, scale=float(dose), where=where or Where())

    def project(self, *, where: Where | None = None, model: LanguageModel | None = None) -> Project:
        """The edit that takes the direction out.

        Raises:
            ModelMismatchError: `model` is given and is another.
        """
        self._check(model)
        return Project(hook=self.site, directions=self.direction, where=where or Where())

    def clamp(
        self, dose: float, *, where: Where | None = None, model: LanguageModel | None = None
    ) -> Clamp:
        """The edit that sets the reading along the direction to `dose` median norms.

        Raises:
            ModelMismatchError: `model` is given and is another.
        """
        self._check(model)
        values = torch.tensor([dose * self.median_norm])
        directions = self.direction[None]
        return Clamp(hook=self.site, directions=directions, values=values, where=where or Where())

    def on(self, model: LanguageModel) -> "Concept":
        """This concept, after making sure that it was found in this very model.

        Raises:
            ModelMismatchError: it was found in another model, or at another training step.
        """
        self._check(model)
        return self

    @property
    def use(self) -> str:
        """What it is no use for, in words: "writes, cannot be read"; empty for a readable one."""
        if self.readable:
            return ""
        return "writes, cannot be read" if self.method == "gradient" else "cannot be read"

    @property
    def beats_controls(self) -> bool:
        """Whether the direction lies above random and shuffled ones (not: above the words)."""
        names = [name for name in ("random", "shuffled") if name in self.controls]
        return all(self.auroc.above(self.controls[name]) for name in names)

    def finding(self) -> str:
        controls = ", ".join(f"{CONTROLS[name]} {i.value:.2f}" for name, i in self.controls.items())
        place = f"{self.method.replace('_', ' ')} at {self.site[0]} {self.site[1]}"
        use = f"{self.use}; " if self.use else ""
        return (
            f"'{self.name}' by {place}: {use}held-out AUROC {plain(self.auroc)} ({controls}; "
            f"n = {self.auroc.n})"
        )

    def caption(self) -> str:
        words = self.controls["bag_of_words"]
        hint = (
            " A bag of words does as well, so the score alone does not show that the model adds "
            "anything to the words." * (words.high >= self.auroc.value)
        )
        warning = "" if self.beats_controls else " WARNING: it does not beat its controls."
        if not self.readable:
            warning += (
                " Held-out examples of the concept are not shown to lie higher along it, so a "
                "projection on it says nothing of the concept."
            )
        if self.writes_answer:
            warning += f" WARNING: added after the last layer it {WRITES_ANSWER}."
        return (
            f"Held-out examples along the direction, in shares of the site's median norm "
            f"({self.median_norm:.3g}). {self.finding()}; 95 % bootstrap interval over stories, "
            f"controls with the middle 95 % of their draws.{hint}{warning} That a direction tells "
            "examples apart does not show that it steers: see `steering`."
        )

    def _check(self, model: LanguageModel | None) -> None:
        if model is not None:
            need = f"The concept '{self.name}' needs the model it was found in"
            remedy = "Directions do not carry over: find it again with interp.concept on it."
            self.provenance.refuse_other(model, need, remedy)


def concept(
    model: LanguageModel,
    positive: str | Sequence[str],
    negative: Sequence[str] | None = None,
    *,
    world: World | None = None,
    site: Name | None = None,
    method: Method = "mean_difference",
    at: At | None = None,
    n_stories: int = 400,
    level: str = "full",
    seed: int = 0,
    name: str = "",
) -> Concept:
    """Find the direction along which a concept shows, and test it on held-out examples.

    Args:
        model: to look into.
        positive: texts that show it; or, with `world`, one of the world's concept words.
        negative: texts that do not; with `world`, the group's other words are the others.
        world: whose facts tell where its concept words are stated or asked for.
        site: hook point as (short name, layer); the residual stream after the middle block if None.
        method: `mean_difference`, `pca` (first axis of all rows), `probe` (logistic weights), or
            `gradient` (what makes the world's word more probable in all its expressions for the
            least KL over all positions; made to write rather than to read).
        at: positions compared. For texts: `mean` of all but the first (default) or `last`. For a
            world: `asked` (the token before the answer, default), `stated` or `state`.
        n_stories: how many stories to sample.
        level: of the world's difficulty.
        seed: of stories, split and controls.
        name: what a concept of texts is called in titles and sentences; empty = "these texts".
    Returns:
        Concept: direction, dose unit, held-out AUROC with its controls; makes edits.
    Raises:
        ConfigError: an unknown word, method or level, or texts missing.
        NotEnoughDataError: too few examples of either kind.
    Example:
        >>> happy = concept(model, "happy", world=world)  # doctest: +SKIP
        >>> model.generate("It is a rainy night. Ben is", edits=[happy.add(0.5)])  # doctest: +SKIP
    Source:
        Rimsky et al. 2023 (mean difference); Zou et al. 2023 (PCA). Differs: the dose is a share of
        the site's median norm, and the direction is tested on stories it was not found from.
    """
    call = dict(locals())
    if method not in get_args(Method):
        raise ConfigError(f"No method is called {method!r}.{near_misses(method, get_args(Method))}")
    if name and world is not None:
        raise ConfigError(
            f"A world's concept has its word as name; got name={name!r}. Leave it out."
        )
    if method == "gradient" and world is None:
        raise ConfigError("A gradient needs a world, whose words it is to write.")
    return concepts_at(model, call, [site or ("resid_post", model.cfg.n_layers // 2)])[0]


def concepts_at(
    model: LanguageModel, call: Mapping[str, Any], sites: Sequence[Name]
) -> list[Concept]:
    """One concept a site, as `concept` would find each, from one reading of the examples."""
    positive, world, seed = call["positive"], call["world"], call["seed"]
    at = call["at"] or ("mean" if world is None else "asked")
    stories: list[Story] = []
    if world is None:
        examples, flags = text_examples(model, positive, call["negative"])
    else:
        options = {"seed": seed, "level": call["level"], "split": "train"}
        stories = sample_stories(world, call["n_stories"], **options)
        examples, flags = word_examples(model, positive, world, at, stories)
    _enough(flags)
    grouped = groups(examples)
    test, train = _both_kinds(grouped, flags, seed)
    kept = sorted({examples[i].story for i in train.tolist()})
    among = () if world is None else concept_group(world, positive)
    read = model.tokenizer, [stories[i] for i in kept if stories], world, among, model.cfg.n_ctx
    slots = _writing_slots(*read) if among else []
    places = [_numbered(site, model.cfg.n_layers) for site in sites]
    _announce(model, examples, places, slots, call["method"])
    stacked = (mean_rows if at == "mean" else rows_at)(model, examples, places)
    if call["method"] == "gradient":
        _writable(slots, positive)
        directions = natural_gradients(model, slots, positive, places, seed)
    else:
        labels = flags[train][None]
        directions = [fit_directions(rows[train], labels, call["method"])[0] for rows in stacked]
    norms = median_norms(model, examples, places)
    parts = {"grouped": grouped, "train": train, "test": test}
    return [
        Concept(
            name=call.get("name") or (positive if isinstance(positive, str) else "these texts"),
            among=among,
            method=call["method"],
            at=at,
            site=place,
            median_norm=norm,
            slots=tuple(sorted({slot.tokens[-1] for slot in slots})),
            written=_written(slots, among),
            writes_answer=nothing_reads(place, model.cfg.n_layers),
            **_scored(direction, rows, flags, examples, norm, call, **parts),
            provenance=provenance(
                concept,
                {**call, "site": place, "model": model},
                hooks=(site_label(place, model.cfg.n_layers),),
            ),
        )
        for place, direction, rows, norm in zip(places, directions, stacked, norms, strict=True)
    ]


def _announce(
    model: LanguageModel,
    examples: Sequence[Example],
    places: Sequence[Name],
    slots: Sequence[Example],
    method: Method,
) -> None:
    n_rows, d_model = len(examples), model.cfg.d_model
    n_words = len({token for example in examples for token in example.tokens})
    # The bag of words is a fit of a column a word; the others of these methods one of the site's.
    fits = fit_operations(n_rows, n_words, 1, 2)
    if method in ("probe", "pca"):
        fits += (1 + N_SHUFFLED) * fit_operations(n_rows, d_model, 1, 2)
    announce(
        model,
        # Read for the direction, and the first texts again for the median norm.
        reading_examples(model, examples, places, times=1 + min(1, NORMED / n_rows)),
        *(natural_gradient_passes(model, slots) if method == "gradient" else ()),
        operations=len(places) * fits,
        kept=n_rows * (len(places) * d_model + n_words),
        smaller="Give fewer or shorter texts, or fewer stories (n_stories=).",
    )


def _scored(
    direction: Float[Tensor, " d_model"],
    rows: Float[Tensor, "example d_model"],
    flags: Bool[Tensor, " example"],
    examples: Sequence[Example],
    norm: float,
    call: Mapping[str, Any],
    *,
    grouped: Int[Tensor, " example"],
    train: Int[Tensor, " example"],
    test: Int[Tensor, " example"],
) -> dict[str, Any]:
    """Direction and its scores, as fields of a `Concept`."""
    method, seed = call["method"], call["seed"]
    direction = direction / direction.norm()
    projections = rows[test] @ direction
    return {
        "direction": direction,
        "projections": projections / norm,
        "positive": flags[test],
        "n_train": len(train),
        "auroc": auroc(projections, flags[test], grouped[test], seed=seed),
        "controls": direction_controls(rows, flags, examples, grouped, train, test, method, seed),
    }


def _writable(slots: Sequence[Example], word: str) -> None:
    kinds = {slot.label for slot in slots}
    if word not in kinds or len(kinds) < 2:
        raise NotEnoughDataError(
            f"A gradient needs places in the text where {word!r} and its kin come next after "
            f"other words; got {sorted(kinds)} only. Choose another method or concept."
        )


def _enough(flags: Bool[Tensor, " example"]) -> None:
    kinds = int(flags.sum()), int((~flags).sum())
    if min(kinds) < 8:
        raise NotEnoughDataError(
            f"A concept needs 8 examples of each kind or more; got {kinds[0]} positive and "
            f"{kinds[1]} negative. Give more texts or stories, or read at other positions."
        )


def _both_kinds(
    grouped: Int[Tensor, " example"], flags: Bool[Tensor, " example"], seed: int
) -> list[Int[Tensor, " example"]]:
    """The first of a hundred splits with examples of both kinds to test on and to find it from."""
    for number in range(100):
        parts = split(grouped, (0.3,), seed=seed + number)
        if all(flags[part].any() and not flags[part].all() for part in parts):
            return parts
    raise NotEnoughDataError(
        "A concept needs independent examples of both kinds on either side of the split; these "
        f"{len(flags)} are {len(grouped.unique())} groups of one story, or of equal tokens, that "
        "cannot be split so. Give more texts that differ, or more stories."
    )


def _numbered(site: Name, n_layers: int) -> tuple[str, int]:
    if isinstance(site, str):
        raise ConfigError(f"A concept needs one site, as ('resid_post', 1); got {site!r}.")
    return site[0], site[1] % n_layers


def _writing_slots(
    tokenizer: Tokenizer, stories: Sequence[Story], world: World, among: Sequence[str], longest: int
) -> list[Example]:
    """The positions before the first token of a sentence that gives away which concept it shows.

    Such a token stands in sentences that show one concept of the group and in none that show
    another (` happy`, ` Happy`, ` skips`).

    Args:
        tokenizer: of the model that will be read.
        stories: to look through.
        world: reads them back.
        among: the group's words.
        longest: tokens of a story that are looked at.
    Returns:
        Examples whose label is the concept, whose kind is the sentence's, and whose `following` is
        that token.
    """
    sentences = list(_concept_sentences(tokenizer, stories, world, among, longest))
    concepts_of: dict[int, set[str]] = {}
    for _, ids, positions, label, _ in sentences:
        for i in positions:
            concepts_of.setdefault(ids[i], set()).add(label)
    slots = []
    for number, ids, positions, label, kind in sentences:
        first = next((i for i in positions if concepts_of[ids[i]] == {label}), None)
        if first is not None:
            row = {"tokens": tuple(ids[:first]), "following": ids[first]}
            slots.append(Example(**row, label=label, story=number, kind=kind))
    return slots


def _concept_sentences(
    tokenizer: Tokenizer, stories: Sequence[Story], world: World, among: Sequence[str], longest: int
) -> Iterator[ConceptSentence]:
    for number, story in enumerate(stories):
        ids, spans = tokenizer.encode_with_spans(story.text)
        for sentence in world.parse(story.text).sentences:
            concepts = {concept for concept in sentence.concepts if concept in among}
            if len(concepts) == 1:
                first, last = token_range(spans, sentence.span)
                positions = range(max(first, 1), min(last + 1, longest))
                yield number, ids, positions, concepts.pop(), sentence.kind


def _written(slots: Sequence[Example], among: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Of each word, its most frequent token in each kind of sentence, the commonest kind first."""
    kinds = [kind for kind, _ in Counter(slot.kind for slot in slots).most_common()]
    counts = {(word, kind): Counter[int]() for word in among for kind in kinds}
    for slot in slots:
        counts[slot.label, slot.kind][slot.following] += 1
    return tuple(
        tuple(next(iter(counts[word, kind].most_common(1)), (-1,))[0] for kind in kinds)
        for word in among
    )
