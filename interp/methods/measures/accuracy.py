"""How many questions of each kind are answered right: every token of the answer is first choice."""

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores, per_story
from interp.methods.measures import Measure


def accuracy(evaluator: Evaluator) -> dict[str, Scores]:
    """Share of right answers by kind; the control expects another story's answer."""
    data = evaluator.data
    right, said_wrong = [], []
    for i, (first, last) in enumerate(data.places):
        prediction = evaluator.predictions[data.questions[i].story]
        right.append(float(prediction.best[first - 1 : last] == prediction.ids[first : last + 1]))
        said_wrong.append(float(prediction.best[first - 1] == data.wrong[i]))
    return per_story(data, right, said_wrong)


MEASURE = Measure(
    title="Answers: right",
    unit="share of questions",
    of=accuracy,
    applies=lambda data: bool(data.kinds),
    better="high",
    control="shuffled answers",
    is_share=True,
    place=2,
)
