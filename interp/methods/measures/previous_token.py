"""How much the best head looks at the token before."""

from interp.methods.measures import Measure
from interp.methods.measures.induction import best_head

MEASURE = Measure(
    title="Previous token, best head",
    unit="attention weight",
    of=lambda evaluator: best_head(evaluator, "previous_token"),
    applies=lambda data: data.repeated is not None,
    better="high",
    place=5,
)
