"""Rows, shortcuts and the search for rules, on questions by hand and of the stories world."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import permutations

import pytest
import torch

from interp.analyses.behavior._question_sample import eventful_stories
from interp.analyses.behavior._question_scores import Answers, QuestionScore, score
from interp.analyses.behavior._rule_search import (
    discoveries,
    fit_tree,
    found_guesses,
    rules_of_errors,
    search,
)
from interp.analyses.behavior._shortcut_baselines import FITTED, Guesses, shortcut_guesses
from interp.core.errors import WorldError
from interp.methods.data.questions import (
    QuestionInContext,
    event_rows,
    questions_in,
    table_rows,
    unknown_answers,
)
from interp.worlds import load_world
from interp.worlds.world import Story

WORLD = load_world("stories")


def question(
    before: str = "",
    words: str = "Who ?",
    answer: str = "a",
    story: int = 0,
    kind: str = "k",
    **more,
) -> QuestionInContext:
    defaults = {"guesses": {}, "tags": (), "unknown": False} | more
    return QuestionInContext(
        story=story, start=0, before=tuple(before.split()), words=tuple(words.split()), kind=kind,
        answer=answer, **defaults,
    )  # fmt: skip


def test_rows_part_what_is_carried_and_keep_what_is_new() -> None:
    questions = [
        question(kind="thing", tags=("carried", "moved")),
        question(kind="thing", tags=("carried",)),
        question(kind="thing"),
        question(kind="thing", tags=("unknown",), unknown=True),
        question(kind="place", tags=("new",)),
        question(kind="place"),
    ]
    rows = table_rows(questions, "held_out", order=("place", "unused"))
    assert rows == {
        "place": [4, 5], "thing": [0, 1, 2], "carried": [0, 1], "carried_and_moved": [0],
        "dropped": [2],
        "never_said": [0, 1, 2, 3, 4, 5],
    }  # fmt: skip
    assert next(iter(rows)) == "place"
    assert table_rows(questions, "new") == {"place": [4]}, "nothing else is new there"
    assert table_rows(questions, "newer") == {}


def test_rows_of_events_part_questions_that_a_look_up_answers_from_others() -> None:
    questions = [
        question(kind="thing", tags=("carried", "moves=0")),
        question(kind="thing", tags=("carried", "moves=2")),
        question(kind="thing", tags=("carried", "moves=4")),
        question(kind="thing", tags=("carried", "handed_over", "moves=1")),
        question(kind="thing", tags=("left", "moves=1")),
        question(kind="thing", tags=("unknown",), unknown=True),
        question(kind="holder", tags=("handed_over", "moves=1")),
        question(kind="holder", tags=("left",)),
    ]
    assert event_rows(questions) == {
        "handed_over": [3], "dropped_and_left": [4], "moved_twice": [1], "moved_more": [2],
        "holder_handed_over": [6],
    }  # fmt: skip


LETTERS = ("a", "b", "c", "d")


def _random_letters(n: int, length: int, seed: int) -> list[list[str]]:
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(0, len(LETTERS), (n, length), generator=generator).tolist()
    return [[LETTERS[i] for i in row] for row in draws]


def _accuracies(make: Callable[[list[str]], QuestionInContext]) -> dict[str, float]:
    fitted, tested = (
        [make(row) for row in _random_letters(n, 12, seed)] for n, seed in ((1200, 0), (300, 1))
    )
    guesses = shortcut_guesses(fitted, tested, seed=0)
    return {
        name: sum(a == q.answer for a, q in zip(g.answers, tested, strict=True)) / len(tested)
        for name, g in guesses.items()
    }


def test_the_last_word_is_found_by_all_that_look_there() -> None:
    result = _accuracies(lambda row: question(before=" ".join(row), answer=row[-1]))
    assert result["n_gram"] > 0.95 and result["no_attention"] > 0.95
    assert result["majority"] < 0.4


def test_a_word_out_of_the_window_is_found_by_counting_only() -> None:
    def make(row: list[str]) -> QuestionInContext:
        rest = "x " * 9
        return question(before=f"{row[0]} {rest}", answer=row[0])

    result = _accuracies(make)
    assert result["bag_of_words"] == 1
    assert max(result[name] for name in ("n_gram", "no_attention", "majority")) < 0.4


def test_the_commonest_answer_of_a_kind_is_found_by_all() -> None:
    def make(row: list[str]) -> QuestionInContext:
        return question(words=f"Who {row[0]} ?", kind=row[0], answer=f"the {row[0]}")

    assert set(_accuracies(make).values()) == {1.0}


def test_an_order_that_no_shortcut_sees_is_found_by_none() -> None:
    """The answer follows a mark, and all words are always there, out of the window's reach."""

    def make(row: list[str]) -> QuestionInContext:
        code = sum(LETTERS.index(letter) * 4**i for i, letter in enumerate(row[:6]))
        words, place = list(list(permutations(LETTERS))[code % 24]), LETTERS.index(row[-1])
        answer = words[place]
        words.insert(place, "!")
        return question(before=" ".join([*words, *"x" * 9]), answer=answer)

    assert max(_accuracies(make).values()) < 0.4


