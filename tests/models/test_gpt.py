"""What must hold of the transformer whatever its weights: properties first, examples after."""

import math
import threading

import pytest
import torch
from torch import Tensor

from interp.core.edits import Add, Call, Replace, Scale, Where
from interp.core.errors import (
    ConfigError,
    HookNameError,
    NonFiniteError,
    ShapeError,
    TokenError,
)
from interp.core.hooks import EXPENSIVE, SHORT, everything, resolve, short_name
from interp.core.protocols import LanguageModel
from interp.models import gpt
from interp.models.gpt import GPT
from interp.models.io.checkpoint import open_model, save_model
from interp.models.kv_cache import KVCache
from tests.families import FAMILIES, tiny

TOKENS = torch.randint(1, 29, (3, 9), generator=torch.Generator().manual_seed(5))
CLOSE = dict(rtol=1e-4, atol=1e-5)
EXACT_PATHS = [
    "attn_scores",
    "pattern",
    "ln1_scale",
    "ln1_normalized",
    "final_scale",
    *sorted(EXPENSIVE),
]


def test_it_is_a_language_model(tiny_model: GPT) -> None:
    assert isinstance(tiny_model, LanguageModel)


def test_a_token_changes_nothing_before_it(any_model: GPT) -> None:
    other = TOKENS.clone()
    other[:, 5] = (other[:, 5] + 1) % 29
    before, after = any_model.run(TOKENS).logits, any_model.run(other).logits
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).flatten(1).any(1).all()


def test_the_order_of_the_batch_does_not_matter(any_model: GPT) -> None:
    order = torch.tensor([2, 0, 1])
    plain, mixed = any_model.run(TOKENS).logits, any_model.run(TOKENS[order]).logits
    torch.testing.assert_close(mixed, plain[order], **CLOSE)


def test_padding_does_not_matter(any_model: GPT) -> None:
    rows = [TOKENS[0, :3].tolist(), TOKENS[1].tolist(), TOKENS[2, :6].tolist()]
    tokens, mask = any_model.to_tokens(rows)
    together = any_model.run(tokens, mask=mask, cache=["pattern", "resid_post"])
    for row, ids in enumerate(rows):
        alone = any_model.run(ids, cache=["pattern", "resid_post"])
        real = mask[row]
        torch.testing.assert_close(together.logits[row, real], alone.logits[0], **CLOSE)
        for layer in range(2):
            pattern = together["pattern", layer][row][:, real][:, :, real]
            torch.testing.assert_close(pattern, alone["pattern", layer][0], **CLOSE)
    assert together.logits.isfinite().all()


def test_columns_one_by_one_equal_all_at_once(any_model: GPT) -> None:
    kv = KVCache(any_model.cfg, 3, 9, any_model.embed.weight)
    with torch.no_grad():
        parts = [any_model(TOKENS[:, a:b], kv=kv) for a, b in [(0, 4), (4, 5), (5, 8), (8, 9)]]
    torch.testing.assert_close(torch.cat(parts, 1), any_model.run(TOKENS).logits, **CLOSE)


def test_caching_fused_points_leaves_every_bit(any_model: GPT) -> None:
    exact = {"attn_scores", "pattern", *EXPENSIVE}
    fused = [
        name
        for name in any_model.hook_names
        if short_name(name) not in exact and not name.endswith(("_scale", "_normalized"))
    ]
    run = any_model.run(TOKENS, cache=fused)
    assert torch.equal(run.logits, any_model.run(TOKENS).logits)
    assert set(run.cache) == set(fused)


@pytest.mark.parametrize("short", EXACT_PATHS)
def test_the_exact_path_agrees_with_the_fused_one(any_model: GPT, short: str) -> None:
    if short == "mlp_in" and any_model.cfg.attn_only:
        pytest.skip("a model without MLPs has no mlp_in")
    run = any_model.run(TOKENS, cache=[short])
    torch.testing.assert_close(run.logits, any_model.run(TOKENS).logits, **CLOSE)


def test_everything_is_cached_in_the_order_of_the_pass(any_model: GPT) -> None:
    assert list(any_model.run(TOKENS, cache="all").cache) == everything(any_model.hook_names)
    every = list(any_model.hook_names)
    assert list(any_model.run(TOKENS, cache=every).cache) == every


