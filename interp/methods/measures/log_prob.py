"""The log-probability of the right answer: it moves also where accuracy does not."""

import math

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores, per_story
from interp.methods.measures import Measure


def log_prob(evaluator: Evaluator) -> dict[str, Scores]:
    """Nats by kind of question; the control begins as another story's answer does."""
    data = evaluator.data
    right, wrong = [], []
    for i, (first, last) in enumerate(data.places):
        nats = evaluator.predictions[data.questions[i].story].nats[first - 1 : last]
        # Only the first token is exchanged: all later ones are read after the true first one, so
        # they cost the same on both sides and the margin is that of the token that decides.
        begins = float(nats[0]) if math.isnan(evaluator.wrong_nats[i]) else evaluator.wrong_nats[i]
        right.append(-float(nats.sum()))
        wrong.append(-begins - float(nats[1:].sum()))
    return per_story(data, right, wrong)


MEASURE = Measure(
    title="Answers: log-probability",
    unit="nats",
    of=log_prob,
    applies=lambda data: bool(data.kinds),
    better="high",
    control="shuffled answers",
    place=3,
)
