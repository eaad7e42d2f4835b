"""Loss less the world's floor, by the kind of choice that a token shows."""

import torch

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.data.loss_floor import has_floor
from interp.methods.measures import Measure

FEWEST = 20


def regret(evaluator: Evaluator) -> dict[str, Scores]:
    """Nats per token above the floor: of all tokens, and of each kind."""
    gaps = [
        prediction.nats.double() - floor
        for prediction, (floor, _) in zip(evaluator.predictions, evaluator.data.floors, strict=True)
    ]
    kinds = [kinds for _, kinds in evaluator.data.floors]
    counts = {kind: sum(of.count(kind) for of in kinds) for kind in dict.fromkeys(sum(kinds, ()))}
    common = sorted((kind for kind, n in counts.items() if n >= FEWEST), key=lambda k: -counts[k])
    here = {"all": [torch.ones(len(gap), dtype=torch.bool) for gap in gaps]} | {
        kind: [torch.tensor([each == kind for each in of]) for of in kinds] for kind in common
    }
    return {
        name: Scores(
            part=tuple(float(gap[flags].sum()) for gap, flags in zip(gaps, of, strict=True)),
            whole=tuple(float(flags.sum()) for flags in of),
        )
        for name, of in here.items()
    }


MEASURE = Measure(
    title="Regret by kind of token",
    unit="nats/token above the floor",
    of=regret,
    applies=lambda data: has_floor(data.stories),
    better="low",
    place=1,
)