@pytest.mark.parametrize("family", FAMILIES)
def test_every_listed_point_is_causal(family: str) -> None:
    model = tiny(family)
    plain = model.run(TOKENS).logits
    random = torch.Generator().manual_seed(0)

    def disturb(x: Tensor, _: object) -> Tensor:
        return x * (1 + torch.rand(x.shape, generator=random))

    for name in model.hook_names:
        edited = model.run(TOKENS, edits=[Call(hook=name, function=disturb)]).logits
        assert (edited - plain).abs().max() > 1e-4, f"editing {name} changed nothing"


def test_shapes_are_those_of_transformer_lens() -> None:
    model = tiny("qwen3")
    run = model.run(TOKENS, cache=list(model.hook_names))
    b, t, d, h, kv, dh, mlp = 3, 9, 16, 4, 2, 6, 20
    shapes = {
        "resid_pre": (b, t, d),
        "q": (b, t, h, dh),
        "k": (b, t, kv, dh),
        "v": (b, t, kv, dh),
        "rot_q": (b, t, h, dh),
        "rot_k": (b, t, kv, dh),
        "attn_scores": (b, h, t, t),
        "pattern": (b, h, t, t),
        "z": (b, t, h, dh),
        "result": (b, t, h, d),
        "q_input": (b, t, h, d),
        "v_input": (b, t, kv, d),
        "ln1_scale": (b, t, 1),
        "ln2_normalized": (b, t, d),
        "pre": (b, t, mlp),
        "pre_linear": (b, t, mlp),
        "post": (b, t, mlp),
        "mlp_out": (b, t, d),
    }
    for short, shape in shapes.items():
        assert run.stack(short).shape == (2, *shape), short
    assert tiny("gpt2").run(TOKENS, cache=["pos_embed"])["pos_embed"].shape == (b, t, d)


def test_the_parts_add_up(any_model: GPT) -> None:
    run = any_model.run(TOKENS, cache=list(any_model.hook_names))
    total = run["embed"] + (run["pos_embed"] if any_model.pos_embed is not None else 0)
    for layer in range(2):
        torch.testing.assert_close(run["resid_pre", layer], total, **CLOSE)
        out = run["result", layer].sum(2) + any_model.weight(("b_O", layer))
        torch.testing.assert_close(run["attn_out", layer], out, **CLOSE)
        total = total + out + (0 if any_model.cfg.attn_only else run["mlp_out", layer])
    torch.testing.assert_close(any_model.unembed(run["resid_post", -1]), run.logits, **CLOSE)


def test_patterns_are_softmaxed_scores(any_model: GPT) -> None:
    run = any_model.run(TOKENS, cache=["pattern", "attn_scores"])
    torch.testing.assert_close(run.stack("attn_scores").softmax(-1), run.stack("pattern"))
    assert (run.stack("pattern").triu(1) == 0).all()
    torch.testing.assert_close(run.stack("pattern").sum(-1), torch.ones(2, 3, 4, 9))


def test_weights_by_name_rebuild_what_the_points_hold(any_model: GPT) -> None:
    names = ["ln1_normalized", "q", "k", "v", "z", "result", "embed"]
    run, w = any_model.run(TOKENS, cache=names), any_model.weight
    torch.testing.assert_close(run["embed"], w("W_E")[TOKENS])
    for layer in range(2):
        x = run["ln1_normalized", layer] * w(("ln1.w", layer)) + w(("ln1.b", layer))
        for part in "QKV":
            by_hand = torch.einsum("btm,hmd->bthd", x, w((f"W_{part}", layer)))
            by_hand = by_hand + w(f"blocks.{layer}.attn.b_{part}")
            torch.testing.assert_close(run[part.lower(), layer], by_hand, **CLOSE)
        by_hand = torch.einsum("bthd,hdm->bthm", run["z", layer], w(("W_O", layer)))
        torch.testing.assert_close(run["result", layer], by_hand, **CLOSE)


def test_weights_of_the_mlp_and_of_both_ends() -> None:
    model = tiny("llama")
    run = model.run(TOKENS, cache=["ln2_normalized", "pre", "pre_linear", "post", "mlp_out"])
    x = run["ln2_normalized", 1] * model.weight(("ln2.w", 1))
    torch.testing.assert_close(run["pre", 1], x @ model.weight(("W_gate", 1)), **CLOSE)
    torch.testing.assert_close(run["pre_linear", 1], x @ model.weight(("W_in", 1)), **CLOSE)
    out = run["post", 1] @ model.weight("blocks.1.mlp.W_out") + model.weight(("b_out", 1))
    torch.testing.assert_close(run["mlp_out", 1], out, **CLOSE)
    final = model.run(TOKENS, cache=["final_normalized"])
    logits = final["final_normalized"] * model.weight("ln_final.w") @ model.weight("W_U")
    torch.testing.assert_close(logits + model.weight("b_U"), final.logits, **CLOSE)


