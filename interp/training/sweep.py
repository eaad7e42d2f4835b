"""Many small runs on one corpus: every size with every number of steps and every seed.

The folder of a sweep holds `sweep.json`, the corpus and a run folder for each point, named after
it. What is finished is kept, what was killed goes on, and a larger grid only adds to a smaller one.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interp.core.errors import ConfigError
from interp.core.files import read_object, write_json
from interp.models.config import GPTConfig
from interp.models.io.presets import get_preset
from interp.runs.record import SWEEP, changed_values, last_evaluation, needs_training
from interp.training.data.corpus import Corpus
from interp.training.data.curriculum import Stage
from interp.training.fields import Count, check_fields
from interp.training.loop.estimate import n_parameters
from interp.training.loop.pretrain import ProgressCallback, train
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.recipes import WORLD_SETTINGS
from interp.training.recipe.text_source import model_fields
from interp.training.run.lock import run_lock
from interp.training.run.run_folder import check_new

MOST_RUNS = 500
HEAD_WIDTH = 32
SETTINGS: Mapping[str, Any] = WORLD_SETTINGS | dict(
    batch_size=16, eval_every=0, checkpoint_every=100, keep_full=1
)
"""The demo's learning rates; one schedule a run, since a cut-short run would end too high."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What a sweep varies.

    Attributes:
        sizes: widths of the residual stream (`d_model`).
        steps: numbers of updates of a run.
        seeds: number of runs for each pair of size and steps, with the seeds 0, 1, …
    """

    sizes: tuple[Count, ...]
    steps: tuple[Count, ...]
    seeds: Count = 1

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("sizes", "steps"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must be whole numbers above 0; got none.")
        odd = [size for size in self.sizes if size % 4]
        if odd:
            raise ConfigError(f"A size must be a multiple of 4; {odd[0]} is not.")
        if len(self) > MOST_RUNS:
            raise ConfigError(
                f"A sweep has at most {MOST_RUNS} runs; this grid has {len(self)}. Thin it out."
            )

    def __len__(self) -> int:
        return len(set(self.sizes)) * len(set(self.steps)) * self.seeds

    def points(self) -> "Iterator[Point]":
        """Every run, the cheapest first."""
        table = itertools.product(sorted(set(self.steps)), sorted(set(self.sizes)))
        for (steps, size), seed in itertools.product(list(table), range(self.seeds)):
            yield Point(size=size, steps=steps, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run of a sweep."""

    size: int
    steps: int
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folder.

        Example:
            >>> Point(size=16, steps=200, seed=0).name
            'size-16-steps-200-seed-0'
        """
        return f"size-{self.size}-steps-{self.steps}-seed-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class SweepRecipe:
    """What all runs of a sweep share.

    Attributes:
        preset: the model's shape, but for its width.
        settings: other fields of `TrainConfig`, and of the model's settings as `model.name`.
    """

    preset: str = "demo"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, point: Point, corpus: Corpus) -> TrainConfig:
        """The run of a point; it trains on the level that its loss is measured on.

        Raises:
            ConfigError: an unknown setting, or a width that does not divide into heads.
        """
        shape, settings = model_fields({**SETTINGS, **self.settings})
        settings = TrainConfig.checked(settings)
        model = self._model(point.size, corpus.tokenizer.d_vocab, shape)
        settings["context"] = min(settings["context"], model.n_ctx)
        stages = [Stage(mix={corpus.levels("held_out")[-1]: 1.0})]
        known = {"stages": stages, "steps": point.steps, "seed": point.seed, "model": model}
        return TrainConfig.from_dict({**known, **settings})

    def _model(self, size: int, d_vocab: int, shape: Mapping[str, Any]) -> GPTConfig:
        """The preset at that width: heads of 32, or one; the MLP in its own proportion."""
        plain = get_preset(self.preset, d_vocab=d_vocab)
        heads = max(1, size // HEAD_WIDTH)
        scaled = {
            "d_model": size,
            "n_heads": heads,
            "n_key_value_heads": heads,
            "d_head": size // heads,
            "d_mlp": plain.d_mlp * size // plain.d_model,
        }
        return get_preset(self.preset, **{"d_vocab": d_vocab, **scaled, **shape})


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The outcome of one run of a sweep.

    Attributes:
        point: size, steps and seed of the run.
        folder: folder of the run.
        parameters: number of parameters of the model.
        tokens: predicted tokens that the model was trained on.
        loss: held-out loss, in nats a token.
        floor: the world's exact entropy on the same tokens; None where it is not known.
    """

    point: Point
    folder: Path
    parameters: int
    tokens: int
    loss: float
    floor: float | None


