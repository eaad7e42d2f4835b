"""How well a linear probe reads each of the world's variables, at its best layer."""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.activations import residual_sites, rows_at
from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.measures import Measure
from interp.methods.probes.classifier import fit_linear
from interp.methods.probes.probing import ProbeData

TASKS = ("probe", "shuffled")


def probe_accuracy(evaluator: Evaluator) -> dict[str, Scores]:
    """Held-out accuracy by variable at the layer that validates best; the control's labels are
    shuffled, at the same layer."""
    probes = evaluator.data.probes
    examples = [example for data in probes.values() for example in data.examples]
    rows = rows_at(evaluator.model, examples, residual_sites(evaluator.model)).float()
    scores, start = {}, 0
    for variable, data in probes.items():
        here = rows[:, start : start + len(data.examples)]
        start += len(data.examples)
        layers = [_right(x, data) for x in here]
        best = max(layers, key=lambda right, data=data: float(right[0, data.validation].mean()))
        scores[variable] = _scores(data, best)
    return scores


def _right(x: Float[Tensor, "example d_model"], data: ProbeData) -> Float[Tensor, "task example"]:
    """What each task's classifier gets right at one site."""
    targets = data.targets[[data.names.index(name) for name in TASKS]]
    classifier = fit_linear(x[data.train], targets[:, data.train], len(data.classes))
    return (classifier.predict(x) == targets).double()


def _scores(data: ProbeData, right: Float[Tensor, "task example"]) -> Scores:
    """Sums over the examples of each test group."""
    names, index = data.groups[data.test].unique(return_inverse=True)
    rows = torch.cat([right[:, data.test], torch.ones(1, len(data.test), dtype=torch.float64)])
    sums = torch.zeros(3, len(names), dtype=torch.float64).index_add_(1, index, rows).tolist()
    return Scores(part=tuple(sums[0]), whole=tuple(sums[2]), control=tuple(sums[1]))


MEASURE = Measure(
    title="Probes by variable",
    unit="held-out accuracy",
    of=probe_accuracy,
    applies=lambda data: bool(data.probes),
    better="high",
    control="shuffled labels",
    is_share=True,
    place=7,
)
