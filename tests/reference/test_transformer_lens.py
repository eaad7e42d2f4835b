"""TransformerLens' cache, hooks, texts and readouts, unchanged, on our models."""

import copy
import inspect

import pytest
import torch
from transformer_lens import ActivationCache
from transformer_lens.model_protocol import TransformerLensModelWithWeights
from transformer_lens.tools import analysis as tl
from transformer_lens.utilities import test_prompt as tl_test_prompt

from interp.core.errors import HookNameError, TokenError
from tests.reference.lens_models import CLEAN, FAMILIES, build, close

pytestmark = pytest.mark.reference


@pytest.fixture(params=FAMILIES)
def any_view(request):
    return build(request.param)


@pytest.fixture
def view():
    return build("gpt2")


# The view itself


def test_cache_and_logits_are_those_of_our_own_run(any_view):
    logits, cache = any_view.run_with_cache(CLEAN)
    run = any_view.model.run(CLEAN, cache="all")
    assert isinstance(cache, ActivationCache)
    close(logits, run.logits)
    assert set(cache.keys()) == set(run.cache)
    for name, value in run.cache.items():
        assert torch.equal(cache[name], value)


def test_weights_are_shared_and_the_model_stays_clean(any_view):
    model = any_view.model
    names_before = list(model.state_dict())
    assert {p.data_ptr() for p in any_view.parameters()} == {
        p.data_ptr() for p in model.parameters()
    }
    any_view.add_hook("hook_embed", lambda x, hook: x * 0)
    changed, plain = any_view(CLEAN), model.run(CLEAN).logits
    assert not torch.allclose(changed, plain)
    any_view.reset_hooks()
    close(any_view(CLEAN), plain)
    assert list(model.state_dict()) == names_before
    assert not any("hook" in name for name in any_view.state_dict())
    with torch.no_grad():
        model.embed.weight.mul_(2.0)
    close(any_view(CLEAN), model.run(CLEAN).logits)
    assert isinstance(any_view, TransformerLensModelWithWeights)


def test_every_listed_weight_has_the_layout_of_its_name(any_view):
    cfg, weights = any_view.cfg, any_view.tl_parameters()
    assert weights["blocks.0.attn.W_Q"].shape == (cfg.n_heads, cfg.d_model, cfg.d_head)
    assert weights["blocks.0.attn.W_O"].shape == (cfg.n_heads, cfg.d_head, cfg.d_model)
    assert weights["unembed.W_U"].shape == (cfg.d_model, cfg.d_vocab)
    if not cfg.attn_only:
        assert weights["blocks.0.mlp.W_in"].shape == (cfg.d_model, cfg.d_mlp)
    assert any_view.W_O.shape[:2] == (cfg.n_layers, cfg.n_heads)
    assert any_view.QK.shape == any_view.OV.shape == (3, 4, 16, 16)


def test_names_that_match_nothing_raise(view):
    nothing = "blocks.0.hook_resid_pst"
    with pytest.raises(HookNameError, match="resid_post"):
        view.run_with_cache(CLEAN, names_filter=nothing)
    with pytest.raises(HookNameError, match="resid_post"):
        view.run_with_cache(CLEAN, names_filter=[nothing])
    with pytest.raises(HookNameError, match="resid_post"):
        view.run_with_hooks(CLEAN, fwd_hooks=[(nothing, lambda x, hook: x)])
    with pytest.raises(HookNameError, match="resid_post"):
        view.add_hook(nothing, lambda x, hook: x)


def test_an_error_in_a_hook_leaves_no_hook(view):
    def broken(x, hook):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        view.run_with_hooks(CLEAN, fwd_hooks=[("hook_embed", broken)])
    assert view.list_hooks() == {}
    close(view(CLEAN), view.model.run(CLEAN).logits)


def test_expensive_points_are_cached_by_switch_or_by_name(view):
    assert "blocks.0.attn.hook_result" not in view.run_with_cache(CLEAN)[1]
    assert len(view.run_with_cache(CLEAN, names_filter="blocks.0.attn.hook_result")[1]) == 1
    for switch in ("attn_result", "split_qkv_input", "hook_mlp_in"):
        getattr(view, f"set_use_{switch}")(True)
    cache = view.run_with_cache(CLEAN)[1]
    assert set(cache.keys()) == set(view.hook_dict)
    close(cache["result", 1].sum(2) + view.blocks[1].attn.b_O, cache["attn_out", 1])


def test_gradients_of_every_point_are_cached(any_view):
    out, cache = any_view.run_with_cache(CLEAN, return_type="loss", incl_bwd=True)
    points = [name for name in cache if not name.endswith("_grad")]
    assert out.ndim == 0
    assert {f"{name}_grad" for name in points} <= set(cache.keys())
    name = "blocks.1.hook_resid_mid" if not any_view.cfg.attn_only else "blocks.1.hook_resid_pre"
    run = any_view.model.run(CLEAN, cache=[name], grad=True)
    loss = any_view.loss_fn(run.logits, CLEAN)
    close(cache[f"{name}_grad"], torch.autograd.grad(loss, run[name])[0])


