"""Numbers a question, added up by kind of question and story."""

from collections.abc import Sequence

from interp.analyses._ground import Ground
from interp.analyses._scores import Scores


def per_story(ground: Ground, right: Sequence[float], wrong: Sequence[float]) -> dict[str, Scores]:
    """A curve a kind of question.

    Args:
        ground: whose questions they are.
        right: a number a question.
        wrong: the control's, a number a question.
    """
    found = {}
    for kind, members in ground.kinds.items():
        sums = [[0.0] * len(ground.stories) for _ in range(3)]
        for i in members:
            story = ground.asked[i].story
            for row, value in zip(sums, (right[i], 1.0, wrong[i]), strict=True):
                row[story] += value
        part, whole, control = map(tuple, sums)
        found[kind] = Scores(part=part, whole=whole, control=control)
    return found
