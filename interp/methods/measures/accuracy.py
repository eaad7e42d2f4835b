"""How many questions of each kind are answered right: every token of the answer is first choice."""

from interp.methods.checkpoints.evaluation_set import Look
from interp.methods.checkpoints.measure_scores import Scores, per_story
from interp.methods.measures import Measure


def accuracy(look: Look) -> dict[str, Scores]:
    """Share of right answers by kind; the control expects another story's answer."""
    ground = look.ground
    right, said_wrong = [], []
    for i, (first, last) in enumerate(ground.places):
        reading = look.readings[ground.asked[i].story]
        right.append(float(reading.best[first - 1 : last] == reading.ids[first : last + 1]))
        said_wrong.append(float(reading.best[first - 1] == ground.wrong[i]))
    return per_story(ground, right, said_wrong)


MEASURE = Measure(
    title="Answers: right",
    unit="share of questions",
    of=accuracy,
    applies=lambda ground: bool(ground.kinds),
    better="high",
    control="shuffled answers",
    is_share=True,
    place=2,
)
