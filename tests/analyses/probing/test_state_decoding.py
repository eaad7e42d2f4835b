"""A story read along: the truth is the world's, perfect information is read, nothing is not."""

from pathlib import Path

import pytest
import torch

from interp.analyses.probing.state_decoding import (
    StateDecoding,
    _familiar,
    _stories,
    state_decoding,
)
from interp.core.errors import (
    ConfigError,
    ModelMismatchError,
    NotEnoughDataError,
    TokenError,
    WorldError,
)
from interp.core.progress import Progress, listening
from interp.methods.probes.state_tracking import PLACES, UNKNOWN, track
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from interp.worlds.stories import Stories
from interp.worlds.village import State

WORLD = Stories()
STORY = (
    "It is a sunny morning. Anna is in the garden. Ben is in the park. Ben is sad because of a "
    "loss. Anna takes the ball. Anna goes to the park. Anna gives the ball to Ben. Ben drops the "
    "ball. Where is Anna? Park."
)
SMALL = {"n_stories": 60, "n_test": 20}


@pytest.fixture(scope="module")
def model() -> GPT:
    tokenizer = Tokenizer.words(WORLD.vocabulary)
    cfg = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=160)
    return GPT(cfg, tokenizer, seed=1).eval()


@pytest.fixture(scope="module")
def read(model: GPT) -> StateDecoding:
    return state_decoding(model, WORLD, "place", **SMALL)


class Knowing:
    """A model whose residual stream holds, at each token, where everybody is: nothing else."""

    def __init__(self, model: GPT) -> None:
        self.inner = model
        self.places = WORLD.variables["place"]
        self.people = WORLD.variables["holder"][:-1]

    def __getattr__(self, name: str) -> object:
        if name == "untrained":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def run(self, tokens: torch.Tensor, **options: object) -> object:
        run = self.inner.run(tokens, **options)
        states = torch.stack([self._state(row.tolist()) for row in tokens])
        for name in run.cache:
            run.cache[name] = states
        return run

    def _state(self, ids: list[int]) -> torch.Tensor:
        """Where the text says that somebody is, one-hot, first of whom the sentence names."""
        size = len(self.places)
        where, named, rows = {}, "", []
        for token in self.inner.tokenizer.display(ids):
            word = token.strip("·")
            named = word if word in self.people else "" if word == "." else named
            if word in self.places and named:
                where[named] = word
            row = torch.zeros(size * (1 + len(self.people)))
            if where.get(named):
                row[self.places.index(where[named])] = 1
            for person, place in where.items():
                row[size * (1 + self.people.index(person)) + self.places.index(place)] = 1
            rows.append(row)
        return torch.stack(rows)


def test_perfect_information_is_read_without_error_wherever_it_stands(model: GPT) -> None:
    # 16 numbers a token would not hold it: the sizes of what is cached are the model's own affair.
    result = state_decoding(
        Knowing(model), WORLD, "place", story=3, n_untrained=0, n_stories=300, n_test=25
    )
    assert {"named", "told", "elsewhere"} <= set(result.accuracy)
    for place in ("named", "told", "elsewhere"):
        assert result.accuracy[place].value > 0.97, place
    assert not result.wrong[result.where != PLACES.index("after")].any()


def test_an_untrained_model_reads_no_more_than_its_control(read: StateDecoding) -> None:
    """It *is* an untrained model: where the word itself stands both read it, elsewhere neither."""
    assert read.accuracy["told"].value > 0.9 and read.controls["untrained"]["told"].value > 0.9
    for place in ("named", "elsewhere"):
        own, untrained = read.accuracy[place], read.controls["untrained"][place]
        assert not (own.above(untrained) or untrained.above(own)), place
        assert read.accuracy[place].value < 0.6
    assert "told" not in read.places_above_controls and "WARNING" not in read.caption()
    assert "read nothing into those" in read.caption()


@pytest.mark.parametrize("variable", ["place", "mood", "holder", "object_place"])
def test_the_truth_is_that_of_the_worlds_own_replay(model: GPT, variable: str) -> None:
    classes = WORLD.variables[variable]
    for seed in range(15):
        story = WORLD.sample(seed, split="held_out")
        spans = [sentence.span for sentence in WORLD.parse(story.text).sentences]
        tracked = track(model.tokenizer, story.text, story.facts, spans, variable, classes)
        _, ends = model.tokenizer.encode_with_spans(story.text)
        for (_, end), state in zip(spans, _states(story.text), strict=True):
            pos = next(i for i, (_, high) in enumerate(ends) if high == end)
            followed = {
                who: classes[value]
                for who, value in zip(tracked.about, tracked.truth[:, pos].tolist(), strict=True)
                if value != UNKNOWN
            }
            assert followed == _of(state, variable), (story.text[:end], variable)


def _states(text: str) -> list[State]:
    """The state after each sentence, each played from the beginning."""
    from interp.worlds.replay import sentences

    played, story_sentences = [], list(sentences(text))
    for upto in range(1, len(story_sentences) + 1):
        state = State()
        for said in story_sentences[:upto]:
            state.apply(said.form, said.slots)
        played.append(state)
    return played


