"""Edits: what each does, where, and that no way of running changes the outcome."""

import itertools
import json

import pytest
import torch
from torch import Tensor

from interp.core.edits import (
    Ablate,
    Add,
    Call,
    Clamp,
    Edit,
    Project,
    Replace,
    Scale,
    Where,
    from_first_token,
    from_json,
    to_json,
)
from interp.core.errors import ConfigError, HookNameError, InterpError, ShapeError
from tests.families import tiny

RANDOM = torch.Generator().manual_seed(3)
V = torch.randn(4, 16, generator=RANDOM)
ROWS = torch.randn(24, 16, generator=RANDOM)
KEYS = torch.randn(24, 24, generator=RANDOM).softmax(-1)
TOKENS = torch.randint(1, 29, (2, 7), generator=RANDOM)
KINDS: dict[str, tuple[type[Edit], dict[str, object]]] = {
    "add": (Add, dict(hook=("resid_post", 0), vector=V[0], scale=2.0)),
    "add by position": (Add, dict(hook=("resid_pre", 1), vector=ROWS)),
    "replace": (Replace, dict(hook=("resid_post", 0), value=V[1])),
    "ablate": (Ablate, dict(hook="attn_out")),
    "ablate a head": (Ablate, dict(hook=("z", 0), heads=[1, -1])),
    "mean": (Ablate, dict(hook="attn_out", kind="mean", value=V[2])),
    "resample": (Ablate, dict(hook=("resid_post", 0), kind="resample", value=ROWS)),
    "scale": (Scale, dict(hook="attn_out", factor=-1.5)),
    "scale keys": (Scale, dict(hook=("k", 1), factor=2.5)),
    "neurons": (Scale, dict(hook="post", factor=-3.0, neurons=range(5))),
    "project": (Project, dict(hook="resid_post", directions=V[:2])),
    "clamp": (Clamp, dict(hook=("resid_post", 0), directions=V[:3], values=[3.0, 0.0, -3.0])),
    "call": (Call, dict(hook=("resid_pre", 1), function=lambda x, context: x.flip(-1))),
    "scores": (Scale, dict(hook=("attn_scores", 0), factor=-2.0, heads=(0, 2))),
    "pattern": (Replace, dict(hook=("pattern", 1), value=KEYS, heads=(1,))),
}
WHERES = {
    "all": Where(),
    "prompt": Where(span="prompt"),
    "generated": Where(span="generated"),
    "range": Where(start=2, stop=8),
    "positions": Where(positions=(0, 3, 6, -1)),
    "tokens": Where(tokens=frozenset(range(0, 29, 3))),
    "bos": Where(bos=True, start=-2),
    "two clauses": Where(span="generated", start=4, tokens=frozenset(range(0, 29, 2))),
}


def edit(kind: str, where: Where = WHERES["all"]) -> Edit:
    maker, settings = KINDS[kind]
    return maker(**settings, where=where)


def continuations(family: str, edits: list[Edit]) -> list[list[int]]:
    """Greedy and sampled tokens of two prompts, after asserting that every way gives the same."""
    model = tiny(family)
    prompts = [[3, 9, 1, 12], [3, 22, 14, 7, 2, 28, 9]]
    out = []
    for how in (dict(temperature=0.0), dict(temperature=1.5, seed=[11, 12])):
        how = dict(how, edits=edits, max_new_tokens=6)
        together = model.generate(prompts, **how).tokens
        assert model.generate(prompts, **how, use_cache=False).tokens == together
        for row, prompt in enumerate(prompts):
            alone = dict(how, seed=11 + row)
            assert model.generate(prompt, **alone).tokens == [together[row]]
        out += together
    return out


@pytest.mark.parametrize("where", WHERES)
@pytest.mark.parametrize("kind", KINDS)
def test_cached_batched_and_padded_runs_agree(kind: str, where: str) -> None:
    family = "gpt2" if (len(kind) + len(where)) % 2 else "llama"
    continuations(family, [edit(kind, WHERES[where])])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["rotary", "qwen3"])
