"""State readability: how well probes read each variable from a model, and how well it predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.methods.activations import residual_sites, rows_at, site_label
from interp.methods.data.answers import predict_stories, regrets
from interp.methods.data.examples import Example
from interp.methods.data.loss_floor import has_floor
from interp.methods.probes.classifier import fit_linear
from interp.methods.probes.state_decoders import FEWEST_ROWS, STEPS
from interp.methods.probes.state_tracking import track
from interp.worlds.world import Story, World

READ_AT = ("named", "asked")
"""A model need not keep everybody's state at all tokens: it fetches it here."""
VALIDATION = 4


@dataclass(frozen=True, kw_only=True)
class Task:
    """A variable at one kind of token, with the cells to learn from and to be tested on.

    Attributes:
        variable: the world's variable.
        where: kind of token, one of `READ_AT`.
        classes: the variable's values.
        train: cells of training stories.
        validation: cells of other training stories, which choose the layer.
        test: cells of held-out stories; none has the same words before it as a training cell.
    """

    variable: str
    where: str
    classes: tuple[str, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]

    @property
    def name(self) -> str:
        """As `place (named)`."""
        return f"{self.variable} ({self.where})"

    @property
    def cells(self) -> tuple[Example, ...]:
        """Training, validation and test cells, in this order."""
        return self.train + self.validation + self.test

    def labels(self, cells: Sequence[Example]) -> Int[Tensor, " cell"]:
        """The number of each cell's true value in `classes`."""
        return torch.tensor([self.classes.index(cell.label) for cell in cells])

    @property
    def commonest(self) -> int:
        """The value that most training cells have."""
        return int(self.labels(self.train).mode().values)


@dataclass(frozen=True, kw_only=True)
class StorySums:
    """One model on the held-out stories: sums over the tokens of each story.

    Attributes:
        nats: the loss of each story.
        regret: the loss of each story less its floor; nan without one.
        right: by task, how many test cells of each story are read right.
        shuffled: by task, how many are read right with labels shuffled in training.
        sites: by task, the site that the validation cells chose.
    """

    nats: Float[Tensor, " story"]
    regret: Float[Tensor, " story"]
    right: dict[str, Float[Tensor, " story"]]
    shuffled: dict[str, Float[Tensor, " story"]]
    sites: dict[str, str]


def find_tasks(
    model: LanguageModel,
    world: World,
    variables: Sequence[str],
    training: Sequence[Story],
    testing: Sequence[Story],
    most: int,
) -> list[Task]:
    """A task for each variable and kind of token that has enough cells of two values or more.

    Args:
        model: the model whose tokenizer splits the stories.
        world: the world that told the stories.
        variables: variables that hold on from sentence to sentence.
        training: stories to learn from; every fourth chooses the layer.
        testing: held-out stories.
        most: how many training cells a task has at most.
    Raises:
        NotEnoughDataError: none has enough.
    """
    tasks = []
    for variable in variables:
        learned = _cells(model, world, variable, training, len(testing))
        held_out = _cells(model, world, variable, testing, 0)
        for where in READ_AT:
            classes = tuple(world.variables[variable])
            task = _task(variable, where, classes, learned, held_out, most)
            enough = len(task.train) >= FEWEST_ROWS and task.validation and task.test
            if enough and len({cell.label for cell in task.train}) > 1:
                tasks.append(task)
    if not tasks:
        raise NotEnoughDataError(
            f"Fidelity needs {FEWEST_ROWS} tokens or more at which two values of a variable are "
            f"true; {len(training)} stories have too few. Ask for more stories."
        )
    return tasks


def _cells(
    model: LanguageModel, world: World, variable: str, stories: Sequence[Story], first: int
) -> list[Example]:
    classes, cells = tuple(world.variables[variable]), []
    for number, story in enumerate(stories, first):
        spans = [sentence.span for sentence in world.parse(story.text).sentences]
        state = track(model.tokenizer, story.text, story.facts, spans, variable, classes)
        cells += [cell for cell in state.cells(number, classes) if cell.kind in READ_AT]
    return [cell for cell in cells if len(cell.tokens) <= model.cfg.n_ctx]


