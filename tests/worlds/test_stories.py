"""Stories say what is true, cost what they should, and keep their splits apart."""

import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.alignment import last_token, token_range
from interp.core.errors import ConfigError, WorldError
from interp.models.tokenizer import Tokenizer
from interp.worlds import load_world, world_names
from interp.worlds.stories import Stories, Tale, held_out
from interp.worlds.telling import Reader, Storyteller, words
from interp.worlds.village import HELD_OUT_PLACE, LIKES, MANNERS, NEVER_ASKED, NEVER_TOLD, SENSES
from interp.worlds.world import Story, World

ROOT = Path(__file__).resolve().parents[2]
WORLD = Stories()
SPLITS = ("train", "held_out", "composition")
UNKNOWN = " Nobody knows."


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    """A thousand training stories of the full level."""
    return [WORLD.sample(seed) for seed in range(1_000)]


class Checked(Storyteller):
    """A sampler that refuses options of which one begins with all the words of another."""

    def choose(self, options, position):
        """A phrase drawn by weight, from options that can be told apart."""
        assert options and all(p >= 0 for p in options.values()) and sum(options.values()) > 0
        for first, second in pairwise(sorted(words(option) for option in options)):
            assert second[: len(first)] != first, (first, second)
        return super().choose(options, position)


def beginning(story: Story, split: str) -> str:
    """A story's first two sentences."""
    return Tale(Reader(story.text), story.level, split).tell(sentences=2).text


def test_the_world_keeps_the_protocol_and_is_found_by_its_name():
    assert isinstance(load_world("stories"), World) and "stories" in world_names()
    for group, concepts in WORLD.concepts.items():
        assert set(concepts) <= set(WORLD.variables[group])


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", WORLD.levels)
def test_a_story_reads_back_as_it_was_told(level, split):
    for seed in range(40):
        story = WORLD.sample(seed, level=level, split=split)
        back = WORLD.read(story.text, level=level, split=split)
        assert (back.choices, back.facts, back.questions) == (
            story.choices,
            story.facts,
            story.questions,
        )
        assert story == WORLD.sample(seed, level=level, split=split)
        if split != "composition":
            assert WORLD.surprisal(story.text, level=level) == story.choices


@pytest.mark.parametrize("level", WORLD.levels)
def test_no_option_begins_with_all_the_words_of_another(level):
    for seed in range(200):
        tale = Tale(Checked(f"{seed}"), level, SPLITS[seed % 3]).tell()
        spans = [choice.span for choice in tale.choices]
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        for choice in tale.choices:
            assert words(tale.text[slice(*choice.span)]) == (tale.text[slice(*choice.span)],)
            assert choice.surprisal_nats >= 0 and choice.entropy_nats >= 0


@pytest.mark.parametrize("split", SPLITS)
def test_every_sentence_of_a_full_story_is_well_formed_and_consistent(split):
    for seed in range(150):
        story = WORLD.sample(seed, split=split)
        sentences = WORLD.parse(story.text).sentences
        assert [s for s in sentences if not (s.well_formed and s.consistent)] == [], story.text
        assert " ".join(story.text[slice(*s.span)] for s in sentences) == story.text


@pytest.mark.slow
@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.text() | st.lists(st.sampled_from(sorted(WORLD.vocabulary)), max_size=60).map("".join))
def test_parse_never_raises_and_surprisal_only_its_own_error(text):
    for sentence in WORLD.parse(text).sentences:
        assert sentence.well_formed == (sentence.consistent is not None)
        assert bool(sentence.why) == (not sentence.consistent)
    with pytest.raises(WorldError, match="cannot have told"):
        WORLD.surprisal(text)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6), st.data())
def test_a_wrong_word_is_seen_by_the_parser_or_refused_by_the_price(seed, data):
    story = WORLD.sample(seed)
    answers = [choice.span for choice in story.choices if choice.kind == "answer"]
    said = [(start, end) for start, end in answers if story.text[start:end] != "."]
    place = data.draw(st.sampled_from(said))
    other = data.draw(st.sampled_from([" Garden", " Happy", " Anna", " Soup", " Nobody"]))
    changed = story.text[: place[0]] + other + story.text[place[1] :]
    if changed != story.text:
        assert not all(s.consistent for s in WORLD.parse(changed).sentences)
        with pytest.raises(WorldError):
            WORLD.surprisal(changed)