@pytest.mark.parametrize(
    ("name", "says"),
    [("W_Q", "give one"), (("W_gate", 0), "no weight"), (("W_Q", 2), "0-1"), ("W_e", "'W_E'")],
)
def test_an_unknown_weight_says_so(tiny_model: GPT, name: object, says: str) -> None:
    with pytest.raises(HookNameError, match=says):
        tiny_model.weight(name)


def test_caches_keep_gradients_only_when_asked(any_model: GPT) -> None:
    plain = any_model.run(TOKENS, cache=["z"])
    assert not plain.logits.requires_grad and not plain["z", 0].requires_grad
    run = any_model.run(TOKENS, cache=["z", "pattern", "q_input", "resid_pre"], grad=True)
    gradients = torch.autograd.grad(run.logits[:, -1].logsumexp(-1).sum(), list(run.cache.values()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_agree_with_finite_differences(family: str) -> None:
    model = tiny(family, n_layers=1, d_model=8, d_vocab=7).double()
    tokens = torch.tensor([[1, 2, 3, 1]])
    for parameter in model.parameters():
        loss = model.loss(tokens)
        (gradient,) = torch.autograd.grad(loss, [parameter])
        place = int(gradient.abs().argmax())
        with torch.no_grad():
            values = []
            for step in (1e-5, -2e-5):
                parameter.view(-1)[place] += step
                values.append(model.loss(tokens))
            parameter.view(-1)[place] += 1e-5
        slope = (values[0] - values[1]) / 2e-5
        torch.testing.assert_close(slope, gradient.view(-1)[place], rtol=1e-4, atol=1e-8)


def test_it_begins_by_knowing_nothing() -> None:
    for family in FAMILIES:
        fresh = tiny(family, init_std=0.02, embed_std=0.02, head_std=0.001, d_vocab=512)
        tokens = torch.randint(0, 512, (8, 20), generator=torch.Generator().manual_seed(1))
        assert abs(fresh.loss(tokens).item() - math.log(512)) < 0.05


def test_zero_projections_begin_as_the_identity() -> None:
    model = tiny("qwen3", zero_projections=True)
    run = model.run(TOKENS, cache=["embed", "resid_post"])
    assert torch.equal(run["resid_post", -1], run["embed"])


def test_half_precision_stays_near(any_model: GPT) -> None:
    exact = any_model.run(TOKENS).logits
    loss = any_model.loss(TOKENS).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(any_model.loss(TOKENS).detach(), loss, rtol=0.05, atol=0.05)
    half = any_model.to(torch.bfloat16)
    assert half.run(TOKENS, cache="all").logits.dtype == torch.bfloat16
    assert (half.run(TOKENS).logits.float() - exact).abs().mean() < 0.1
    assert len(half.generate(TOKENS, max_new_tokens=3).tokens[0]) == 3


@pytest.mark.slow
def test_it_compiles_to_one_graph(any_model: GPT) -> None:
    explanation = torch._dynamo.explain(any_model)(TOKENS)
    assert (explanation.graph_count, explanation.graph_break_count) == (1, 0)


def test_the_loss_weighs_what_is_predicted(tiny_model: GPT) -> None:
    even = tiny_model.loss(TOKENS, torch.full(TOKENS.shape, 3.0))
    torch.testing.assert_close(even, tiny_model.loss(TOKENS))
    weights = torch.zeros(TOKENS.shape)
    weights[1, 4] = 2.0
    expected = -tiny_model.run(TOKENS).logits[1, 3].log_softmax(-1)[TOKENS[1, 4]]
    torch.testing.assert_close(tiny_model.loss(TOKENS, weights), expected)


def test_dropout_is_for_training_only() -> None:
    model = tiny("gpt2", dropout=0.5).train()
    assert not torch.equal(model(TOKENS), model(TOKENS))
    assert torch.equal(model.run(TOKENS).logits, model.run(TOKENS).logits)
    assert torch.equal(model.run(TOKENS).logits, model.eval()(TOKENS))


def test_an_error_in_a_run_leaves_nothing_behind(any_model: GPT) -> None:
    before = any_model.run(TOKENS).logits
    wrong = [Add(hook="resid_post", vector=torch.ones(16)), Add(hook="z", vector=torch.ones(99))]
    with pytest.raises(ShapeError):
        any_model.run(TOKENS, edits=wrong)
    assert torch.equal(any_model.run(TOKENS).logits, before)


def test_a_wrong_name_is_refused_before_anything_runs(any_model: GPT) -> None:
    with pytest.raises(HookNameError, match="resid_post"):
        any_model.run(TOKENS, cache=["resid_pots"])
    with pytest.raises(HookNameError, match="resid_post"):
        any_model.run(TOKENS, edits=[Add(hook=("resid_posts", 0), vector=torch.ones(16))])


def test_a_single_name_needs_no_list(tiny_model: GPT) -> None:
    assert list(tiny_model.run(TOKENS, cache="z").cache) == resolve("z", tiny_model.hook_names)
    assert len(tiny_model.run(TOKENS, cache=("z", 1)).cache) == 1


@pytest.mark.slow
def test_two_threads_one_steering_one_plain(tiny_model: GPT) -> None:
    steer = [Add(hook=("resid_post", 0), vector=torch.ones(16), scale=3.0)]
    twins = [tiny_model.run(TOKENS, edits=edits).logits for edits in ([], steer)]
    wrong: list[int] = []

    def repeat(kind: int) -> None:
        for number in range(1000):
            run = tiny_model.run(TOKENS, edits=steer if kind else [], cache=["resid_post"])
            if not torch.equal(run.logits, twins[kind]):
                wrong.append(number)

    threads = [threading.Thread(target=repeat, args=(kind,)) for kind in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_same_seed_gives_the_same_weights_whatever_torch_drew_before() -> None:
    torch.manual_seed(1)
    first = tiny("llama").hash
    torch.manual_seed(2)
    assert tiny("llama").hash == first


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ([], "at least one"),
        ([3, 29], "0-28"),
        ([-1], "0-28"),
        ("text", "needs a tokenizer"),
        (torch.ones(2, 3), "whole numbers"),
        (list(range(25)), "holds 24"),
        ([1, "a"], "mixture"),
        ([[1], []], "empty"),
    ],
)
def test_a_prompt_that_cannot_be_run_says_why(tiny_model: GPT, prompt: object, says: str) -> None:
    with pytest.raises(TokenError, match=says):
        tiny_model.run(prompt)


def test_a_mask_must_fit_and_pad_on_the_left(tiny_model: GPT) -> None:
    with pytest.raises(ShapeError, match="shape of the tokens"):
        tiny_model.run(TOKENS, mask=torch.ones(3, 8))
    with pytest.raises(ShapeError, match="left"):
        tiny_model.run(TOKENS, mask=torch.tensor([[1] * 8 + [0]] * 3))


def test_every_short_name_is_some_familys() -> None:
    seen = {short_name(name) for family in FAMILIES for name in tiny(family).hook_names}
    assert seen == set(SHORT)


@pytest.mark.gpu
@pytest.mark.skipif(
    not (torch.cuda.is_available() or torch.backends.mps.is_available()),
    reason="needs a CUDA or MPS device",
)
def test_a_gpu_agrees_with_the_cpu(any_model: GPT) -> None:
    from interp.models.io.device import pick_device

    here = any_model.run(TOKENS, cache=["pattern", "resid_post"])
    greedy = any_model.generate(TOKENS, max_new_tokens=8, temperature=0).tokens
    any_model.to(pick_device("auto"))
    there = any_model.run(TOKENS, cache=["pattern", "resid_post"])
    torch.testing.assert_close(there.logits.cpu(), here.logits, rtol=1e-3, atol=1e-3)
    for name, value in here.cache.items():
        torch.testing.assert_close(there.cache[name].cpu(), value, rtol=1e-3, atol=1e-3)
    assert any_model.generate(TOKENS, max_new_tokens=8, temperature=0).tokens == greedy


@pytest.mark.parametrize("name", ["embed", ("resid_post", 0), ("pattern", 1), "final_normalized"])
def test_a_run_without_logits_caches_the_same(any_model, name):
    whole = any_model.run(TOKENS, cache=[name])
    bare = any_model.run(TOKENS, cache=[name], logits=False)
    assert bare.logits is None and list(bare.cache) == list(whole.cache)
    for point, value in whole.cache.items():
        assert torch.equal(bare.cache[point], value)


def test_a_run_without_logits_stops_behind_the_last_point_it_needs(tiny_model):
    layers = []
    for number, block in enumerate(tiny_model.blocks):
        block.register_forward_hook(lambda *_, number=number: layers.append(number))
    tiny_model.run(TOKENS, cache=[("resid_pre", 0)], logits=False)
    assert layers == [0]
    edit = Add(hook=("resid_pre", 1), vector=torch.ones(16))
    tiny_model.run(TOKENS, cache=[("resid_pre", 0)], edits=[edit], logits=False)
    assert layers == [0, 0, 1]


def test_gradients_flow_through_a_run_without_logits(tiny_model):
    run = tiny_model.run(TOKENS, cache=[("resid_post", 0)], grad=True, logits=False)
    run["resid_post", 0].sum().backward()
    assert tiny_model.embed.weight.grad is not None


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (torch.tensor([[1, -1]]), TokenError),
        (torch.tensor([[1, 29]]), TokenError),
        (torch.tensor([[1.0, 2.0]]), ShapeError),
        (torch.tensor([[True, False]]), ShapeError),
        (torch.tensor([1, 2]), ShapeError),
        (torch.tensor([[[1, 2]]]), ShapeError),
        (torch.empty(0, 3, dtype=torch.long), ShapeError),
        (torch.empty(2, 0, dtype=torch.long), ShapeError),
        (torch.ones(1, 25, dtype=torch.long), TokenError),
    ],
)
def test_a_pass_over_what_are_no_ids_says_so(any_model: GPT, ids: Tensor, kind: type) -> None:
    with pytest.raises(kind):
        any_model(ids)
    if kind is TokenError:
        with pytest.raises(TokenError):
            any_model.run(ids)