def _of(state: State, variable: str) -> dict[str, str]:
    if variable == "holder":
        return {thing: holder or "nobody" for thing, holder in state.holder.items()}
    if variable == "object_place":
        return {thing: state.place_of(thing) for thing in state.holder}
    return dict(getattr(state, variable))


def test_the_truth_changes_at_the_word_that_determines_it(model: GPT) -> None:
    result = state_decoding(model, WORLD, "place", text=STORY, **SMALL)
    tokens = [token.strip("·") for token in result.tokens]
    row = result.about.index("Anna")
    first, moved = tokens.index("garden"), tokens.index("park", tokens.index("goes"))
    assert set(result.truth[row, :first].tolist()) == {UNKNOWN}
    assert set(result.truth[row, first:moved].tolist()) == {result.classes.index("garden")}
    assert set(result.truth[row, moved:].tolist()) == {result.classes.index("park")}
    asked = [p for p in range(len(tokens)) if result.where[row, p] == PLACES.index("asked")]
    assert [tokens[p : p + 2] for p in asked] == [["?", "Park"]]


def test_no_training_story_is_the_one_that_is_read(model: GPT, read: StateDecoding) -> None:
    call = {"seed": 0, "level": "full", "variable": "place"}
    training = _stories(model, WORLD, call, "train", 300)
    for number in range(20):
        story = WORLD.sample(number, split="held_out")
        ids = tuple(model.tokenizer.encode(story.text))
        assert ids not in {each.ids for each in training}
    assert read.familiar == 0
    assert _familiar(training[7], training) == len(training[7].ids) - training[7].settled + 1
    own = " ".join(WORLD.sample(2).text.split(".")[0:1]) + "." + WORLD.sample(2).text.split(".")[1]
    assert state_decoding(model, WORLD, text=own + ".", decoder=read, **SMALL).familiar > 0


@pytest.mark.slow
def test_a_decoder_reads_another_story_with_the_same_probes(
    model: GPT, read: StateDecoding
) -> None:
    other = state_decoding(model, WORLD, "place", story=1, decoder=read, **SMALL)
    assert other.text != read.text and torch.equal(other.weight, read.weight)
    assert other.accuracy == read.accuracy
    alone = state_decoding(model, WORLD, "place", story=1, **SMALL)
    assert torch.equal(alone.probability.nan_to_num(-1), other.probability.nan_to_num(-1))
    assert "decoder=decoder" in other.code() and "story=1" in other.code()
    with pytest.raises(ModelMismatchError, match="it was trained on, "):
        state_decoding(model.untrained(5), WORLD, "place", decoder=read)
    with pytest.raises(ConfigError, match="'mood' was asked for"):
        state_decoding(model, WORLD, "mood", decoder=read)
    with pytest.raises(ConfigError, match="decoder reads at"):
        state_decoding(model, WORLD, "place", site=("resid_post", 0), decoder=read)


def test_probabilities_are_those_of_the_probes(read: StateDecoding) -> None:
    known = read.truth != UNKNOWN
    assert bool(known.any()) and bool(read.probability[~known].isnan().all())
    sums = read.probability[read.read != UNKNOWN].sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    torch.testing.assert_close(read.directions("named").norm(dim=1), torch.ones(8))
    frame = read.frame()
    assert (
        len(frame) == int(known.sum())
        and (frame["right"] == (frame["true"] == frame["read"])).all()
    )
    with pytest.raises(ConfigError, match="No decoder"):
        read.directions("nowhere")


def test_it_saves_and_draws(read: StateDecoding, tmp_path: Path) -> None:
    assert StateDecoding.load(read.save(tmp_path / "reading")) == read
    (story,) = read.figure().data
    assert story.z.shape == tuple(read.truth.shape)
    bars = read.figure(view="where").data
    assert [bar.name for bar in bars] == ["probe", "untrained model", "shuffled labels", "majority"]
    with pytest.raises(ConfigError, match="one of story, where"):
        read.figure(view="both")


def test_it_tells_how_far_it_is_and_no_result_depends_on_it(
    model: GPT, read: StateDecoding
) -> None:
    reports: list[Progress] = []
    with listening(reports.append):
        again = state_decoding(model, WORLD, "place", **SMALL)
    assert again == read
    shares = [each.share for each in reports]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(set(shares)) > 8
    assert any("untrained" in each.stage for each in reports)


def test_what_cannot_be_read_is_refused_in_words(model: GPT) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'place'"):
        state_decoding(model, WORLD, "plase")
    with pytest.raises(ConfigError, match="holds on from sentence to sentence; got"):
        state_decoding(model, WORLD, "likes")
    with pytest.raises(WorldError, match=r"Sentence 2, 'Zed flies\.'"):
        state_decoding(model, WORLD, text="It is a sunny morning. Zed flies.")
    with pytest.raises(WorldError, match="End them"):
        state_decoding(model, WORLD, text="It is a sunny morning. Anna is")
    with pytest.raises(WorldError, match="one sentence or more"):
        state_decoding(model, WORLD, text=" ")
    with pytest.raises(TokenError, match="context"):
        state_decoding(model, WORLD, text=STORY + " Where is Ben? Park." * 40, **SMALL)
    with pytest.raises(NotEnoughDataError, match="Ask for more stories"):
        state_decoding(model, WORLD, "holder", n_stories=0, n_test=2)
