"""TransformerLens' patching, head and subspace tools, unchanged, on our models."""

import pytest
import torch
from transformer_lens import SVDInterpreter, patching
from transformer_lens.head_detector import detect_head
from transformer_lens.tools import analysis as tl
from transformer_lens.tools.training import TrainConfig, train

from interp.core.edits import Replace, Where
from tests.reference.lens_models import (
    CLEAN,
    CORRUPT,
    FAMILIES,
    UNGROUPED,
    UNGROUPED_MLP,
    WITH_MLP,
    build,
    close,
    metric,
)

pytestmark = pytest.mark.reference


@pytest.fixture(params=FAMILIES)
def any_view(request):
    return build(request.param)


@pytest.fixture
def view():
    return build("gpt2")


# Patching

SWEEPS = sorted(n for n in dir(patching) if n.startswith("get_act_patch_") and "direct" not in n)


def test_all_eighteen_sweeps_are_here():
    assert len(SWEEPS) == 18


# With fewer key-value heads TransformerLens leaves zeros in the cells of k and v that do not exist.
GROUPED = [name for name in SWEEPS if not ("head" in name and "every" in name)]
CASES = [*(("gpt2", name) for name in SWEEPS), *(("grouped", name) for name in GROUPED)]


@pytest.mark.parametrize(("family", "name"), CASES)
def test_patching_sweeps(family, name):
    view = build(family)
    clean, corrupt = view.run_with_cache(CLEAN)[1], view.run_with_cache(CORRUPT)[1]
    sweep = getattr(patching, name)
    effects, same = sweep(view, CORRUPT, clean, metric), sweep(view, CORRUPT, corrupt, metric)
    # Patching a run with itself changes nothing; with another run, something.
    close(same, metric(view(CORRUPT)).expand(same.shape))
    assert (effects - same).abs().max() > 1e-4
    if "head" in name and "every" not in name:
        fewer = family == "grouped" and ("_k_" in name or "_v_" in name)
        assert effects.shape[0] == 3 and (2 if fewer else 4) in effects.shape


def test_a_sweeps_cell_is_our_own_edit(view):
    clean = view.run_with_cache(CLEAN)[1]
    effects = patching.get_act_patch_resid_pre(view, CORRUPT, clean, metric)
    for layer in range(3):
        for pos in range(5):
            where = Where(positions=(pos,))
            edit = Replace(hook=("resid_pre", layer), value=clean["resid_pre", layer], where=where)
            close(effects[layer, pos], metric(view.model.run(CORRUPT, edits=[edit]).logits))


def test_sweeps_keep_examples_and_baseline(view):
    clean = view.run_with_cache(CLEAN)[1]
    effects = patching.get_act_patch_resid_pre(
        view,
        CORRUPT,
        clean,
        lambda logits: logits[:, -1, 4] - logits[:, -1, 9],
        reduce="none",
        baseline=True,
    )
    assert isinstance(effects, patching.PatchingResult) and len(effects.to_dataframe()) == 30


@pytest.mark.parametrize("component", ["q", "k", "v"])
@pytest.mark.parametrize("family", UNGROUPED)
def test_direct_path_patching(family, component):
    view = build(family)
    clean, corrupt = view.run_with_cache(CLEAN)[1], view.run_with_cache(CORRUPT)[1]
    one = patching.get_act_patch_direct_path(
        view, CORRUPT, clean, corrupt, metric, 0, 1, component, verbose=False
    )
    every = patching.get_act_patch_direct_path_all_sources(
        view, CORRUPT, clean, corrupt, metric, component, verbose=False
    )
    close(every[0, 1], one)
    assert (one[1:] - metric(view(CORRUPT))).abs().max() > 1e-5
    assert not view.cfg.use_split_qkv_input


def test_direct_path_patching_of_queries_with_grouped_keys():
    view = build("grouped")
    clean, corrupt = view.run_with_cache(CLEAN)[1], view.run_with_cache(CORRUPT)[1]
    one = patching.get_act_patch_direct_path(
        view, CORRUPT, clean, corrupt, metric, 0, 1, verbose=False
    )
    assert (one[1:] - metric(view(CORRUPT))).abs().max() > 1e-5


@pytest.mark.parametrize("family", WITH_MLP)
def test_node_attribution_is_the_first_order_effect(family):
    view = build(family)
    patched = tl.attribution_patch(view, CLEAN, CORRUPT, metric)
    assert len(patched.top_nodes(3)) == 3
    scale = 1e-3  # From a hundredth of the way there, the effect is its derivative.
    near = view.run_with_cache(CORRUPT)[1]["mlp_out", 0]
    far = view.run_with_cache(CLEAN)[1]["mlp_out", 0]
    edit = Replace(hook=("mlp_out", 0), value=near + scale * (far - near), where=Where(bos=True))
    model = view.model.double()
    moved = metric(model.run(CORRUPT, edits=[edit]).logits) - metric(model.run(CORRUPT).logits)
    nodes = {node: score for node, score in patched.node_scores.items() if node.kind == "mlp_out"}
    total = sum(score for node, score in nodes.items() if node.layer == 0)
    assert total == pytest.approx(float(moved) / scale, rel=0.05, abs=1e-3)