def test_they_agree_for_other_kinds_of_model(family: str) -> None:
    for kind, where in itertools.product(KINDS, WHERES):
        continuations(family, [edit(kind, WHERES[where])])


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_with_an_edit_is_the_same_padded(kind: str) -> None:
    model = tiny("llama")
    rows = [[3, 9, 1, 12], [3, 22, 14, 7, 2, 28, 9]]
    together = model.run(rows, edits=[edit(kind)])
    for row, ids in enumerate(rows):
        alone = model.run(ids, edits=[edit(kind)]).logits[0]
        padded = together.logits[row, -len(ids) :]
        torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(alone[1:], model.run(ids).logits[0, 1:], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_it_acts_only_where_it_says(kind: str) -> None:
    model = tiny("llama")
    chosen = edit(kind, Where(positions=(4,)))
    name = chosen.hook if isinstance(chosen.hook, tuple) else (chosen.hook, 0)
    plain = model.run(TOKENS, cache=[name])[name]
    edited = model.run(TOKENS, cache=[name], edits=[chosen])[name]
    axis = 2 if name[0] in ("pattern", "attn_scores") else 1
    differs = (plain != edited).movedim(axis, 0).flatten(1).any(1)
    assert differs.tolist() == [False] * 4 + [True] + [False] * 2


def test_edits_that_change_nothing_keep_every_bit(any_model) -> None:
    run = any_model.run(TOKENS, cache=["resid_post", "z"])
    same = [
        Add(hook="resid_post", vector=V[0], scale=0.0),
        Scale(hook="z", factor=1.0),
        Replace(hook=("resid_post", 1), value=run["resid_post", 1]),
        Ablate(hook=("z", 0), kind="resample", value=run["z", 0]),
    ]
    assert torch.equal(any_model.run(TOKENS, edits=same).logits, run.logits)


def test_dose_zero_gives_the_same_tokens(any_model) -> None:
    zero = [Add(hook="resid_post", vector=V[0], scale=0.0, where=Where(bos=True))]
    for temperature in (0.0, 1.0):
        how = dict(max_new_tokens=10, temperature=temperature, seed=4)
        plain = any_model.generate(TOKENS, **how)
        assert any_model.generate(TOKENS, **how, edits=zero) == plain


def test_add_moves_by_exactly_its_vector(any_model) -> None:
    plain = any_model.run(TOKENS, cache=["resid_post"])["resid_post", 0]
    doses = torch.tensor([0.5, -3.0])
    push = Add(hook=("resid_post", 0), vector=V[0], scale=doses)
    moved = any_model.run(TOKENS, cache=["resid_post"], edits=[push])["resid_post", 0]
    expected = plain[:, 1:] + doses[:, None, None] * V[0]
    assert torch.equal(moved[:, 1:], expected) and torch.equal(moved[:, 0], plain[:, 0])


def test_a_batch_of_doses_is_each_dose_alone(tiny_model) -> None:
    doses = torch.tensor([0.0, 1.0, 4.0])
    prompt = TOKENS[:1].repeat(3, 1)
    push = Add(hook="resid_post", vector=V[0], scale=doses)
    together = tiny_model.generate(prompt, edits=[push], temperature=0, max_new_tokens=8).tokens
    for row, dose in enumerate(doses.tolist()):
        alone = Add(hook="resid_post", vector=V[0], scale=dose)
        [tokens] = tiny_model.generate(
            TOKENS[:1], edits=[alone], temperature=0, max_new_tokens=8
        ).tokens
        assert tokens == together[row]


def after(chosen: Edit, hook: str = "resid_post") -> Tensor:
    run = tiny("gpt2").run(TOKENS, cache=[(hook, 0)], edits=[chosen])
    return run[hook, 0]


def test_project_leaves_nothing_along_its_directions() -> None:
    dependent = torch.stack([V[0], 2 * V[0], V[1]])
    left = after(Project(hook=("resid_post", 0), directions=dependent, where=Where(bos=True)))
    assert (left @ dependent.T).abs().max() < 1e-4
    plain = after(Scale(hook=("resid_post", 0), factor=1.0))
    other = torch.linalg.qr(V[:3].T)[0][:, 2]
    torch.testing.assert_close(left @ other, plain @ other, rtol=1e-4, atol=1e-5)


def test_clamp_sets_all_its_readings_at_once_and_nothing_else() -> None:
    values = torch.tensor([3.0, -1.0, 0.5])
    chosen = Clamp(hook=("resid_post", 0), directions=V[:3], values=values, where=Where(bos=True))
    clamped = after(chosen)
    torch.testing.assert_close(clamped @ V[:3].T, values.expand(2, 7, 3), rtol=1e-4, atol=1e-4)
    moved = clamped - after(Scale(hook=("resid_post", 0), factor=1.0))
    rest = torch.linalg.svd(V[:3])[2][3:]
    assert (moved @ rest.T).abs().max() < 1e-4


def test_clamp_takes_a_row_of_values_for_each_row() -> None:
    values = torch.tensor([[3.0, 1.0], [-3.0, 0.0]])
    chosen = Clamp(hook=("resid_post", 0), directions=V[:2], values=values)
    readings = after(chosen)[:, 1:] @ V[:2].T
    torch.testing.assert_close(readings, values[:, None].expand(2, 6, 2), rtol=1e-4, atol=1e-4)


def test_heads_and_neurons_touch_no_other() -> None:
    z = after(Ablate(hook=("z", 0), heads=(2,)), "z")
    plain = after(Scale(hook=("z", 0), factor=1.0), "z")
    assert (z[:, 1:, 2] == 0).all()
    assert torch.equal(z[:, :, [0, 1, 3]], plain[:, :, [0, 1, 3]])
    post = after(Replace(hook=("post", 0), value=5.0, neurons=(3, -1)), "post")
    assert (post[:, 1:, [3, 63]] == 5).all() and (post == 5).sum() == 2 * 6 * 2


def test_no_edit_of_scores_or_pattern_lets_the_future_in() -> None:
    model = tiny("gpt2")
    other = TOKENS.clone()
    other[:, -1] += 1 - 2 * (other[:, -1] == 28).long()
    for chosen in (
        Replace(hook="attn_scores", value=1.0, where=Where(bos=True)),
        Ablate(hook="attn_scores"),
        Replace(hook="pattern", value=1.0),
    ):
        one, two = (model.run(ids, edits=[chosen]).logits for ids in (TOKENS, other))
        assert torch.equal(one[:, :-1], two[:, :-1])


def test_patching_from_a_padded_run_counts_from_the_first_token() -> None:
    model = tiny("gpt2")
    source, target = [[4, 5, 6], [7, 8, 9, 10, 11]], [12, 13, 14]
    run = model.run(source, cache=["resid_post"])
    value = from_first_token(run["resid_post", 1], run.mask)
    alone = model.run(source[0], cache=["resid_post"])["resid_post", 1]
    torch.testing.assert_close(value[0, :3], alone[0])
    patch = Replace(hook=("resid_post", 1), value=value[0, :3], where=Where(bos=True))
    expected = model.run(source[0]).logits
    torch.testing.assert_close(model.run(target, edits=[patch]).logits, expected)


def test_edits_apply_in_the_order_given(tiny_model) -> None:
    both = [Replace(hook="embed", value=V[0]), Scale(hook="hook_embed", factor=2.0)]
    run = tiny_model.run(TOKENS, edits=both, cache=["embed"])
    assert torch.equal(run["embed"][:, 1:], (2 * V[0]).expand(2, 6, 16))


def test_gradients_reach_the_vector_of_an_edit(tiny_model) -> None:
    vector = V[0].clone().requires_grad_()
    run = tiny_model.run(TOKENS, edits=[Add(hook=("resid_post", 0), vector=vector)], grad=True)
    (gradient,) = torch.autograd.grad(run.logits.square().sum(), [vector])
    assert gradient.abs().sum() > 0


def test_json_brings_every_edit_back() -> None:
    kinds = [kind for kind in KINDS if kind != "call"]
    edits = [edit(kind, where) for kind, where in zip(kinds, itertools.cycle(WHERES.values()))]
    back = from_json(to_json(edits))
    assert to_json(back) == to_json(edits)
    assert continuations("gpt2", edits[:5]) == continuations("gpt2", back[:5])
    assert [one.where for one in back] == [one.where for one in edits]


def test_json_refuses_code_and_junk() -> None:
    with pytest.raises(ConfigError, match="code"):
        to_json([edit("call")])
    for junk in ("{", "[1]", '[{"edit": "Burn"}]', '[{"edit": "Scale", "where": {}, "hook": "z"}]'):
        with pytest.raises(ConfigError, match="describe edits"):
            from_json(junk)


@pytest.mark.parametrize(
    "vector",
    [
        {"dtype": "no_such_kind", "values": [1.0]},
        {"dtype": "load", "values": [1.0]},
        {"dtype": "int64", "values": [10**30]},
        {"dtype": "int64", "values": [1e999]},
        {"dtype": "float32", "values": [[1.0], 2.0]},
    ],
)
def test_json_of_tensors_that_cannot_be_is_refused(vector) -> None:
    record = {"edit": "Add", "hook": ["resid_post", 0], "where": {}, "vector": vector}
    with pytest.raises(ConfigError, match="describe edits"):
        from_json(json.dumps([record]))


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ConfigError, match="describe edits"):
        from_json("[" * 100_000)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (Add(hook="resid_post", vector=torch.ones(15)), r"\(2, 7, 16\).*\(15,\)"),
        (Add(hook="resid_post", vector=torch.ones(3, 16)), "positions 0-2.*position 3"),
        (Add(hook="resid_post", vector=torch.ones(3, 7, 16)), r"\(3, 7, 16\)"),
        (Add(hook="resid_post", vector=V[0], scale=torch.ones(3)), r"strengths of shape \(3,\)"),
        (Replace(hook="z", value=torch.ones(3, 4)), r"\(3, 4\)"),
        (Ablate(hook="z", heads=(4,)), r"heads \(4,\).*0-3"),
        (Ablate(hook="resid_post", heads=(0,)), "heads, which this site"),
        (Ablate(hook="z", neurons=(0,)), "neurons, which this site"),
        (Project(hook="z", directions=V), r"directions of shape \(4, 16\)"),
        (Project(hook="pattern", directions=torch.ones(1, 7)), "directions"),
        (Clamp(hook="z", directions=V, values=torch.zeros(4)), "directions"),
        (Clamp(hook="embed", directions=V, values=torch.zeros(3, 4)), "3 rows"),
        (Replace(hook="pattern", value=torch.ones(5)), r"\(5,\)"),
        (Call(hook="z", function=lambda x, _: x[:1]), r"\(1, 7, 4, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(tiny_model, chosen: Edit, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        tiny_model.run(TOKENS, edits=[chosen])


def test_settings_that_cannot_be_are_refused_when_made() -> None:
    with pytest.raises(ConfigError, match="takes a value"):
        Ablate(hook="z", kind="mean")
    with pytest.raises(ConfigError, match="takes no value"):
        Ablate(hook="z", value=V[0])
    with pytest.raises(ConfigError, match="zero, mean"):
        Ablate(hook="z", kind="burn")
    with pytest.raises(ConfigError, match="depend on one another"):
        Clamp(hook="z", directions=torch.stack([V[0], -V[0]]), values=[1.0, 2.0])
    with pytest.raises(ShapeError, match="one value a direction"):
        Clamp(hook="z", directions=V, values=[1.0])


def test_a_point_the_model_lacks_is_refused(tiny_model) -> None:
    with pytest.raises(HookNameError, match="rot_q"):
        tiny_model.run(TOKENS, edits=[Ablate(hook="rot_q")])


@pytest.mark.parametrize("hook", [5, None, {}, [], ("z",), ("z", "0"), ("z", True), (0, "z"), b"z"])
def test_a_hook_that_is_no_name_is_refused(hook, any_model):
    with pytest.raises(HookNameError, match="got"):
        any_model.run([[1, 2, 3]], edits=[Scale(hook=hook, factor=0.5)])
    with pytest.raises(HookNameError, match="got"):
        any_model.run([[1, 2, 3]], cache=[hook])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Scale(hook="z", factor=None),
        lambda: Scale(hook="z", factor="2"),
        lambda: Scale(hook="z", factor=True),
        lambda: Scale(hook="z", factor=float("nan")),
        lambda: Add(hook="z", vector=torch.ones(2), scale=10**400),
        lambda: Scale(hook="z", factor=1.0, heads=(1.5,)),
        lambda: Scale(hook="z", factor=1.0, heads=3),
        lambda: Scale(hook="z", factor=1.0, neurons=("1",)),
        lambda: Scale(hook="z", factor=1.0, heads=(float("-inf"),)),
        lambda: Scale(hook="z", factor=1.0, where={"start": 0}),
        lambda: Where(start="1"),
        lambda: Where(stop=[None]),
        lambda: Where(start=1.5),
        lambda: Where(positions=(2**70,)),
        lambda: Where(positions=3),
        lambda: Where(tokens=["a"]),
        lambda: Where(bos=None),
        lambda: Where(span={}),
        lambda: Project(hook="z", directions=torch.full((2,), float("nan"))),
        lambda: Clamp(hook="z", directions=torch.full((2,), float("inf")), values=torch.ones(1)),
        lambda: Project(hook="z", directions=torch.ones(2, 2, 2)),
        lambda: Project(hook="z", directions=torch.ones(0, 4)),
    ],
)
def test_values_of_another_kind_are_refused_when_an_edit_is_made(make):
    with pytest.raises(InterpError, match="must be"):
        make()


@pytest.mark.parametrize("change", ["dtype", "nested", "long", "half"])
def test_json_that_cannot_be_edits_is_a_short_sentence(change):
    text = to_json([Add(hook=("z", 0), vector=torch.ones(2))])
    texts = {
        "dtype": text.replace("float32", "x" * 10_000),
        "nested": text.replace("[1.0, 1.0]", "[" * 100_000 + "]" * 100_000),
        "long": text.replace("[1.0, 1.0]", "[" + "9" * 5_000 + "]"),
        "half": text.replace("float32", "\\ud83d"),
    }
    with pytest.raises(ConfigError) as refused:
        from_json(texts[change])
    assert len(str(refused.value)) < 500
