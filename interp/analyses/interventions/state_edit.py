"""Write another state into the activations: does the answer follow the edited world?

What can be read is not always used. Another value is written into the residual stream at one token,
by adding the difference of two class means, and the answer is compared with the edited world. The
grid shows the success by layer and token; token, layer and dose are chosen on tuning questions, the
success is that of held-out ones. Two corners of the grid prove nothing: an edit of the word itself
in the embedding is another text, and one after the last layer before the answer writes the answer.

Control, at the same cell: a random direction of equal length, the direction of another variable
(somebody's mood), the same edit at the token of somebody else, an untrained model, and no edit. The
price is counted too: later questions about other things, with and without the edit; those with the
same answer are left out, since they may depend on the edited state.

Units: share of questions answered with the new value, in [0, 1], intervals over stories (one
question a story); dose in differences of means.

    interp run state_edit --model stories-demo --world stories --variable place --html edit.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._counterfactuals import (
    POSITIONS,
    StateQuestion,
    find_questions,
    first_choices,
)
from interp.analyses.interventions._edit_controls import (
    EditSite,
    QuestionSplits,
    held_out_rates,
    mean_differences,
    means_of,
    new_values,
    says,
    site_rows,
)
from interp.core.cost import announce
from interp.core.edits import Add, Where
from interp.core.errors import ConfigError, NotEnoughDataError, near_misses
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, plain
from interp.methods.activations import WRITES_ANSWER, Site, residual_sites, site_label
from interp.methods.batches import reading
from interp.methods.data.examples import sample_stories
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import Story, World, check_name

TUNED_FROM, TESTED_FROM = 600_000, 700_000
FEWEST, BEST = 10, "best"
CONTROLS = {
    "random": "random direction of that length",
    "other_variable": "another variable's direction",
    "other_entity": "the same at somebody else's token",
    "untrained": "untrained model",
    "unedited": "no edit",
}


@dataclass(frozen=True, kw_only=True)
class StateEdit(Result):
    """How often the answer becomes the value that was written into the activations.

    Attributes:
        variable: whose value is changed: somebody's `place`, say.
        other: whose directions are a control; empty when there is none.
        classes: values of the variable, in the order of `means`.
        sites: rows of the grid, in words.
        positions: columns of the grid: at which token of the story (`POSITIONS` in words).
        grid: share of tuning questions that are answered with the new value, at the better dose.
        site: where the edit is made, as (short name, layer): the best at `position`.
        position: at which token it is made.
        dose: strength of the edit, in differences of the classes' means.
        success: share of held-out questions that get the new value as their answer.
        controls: success by control (`CONTROLS`); a control that cannot be had is not here.
        known: share of the same questions answered right without an edit.
        later: share of later questions about other things still answered right, with the edit.
        later_unedited: share of these later questions answered right without the edit.
        means: mean activation of each value where the edit is made.
        length: mean length of the edit, as a share of the activations' own.
        n_train: stories' questions that the means are of.
        n_tune: questions that layer and dose were chosen on.
    """

    variable: str
    other: str
    classes: tuple[str, ...]
    sites: tuple[str, ...]
    positions: tuple[str, ...]
    grid: Float[Tensor, "layer position"]
    site: tuple[str, int]
    position: str
    dose: float
    success: Interval
    controls: dict[str, Interval]
    known: Interval
    later: Interval
    later_unedited: Interval
    means: Float[Tensor, "class d_model"]
    length: float
    n_train: int
    n_tune: int
    columns: ClassVar = {
        "success": "success",
        "control": "controls",
        "right_without_edit": "known",
        "later_answers": "later",
        "later_answers_without_edit": "later_unedited",
        "success_tuning": "grid",
    }
    axes: ClassVar = {"controls": "control"}
    labels: ClassVar = {"layer": ("layer", "sites"), "position": ("position", "positions")}

    @property
    def site_name(self) -> str:
        """Where the edit is made, in words."""
        short, layer = self.site
        return "embedding" if short == "resid_pre" else f"after layer {layer}"

    @property
    def beats_controls(self) -> bool:
        """Whether it succeeds more often than every control, with intervals apart."""
        return all(self.success.above(each) for each in self.controls.values())

    def edit(self, old: str, new: str, at: int, dose: float | None = None) -> Add:
        """The intervention for one text.

        Args:
            old: the value that is true.
            new: the value to write.
            at: the token's position.
            dose: in differences of means; the chosen one when None.
        Raises:
            ConfigError: an unknown value.
        """
        for value in (old, new):
            if value not in self.classes:
                raise ConfigError(
                    f"No value {value!r} of {self.variable!r}.{near_misses(value, self.classes)}"
                )
        ends = (self.means[self.classes.index(value)] for value in (new, old))
        return Add(
            hook=self.site,
            vector=torch.sub(*ends),
            scale=self.dose if dose is None else dose,
            where=Where(positions=(at,)),
        )

    def finding(self) -> str:
        controls = ", ".join(
            f"{CONTROLS[name]} {self.controls[name].value:.2f}" for name in self.controls
        )
        return (
            f"Another '{self.variable}' written {POSITIONS[self.position]}, {self.site_name}: the "
            f"answer becomes the new one in {plain(self.success)} of the questions ({controls}); "
            f"other later answers right {self.later.value:.2f}, without the edit "
            f"{self.later_unedited.value:.2f}; n = {self.success.n} stories"
        )

    def caption(self) -> str:
        warned = "" if self.beats_controls else "WARNING: it does not lie above every control. "
        return (
            f"{self.finding()}. The edit adds {self.dose:g} × (mean activation of the new value - "
            f"mean of the old), of {self.n_train} training questions, at one token: "
            f"{self.length:.2f} of the activation's own length. Layer and dose were chosen on "
            f"{self.n_tune} other questions (the grid), success is on held-out ones, 95 % "
            "bootstrap intervals over stories. In the grid, an edit of the word itself (embedding, "
            f"{POSITIONS['told']}) is as good as another text, and one after the last layer "
            f"{POSITIONS['asked']} {WRITES_ANSWER}. {warned}Later questions with "
            "the same answer are left out, since they may depend on the edited state. Success "
            "shows that what is written there is used, not that all of the state is there."
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The edit on one story.

    Attributes:
        text: the story up to the answer.
        about: whom the question is about.
        old: the true value.
        new: the value that is written in.
        token: the token at which the edit acts.
        site_name: where the edit acts, in words.
        before: the best answers and their probabilities without the edit.
        after: the best answers and their probabilities with the edit.
        continuation: what the edited model writes on, greedily.
    """

    text: str
    about: str
    old: str
    new: str
    token: str
    site_name: str
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]
    continuation: str