@pytest.mark.parametrize("family", UNGROUPED_MLP)
def test_edge_attribution_and_faithfulness(family):
    view = build(family)
    config = tl.EdgeAttributionConfig(granularity="edge")
    patched = tl.attribution_patch(view, CLEAN, CORRUPT, metric, config)
    circuit = patched.top_edges(k=len(patched.edge_scores))
    pair = CLEAN[:1], CORRUPT[:1]
    whole = tl.faithfulness(view, *pair, metric, circuit)
    assert whole.recovered == pytest.approx(1.0, abs=1e-3)
    none = tl.faithfulness(view, *pair, metric, circuit[:0])
    assert none.recovered == pytest.approx(0.0, abs=1e-3)
    mean = tl.FaithfulnessConfig(ablation="mean")
    part = tl.faithfulness(view, *pair, metric, circuit[:9], mean, mean_tokens=CLEAN[1:])
    assert part.circuit_size == 9
    assert not view.cfg.use_attn_result and not view.cfg.use_hook_mlp_in


# Heads, subspaces, weights


@pytest.mark.parametrize("kind", ["previous_token_head", "duplicate_token_head", "induction_head"])
def test_detect_head(any_view, kind):
    scores = detect_head(any_view, "the cat sat on the mat and the cat sat", kind)
    assert scores.shape == (3, 4) and scores.isfinite().all()
    several = detect_head(any_view, ["the cat sat on", "the dog sat on"], kind, error_measure="abs")
    assert several.shape == (3, 4)


def test_detect_head_with_a_pattern_and_a_choice_of_heads(view):
    pattern = torch.tril(torch.ones(5, 5))
    scores = detect_head(view, "the cat sat on", pattern, heads=[(1, 2)], exclude_bos=True)
    assert scores[1, 2] >= 0 and (scores == -1).sum() == 11


@pytest.mark.parametrize("family", UNGROUPED_MLP)
def test_singular_vectors(family):
    view = build(family)
    reader = SVDInterpreter(view)
    for kind, head in (("OV", 1), ("w_in", None), ("w_out", None)):
        vectors = reader.get_singular_vectors(kind, 1, num_vectors=3, head_index=head)
        assert vectors.shape == (view.cfg.d_vocab, 1, 3)


def test_head_subspaces_overlap(any_view):
    for role in "QKV":
        assert tl.attention_head_subspace_affinity(any_view, target_role=role).top_pairs(2)


def test_interchange_interventions(any_view):
    view = any_view

    def answer(inputs):
        return view(inputs)[:, -1, :6]

    name, positions = "blocks.1.hook_resid_post", torch.tensor([4, 4])
    sources = tl.collect_activations(view, name, CLEAN, answer, positions=positions)
    close(sources, view.run_with_cache(CLEAN)[1][name][:, 4])
    everything = tl.SubspaceInterchange(torch.eye(16))
    # With the whole stream of the last token interchanged, the base answers as the source does.
    swapped = tl.intervened_logits(
        view, name, everything, CORRUPT, sources, answer, positions=positions
    )
    where = Where(positions=(4,))
    value = view.run_with_cache(CLEAN)[1][name]
    expected = view.model.run(CORRUPT, edits=[Replace(hook=name, value=value, where=where)])
    close(swapped, expected.logits[:, -1, :6])
    trained = tl.run_with_intervention(
        view,
        name,
        tl.NormMatchedPlacebo(everything, torch.eye(16)[:, 2:4]),
        CORRUPT,
        sources,
        answer,
        positions=positions,
    )
    assert trained.shape == (2, 6)


def test_distributed_alignment_search_and_its_controls(view):
    def answer(inputs):
        return view(inputs)[:, -1, :6]

    subspace = tl.fit_das(
        view,
        "blocks.1.hook_resid_post",
        CORRUPT,
        CLEAN,
        torch.tensor([1, 2]),
        answer,
        rank=2,
        epochs=2,
        base_positions=torch.tensor([4, 4]),
        source_positions=torch.tensor([4, 4]),
    )
    assert subspace.basis.shape == (16, 2)
    assert all(p.requires_grad for p in view.parameters())
    assert len(tl.arbitrary_targets(["a", "b"], 3, seed=0)) == 2
    basis = tl.mean_difference_basis(torch.randn(6, 16), [0, 0, 0, 1, 1, 1])
    assert basis.shape == (16, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_reinitialized_draws_every_weight_anew(family):
    view = build(family)
    before = {name: p.clone() for name, p in view.named_parameters()}
    fresh = tl.reinitialized(view, seed=1)
    for name, parameter in fresh.named_parameters():
        assert not torch.equal(parameter, before[name]), name
        assert torch.equal(dict(view.named_parameters())[name], before[name])
    assert not torch.allclose(fresh(CLEAN), view(CLEAN))


def test_sparse_probe_on_cached_neurons(view):
    tokens = torch.randint(0, 10, (60, 5), generator=torch.Generator().manual_seed(0))
    features = view.run_with_cache(tokens)[1]["post", 1][:, -1]
    probe = tl.fit_sparse_probe(features, tokens[:, -1] < 5, k=3)
    assert probe is not None


def test_the_training_loop_trains_the_shared_weights(view):
    rows = [{"tokens": row} for row in CLEAN.repeat(4, 1)]
    before = view.model.loss(CLEAN).item()
    config = TrainConfig(num_epochs=3, batch_size=4, lr=1e-2, device="cpu", print_every=None)
    trained = train(view, config, rows)
    assert trained is view and view.training and view.model.training
    assert view.model.eval().loss(CLEAN).item() < before


def test_a_model_in_training_mode_is_not_silently_put_out_of_it():
    model = build("gpt2").model.train()
    view = model.as_transformer_lens()
    assert model.training and view.training
    with pytest.raises(ValueError, match="evaluation"):
        tl.direct_logit_attribution(view, CLEAN, 4)
