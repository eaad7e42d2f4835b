"""An edit that meets nothing is refused in a run, and named after a generation: of every clause."""

import itertools
import random

import pytest
import torch

from interp.analyses.interventions.continuation import continuation
from interp.core.edits import Ablate, Scale, Where, edits_within, idle_edits
from interp.core.errors import ConfigError, HookNameError, InterpError, ShapeError
from interp.core.positions import EditContext
from interp.methods.batches import nats_per_token
from tests.families import tiny

CLAUSES = {
    "span": ("all", "prompt", "generated"),
    "start": (None, 0, 3, 7, -2, -9),
    "stop": (None, 0, 1, 4, -3, 40),
    "positions": (None, (), (0,), (2, -1), (4, 9), (-9,), (-8,)),
    "tokens": (None, (), (5,), (3, 28), (27,)),
    "bos": (False, True),
}
ROWS = [[3, 9, 1, 12], [3, 22, 14, 7, 2, 28, 9]]


def wheres(count: int) -> list[Where]:
    """Every value of every clause alone, and random ones of all clauses."""
    alone = [{name: value} for name, values in CLAUSES.items() for value in values]
    draw = random.Random(4)
    mixed = [{name: draw.choice(v) for name, v in CLAUSES.items()} for _ in range(count)]
    return [Where(**clauses) for clauses in alone + mixed]


def changed(model, rows, where: Where) -> bool:
    """Whether a zeroed embedding is seen in the stream; without any of the checks."""
    context = EditContext.of(*model.to_tokens(rows))
    x = torch.ones(*context.tokens.shape, 16)
    edited = Scale(hook="embed", factor=0.0, where=where).apply("hook_embed", x, context)
    return not torch.equal(edited, x)


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[1:], ROWS], ids=["short", "long", "both"])
def test_a_run_refuses_exactly_what_would_change_nothing(rows) -> None:
    model, refused, longest = tiny("llama"), 0, max(map(len, rows))
    plain = model.run(rows, cache=["embed"])["embed"]
    for where in wheres(60):
        edit = Scale(hook="embed", factor=0.0, where=where)
        named = [*(where.positions or ()), max(where.start or 0, -longest)]
        if changed(model, rows, where) and all(-longest <= n < longest for n in named):
            assert not torch.equal(model.run(rows, edits=[edit], cache=["embed"])["embed"], plain)
            continue
        refused += 1
        with pytest.raises(ConfigError, match="nothing would be changed"):
            model.run(rows, edits=[edit])
    assert refused > 10


def test_a_start_before_the_first_token_changes_all_that_there_is() -> None:
    model = tiny("llama")
    last_nine, every = (
        model.run(ROWS, edits=[Scale(hook="embed", factor=0.0, where=where)]).logits
        for where in (Where(start=-9), Where())
    )
    torch.testing.assert_close(last_nine, every, rtol=0, atol=0)


def test_a_generation_names_exactly_the_edits_that_changed_no_pass() -> None:
    """What changes any pass changes a later probability too, as attention looks back."""
    model, idle = tiny("gpt2"), 0
    for rows, where in itertools.product((ROWS[:1], ROWS), wheres(25)):
        how = dict(max_new_tokens=5, temperature=0.0)
        plain = model.generate(rows, **how)
        edit = Scale(hook=("resid_pre", 0), factor=-3.0, where=where)
        edited = model.generate(rows, edits=[edit], **how)
        nats = ([[s.log_prob_nats for s in row] for row in each.steps] for each in (plain, edited))
        same = next(nats) == next(nats)
        assert edited.idle_edits == ((edit,) if same else ()), where
        assert plain.idle_edits == ()
        idle += same
    assert idle > 10