@pytest.mark.parametrize(
    ("cache", "where"),
    [
        ([], "logits"),
        (["resid_post"], "blocks.0.hook_resid_post"),
        (["pattern"], "blocks.1.attn.hook_pattern"),
    ],
)
@pytest.mark.parametrize("logits", [True, False])
def test_a_run_that_is_not_finite_says_whose_and_where(
    cache: list[str], where: str, logits: bool
) -> None:
    if not cache and not logits:
        return  # nothing came out
    model = tiny("llama")
    model.blocks[0].mlp.up.weight.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match=rf"tiny-llama .* {where} \(row 0, position 0\)"):
        model.run(TOKENS, cache=cache, logits=logits)
    # Padding is not looked at, and scores are -inf where a query does not see.
    tokens, mask = tiny("llama").to_tokens([[1, 2], [3, 4, 5]])
    tiny("llama").run(tokens, mask=mask, cache=["attn_scores", "pattern"])


def test_an_edit_beyond_every_norm_is_refused(any_model: GPT) -> None:
    """The norm of a stream of 1e30 is made of squares that overflow, and would give zeros."""
    for edit in (
        Scale(hook=("resid_post", 0), factor=1e30),
        Add(hook=("resid_pre", 1), vector=torch.full((any_model.cfg.d_model,), float("nan"))),
    ):
        with pytest.raises(NonFiniteError, match="Weaken it"):
            any_model.run(TOKENS, edits=[edit])
    # A link that is cut is no such edit: its score is -inf.
    cut = Replace(hook=("attn_scores", 0), value=torch.tensor(-math.inf), where=Where(stop=3))
    with pytest.raises(NonFiniteError, match="logits"):  # of all keys, which leaves nothing
        any_model.run(TOKENS, edits=[cut])