# -- the floor ------------------------------------------------------------------------------


def within(differences: np.ndarray, z: float = 4.0) -> bool:
    """Whether numbers whose mean should be 0 have one within z standard errors of it."""
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return abs(differences.mean()) <= z * error + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("level", WORLD.levels)
def test_mean_surprisal_is_the_mean_of_the_entropies(level):
    """Surprisal minus entropy sums to a martingale: mean 0 for the whole and for each kind."""
    n = 1_500
    tales = [Tale(Storyteller(f"floor {i}"), level, "train").tell() for i in range(n)]
    by_kind = defaultdict(lambda: np.zeros(n))
    for i, tale in enumerate(tales):
        for choice in tale.choices:
            by_kind[choice.kind][i] += choice.surprisal_nats - choice.entropy_nats
    assert within(sum(by_kind.values()))
    for kind, differences in by_kind.items():
        assert within(differences, z=4.5), kind
    answers = [c for tale in tales for c in tale.choices if c.kind == "answer"]
    assert all(c.surprisal_nats == 0 and c.weight > 1 for c in answers)


@pytest.mark.slow
def test_the_floor_of_a_split_is_that_of_the_process(stories):
    gaps = [sum(c.surprisal_nats - c.entropy_nats for c in story.choices) for story in stories]
    assert within(np.array(gaps))


# -- splits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", WORLD.levels)
def test_train_and_held_out_share_no_beginning(level):
    seen = {
        split: {
            beginning(WORLD.sample(seed, level=level, split=split), split) for seed in range(100)
        }
        for split in SPLITS
    }
    assert not seen["train"] & (seen["held_out"] | seen["composition"])
    assert len(seen["held_out"]) > 30
    assert not any(map(held_out, seen["train"])) and all(map(held_out, seen["held_out"]))


def test_one_beginning_in_ten_is_held_out():
    tales = [
        Tale(Storyteller(f"share {i}"), "full", "train").tell(sentences=2) for i in range(2_000)
    ]
    assert 0.07 < np.mean([held_out(tale.text) for tale in tales]) < 0.14


def pairs(story: Story) -> set[tuple[str, str]]:
    """Who is told to be where, at any time."""
    return {(f.about, f.value) for f in story.facts if f.variable == "place"}


@pytest.mark.parametrize("level", WORLD.levels)
def test_some_people_and_places_meet_only_in_compositions(level):
    rare = set(HELD_OUT_PLACE.items())
    for seed in range(80):
        for split in ("train", "held_out"):
            story = WORLD.sample(seed, level=level, split=split)
            assert not pairs(story) & rare
            assert all("composition" not in question.tags for question in story.questions)
    composed = [WORLD.sample(seed, level=level, split="composition") for seed in range(80)]
    assert np.mean([bool(pairs(story) & rare) for story in composed]) > 0.5
    if level != "echo":
        tagged = [q for story in composed for q in story.questions if "composition" in q.tags]
        assert len(tagged) > 20 and {q.kind for q in tagged} >= {"place", "object_place"}


@pytest.mark.slow
def test_some_likes_are_never_told_and_some_never_asked(stories):
    unseen = [WORLD.sample(seed, split="held_out") for seed in range(300)]
    composed = [WORLD.sample(seed, split="composition") for seed in range(300)]
    for story in (*stories, *unseen, *composed):
        for person in NEVER_TOLD:
            assert f"{person} likes" not in story.text
    for story in (*stories, *unseen):
        for person in NEVER_ASKED:
            assert f"What does {person} like?" not in story.text
    text = " ".join(story.text for story in stories)
    assert all(f"{person} likes {LIKES[person]}." in text for person in NEVER_ASKED)
    asked = [q for story in (*stories, *composed) for q in story.questions if q.kind == "likes"]
    assert {q.about for q in asked} >= {*NEVER_TOLD, *NEVER_ASKED}
    assert all((q.answer == UNKNOWN) == (q.about in NEVER_TOLD) for q in asked)


