"""How much the best head looks at the token before."""

from interp.analyses._measures import Measure
from interp.analyses._measures.induction import best_head

MEASURE = Measure(
    title="Previous token, best head",
    unit="attention weight",
    of=lambda look: best_head(look, "previous_token"),
    applies=lambda ground: ground.repeated is not None,
    better="high",
    place=5,
)
