"""The ready lists: two kinds of one length, in pairs, that a bag of words tells apart as said."""

import re
from collections import Counter
from math import log
from random import Random

import pytest

from interp.methods.data import ready_lists
from interp.methods.data.labelled_table import check_labels, read_labelled
from interp.methods.data.ready_lists import LABELS, list_path, list_texts, readable_lists
from tests.dashboards.model_folders import letters, words

BAG_OF_WORDS = {"sentiment": 0.53, "topic": 0.65, "formality": 0.86}
FOLDS, ORDERS = 4, 20


@pytest.mark.parametrize("name", LABELS)
def test_each_kind_has_as_many_sentences_in_pairs_and_none_twice(name):
    rows = read_labelled(list_path(name))
    check_labels(rows)
    first, second = list_texts(name)
    assert len(first) == len(second) == 32 and len({*first, *second}) == 64
    assert {row.label for row in rows} == set(LABELS[name])
    pairs = Counter(row.group for row in rows)
    assert set(pairs.values()) == {2}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("length", [len, lambda text: len(text.split())], ids=["letters", "words"])
def test_length_is_no_shortcut(name, length):
    first, second = ([length(text) for text in texts] for texts in list_texts(name))
    assert abs(sum(first) - sum(second)) / sum(first) < 0.03
    bounds = range(max(first + second) + 1)
    right = [sum(n > bound for n in first) + sum(n <= bound for n in second) for bound in bounds]
    assert max(*right, *(64 - n for n in right)) / 64 <= 0.61


@pytest.mark.parametrize("name", LABELS)
def test_a_bag_of_words_is_right_as_often_as_the_docstring_says(name):
    pairs = list(zip(*list_texts(name), strict=True))
    share = sum(_right(pairs, seed) for seed in range(ORDERS)) / ORDERS
    assert share == pytest.approx(BAG_OF_WORDS[name], abs=0.005)
    said = " ".join(ready_lists.__doc__.split())
    assert f"{share:.0%}".replace("%", " % of ") + name in said


def _right(pairs: list[tuple[str, str]], seed: int) -> float:
    """Share of sentences that naive Bayes gets right, in folds of whole pairs."""
    order = list(range(len(pairs)))
    Random(seed).shuffle(order)
    right = 0
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        seen = [pairs[i] for i in order if i not in held]
        counts = [Counter(word for pair in seen for word in _words(pair[k])) for k in (0, 1)]
        known = len(counts[0] | counts[1])
        for i in held:
            for k in (0, 1):
                score = [sum(log((c[w] + 1) / (c.total() + known)) for w in _words(pairs[i][k]))
                         for c in counts]  # fmt: skip
                right += score[k] > score[1 - k]
    return right / (2 * len(pairs))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def test_a_tokenizer_of_few_words_reads_none_of_them():
    assert list(readable_lists(letters())) == list(LABELS)
    assert list(readable_lists(words("stories"))) == []