def test_shortcuts_are_told_what_is_known_and_say_unknown_by_the_best_rule() -> None:
    def make(row: list[str]) -> QuestionInContext:
        unknown = row[0] != "a" and row[1] != "a"
        return question(
            words=f"{row[0]} ?", answer="nobody knows" if unknown else row[2], unknown=unknown
        )

    fitted, tested = ([make(row) for row in _random_letters(600, 3, s)] for s in (0, 1))
    guesses = shortcut_guesses(fitted, tested, seed=0)
    for name in FITTED:
        assert "nobody knows" not in guesses[name].answers
    # `a` before the mark means known; unknown is less likely than on average, and the reverse.
    assert [not u for u in guesses["n_gram"].unknown] == [q.words[0] == "a" for q in tested]


def test_the_worlds_own_shortcut_says_unknown_where_it_has_nothing() -> None:
    fitted = [question(answer="a", guesses={"last": "a"})] * 3 + [
        question(answer="none", unknown=True),
        question(kind="other", answer="b"),
    ]
    tested = [question(guesses={"last": "b"}), question(), question(kind="other")]
    guesses = shortcut_guesses(fitted, tested, seed=0)["last"]
    assert guesses.answers == ("b", "", "b")
    assert guesses.unknown[:2] == (False, True) and guesses.applies == (True, True, False)
    assert unknown_answers(fitted) == {"none"}


# Rules that nobody listed.


@cache
def asked(split: str, n: int) -> tuple[QuestionInContext, ...]:
    return tuple(questions_in([WORLD.sample(seed, split=split) for seed in range(n)], WORLD))


def accuracy(name: str, questions: Sequence[QuestionInContext], rule: Sequence[str] = ()) -> float:
    fitted = asked("train", 250)
    majority = shortcut_guesses(fitted[:50], questions, seed=0)["majority"]
    guesses = found_guesses(fitted, questions, search(fitted), majority)[name]
    found = rule and [next((q.rules[r] for r in rule if r in q.rules), "") for q in questions]
    pairs = zip(found or guesses.answers, questions, strict=True)
    return sum(guess == q.answer for guess, q in pairs) / len(questions)


def test_the_search_finds_a_rule_for_what_is_held_that_fails_for_what_was_left() -> None:
    """It is right in all of `carried`, where the listed shortcuts are not, and wrong after the
    events that part it from the story; an older one is wrong after others."""
    found = search(asked("train", 250))["object_place"]
    assert found["rule"] == ("where its last handler is now",)
    held_out = asked("held_out", 100)
    rows = table_rows(held_out, "held_out") | event_rows(held_out)
    carried = [held_out[i] for i in rows["carried"]]
    assert accuracy("rule", carried) == 1
    assert max(sum(q.guesses[n] == q.answer for q in carried) for n in ("first", "where_taken")) < (
        0.8 * len(carried)
    )
    gone, given, again = (
        [held_out[i] for i in rows[row]] for row in ("dropped_and_left", "handed_over", "retaken")
    )
    assert accuracy("rule", gone) < 0.2 and accuracy("rule", given) == 1
    assert accuracy("rule", [*gone, *given], ["where its first taker is now"]) < 0.1
    assert accuracy("rule", again, ["where its last dropper was then"]) == 0


def hits(rule: Sequence[str], questions: Sequence[QuestionInContext]) -> list[bool]:
    said = [next((q.rules[r] for r in rule if r in q.rules), "") for q in questions]
    return [answer == q.answer for answer, q in zip(said, questions, strict=True)]


@cache
def rare() -> tuple[QuestionInContext, ...]:
    return tuple(questions_in(eventful_stories(WORLD, 100, 1000, "full", "train"), WORLD))


def test_no_shortcut_is_dropped_because_training_holds_no_hand_over() -> None:
    """Without one a pair is right in all training questions, as the story itself is."""
    pair = ("where its first dropper was then", "where its first taker is now")
    fitted = [q for q in asked("train", 500) if q.kind == "object_place" and all(hits(pair, [q]))]
    known = [q for q in fitted if not q.unknown]
    eventful = [q for q in rare() if q.kind == "object_place" and not q.unknown]
    assert len(known) > 100 and not all(hits(pair, eventful))
    alone, found = search(fitted)["object_place"], search(fitted, rare())["object_place"]
    assert not any(all(hits(rule, known)) for rule in alone.values()), "taken for the story itself"
    assert all(hits(found["two_rules"], known)) and not all(hits(found["two_rules"], eventful))


