"""Held-out loss, beside the least that any model could have."""

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.data.loss_floor import has_floor
from interp.methods.measures import Measure


def loss(evaluator: Evaluator) -> dict[str, Scores]:
    """Nats per token of each story; the control is the world's exact floor."""
    nats = [float(prediction.nats.sum()) for prediction in evaluator.predictions]
    whole = tuple(float(len(prediction.nats)) for prediction in evaluator.predictions)
    known = has_floor(evaluator.data.stories)
    floor = tuple(float(floor.sum()) for floor, _ in evaluator.data.floors) if known else ()
    return {"": Scores(part=tuple(nats), whole=whole, control=floor)}


MEASURE = Measure(
    title="Held-out loss",
    unit="nats/token",
    of=loss,
    applies=lambda data: bool(data.stories),
    better="low",
    control="exact floor",
    place=0,
)
