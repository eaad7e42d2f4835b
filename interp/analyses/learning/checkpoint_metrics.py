"""How everything that can be measured of a model came about, checkpoint by checkpoint.

A measure is a file of `interp/methods/measures/`. Each checkpoint is measured once: the numbers are
kept in memory and, where a run was trained, in `measures/` of its folder, by the weights' hash, the
measure and the texts; a new measure is only its own pass. `in_context` is the loss of a text's last
16 tokens less that of its third to tenth; `distance` is how far the weights are from the first
checkpoint, over their length there; `rank` is the effective rank of each matrix (the exponential of
the entropy of its singular values, as a share of full rank). Of text that no world tells,
`loss_per_byte` compares tokenizers, and `known_words` stands where `accuracy` would: the share of
its words whose every token is the model's first choice.

Control: the world's exact floor (`loss`, `in_context`), an answer to another story's question
(`accuracy`, `log_prob`), the commonest word (`known_words`), shuffled labels (`probe_accuracy`),
and for all of them a fresh model of the same config; step 0 is the run's own start.

Units: as each panel says. Bands resample stories, test groups or sequences, the same ones at every
checkpoint; numbers of the weights have no interval.

    interp run checkpoint_metrics --model stories-demo --world stories --measures loss
        --measures accuracy
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, plain
from interp.methods.checkpoints.evaluation_set import Settings
from interp.methods.checkpoints.over_checkpoints import timeline
from interp.methods.measures import get_measure
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

MOST_CURVES = 4


@dataclass(frozen=True, kw_only=True)
class CheckpointMetrics(Result):
    """Curves over training steps with their intervals and controls.

    Attributes:
        steps: the checkpoints' training steps.
        curves: the names of the curves: `loss`, `accuracy: place` ….
        measures: each curve's measure.
        titles: each curve's measure in words.
        units: each curve's unit.
        better: the better side of each curve: `high`, `low`, or empty where neither is better.
        values: each curve's value and interval at each checkpoint; bound = value, low, high (95 %
            over stories; nan where nothing is resampled).
        controls: each curve's control at the same checkpoint; nan without one.
        control_names: what each curve's control is; empty without one.
        untrained: each curve's value in a fresh model of the same config; nan where that says
            nothing.
        n: how many stories (test groups, sequences) are behind each curve; 0 = it is of the weights
            alone.
    """

    steps: tuple[int, ...]
    curves: tuple[str, ...]
    measures: tuple[str, ...]
    titles: tuple[str, ...]
    units: tuple[str, ...]
    better: tuple[str, ...]
    values: Float[Tensor, "curve step bound"]
    controls: Float[Tensor, "curve step"]
    control_names: tuple[str, ...]
    untrained: Float[Tensor, " curve"]
    n: tuple[int, ...]
    columns: ClassVar = {"value": "values", "control_value": "controls"}
    labels: ClassVar = {
        "curve": ("curve", "curves"),
        "measure": ("curve", "measures"),
        "unit": ("curve", "units"),
        "control": ("curve", "control_names"),
        "untrained": ("curve", "untrained"),
        "groups": ("curve", "n"),
        "step": ("step", "steps"),
    }

    def curve(self, name: str) -> Float[Tensor, " step"]:
        """The values of one curve.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self.curves:
            raise KeyError(f"{name!r}; there are {', '.join(self.curves)}")
        return self.values[self.curves.index(name), :, 0]

    def finding(self) -> str:
        curves = "; ".join(self._in_words(i) for i in self._first_of_each()[:MOST_CURVES])
        return (
            f"Over {len(self.steps)} checkpoints, steps {self.steps[0]:,} to "
            f"{self.steps[-1]:,}: {curves}."
        )

    def _first_of_each(self) -> list[int]:
        """The first curve of each measure."""
        return [self.measures.index(name) for name in dict.fromkeys(self.measures)]

    def _in_words(self, i: int) -> str:
        """A curve in words: from, to, and the control's last value."""
        last = plain(Interval.of(self.values[i, -1], self.n[i]))
        beside = [f"n = {self.n[i]}"] if self.n[i] else []
        if self.control_names[i]:
            beside.insert(0, f"{self.control_names[i]} {self.controls[i, -1]:.2f}")
        return (
            f"{self.curves[i]} {self.values[i, 0, 0]:.2f} -> {last} {self.units[i]}"
            f"{' (' + ', '.join(beside) + ')' if beside else ''}"
        )

    def caption(self) -> str:
        counts = sorted({n for n in self.n if n})
        of = (
            f"n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}" if counts else ""
        )
        bands = (
            f"Bands: 95 % bootstrap intervals over stories, test groups or sequences ({of}), the "
            "same ones at every checkpoint, so that neighbours move together. "
            if counts
            else "Numbers of the weights alone, so no interval. "
        )
        return (
            f"{self.finding()} {bands}Dashed: the control at the same checkpoint (the world's "
            "exact floor, another story's answer, the commonest word, shuffled labels). Dotted: a "
            f"fresh model of the same config; step {self.steps[0]} is the run's own start. A "
            "score of the best head or layer is of the best one at that checkpoint, which may "
            "change."
        )


