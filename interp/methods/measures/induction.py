"""How much the best head looks at what followed a token the last time."""

from einops import rearrange

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.head_scores import SCORES
from interp.methods.measures import Measure


def best_head(evaluator: Evaluator, score: str) -> dict[str, Scores]:
    """A score of the head that has most of it at this checkpoint, a number a sequence."""
    scores = evaluator.heads[:, SCORES.index(score)].double()
    heads = rearrange(scores, "batch layer head -> batch (layer head)")
    best = heads[:, int(heads.mean(0).argmax())].tolist()
    return {"": Scores(part=tuple(best), whole=(1.0,) * len(best))}


MEASURE = Measure(
    title="Induction, best head",
    unit="attention weight",
    of=lambda evaluator: best_head(evaluator, "induction"),
    applies=lambda data: data.repeated is not None,
    better="high",
    place=4,
)