def test_hooks_nest_and_contexts_end(view):
    double = ("hook_embed", lambda x, hook: 2 * x)
    with view.hooks(fwd_hooks=[double]):
        once = view(CLEAN)
        with view.hooks(fwd_hooks=[double]):
            twice = view(CLEAN)
        close(view(CLEAN), once)
    assert not torch.allclose(once, twice)
    close(view(CLEAN), view.model.run(CLEAN).logits)


def test_copies_are_independent(view):
    twin = copy.deepcopy(view)
    with torch.no_grad():
        twin.model.embed.weight.zero_()
    assert not torch.allclose(twin(CLEAN), view(CLEAN))
    assert torch.equal(twin.W_E, torch.zeros_like(view.W_E))
    close(twin.ln_final(torch.ones(1, 1, 16)), view.ln_final(torch.ones(1, 1, 16)))


def test_autocast_runs_through_hooks(view):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, cache = view.run_with_cache(CLEAN)
    assert (logits - view(CLEAN)).abs().max() < 0.5 and cache["z", 0].isfinite().all()


def test_text_in_and_out(view):
    ids = view.to_tokens("the cat sat")
    assert view.to_str_tokens("the cat sat") == ["<|bos|>", "the", " cat", " sat"]
    assert view.to_tokens("the cat sat", prepend_bos=False).shape[1] == ids.shape[1] - 1
    assert view.to_string(ids[0]) == "the cat sat" and view.to_string(ids) == ["the cat sat"]
    assert view.to_single_token(" cat") == int(ids[0, 2])
    with pytest.raises(TokenError, match="must be one token"):
        view.to_single_token(" cat sat")
    both = view(["the cat sat", "the dog"])
    close(both[1, -1], view("the dog")[0, -1])
    close(view("the cat", return_type="both")[1], view("the cat", return_type="loss"))
    assert view("the cat", return_type="loss", loss_per_token=True).shape == (1, 2)
    assert view("the cat", return_type=None) is None


def test_test_prompt_prints_ranks(view, capsys):
    tl_test_prompt("the cat sat on", " the", view)
    assert "Rank" in capsys.readouterr().out


# ActivationCache


@pytest.fixture
def cached(any_view):
    logits, cache = any_view.run_with_cache(CLEAN)
    return any_view, logits, cache


def test_cache_is_a_mapping_with_short_names(cached):
    view, _, cache = cached
    assert torch.equal(cache["resid_post", -1], cache["blocks.2.hook_resid_post"])
    assert len(cache) == len(list(cache.items())) == len(list(cache.values())) == len(list(cache))
    assert torch.equal(cache.to("cpu")["z", 0], cache["z", 0])
    cache.toggle_autodiff(False)
    torch.set_grad_enabled(True)
    assert cache.apply_slice_to_batch_dim(0)["z", 0].ndim == 3
    single = view.run_with_cache(CLEAN[:1], remove_batch_dim=True)[1]
    close(single["z", 0], cache["z", 0][0])
    close(view.run_with_cache(CLEAN[:1])[1].remove_batch_dim()["z", 0], single["z", 0])
    sliced = view.run_with_cache(CLEAN, pos_slice=-1)[1]
    close(sliced["resid_post", 0], cache["resid_post", 0][:, -1:])
    assert cache.stack_activation("pattern").shape[0] == 3


def test_residual_parts_sum_to_the_stream(cached):
    view, _, cache = cached
    last = cache["resid_post", -1]
    parts, labels = cache.decompose_resid(return_labels=True)
    close(parts.sum(0), last)
    assert len(labels) == len(parts)
    close(cache.decompose_resid(layer=1).sum(0), cache["resid_pre", 1])
    close(cache.accumulated_resid()[-1], last)
    if not view.cfg.attn_only:
        close(cache.decompose_resid(layer=1, mlp_input=True).sum(0), cache["resid_mid", 1])
        assert len(cache.decompose_resid(mode="mlp", incl_embeds=False)) == 3
        assert len(cache.accumulated_resid(incl_mid=True)) == 7
    assert len(cache.decompose_resid(mode="attn", incl_embeds=False)) == 3


def test_norms_of_parts_are_the_models_own(cached):
    view, _, cache = cached
    close(cache.decompose_resid(apply_ln=True).sum(0), cache["ln_final.hook_normalized"])
    close(
        cache.decompose_resid(layer=2, apply_ln=True).sum(0),
        cache["blocks.2.ln1.hook_normalized"],
    )
    close(
        cache.apply_ln_to_stack(cache["resid_pre", 1][None], layer=1)[0],
        cache["blocks.1.ln1.hook_normalized"],
    )
    lens = cache.accumulated_resid(apply_ln=True)
    logits = lens @ view.W_U + view.b_U
    close(logits[-1], view.model.run(CLEAN).logits)