def test_one_found_shortcut_counts_for_all_questions_of_a_kind() -> None:
    """It is chosen in training: a rule that is right in one row and a pair that is right in the
    other leave a reader of the story unexplained in one of them."""
    fitted = asked("train", 700)
    rules = search(fitted, rare())
    best = discoveries(fitted, rules)
    assert set(best) == {question.kind for question in fitted} | {"never_said"}
    assert best["object_place"] == "two_rules" and best["place"] == "rule"
    assert discoveries([question()], {}) == {}


def perfect_scores(discovery: str) -> dict[str, QuestionScore]:
    questions = [question(story=i) for i in range(20)]
    wrong, right = (
        Guesses(answers=(answer,) * 20, unknown=(False,) * 20, applies=(True,) * 20)
        for answer in "ba"
    )
    half = Guesses(
        answers=right.answers[:10] + wrong.answers[10:],
        unknown=right.unknown, applies=right.applies,
    )  # fmt: skip
    other = Guesses(
        answers=wrong.answers[:10] + right.answers[10:],
        unknown=right.unknown, applies=right.applies,
    )  # fmt: skip
    answers = Answers(
        right=torch.ones(20, dtype=torch.bool), unknown=torch.zeros(20, dtype=torch.bool)
    )
    rows = {"early": list(range(10)), "late": list(range(10, 20))}
    said = {"majority": wrong, "rule": half, "two_rules": other}
    scores = score(rows, questions, answers, said, dict.fromkeys(rows, discovery), "held_out", 0)
    return {row.kind: row for row in scores}


def test_a_perfect_reader_is_safe_where_the_chosen_shortcut_is_wrong() -> None:
    by_rule, by_pair, by_none = map(perfect_scores, ("rule", "two_rules", ""))
    assert [by_rule[row].safe for row in ("early", "late")] == [False, True]
    assert [by_pair[row].safe for row in ("early", "late")] == [True, False]
    assert by_none["early"].safe and by_none["early"].best == "majority"
    assert by_rule["early"].best == "rule" and by_rule["late"].margin.value == 1
    assert by_rule["late"].shortcuts["two_rules"].value == 1, "shown, and counts for nothing"


def test_a_world_with_too_few_rules_loses_no_question() -> None:
    class Short:
        def shortcut_rules(self, story: Story) -> tuple[dict[str, str], ...]:
            return ({},)

    story = WORLD.sample(0)
    with pytest.raises(WorldError, match=f"{len(story.questions)}; got 1"):
        questions_in([story], Short())


def rule_question(rules: dict[str, str], answer: str, story: int = 0) -> QuestionInContext:
    return question(answer=answer, rules=rules, story=story)


def test_two_rules_are_one_where_it_finds_something_and_else_the_other() -> None:
    questions = [
        rule_question({"a": "x", "b": "y"}, "x"),
        rule_question({"b": "y"}, "y"),
        rule_question({"b": "z", "c": "z"}, "z"),
        rule_question({"b": "q", "c": "n"}, "w"),
    ]
    assert search(questions) == {"k": {"rule": ("b",), "two_rules": ("a", "b")}}
    assert search(questions[:3])["k"] == {"rule": ("b",)}, "a and b are always right: the truth"
    assert search([question()]) == {}


def test_the_tree_is_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.tree")
    generator = torch.Generator().manual_seed(0)
    flags = torch.rand(400, 12, generator=generator) < 0.4
    targets = (flags[:, 0].long() + 2 * (flags[:, 3] & flags[:, 5]).long()) % 3
    targets[torch.rand(400, generator=generator) < 0.1] = 0
    theirs = sklearn.DecisionTreeClassifier(max_leaf_nodes=40, min_samples_leaf=5, random_state=0)
    theirs.fit(flags.numpy(), targets.numpy())
    ours = fit_tree(flags, targets, 3).shares_of(flags)
    right = (ours.argmax(1) == targets).double().mean().item()
    assert right == pytest.approx(theirs.score(flags.numpy(), targets.numpy()), abs=0.02)
    assert ours.sum(1).allclose(torch.ones(400))


def test_the_rule_behind_wrong_answers_is_named() -> None:
    questions = [rule_question({"a": f"{i % 3}", "b": "no"}, "right", story=i) for i in range(40)]
    given = [q.rules["a"] if i % 10 else "else" for i, q in enumerate(questions)]
    rule, share = rules_of_errors(questions, given, seed=0)["k"]
    assert rule == "a" and share.value == 1.0 and share.n == 20
    assert rules_of_errors(questions, ["right"] * 40, seed=0) == {}