def checkpoint_metrics(
    model: LanguageModel,
    world: World | None = None,
    *,
    measures: Sequence[str] = (),
    texts: Sequence[str] = (),
    steps: Sequence[int] = (),
    most: int = 50,
    n_stories: int = 128,
    n_probed: int = 200,
    n_sequences: int = 16,
    level: str = "full",
    seed: int = 0,
) -> CheckpointMetrics:
    """Measure a run's checkpoints, each once, and show every number over training.

    Args:
        model: opened from a run, or from a folder with checkpoints.
        world: the world whose stories are read and whose truth is known; without one, and without
            texts, passages of the run's own held-out text are read; where its corpus is gone too,
            only the heads and the weights are measured.
        measures: by name: `loss`, `loss_per_byte`, `regret`, `accuracy`, `known_words`, `log_prob`,
            `induction`, `previous_token`, `in_context`, `probe_accuracy`, `distance`, `rank`; none
            = all that can be had.
        texts: texts to read in place of the world's stories; two or more.
        steps: training steps of the checkpoints; none = all.
        most: checkpoints at most, spread evenly over log step; 0 = no bound.
        n_stories: held-out stories, or passages, to read.
        n_probed: other held-out stories that probes are fitted and tested on; 0 = no probes.
        n_sequences: random tokens said twice, for the heads.
        level: the world's level of difficulty.
        seed: the seed of stories, sequences, probes, the fresh model and the resampling.
    Returns:
        CheckpointMetrics: values "curve step bound" with their controls.
    Raises:
        NotEnoughDataError: the model has no history of two checkpoints.
        ConfigError: an unknown measure, step or level, or one that needs what was not given.
    Example:
        >>> checkpoint_metrics(model, world, measures=["loss"]).curve("loss")  # doctest: +SKIP
    Source:
        Biderman et al. 2023, "Pythia" (measuring checkpoints); Roy & Vetterli 2007 (effective
        rank); Olsson et al. 2022 (prefix matching, in-context score). Differs: an exact floor.
    """
    call = dict(locals())
    settings = {name: value for name, value in call.items() if name not in ("model", "world")}
    line = timeline(model, world, Settings(**settings))
    measured = [get_measure(curve.measure) for curve in line.curves]
    return CheckpointMetrics(
        steps=line.steps,
        curves=tuple(curve.label for curve in line.curves),
        measures=tuple(curve.measure for curve in line.curves),
        titles=tuple(measure.title for measure in measured),
        units=tuple(measure.unit for measure in measured),
        better=tuple(measure.better for measure in measured),
        values=torch.stack(
            [
                curve.bounds(seed, measure.is_share)
                for curve, measure in zip(line.curves, measured, strict=True)
            ]
        ),
        controls=torch.stack([curve.controls for curve in line.curves]),
        control_names=tuple(
            measure.control if curve.control.shape[1] else ""
            for curve, measure in zip(line.curves, measured, strict=True)
        ),
        untrained=torch.tensor(
            [line.untrained.get(curve.label, float("nan")) for curve in line.curves]
        ),
        n=tuple(curve.n for curve in line.curves),
        provenance=provenance(checkpoint_metrics, call, hooks=("pattern", "resid_post")),
    )