def test_heads_and_neurons_sum_to_their_layers(cached):
    view, _, cache = cached
    cache.compute_head_results()
    close(cache["result", 0].sum(2) + view.blocks[0].attn.b_O, cache["attn_out", 0])
    heads, labels = cache.stack_head_results(return_labels=True, incl_remainder=True)
    assert labels[:2] == ["L0H0", "L0H1"]
    close(heads.sum(0), cache["resid_post", -1])
    assert cache.stack_head_results(layer=2, apply_ln=True).shape[0] == 8
    if view.cfg.attn_only:
        return
    neurons = cache.get_neuron_results(1)
    close(neurons.sum(-2) + view.blocks[1].mlp.b_out, cache["mlp_out", 1])
    stack, _ = cache.stack_neuron_results(layer=3, return_labels=True, incl_remainder=True)
    close(stack.sum(0), cache["resid_post", -1], atol=1e-4)
    direction = view.W_U[:, 3]
    projected = cache.stack_neuron_results(layer=2, project_output_onto=direction, apply_ln=True)
    whole = cache.stack_neuron_results(layer=2, apply_ln=True) @ direction
    close(projected, whole)


@pytest.mark.parametrize("expand", [True, False])
def test_the_full_decomposition_with_biases_is_the_stream(cached, expand):
    _, _, cache = cached
    full, labels = cache.get_full_resid_decomposition(expand_neurons=expand, return_labels=True)
    close(full.sum(0), cache["resid_post", -1], atol=1e-4)
    assert "bias" in labels


# Attribution to logits


@pytest.mark.parametrize("unit", ["component", "head"])
def test_direct_logit_attribution_is_exact_with_a_learned_final_norm(any_view, unit):
    cfg, model = any_view.cfg, any_view.model
    logits = any_view(CLEAN)
    contributions = tl.direct_logit_attribution(any_view, CLEAN, 4, 9, unit=unit)
    norm_bias = model.weight("ln_final.b") @ (any_view.W_U[:, 4] - any_view.W_U[:, 9])
    truth = logits[:, -1, 4] - logits[:, -1, 9] - norm_bias
    close(contributions.attribution.sum(0), truth, atol=1e-5)
    assert len(contributions.labels) == len(contributions.attribution) >= cfg.n_layers
    assert contributions.top(2)


def test_logit_attributions_take_texts_ids_and_tensors(any_view):
    logits, cache = any_view.run_with_cache(CLEAN)
    parts = cache.decompose_resid(pos_slice=-1)
    by_text = cache.logit_attrs(parts, " cat", " dog", pos_slice=-1)
    cat, dog = any_view.to_single_token(" cat"), any_view.to_single_token(" dog")
    close(by_text, cache.logit_attrs(parts, cat, dog, pos_slice=-1))
    each = torch.tensor([cat, cat]), torch.tensor([dog, dog])
    close(by_text, cache.logit_attrs(parts, *each, pos_slice=-1))
    if any_view.cfg.attn_only:
        return  # TransformerLens reads resid_mid here, which no attention-only model has.
    layers = tl.direct_logit_attribution(any_view, cache=cache, answer_tokens=cat, unit="layer")
    bias = any_view.model.weight("ln_final.b") @ any_view.W_U[:, cat]
    close(layers.attribution[-1] + bias, logits[:, -1, cat])


def test_logit_lens_and_readout_end_at_the_models_logits(any_view):
    logits, cache = any_view.run_with_cache(CLEAN)
    mid = not any_view.cfg.attn_only
    lens = tl.logit_lens(any_view, CLEAN, incl_mid=mid, positions=None)
    close(lens.values[-1], logits)
    ranks = cache.logit_lens(targets=[" cat", " dog"], positions=None)
    expected = (logits > logits[..., [any_view.to_single_token(" cat")]]).sum(-1)
    assert torch.equal(ranks.rank_trajectory(" cat")[-1].long(), expected)
    top = tl.logit_readout(any_view, cache["resid_post", -1], top_k=3)
    close(top.values, logits.topk(3).values)
    frame = tl.logit_lens(any_view, CLEAN, top_k=2, incl_mid=False).to_dataframe(any_view.tokenizer)
    assert len(frame) > 0


def test_signatures_we_override_still_take_what_theirs_take():
    from transformer_lens import HookedRootModule

    theirs = inspect.signature(HookedRootModule.run_with_cache).parameters
    assert {"names_filter", "incl_bwd", "pos_slice", "device"} <= set(theirs)