def state_edit(
    model: LanguageModel,
    world: World,
    variable: str = "place",
    *,
    position: Literal["best", "told", "named", "asked"] = "best",
    doses: Sequence[float] = (1.0, 2.0),
    n_stories: int = 600,
    n_tune: int = 120,
    n_test: int = 300,
    n_random: int = 3,
    level: str = "full",
    seed: int = 0,
) -> StateEdit:
    """Change somebody's state in the activations, and see whether the answer follows.

    Args:
        model: to edit; its weights stay as they are.
        world: that tells stories and asks.
        variable: what is asked for and changed.
        position: at which token: `told`, where the value was said last; `named`, at the name in
            the question; `asked`, just before the answer; `best`, the one of the first two with
            more success on the tuning stories. The grid shows all three.
        doses: of the edit, in differences of the means; the best on the tuning stories is taken.
        n_stories: training stories that the means are taken of.
        n_tune: stories that choose layer and dose.
        n_test: held-out stories that success is counted on; each one's first such question is.
        n_random: random directions a question.
        level: of the world's difficulty.
        seed: of stories, new values, random directions and the untrained model.
    Returns:
        StateEdit: rates in [0, 1] with intervals over stories, by layer and position.
    Raises:
        ConfigError: an unknown variable or position.
        NotEnoughDataError: too few questions for the variable.
    Example:
        >>> state_edit(model, world, "place").beats_controls  # doctest: +SKIP
        True
    Source:
        Li et al. 2023, "Emergent World Representations" (edits of a board state); Belrose et al.
        2023 and Marks & Tegmark 2023 (differences of class means). Ours adds one vector at one
        token of one layer.
    """
    call = dict(locals())
    if position not in (BEST, *POSITIONS) or not doses:
        raise ConfigError(
            f"state_edit needs a position of {', '.join((BEST, *POSITIONS))} and one dose or more; "
            f"got {position!r} and {doses!r}."
        )
    splits, sites = _splits(model, world, call), residual_sites(model)
    places = [name for name in POSITIONS if all(name in i.positions for i in splits.training)]
    if position not in (BEST, *places):
        raise ConfigError(f"No word of this world's text is {POSITIONS[position]} for {variable}.")
    _announce(model, splits, places, len(sites), len(doses), n_random)
    with progress_range(0.0, 0.2):
        rows = {name: site_rows(model, splits.training, name, sites) for name in places}
    means = {name: means_of(rows[name], splits.training, splits.classes) for name in places}
    with progress_range(0.2, 0.7):
        grid, chosen = _grid(model, splits, means, sites, doses, seed)
    if position == BEST:
        position = _best_position(grid, places)
    column = places.index(position)
    best = _best_layer(grid[:, column])
    edit_site = EditSite(
        site=sites[best], position=position, dose=chosen[best][column],
        means=means[position][best], rows=rows[position][best],
    )  # fmt: skip
    with progress_range(0.7, 1.0):
        rates = held_out_rates(model, splits, edit_site, call)
    return StateEdit(
        variable=variable,
        classes=splits.classes,
        sites=tuple(site_label(site, model.cfg.n_layers) for site in sites),
        positions=tuple(places),
        grid=grid,
        site=edit_site.site,
        position=position,
        dose=edit_site.dose,
        **rates,
        means=edit_site.means,
        n_train=len(splits.training),
        n_tune=len(splits.tuning),
        provenance=provenance(
            state_edit, call, hooks=(f"{edit_site.site[0]} {edit_site.site[1]}",)
        ),
    )


