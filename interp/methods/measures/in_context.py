"""How much the loss falls along a text: what was read before helps."""

from interp.methods.checkpoints.evaluation_set import EvaluationSet, Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.data.loss_floor import has_floor
from interp.methods.measures import Measure

# Of predicted tokens: the first two have next to no context to speak of, and so are of neither.
EARLY, LATE = slice(2, 10), slice(-16, None)
SHORTEST = 26


def in_context(evaluator: Evaluator) -> dict[str, Scores]:
    """Loss of a text's last 16 tokens less that of its third to tenth; longer texts only.

    The control is the same difference of the exact floor: what comes late may be easier.
    """
    nats = [prediction.nats.double() for prediction in evaluator.predictions]
    long = [len(row) >= SHORTEST for row in nats]
    floors = [floor for floor, _ in evaluator.data.floors]
    known = has_floor(evaluator.data.stories)
    gaps, least = (
        tuple(
            float(row[LATE].mean() - row[EARLY].mean()) if is_long else 0.0
            for row, is_long in zip(rows, long, strict=True)
        )
        for rows in (nats, floors)
    )
    whole = tuple(map(float, long))
    return {"": Scores(part=gaps, whole=whole, control=least if known else ())}


def applies(data: EvaluationSet) -> bool:
    """Whether two texts or more are long enough."""
    return sum(len(ids) > SHORTEST for ids, _ in data.encoded) >= 2


MEASURE = Measure(
    title="In-context score",
    unit="nats/token, late less early",
    of=in_context,
    applies=applies,
    better="low",
    control="the floor's",
    place=6,
)