def sweep(
    grid: Grid,
    corpus: Corpus,
    folder: str | Path,
    *,
    recipe: SweepRecipe | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[Point], ProgressCallback] = lambda point: lambda progress: None,
    done: Callable[[Finished], None] = lambda finished: None,
) -> list[Finished]:
    """Train every run of a grid, one after the other; the same call goes on where it was stopped.

    Args:
        grid: sizes, steps and seeds; it may have grown since the last call.
        corpus: corpus that all runs train on.
        folder: folder of the sweep.
        recipe: what all runs share.
        device: `auto`, `cuda`, `mps` or `cpu`.
        threads: number of CPU threads.
        progress: called with the point of each run that begins; gives the callback that is called
            after every reading of that run's loss.
        done: called with each finished run, also with those finished before.
    Returns:
        Every run, the cheapest first.
    Raises:
        ConfigError: the folder holds a sweep of another recipe or corpus.
        CheckpointError: the folder holds a model or a run, or that of a point lost its states.
        TrainingError: a run diverged, the disk is full, or another process sweeps here.
    """
    recipe, folder = recipe or SweepRecipe(), Path(folder)
    plan = [(point, recipe.config(point, corpus)) for point in grid.points()]
    check_sweepable(folder)
    with run_lock(folder):
        _begin(folder, grid, recipe, corpus)
        runs: list[Finished] = []
        for point, config in plan:
            place = folder / point.name
            if needs_training(place):
                options = {"device": device, "threads": threads, "progress": progress(point)}
                train(config, corpus.folder, place, **options)
            runs.append(_finished(point, place, config))
            done(runs[-1])
    return runs


def check_sweepable(folder: Path) -> None:
    """Refuse a folder that is no sweep's and holds a model or a run.

    Raises:
        CheckpointError: what is there is named.
    """
    if not (folder / SWEEP).exists():
        check_new(folder)


def _begin(folder: Path, grid: Grid, recipe: SweepRecipe, corpus: Corpus) -> None:
    """Keep what decides the runs; refuse a folder where it was something else."""
    path = folder / SWEEP
    now = {"preset": recipe.preset, "settings": dict(recipe.settings), "corpus": corpus.hash}
    before = read_object(path) if path.exists() else {}
    if changed := changed_values(before, now):
        raise ConfigError(
            f"A sweep goes on with what it began with; in {folder} {'; '.join(changed)}. Ask for "
            "the old values, or sweep into another folder."
        )
    sizes, steps = _merged(before, "sizes", grid.sizes), _merged(before, "steps", grid.steps)
    seeds = max([grid.seeds, *_merged(before, "seeds", ())])
    write_json(path, now | {"sizes": sizes, "steps": steps, "seeds": seeds})


def _merged(before: Mapping[str, Any], name: str, values: Sequence[int]) -> list[int]:
    old = before.get(name, [])
    return sorted({*values, *(old if isinstance(old, list) else [old])})


def _finished(point: Point, place: Path, config: TrainConfig) -> Finished:
    last = last_evaluation(place, config.steps)
    return Finished(
        point=point,
        folder=place,
        parameters=n_parameters(config.model),
        tokens=config.steps * config.batch_size * config.context,
        loss=last["loss_nats_per_token"],
        floor=last.get("floor_nats_per_token"),
    )
