"""What a run was taught and when, as its own record tells it, beside its checkpoints."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.runs.checkpoints import history_of, thinned_steps
from interp.runs.record import corpus_of, record_of, tokens_a_step

_SEED = re.compile(r"[-_ .]?(?:seed)?[-_ .]?\d+$")


@dataclass(frozen=True, kw_only=True)
class CurriculumRecord:
    """A run and its curriculum.

    Attributes:
        name: the run's name.
        history: the run's checkpoints by step.
        tokens_a_step: predicted tokens of an update.
        stages: steps (None = to the end) and mixture of each stage, in order.
        documents: training documents of each level of the corpus; empty where unknown.
    """

    name: str
    history: Mapping[int, LanguageModel]
    tokens_a_step: int
    stages: tuple[tuple[int | None, Mapping[str, float]], ...]
    documents: Mapping[str, float]

    def share(self, update: int, level: str) -> float:
        """The share of an update's rows (0 = the first) that were of a level.

        Where the recipe leaves it to the sizes of the levels, their numbers of documents are taken
        for them; nan where these are unknown.
        """
        mix = self._mixture(update) or self.documents
        total = sum(mix.values())
        return mix.get(level, 0.0) / total if total else float("nan")

    def _mixture(self, update: int) -> Mapping[str, float]:
        end = 0
        for steps, mix in self.stages:
            end += steps or 0
            if steps is None or update < end:
                return mix
        return self.stages[-1][1] if self.stages else {}


def curriculum_record(model: LanguageModel) -> CurriculumRecord:
    """A model's run, from the record in its folder.

    Raises:
        NotEnoughDataError: it was not opened from a run, or the run's record is missing.
    """
    history = history_of(model)
    folder = getattr(history, "folder", None)
    record = {} if folder is None else record_of(folder)
    tokens = tokens_a_step(record)
    if tokens is None:
        raise NotEnoughDataError(
            f"Comparing runs needs the tokens of each step; {model.name} has no `run.json` whose "
            "recipe holds them. Open the folder of a run that `interp train` made."
        )
    documents = corpus_of(record)[1].get("documents")
    stages = record["recipe"].get("stages") or ()
    return CurriculumRecord(
        name=model.name,
        history=history,
        tokens_a_step=tokens,
        stages=tuple((stage["steps"], stage["mix"]) for stage in stages),
        documents=documents if isinstance(documents, dict) else {},
    )


def group_of(name: str) -> str:
    """What runs of several seeds have in common: the name without the number at its end.

    Example:
        >>> group_of("curriculum-seed-2"), group_of("anti_0"), group_of("shuffled")
        ('curriculum', 'anti', 'shuffled')
    """
    return _SEED.sub("", name) or name


def common_steps(records: Sequence[CurriculumRecord], most: int) -> tuple[int, ...]:
    """Steps at which every run has a checkpoint, at most `most`, evenly spread; both ends stay.

    Raises:
        ConfigError: their steps take different numbers of tokens.
        NotEnoughDataError: fewer than two steps in common.
    """
    sizes = {record.name: record.tokens_a_step for record in records}
    if len(set(sizes.values())) > 1:
        table = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise ConfigError(
            "Runs are compared at equal tokens, so each step must take equally many; they take "
            f"{table}. Train them with one batch size and context."
        )
    common = sorted(set.intersection(*(set(record.history) for record in records)))
    if len(common) < 2:
        raise NotEnoughDataError(
            "Comparing runs needs two or more checkpoints at the same steps; these "
            f"{len(records)} runs have {len(common)}. Train them with the same `checkpoint_every`."
        )
    return _even(common, most) if len(common) > most else tuple(common)


def _even(steps: Sequence[int], most: int) -> tuple[int, ...]:
    """Spread over the steps themselves where that can be, else over their logarithms."""
    goals = [steps[0] + (steps[-1] - steps[0]) * i / (most - 1) for i in range(most)]
    kept = {min(steps, key=lambda step: abs(step - goal)) for goal in goals}
    return tuple(sorted(kept)) if len(kept) > most // 2 else thinned_steps(steps, most)
