"""How much the best head looks at the token before."""

from interp.methods.measures import Measure
from interp.methods.measures.induction import best_head

MEASURE = Measure(
    title="Previous token, best head",
    unit="attention weight",
    of=lambda look: best_head(look, "previous_token"),
    applies=lambda ground: ground.repeated is not None,
    better="high",
    place=5,
)