def trial(
    model: LanguageModel,
    world: World,
    result: "StateEdit",
    *,
    story: int = 0,
    new: str = "",
    dose: float | None = None,
    length: int = 16,
) -> Trial:
    """Make the edit on the first suitable held-out story from `story` on.

    Args:
        model: that `result` is of.
        world: that tells the stories.
        result: of `state_edit`.
        story: number of the held-out story to begin the search at.
        new: value to write; the first other one when empty.
        dose: in differences of means; the chosen one when None.
        length: tokens that are written on.
    Raises:
        ConfigError: an unknown value, or no suitable story within a hundred.
    """
    candidates = (world.sample(story + i, split="held_out") for i in range(100))
    by_story = (
        find_questions(model.tokenizer, [s], result.variable, model.cfg.n_ctx) for s in candidates
    )
    first_questions = (questions[0] for questions in by_story if questions)
    question = next((q for q in first_questions if q.value in result.classes), None)
    if question is None:
        raise ConfigError(f"No story from {story} on asks for {result.variable!r}.")
    new = new or next(value for value in result.classes if value != question.value)
    at, end = question.positions[result.position], question.positions["asked"] + 1
    tokens = torch.tensor([question.tokens[:end]])
    edits = [result.edit(question.value, new, at, dose)]
    generation = model.generate(
        list(question.tokens[:end]), edits=edits, max_new_tokens=length, temperature=0.0
    )
    return Trial(
        text=question.text,
        about=question.about,
        old=question.value,
        new=new,
        token=model.tokenizer.display([question.tokens[at]])[0].strip("·"),
        site_name=result.site_name,
        before=_best_answers(model, model.run(tokens).logits[0, -1]),
        after=_best_answers(model, model.run(tokens, edits=edits).logits[0, -1]),
        continuation=generation.text,
    )


def _splits(model: LanguageModel, world: World, call: dict[str, Any]) -> QuestionSplits:
    variable = call["variable"]
    check_name(world.name, "variable", variable, world.variables)
    options = {"seed": call["seed"], "level": call["level"]}

    def questions(n: int, split: str, first: int) -> list[StateQuestion]:
        stories: list[Story] = sample_stories(world, n, split=split, first=first, **options)
        return find_questions(model.tokenizer, stories, variable, model.cfg.n_ctx)

    training = questions(call["n_stories"], "train", 0)
    answers = {question.value: question.answer for question in training}
    classes = tuple(value for value in world.variables[variable] if value in answers)
    parts = (
        questions(call["n_tune"], "held_out", TUNED_FROM),
        questions(call["n_test"], "held_out", TESTED_FROM),
    )
    tuning, testing = ([i for i in each if i.value in answers] for each in parts)
    if min(map(len, (training, tuning, testing))) < FEWEST or len(classes) < 2:
        raise NotEnoughDataError(
            f"An edit of {variable!r} needs {FEWEST} questions for it in each of training, tuning "
            f"and test stories; got {len(training)}, {len(tuning)} and {len(testing)}. Ask for "
            "more stories, or for a variable that the world asks about."
        )
    return QuestionSplits(
        training=training, tuning=tuning, testing=testing, classes=classes, answers=answers
    )


