"""How many words of a text the model would have written: every token of it is first choice.

It is to any text what `accuracy` is to a world's questions: the words are the text's own, in place
of answers whose truth a world knows.
"""

import re
from collections import Counter
from collections.abc import Sequence

from interp.core.alignment import Span
from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.measures import Measure

WORD = re.compile(r"\w+(?:['’]\w+)*")


def known_words(evaluator: Evaluator) -> dict[str, Scores]:
    """Share of words; the control says the commonest word of these texts every time.

    A word is a run of letters, digits and apostrophes; where a script has no spaces, that is a
    phrase. One that the context cuts off, or that holds the first token, does not count.
    """
    pairs = zip(evaluator.data.stories, evaluator.data.encoded, strict=True)
    words = [_words(story.text, spans) for story, (_, spans) in pairs]
    counts = Counter(word for row in words for word, _, _ in row)
    commonest = max(counts, key=counts.__getitem__, default="")
    part, whole, control = [], [], []
    for prediction, row in zip(evaluator.predictions, words, strict=True):
        right = [
            prediction.best[first - 1 : end - 1] == prediction.ids[first:end]
            for _, first, end in row
        ]
        part.append(float(sum(right)))
        whole.append(float(len(row)))
        control.append(float(sum(word == commonest for word, _, _ in row)))
    return {"": Scores(part=tuple(part), whole=tuple(whole), control=tuple(control))}


def _words(text: str, spans: Sequence[Span]) -> list[tuple[str, int, int]]:
    """The words that count, each with its first token and the one after its last."""
    rows, first = [], 0
    for word in WORD.finditer(text):
        while first < len(spans) and spans[first][1] <= word.start():
            first += 1
        end = first
        while end < len(spans) and spans[end][0] < word.end():
            end += 1
        if 0 < first < end and spans[end - 1][1] >= word.end():
            rows.append((word[0], first, end))
    return rows


MEASURE = Measure(
    title="Words: right",
    unit="share of words",
    of=known_words,
    applies=lambda data: any(WORD.search(story.text) for story in data.stories),
    better="high",
    control="the commonest word",
    is_share=True,
    place=2,
)