def test_unknown_levels_and_splits_are_refused():
    with pytest.raises(ConfigError, match=r"no level 'ful'.*full"):
        WORLD.sample(0, level="ful")
    with pytest.raises(ConfigError, match="no split 'test'"):
        WORLD.sample(0, split="test")


# -- questions and facts --------------------------------------------------------------------


class Simulation:
    """The rules of the stories once more, from their sentences, by other means."""

    def __init__(self) -> None:
        self.place: dict[str, str] = {}
        self.mood: dict[str, str] = {}
        self.things: dict[str, tuple[str, str, str]] = {}  # holder, where dropped, where taken
        self.lives: dict[str, list[tuple[str, str]]] = {}  # who did what to each thing
        self.lain: dict[str, str] = {}  # where each thing was dropped last

    def hear(self, said: str) -> tuple[str, str, str, set[str]] | None:
        """A question's kind, whom it is about, its answer and tags; None for a statement."""
        for pattern, do in self._meanings():
            if match := re.fullmatch(pattern, said):
                return do(*match.groups())
        return None

    def _meanings(self):
        yield r"(\w+) is in the (\w+)\.", self.place.__setitem__
        yield r"(\w+) is (\w+) because of a \w+\.", self.mood.__setitem__
        yield r"(\w+) \w+ to the (\w+)\.", self._move
        yield r"(\w+) takes the (\w+)\.", self._take
        yield r"(\w+) drops the (\w+)\.", self._drop
        yield r"\w+ gives the (\w+) to (\w+)\.", self._give
        yield r"Where is ([A-Z]\w+)\?", lambda who: self._answer("place", who, self.place.get(who))
        yield r"Where is the (\w+)\?", self._where
        yield r"How is (\w+)\?", lambda who: self._answer("mood", who, self.mood.get(who))
        yield r"Who has the (\w+)\?", self._who
        yield r"What does (\w+) like\?", self._likes

    def _move(self, who: str, place: str) -> None:
        self.place[who] = place
        for thing, (holder, _, _) in self.things.items():
            if holder == who:
                self.lives[thing].append((who, "moves"))

    def _take(self, who: str, thing: str) -> None:
        assert self.things.get(thing, ("", self.place[who]))[:2] == ("", self.place[who])
        self.things[thing] = (who, "", self.place[who])
        self.lives.setdefault(thing, []).append((who, "takes"))

    def _drop(self, who: str, thing: str) -> None:
        assert self.things[thing][0] == who
        self.lives[thing].append((who, "drops"))
        self.lain[thing] = self.place[who]
        self.things[thing] = ("", self.place[who], self.things[thing][2])

    def _give(self, thing: str, other: str) -> None:
        holder, _, taken = self.things[thing]
        assert self.place[holder] == self.place[other]
        self.things[thing] = (other, "", taken)

    def _where(self, thing: str):
        holder, dropped, taken = self.things.get(thing, ("", "", ""))
        where = self.place[holder] if holder else dropped
        tags = {"carried"} if holder else set()
        tags |= {"moved"} if holder and where != taken else set()
        return self._answer("object_place", thing, where, tags | self._fate(thing))

    def _fate(self, thing: str) -> set[str]:
        if thing not in self.lives:
            return set()
        life, (holder, dropped, _) = self.lives[thing], self.things[thing]
        tags = {f"moves={sum(deed == 'moves' for _, deed in life)}"}
        last = {deed: who for who, deed in life}
        if holder and self.place[last["takes"]] != self.place[holder]:
            tags.add("handed_over")
        if not holder and self.place[last["drops"]] != dropped:
            tags.add("left")
        if holder and self.lain.get(thing, self.place[holder]) != self.place[holder]:
            tags.add("retaken")
        return tags

    def _who(self, thing: str):
        if thing in self.things and not self.things[thing][0]:
            return "holder", thing, " Nobody.", self._fate(thing)
        return self._answer("holder", thing, self.things.get(thing, ("",))[0], self._fate(thing))

    def _likes(self, who: str):
        return self._answer("likes", who, "" if who in NEVER_TOLD else LIKES[who])

    @staticmethod
    def _answer(kind: str, about: str, value: str | None, tags: set[str] = frozenset()):
        if not value:
            return kind, about, UNKNOWN, {"unknown"}
        return kind, about, f" {value[0].upper()}{value[1:]}.", set(tags)