@pytest.mark.parametrize("where", [Where(positions=(50,)), Where(positions=(-12,)), Where(start=9)])
def test_an_edit_beyond_the_prompt_is_refused_in_a_run(any_model: GPT, where: Where) -> None:
    edit = Scale(hook=("resid_post", 0), factor=0.5, where=where)
    with pytest.raises(ConfigError, match=r"0-8 .* nothing would be changed"):
        any_model.run(TOKENS, edits=[edit])
    any_model.run(TOKENS, edits=[Scale(hook="resid_post", factor=0.5, where=Where(positions=[8]))])


def test_in_generation_a_position_may_still_come(tiny_model: GPT) -> None:
    late = Scale(hook="resid_post", factor=0.0, where=Where(positions=(11,)))
    plain = tiny_model.generate(TOKENS[:1], max_new_tokens=6, temperature=0)
    edited = tiny_model.generate(TOKENS[:1], max_new_tokens=6, temperature=0, edits=[late])
    assert edited.tokens[0][:3] == plain.tokens[0][:3]
    assert edited.steps[0][3].log_prob_nats != plain.steps[0][3].log_prob_nats


def test_weights_that_will_be_filled_are_not_drawn(tmp_path, monkeypatch):
    model = tiny("gpt2")
    folder = save_model(model, tmp_path / "model")
    before = torch.get_rng_state()

    def drawn(*_, **__):
        raise AssertionError("weights were drawn")

    monkeypatch.setattr(gpt, "initialize", drawn)
    assert open_model(folder).hash == model.hash
    assert torch.equal(torch.get_rng_state(), before)
