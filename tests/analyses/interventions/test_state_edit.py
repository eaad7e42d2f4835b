"""Edits of the state: a dose of 0 does nothing, perfect information follows, and the model does."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import interp
from interp.analyses.interventions._counterfactuals import find_questions, first_choices
from interp.analyses.interventions.state_edit import (
    StateEdit,
    _best_layer,
    _best_position,
    state_edit,
)
from interp.core.edits import EditContext
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import Run
from interp.models.gpt import GPT
from interp.worlds.stories import Stories

WORLD = Stories()
SMALL = {"n_stories": 300, "n_tune": 60, "n_test": 120, "doses": (1.0,)}
FEW = SMALL | {"n_stories": 100, "n_tune": 30, "n_test": 30}


@pytest.fixture(scope="module")
def model() -> GPT:
    return interp.load_model("stories-demo")


@pytest.fixture(scope="module")
def shipped_result(model: GPT) -> StateEdit:
    return state_edit(model, WORLD, "place", **SMALL)


class Knowing:
    """A model whose stream holds the place of whom the text names; it answers what stands there."""

    def __init__(self, model: GPT) -> None:
        self.tokenizer, self.hash, self.name, self.step = model.tokenizer, "made", "made", None
        width, n_words = len(WORLD.variables["place"]), model.tokenizer.d_vocab
        sizes = dict(n_layers=1, n_heads=1, d_model=width, d_head=width, d_mlp=width)
        self.cfg = SimpleNamespace(n_ctx=256, d_vocab=n_words, attn_only=False, **sizes)
        self.device, self.hook_names = torch.device("cpu"), model.hook_names
        self.places = WORLD.variables["place"]
        self.inner = model

    def weight(self, name: str) -> torch.Tensor:
        return self.inner.weight(name)

    def run(
        self, tokens: torch.Tensor, *, cache: list = (), edits: list = (), **options: object
    ) -> Run:
        x = torch.stack([self._held(row.tolist()) for row in tokens])
        for edit in edits:
            x = edit.apply("blocks.0.hook_resid_post", x, EditContext.of(tokens))
        before = x.roll(1, 1)  # at the question mark stands what the name just before it holds
        words = [self.tokenizer.encode(f" {p.capitalize()}", bos=False)[0] for p in self.places]
        logits = torch.zeros(*tokens.shape, self.tokenizer.d_vocab)
        logits[..., words] = before
        return SimpleNamespace(logits=logits, __getitem__=None) if not cache else _Cached(logits, x)

    def _held(self, ids: list[int]) -> torch.Tensor:
        where, named, rows = {}, "", []
        for token in self.tokenizer.display(ids):
            word = token.strip("·")
            named = word if word in WORLD.variables["holder"] else "" if word == "." else named
            if word in self.places and named:
                where[named] = word
            row = torch.zeros(len(self.places))
            if named in where:
                row[self.places.index(where[named])] = 1
            rows.append(row)
        return torch.stack(rows)


class _Cached:
    def __init__(self, logits: torch.Tensor, x: torch.Tensor) -> None:
        self.logits, self.x = logits, x

    def __getitem__(self, site: tuple) -> torch.Tensor:
        return self.x


def test_perfect_information_is_changed_without_error(model: GPT) -> None:
    result = state_edit(Knowing(model), WORLD, "place", **SMALL)
    assert result.success.value == 1.0 and result.known.value == 1.0
    assert result.controls["unedited"].value == 0.0
    assert result.controls["random"].value < 0.35
    assert result.controls["other_entity"].value == 0.0
    assert "untrained" not in result.controls
    assert result.grid[:, result.positions.index("told")].max() == 0.0


@pytest.mark.slow
def test_the_shipped_model_answers_as_the_edited_world_has_it(shipped_result: StateEdit) -> None:
    assert shipped_result.success.value > 0.8 and shipped_result.known.value > 0.95
    assert shipped_result.beats_controls and "WARNING" not in shipped_result.caption()
    assert {"random", "other_variable", "other_entity", "untrained", "unedited"} == set(
        shipped_result.controls
    )
    assert all(each.value < 0.1 for each in shipped_result.controls.values())
    assert shipped_result.later.value > shipped_result.later_unedited.value - 0.05
    assert shipped_result.other == "mood" and shipped_result.position == "told"
    assert shipped_result.site == ("resid_post", 2), "the deepest where the state is still held"


@pytest.mark.slow
def test_the_state_stays_at_its_word_until_the_last_layer_fetches_it(
    shipped_result: StateEdit,
) -> None:
    word, name, question_mark = shipped_result.grid.unbind(-1)
    assert (word[:-1] > 0.9).all() and word[-1] < 0.1, "nothing reads what the last layer leaves"
    assert (question_mark[:-1] < 0.1).all() and question_mark[-1] > 0.9 > 0.1 > name.max()


def test_the_cell_that_is_chosen_is_neither_another_text_nor_the_answer() -> None:
    grid = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.9, 0.0], [0.9, 0.4, 0.0], [0.0, 1.0, 1.0]])
    places = ("told", "named", "asked")
    assert _best_position(grid, places) == "named" and _best_position(grid, ["asked"]) == "asked"
    assert [_best_layer(grid[:, i]) for i in range(3)] == [2, 1, 3]
    assert _best_layer(torch.tensor([0.9, 0.9, 0.9, 0.9])) == 2


@pytest.mark.slow
def test_a_dose_of_nothing_changes_nothing(model: GPT, shipped_result: StateEdit) -> None:
    result = state_edit(model, WORLD, "place", **(FEW | {"doses": (0.0,)}))
    assert result.success == result.controls["unedited"] and result.success.value == 0.0
    assert result.later == result.later_unedited
    tokens = model.to_tokens(WORLD.sample(1, split="held_out").text)[0]
    edit = shipped_result.edit("park", "garden", at=5, dose=0.0)
    assert torch.equal(model.run(tokens).logits, model.run(tokens, edits=[edit]).logits)


@pytest.mark.slow
def test_an_edit_acts_at_its_token_and_later_only(model: GPT, shipped_result: StateEdit) -> None:
    questions = find_questions(model.tokenizer, [WORLD.sample(i) for i in range(40)], "place", 256)
    tokens = torch.tensor([questions[0].tokens])
    at = questions[0].positions["named"]
    plain = model.run(tokens).logits
    edit = shipped_result.edit(questions[0].value, _another(questions[0].value), at)
    changed = model.run(tokens, edits=[edit]).logits
    assert torch.equal(plain[:, :at], changed[:, :at])
    assert not torch.equal(plain[:, at:], changed[:, at:])
    alone = first_choices(model, questions[:1])[0]
    batched = first_choices(model, questions)[0]
    assert torch.equal(alone, batched)


def _another(value: str) -> str:
    return next(place for place in WORLD.variables["place"] if place != value)


def test_questions_are_found_where_they_stand(model: GPT) -> None:
    for question in find_questions(
        model.tokenizer, [WORLD.sample(i) for i in range(60)], "place", 256
    ):
        words = [token.strip("·") for token in model.tokenizer.display(question.tokens)]
        assert words[question.positions["named"]] == question.about
        assert words[question.positions["told"]] == question.value
        assert words[question.positions["asked"]] == "?"
        assert words[question.positions["asked"] + 1] == question.value.capitalize()
        assert question.text.endswith(f"Where is {question.about}?")
        assert all(place > question.positions["asked"] for place, _ in question.later)


@pytest.mark.slow
def test_it_saves_tells_and_draws(shipped_result: StateEdit, tmp_path: Path) -> None:
    assert StateEdit.load(shipped_result.save(tmp_path / "edit")) == shipped_result
    frame = shipped_result.frame()
    assert (frame["quantity"] == "success_tuning").sum() == shipped_result.grid.numel()
    assert set(frame["control"].dropna()) == set(shipped_result.controls)
    (grid,) = shipped_result.figure().data
    assert grid.z.shape == tuple(shipped_result.grid.shape)
    assert len(shipped_result.figure(view="rates").data) == 1 + len(shipped_result.controls)
    with pytest.raises(ConfigError, match="No value 'moon'"):
        shipped_result.edit("moon", "park", 3)


def test_what_cannot_be_edited_is_refused(model: GPT) -> None:
    with pytest.raises(ConfigError, match="no variable 'palce'"):
        state_edit(model, WORLD, "palce")
    with pytest.raises(NotEnoughDataError, match="10 questions"):
        state_edit(model, WORLD, "place", n_stories=100, n_tune=5, n_test=5)
    with pytest.raises(NotEnoughDataError, match="asks about"):
        state_edit(model, WORLD, "weather", **FEW)
    with pytest.raises(ConfigError, match="No word"):
        state_edit(model, WORLD, "holder", position="told", **FEW)
    with pytest.raises(ConfigError, match="needs a position of"):
        state_edit(model, WORLD, "place", position="nowhere")