@pytest.mark.parametrize("split", SPLITS)
def test_answers_and_tags_are_those_of_a_simulation_by_other_means(split):
    kinds: Counter = Counter()
    for seed in range(250):
        story, simulation, asked = WORLD.sample(seed, split=split), Simulation(), []
        for said in re.findall(r"[^.?]+[.?]", story.text):
            asked += [answer] if (answer := simulation.hear(said.strip())) else []
        assert len(asked) == len(story.questions) == 5
        for question, (kind, about, answer, tags) in zip(story.questions, asked, strict=True):
            assert (question.kind, question.about, question.answer) == (kind, about, answer)
            assert set(question.tags) - {"composition"} == tags
            assert story.text[question.span[1] :].startswith(answer)
            assert story.text[slice(*question.span)].endswith("?")
            kinds.update([kind, *tags])
    assert min(kinds[k] for k in (*WORLD.variables, "unknown", "moved") if k in kinds) > 20
    assert {"place", "mood", "object_place", "holder", "likes", "unknown", "moved"} <= set(kinds)
    assert min(kinds[fate] for fate in ("handed_over", "left", "retaken")) > 20


def test_states_at_a_sentences_end_are_those_of_the_simulation():
    for seed in range(150):
        story, simulation = WORLD.sample(seed), Simulation()
        for said in re.finditer(r"[^.?]+[.?]", story.text):
            if simulation.hear(said.group().strip()):
                break
            span = said.end() - 1, said.end()
            here = [f for f in story.facts if f.role == "state" and f.span == span]
            for variable in ("place", "mood"):
                noted = {f.about: f.value for f in here if f.variable == variable}
                assert noted == getattr(simulation, variable)


SHOWN_AS = {manner: shown for manner, (shown, _) in MANNERS.items()} | {
    sense: word for word, sense, _ in SENSES.values()
}


@pytest.mark.parametrize("level", WORLD.levels)
def test_spans_of_facts_hold_their_values_or_end_before_the_answer(level):
    for seed in range(100):
        story = WORLD.sample(seed, level=level, split=SPLITS[seed % 3])
        answers = {question.span[1]: question for question in story.questions}
        for fact in story.facts:
            assert fact.value in WORLD.variables[fact.variable], fact
            start, end = fact.span
            if fact.role == "stated":
                assert story.text[start:end] == SHOWN_AS.get(fact.value, fact.value)
            elif fact.role == "asked":
                question = answers[end]
                assert (end - start, fact.variable, fact.about) == (
                    1,
                    question.kind,
                    question.about,
                )
                assert fact.value.capitalize() == question.answer.strip(" .")
                assert fact.tags == question.tags
            else:
                assert end - start == 1 and story.text[end : end + 1] in ("", " ")
        known = [q for q in story.questions if "unknown" not in q.tags and q.answer != " Nobody."]
        assert len([f for f in story.facts if f.role == "asked"]) == len(known)


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_facts_align_with_the_tokens_of_any_tokenizer(kind):
    stories = [WORLD.sample(seed, split=SPLITS[seed % 3]) for seed in range(40)]
    if kind == "words":
        tokenizer = Tokenizer.words(WORLD.vocabulary)
    else:
        tokenizer = Tokenizer.bytes_bpe([story.text for story in stories], 400)
    for story in stories:
        ids, spans = tokenizer.encode_with_spans(story.text)
        assert len(ids) == len(spans)
        for fact in story.facts:
            first, last = token_range(spans, fact.span)
            words = story.text[spans[first][0] : spans[last][1]]
            assert story.text[slice(*fact.span)] in words
            if kind == "words" and fact.role == "stated":
                assert words.strip() == story.text[slice(*fact.span)]
            if fact.role == "asked":
                after = story.text[spans[last_token(spans, fact.span)][1] :]
                assert after.strip().startswith((fact.value, fact.value.capitalize()))


@pytest.mark.parametrize("level", WORLD.levels)
def test_the_vocabulary_holds_every_word(level):
    tokenizer = Tokenizer.words(WORLD.vocabulary)
    for seed in range(15):
        for split in SPLITS:
            tokenizer.encode(WORLD.sample(seed, level=level, split=split).text)
    assert tokenizer.encode(" Garden. Soup. Happy. Leo. Nobody knows.")


