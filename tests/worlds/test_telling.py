"""Prices of a telling are exact: a tiny program told down every path, one by one."""

import math

import pytest

from interp.core.errors import WorldError
from interp.worlds.telling import Reader, Storyteller, Telling, uniform


class Tiny(Telling):
    """Two sentences: branches that share words, a choice that depends on another, a copy."""

    def tell(self) -> "Tiny":
        """All of it."""
        self.write("The")
        animal = self.pick("animal", {" red fox": 1.0, " red hen": 2.0, " owl": 5.0})
        deeds = {" runs away": 1.0, " runs home": 1.0, " sleeps": 2.0, " flies": 0.0}
        self.pick("deed", deeds if "red" in animal else {" flies": 3.0, " sleeps": 1.0})
        self.write(".")
        self.pick("echo", {animal: 1.0}, weight=3.0)
        self.pick("mark", uniform(["!", "?"]))
        self._guide.end(len(self.text))
        return self


class EveryPath:
    """Goes down one path after another, and knows the probability of the one it went."""

    def __init__(self) -> None:
        self._path: list[int] = []
        self._open: list[int] = []
        self._depth = 0
        self.probability = 1.0

    def choose(self, options, position):
        """The option that this path takes here, of those that can come."""
        possible = [option for option, p in options.items() if p]
        if self._depth == len(self._path):
            self._path.append(0)
            self._open.append(len(possible))
        phrase = possible[self._path[self._depth]]
        self._depth += 1
        self.probability *= options[phrase] / sum(options.values())
        return phrase

    def expect(self, literal, position):
        """Nothing to check."""

    def end(self, position):
        """Nothing to check."""

    def next(self) -> bool:
        """Whether there is another path; begins it."""
        while self._path and self._path[-1] + 1 == self._open[-1]:
            self._path.pop()
            self._open.pop()
        self._depth, self.probability = 0, 1.0
        if self._path:
            self._path[-1] += 1
        return bool(self._path)


def every_telling() -> list[tuple[float, Tiny]]:
    """Each path's probability and its telling."""
    guide, tellings = EveryPath(), []
    while True:
        tiny = Tiny(guide).tell()
        tellings.append((guide.probability, tiny))
        if not guide.next():
            return tellings


def nats(telling: Telling) -> float:
    """What the whole text cost."""
    return sum(choice.surprisal_nats for choice in telling.choices)


def test_every_path_costs_the_logarithm_of_its_probability():
    tellings = every_telling()
    assert len(tellings) == len({tiny.text for _, tiny in tellings}) == 16
    assert math.isclose(sum(p for p, _ in tellings), 1)
    for p, tiny in tellings:
        assert math.isclose(nats(tiny), -math.log(p)), tiny.text
        assert Tiny(Reader(tiny.text)).tell().choices == tiny.choices


def test_mean_surprisal_is_the_mean_of_the_entropies_and_the_entropy_of_the_texts():
    tellings = every_telling()
    entropy = -sum(p * math.log(p) for p, _ in tellings)
    assert math.isclose(sum(p * nats(tiny) for p, tiny in tellings), entropy)
    means = sum(p * sum(c.entropy_nats for c in tiny.choices) for p, tiny in tellings)
    assert math.isclose(means, entropy)


def test_words_that_phrases_share_are_priced_once_and_branch_where_they_part():
    tiny = Tiny(Reader("The red hen runs home. red hen!")).tell()
    choices = [(tiny.text[slice(*c.span)], c.kind, c.weight) for c in tiny.choices]
    assert choices == [
        (" red", "animal", 1.0),
        (" hen", "animal", 1.0),
        (" runs", "deed", 1.0),
        (" home", "deed", 1.0),
        (" red", "echo", 3.0),
        (" hen", "echo", 3.0),
        ("!", "mark", 1.0),
    ]
    prices = [math.exp(-c.surprisal_nats) for c in tiny.choices]
    assert prices == pytest.approx([3 / 8, 2 / 3, 1 / 2, 1 / 2, 1, 1, 1 / 2])
    assert tiny.choices[4].entropy_nats == 0


def test_a_sampler_draws_by_weight_and_again_the_same():
    counts = {" owl": 0, " red fox": 0, " red hen": 0}
    for seed in range(2_000):
        tiny = Tiny(Storyteller(f"{seed}")).tell()
        assert tiny.text == Tiny(Storyteller(f"{seed}")).tell().text
        counts[next(animal for animal in counts if animal in tiny.text)] += 1
    for animal, p in {" owl": 5 / 8, " red fox": 1 / 8, " red hen": 2 / 8}.items():
        assert abs(counts[animal] - 2_000 * p) < 4 * math.sqrt(2_000 * p * (1 - p))


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("An owl", "at character 0 it needs 'The'"),
        ("The red cat", "at character 3 it needs one of ' owl', ' red fox', ' red hen'"),
        ("The owls sleep", "at character 3"),
        ("The red hen flies. red hen!", "at character 11"),
        ("The red hen runs home. red fox!", "at character 22 it needs ' red hen'"),
        ("The red hen runs home", "at character 21 it needs '.'; there stands 'the end of"),
        ("The owl sleeps. owl! And", "at character 20 it needs 'the end of the text'"),
    ],
)
def test_a_reader_says_where_a_text_departs(text, needs):
    with pytest.raises(WorldError) as caught:
        Tiny(Reader(text)).tell()
    assert needs in str(caught.value)
