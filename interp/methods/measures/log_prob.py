"""The log-probability of the right answer: it moves also where accuracy does not."""

import math

from interp.methods.checkpoints.evaluation_set import Look
from interp.methods.checkpoints.measure_scores import Scores, per_story
from interp.methods.measures import Measure


def log_prob(look: Look) -> dict[str, Scores]:
    """Nats by kind of question; the control begins as another story's answer does."""
    ground = look.ground
    right, wrong = [], []
    for i, (first, last) in enumerate(ground.places):
        nats = look.readings[ground.asked[i].story].nats[first - 1 : last]
        begins = float(nats[0]) if math.isnan(look.wrong_nats[i]) else look.wrong_nats[i]
        right.append(-float(nats.sum()))
        wrong.append(-begins - float(nats[1:].sum()))
    return per_story(ground, right, wrong)


MEASURE = Measure(
    title="Answers: log-probability",
    unit="nats",
    of=log_prob,
    applies=lambda ground: bool(ground.kinds),
    better="high",
    control="shuffled answers",
    place=3,
)