@pytest.mark.slow
def test_no_listed_shortcut_answers_most_questions(stories):
    """The three that a question names; `skimming.py` has stronger rules."""
    right, known = Counter(), Counter()
    for story in stories:
        for question in story.questions:
            if "unknown" not in question.tags:
                known[question.kind] += 1
                for name, answer in question.shortcuts.items():
                    right[question.kind, name] += answer == question.answer
    assert min(known.values()) > 100
    for (kind, name), n in right.items():
        assert n <= 0.75 * known[kind], (kind, name, n / known[kind])
    assert {name for _, name in right} == {"most_recent", "first", "where_taken"}


def test_rare_events_are_frequent_where_asked_for_and_legal_everywhere():
    """Sentence for sentence these are the world's own stories; only their weights differ."""
    tags: dict[str, Counter] = {}
    for tell in (WORLD.sample, WORLD.sample_eventful):
        tags[tell.__name__] = Counter()
        for seed in range(120):
            for split in SPLITS:
                story = tell(seed, split=split)
                assert story == tell(seed, split=split)
                WORLD.read(story.text, split=split)
                counted = story.questions if split == "held_out" else ()
                tags[tell.__name__].update(tag for q in counted for tag in q.tags)
    for fate in ("left", "handed_over"):
        assert tags["sample_eventful"][fate] > tags["sample"][fate] > 5, fate


@pytest.mark.slow
def test_each_event_that_parts_the_state_from_a_rule_is_in_one_question_of_ten(stories):
    asked = [
        set(q.tags)
        for s in stories
        for q in s.questions
        if q.kind == "object_place" and "unknown" not in q.tags
    ]
    assert len(asked) > 500
    for tags in ({"handed_over"}, {"left"}, {"retaken"}, {"moves=2", "moves=3", "moves=4"}):
        assert np.mean([bool(some & tags) for some in asked]) > 0.1, tags


@pytest.mark.slow
def test_no_rule_and_no_two_rules_tell_where_a_thing_is(stories):
    """Over all such questions; `comprehension` says in which rows of them a rule is right."""
    right, finds = [], []
    names = sorted(
        {name for story in stories for rules in WORLD.shortcut_rules(story) for name in rules}
    )
    for story in stories:
        for question, rules in zip(story.questions, WORLD.shortcut_rules(story), strict=True):
            if question.kind == "object_place" and "unknown" not in question.tags:
                right.append([rules.get(name) == question.answer for name in names])
                finds.append([name in rules for name in names])
    hits, silent = np.array(right, float), 1 - np.array(finds, float)
    two = hits.sum(0)[:, None] + silent.T @ hits
    assert two.max() / len(hits) < 0.83


def test_questions_that_only_compositions_ask_are_tagged():
    composed = [WORLD.sample_eventful(seed, split="composition") for seed in range(60)]
    for story in (*composed, *(WORLD.sample_eventful(seed) for seed in range(60))):
        for question in story.questions:
            if question.kind == "likes":
                assert ("composition" in question.tags) == (question.about in NEVER_ASKED)
    assert any(q.about in NEVER_ASKED for s in composed for q in s.questions if q.kind == "likes")


@pytest.mark.slow
def test_things_are_asked_for_after_they_were_carried_elsewhere(stories):
    tags = [q.tags for s in stories for q in s.questions if q.kind == "object_place"]
    carried = [some for some in tags if "carried" in some]
    assert len(carried) > 300 and np.mean(["moved" in some for some in carried]) > 0.4


@pytest.mark.slow
def test_the_same_seed_tells_the_same_story_in_any_process():
    code = (
        "import hashlib\n"
        "from interp.worlds.stories import Stories\n"
        "w = Stories()\n"
        "told = [repr(w.sample(i, level=level, split=split)) for level in w.levels\n"
        "        for split in ('train', 'held_out', 'composition') for i in range(5)]\n"
        "print(hashlib.sha256(''.join(told).encode()).hexdigest())\n"
    )
    hashes = set()
    for hash_seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        hashes.add(done.stdout)
    assert len(hashes) == 1
