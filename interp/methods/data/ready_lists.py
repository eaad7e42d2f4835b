"""Lists of short labelled sentences for models of which nobody knows the truth: a first concept.

Sentiment, formality and topic, 32 sentences of each kind, in pairs that say the like in the other
way; the two of a pair are one group, which a probe never parts. They were written for interp and
are as free as it is.

What gives a pair away besides its meaning: the length does not (no length tells the kinds apart in
more than 61 % of the sentences, the best bound chosen afterwards), and words do, as far as they are
the same in other pairs: a bag of words (multinomial naive Bayes, four folds of whole pairs) is
right in 53 % of sentiment, 65 % of topic and 86 % of formality. A probe of formality has to beat
that.
"""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from interp.core.errors import TokenError
from interp.core.protocols import Tokenizer
from interp.methods.data.labelled_table import read_labelled

FOLDER = Path(__file__).with_name("lists")
LABELS = MappingProxyType(
    {
        "sentiment": ("positive", "negative"),
        "formality": ("formal", "informal"),
        "topic": ("sport", "cooking"),
    }
)
"""The labels of each list, first the one that its concept is of."""


def list_path(name: str) -> Path:
    """The CSV of a list, as `interp.probe(labels=…)` takes it.

    Args:
        name: `sentiment`, `formality` or `topic`.
    """
    return FOLDER / f"{name}.csv"


def list_texts(name: str) -> tuple[list[str], list[str]]:
    """The sentences of a list: of its first label and of its second.

    Example:
        >>> [len(texts) for texts in list_texts("sentiment")]
        [32, 32]
    """
    rows = read_labelled(list_path(name))
    first, second = ([row.text for row in rows if row.label == label] for label in LABELS[name])
    return first, second


def readable_lists(tokenizer: Tokenizer) -> Sequence[str]:
    """The lists whose every word the tokenizer knows: of a small world's words, none."""
    return [name for name in LABELS if _is_readable(tokenizer, name)]


def _is_readable(tokenizer: Tokenizer, name: str) -> bool:
    try:
        for texts in list_texts(name):
            for text in texts:
                tokenizer.encode(text)
    except TokenError:
        return False
    return True