def test_what_was_written_before_counts_as_generated() -> None:
    model = tiny("llama")
    late = Scale(hook="embed", factor=0.0, where=Where(span="generated", stop=5))
    how = dict(max_new_tokens=1, temperature=0.0, edits=[late])
    assert model.generate(ROWS[1], **how).idle_edits == (late,)
    assert model.generate(ROWS[1], **how, written=3).idle_edits == ()
    assert idle_edits([late], [ROWS[0]], [[]]) == (late,), "of what is not fed nothing is changed"


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        (dict(hook=("z", 2)), HookNameError, "layers 0-1"),
        (dict(hook="zz"), HookNameError, "Did you mean"),
        (dict(hook="z", heads=(1, 4)), ShapeError, r"heads \(1, 4\), needed are 0-3"),
        (dict(hook="z", heads=(-5,)), ShapeError, r"heads \(-5,\)"),
        (dict(hook="attn_scores", heads=(4,)), ShapeError, r"heads \(4,\)"),
        (dict(hook="k", heads=(3,)), ShapeError, r"heads \(3,\), needed are 0-1"),
        (dict(hook="post", neurons=(64,)), ShapeError, r"neurons \(64,\)"),
        (dict(hook="z", heads=()), ConfigError, "heads must name one or more"),
        (dict(hook="post", neurons=[]), ConfigError, "neurons must name one or more"),
    ],
)
def test_parts_that_a_model_lacks_are_refused_at_once(settings, error, says) -> None:
    model = tiny("llama")
    for read in (model.run, model.generate):
        with pytest.raises(error, match=says) as refusal:
            read(ROWS, edits=[Ablate(**settings)])
        assert isinstance(refusal.value, InterpError)


def test_of_many_texts_some_may_lack_the_place_but_not_all() -> None:
    """Batches hold few texts each; a place is looked for in all of them together."""
    model, rows = tiny("llama"), [*ROWS, [3, 5, 8]]
    plain = nats_per_token(model, rows, most_values=1)
    for where, met in (
        (Where(tokens=[14]), [False, True, False]),
        (Where(positions=(2, 6)), [True, True, False]),
        (Where(start=-6, stop=3), [True, True, True]),
        (Where(start=4), [False, True, False]),
    ):
        edit = Scale(hook=("resid_pre", 0), factor=-3.0, where=where)
        edited = nats_per_token(model, rows, edits=[edit], most_values=1)
        differs = [not torch.equal(a, b) for a, b in zip(plain, edited, strict=True)]
        assert differs == met, where
        alone = nats_per_token(model, rows[1:2], edits=[edit])[0]
        torch.testing.assert_close(edited[1], alone)
    for where in (Where(tokens=[27]), Where(start=7), Where(positions=(2, 7))):
        edit = Scale(hook="embed", factor=0.0, where=where)
        with pytest.raises(ConfigError, match="nothing would be changed"):
            nats_per_token(model, rows, edits=[edit], most_values=1)


def test_the_refusal_names_the_clauses_and_what_stands_in_the_way() -> None:
    model = tiny("llama")
    edit = Scale(hook="embed", factor=0.0, where=Where(tokens=[27, 3]))
    with pytest.raises(ConfigError, match=r"Where\(tokens=\[3, 27\]\).*set bos=True"):
        model.run(ROWS, edits=[edit])
    with pytest.raises(ConfigError, match="set bos=True"):
        model.run([3], edits=[Scale(hook="embed", factor=0.0)])
    assert edits_within([edit], EditContext.of(torch.tensor([ROWS[0]]))) == []
    assert str(edit) == "Scale at 'embed', Where(tokens=[3, 27])"


def test_a_continuation_says_that_an_edit_changed_nothing() -> None:
    model = tiny("gpt2")
    idle, live = (
        Scale(hook=("resid_post", 0), factor=-3.0, where=where)
        for where in (Where(positions=(20,)), Where(positions=(2, 5)))
    )
    result = continuation(model, ROWS[0], [idle, live], max_new_tokens=6)
    assert result.idle_edits == (str(idle),)
    assert "changed nothing: Scale at ('resid_post', 0), Where(positions=(20,))" in str(result)
    assert "changed nothing" not in str(continuation(model, ROWS[0], [live], max_new_tokens=6))