def _announce(
    model: LanguageModel,
    splits: QuestionSplits,
    places: Sequence[str],
    n_sites: int,
    n_doses: int,
    n_random: int,
) -> None:
    training, tuning, testing = (
        [question.tokens for question in part]
        for part in (splits.training, splits.tuning, splits.testing)
    )
    d_model = model.cfg.d_model
    announce(
        model,
        # Of every place, and of the untrained model's one.
        reading(model, training, times=len(places) + 1, logits=False),
        reading(model, tuning, times=n_sites * len(places) * n_doses),
        # Unedited, edited, another variable's, another one's, untrained; and the random edits.
        reading(model, testing, times=5 + n_random),
        draws=1,
        copies=1,
        kept=len(places) * n_sites * len(training) * d_model,
        smaller="Take fewer stories, doses or random directions (n_stories=, n_tune=, n_test=, "
        "doses=, n_random=).",
    )


def _grid(
    model: LanguageModel,
    splits: QuestionSplits,
    means: Mapping[str, Tensor],
    sites: Sequence[Site],
    doses: Sequence[float],
    seed: int,
) -> tuple[Float[Tensor, "site position"], list[list[float]]]:
    """The success of every cell on the tuning questions at its better dose, and that dose."""
    questions, new = splits.tuning, new_values(splits.tuning, splits.classes, seed)
    wanted = [splits.answers[value] for value in new]
    grid, chosen = torch.zeros(len(sites), len(means)), []
    for row, site in enumerate(sites):
        label, of_all = f"editing, {site_label(site, model.cfg.n_layers)}", len(sites) * len(means)
        chosen.append([])
        for column, (name, of) in enumerate(means.items()):
            done = row * len(means) + column
            report_progress(label, done, of_all)
            vectors = mean_differences(questions, new, of[row], splits.classes)
            at = [question.positions[name] for question in questions]
            tried = []
            for number, dose in enumerate(doses):
                part = (done + number / len(doses)) / of_all
                with progress_range(part, part + 1 / of_all / len(doses), f"{label}: "):
                    choices = first_choices(model, questions, site, dose * vectors, at)
                flags = says(choices, questions, wanted)
                tried.append(sum(flags) / len(flags))
            grid[row, column] = max(tried)
            chosen[-1].append(float(doses[tried.index(max(tried))]))
    return grid, chosen


def _best_position(grid: Float[Tensor, "site position"], places: Sequence[str]) -> str:
    """Where a state is held on its way; of equals the name, to which the state was fetched."""
    inner = [name for name in ("named", "told") if name in places] or [places[0]]
    return max(inner, key=lambda name: float(_inner(grid[:, places.index(name)]).max()))


def _best_layer(success: Float[Tensor, " site"]) -> int:
    """The best layer of a position; of equals the deepest.

    The first and the last prove nothing: they are taken where no other has half of their success.
    """
    inner = _inner(success)
    if inner.max() < success.max() / 2:
        return int(success.argmax())
    return 1 + int((inner == inner.max()).nonzero()[-1])


def _inner(success: Float[Tensor, " site"]) -> Float[Tensor, " inner"]:
    """Without the embedding, where the edit is another text, and the last stream, which answers."""
    return success[1:-1] if len(success) > 2 else success[1:]


def _best_answers(
    model: LanguageModel, logits: Float[Tensor, " d_vocab"]
) -> tuple[tuple[str, float], ...]:
    chances, ids = logits.float().softmax(-1).topk(4)
    words = (model.tokenizer.display([i])[0].strip("·") for i in ids.tolist())
    return tuple(zip(words, chances.tolist(), strict=True))
