"""Held-out loss, beside the least that any model could have."""

from interp.methods.checkpoints.evaluation_set import Look
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.measures import Measure


def loss(look: Look) -> dict[str, Scores]:
    """Nats per token of each story; the control is the world's exact floor."""
    nats = [float(reading.nats.sum()) for reading in look.readings]
    whole = tuple(float(len(reading.nats)) for reading in look.readings)
    known = any(story.choices for story in look.ground.stories)
    floor = tuple(float(floor.sum()) for floor, _ in look.ground.floors) if known else ()
    return {"": Scores(part=tuple(nats), whole=whole, control=floor)}


MEASURE = Measure(
    title="Held-out loss",
    unit="nats/token",
    of=loss,
    applies=lambda ground: bool(ground.stories),
    better="low",
    control="exact floor",
    place=0,
)