def _task(
    variable: str,
    where: str,
    classes: tuple[str, ...],
    learned: Sequence[Example],
    held_out: Sequence[Example],
    most: int,
) -> Task:
    own = [cell for cell in learned if cell.kind == where]
    validation = [cell for cell in own if cell.story % VALIDATION == 0]
    train = [cell for cell in own if cell.story % VALIDATION]
    # Equal words before a token give equal activations: such a cell would test memory.
    before = {cell.tokens for cell in own}
    test = [cell for cell in held_out if cell.kind == where and cell.tokens not in before]
    return Task(
        variable=variable,
        where=where,
        classes=classes,
        train=tuple(train[:most]),
        validation=tuple(validation[:most]),
        test=tuple(test),
    )


def story_sums(
    model: LanguageModel, tasks: Sequence[Task], stories: Sequence[Story], l2: float, seed: int
) -> StorySums:
    """Fit every task on one model, and count on the held-out stories.

    Args:
        model: any model that splits text as the one that the tasks were made for.
        tasks: what `find_tasks` returned.
        stories: the stories that the tasks are tested on.
        l2: penalty of the probes.
        seed: the seed of the shuffles.
    """
    sites = residual_sites(model)
    with progress_range(0.0, 0.5):
        rows = rows_at(model, [cell for task in tasks for cell in task.cells], sites)
    right, shuffled, chosen, start = {}, {}, {}, 0
    for number, task in enumerate(tasks):
        report_progress(f"fitting, {task.name}", 0.5 + 0.4 * number / len(tasks), 1)
        own = rows[:, start : start + len(task.cells)]
        start += len(task.cells)
        best, flags = _best(task, own, l2, seed)
        chosen[task.name] = site_label(sites[best], model.cfg.n_layers)
        right[task.name], shuffled[task.name] = (by_story(task, f, len(stories)) for f in flags)
    with progress_range(0.9, 1.0):
        nats, regret = _costs(model, stories)
    return StorySums(nats=nats, regret=regret, right=right, shuffled=shuffled, sites=chosen)


def _best(
    task: Task, rows: Float[Tensor, "site cell d_model"], l2: float, seed: int
) -> tuple[int, Tensor]:
    """The site with the best validation accuracy, and what is right there: truth, shuffled."""
    sizes = [len(task.train), len(task.validation), len(task.test)]
    truth = task.labels(task.train)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))
    # Truth and shuffled labels are two tasks of one fit: equal rows, penalty and steps.
    targets = torch.stack([truth, truth[order]])
    sites = []
    for number, of_site in enumerate(rows):
        x, check, test = of_site.split(sizes)
        probe = fit_linear(x, targets, len(task.classes), l2=l2, max_steps=STEPS)
        accuracy = (probe.predict(check)[0] == task.labels(task.validation)).double().mean()
        # Of equally good sites the first counts, hence its number with the sign turned.
        sites.append((float(accuracy), -number, probe.predict(test) == task.labels(task.test)))
    best = max(sites, key=lambda site: site[:2])
    return -best[1], best[2].double()


def by_story(task: Task, values: Float[Tensor, " cell"], n: int) -> Float[Tensor, " story"]:
    """Sums over the test cells of each story."""
    owners = torch.tensor([cell.story for cell in task.test])
    return torch.zeros(n, dtype=torch.float64).index_add_(0, owners, values.double())


def _costs(
    model: LanguageModel, stories: Sequence[Story]
) -> tuple[Float[Tensor, " story"], Float[Tensor, " story"]]:
    predictions = predict_stories(model, stories)
    nats = torch.stack([prediction.nats.double().sum() for prediction in predictions])
    if not has_floor(stories):
        return nats, torch.full_like(nats, float("nan"))
    return nats, regrets(stories, predictions)[0].double()
