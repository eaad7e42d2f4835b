"""Heads of a circuit made by hand get the scores and ablations that they must have."""

from dataclasses import replace

import pytest
import torch

from interp.analyses.attention_heads._head_ablation import mean_outputs, text_loss
from interp.analyses.attention_heads.heads import SCORES, heads
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.statistics.intervals import Interval, clopper_pearson
from interp.core.statistics.significance import simultaneous_means
from interp.methods.head_scores import repeated_tokens, second_copy_loss
from interp.results.result import load_result
from tests.analyses.handmade import WORDS, induction_model
from tests.conftest import tiny

TEXTS = [" ".join(WORDS[i : i + 6] * 2) for i in range(4)]


@pytest.fixture(scope="module")
def model():
    return induction_model()


@pytest.fixture(scope="module")
def result(model):
    return heads(model, TEXTS, n_sequences=8, untrained=2)


def test_the_circuit_has_the_scores_that_it_was_built_for(result):
    scores = dict(zip(SCORES, result.scores[..., 0], strict=True))
    assert scores["previous_token"][0, 0] > 0.99
    assert scores["induction"][1, 0] > 0.95
    assert result.best("induction") == (1, 0) and result.best("previous_token") == (0, 0)
    assert scores["induction"].flatten()[[0, 1, 3]].max() < 0.1
    assert scores["duplicate_token"].max() < 0.1


def test_it_stands_out_from_untrained_models_and_says_so(result):
    row = SCORES.index("induction")
    assert result.scores[row, 1, 0, 1] > result.untrained_best[row]
    assert "Heads: 1.0" in str(result) and "2 untrained models" in str(result)
    for word in ("Control", "n = 8 sequences", "95 %", "ablated - clean"):
        assert word in result.caption()


@pytest.mark.parametrize("kind", ["mean", "zero"])
def test_a_head_without_weights_is_not_missed_and_the_circuit_is(model, kind):
    result = heads(model, TEXTS, n_sequences=8, untrained=0, ablation=kind)
    change = result.ablation[..., 0]
    assert change[:, :, 1].abs().max() < 1e-6
    assert (result.ablation[0, :, 0, 1] > 0.5).all()
    assert result.clean_loss[0].value < 0.2


def test_of_many_heads_that_do_nothing_none_matters(result):
    """Each head's own interval leaves 0 out in one of 20: of 48 some head always "mattered"."""
    generator = torch.Generator().manual_seed(0)
    named = 0
    for _ in range(40):
        change = torch.randn(32, 48, generator=generator)
        made = simultaneous_means(change).reshape(1, 6, 8, 3)
        named += bool(replace(result, ablation=made).matters.any())
    # One-sided: a head matters where the loss grows.
    assert clopper_pearson(named, 40).low <= 0.025
    assert result.matters[0, :, 0].all() and not result.matters[0, :, 1].any()
    assert "that hold for all heads at once" in result.caption()
    of_an_earlier_version = replace(result, simultaneous=False).caption()
    assert "at once" not in of_an_earlier_version and "each head alone" in of_an_earlier_version


def test_simultaneous_means_are_never_narrower_than_students_at_bonferronis_level():
    from scipy import stats

    values = torch.randn(9, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    value, low, high = simultaneous_means(values).unbind(-1)
    sem = stats.sem(values.numpy())
    least, most = stats.t.interval(1 - 0.05 / 5, 8, loc=values.mean(0).numpy(), scale=sem)
    assert torch.allclose(value, values.mean(0))
    assert (low <= torch.tensor(least) + 1e-12).all() and (high >= torch.tensor(most) - 1e-12).all()
    values[0, 0] = torch.nan
    assert torch.allclose(simultaneous_means(values)[:, 0], values[1:].mean(0))
    assert simultaneous_means(values[1:2])[1, 1].isnan()
    flat = simultaneous_means(torch.ones(6, 2))
    assert torch.equal(flat, torch.ones_like(flat))


def test_a_long_tail_on_one_side_makes_an_interval_longer_on_the_other():
    """Most rows a little above 0, one far below: Student's interval would call the mean sure."""
    values = torch.full((32, 1), 1.0) + 0.1 * torch.randn(
        32, 1, generator=torch.Generator().manual_seed(0)
    )
    values[0] = -12.0
    mean, low, high = simultaneous_means(values)[0].tolist()
    assert mean - low > 2 * (high - mean)


def test_intervals_hold_their_value(result):
    for bounds in (result.scores, result.ablation):
        value, low, high = bounds.unbind(-1)
        assert (low <= value + 1e-6).all() and (value <= high + 1e-6).all()


def test_the_loss_of_the_second_copy_is_that_of_its_tokens(model):
    tokens = repeated_tokens(model, 3, 5, seed=0)
    other = tiny("gpt2", d_vocab=model.cfg.d_vocab)
    logits = other(tokens)
    each = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
    ).view(3, -1)
    torch.testing.assert_close(second_copy_loss(other, tokens, 5), each[:, -4:].mean(1))


def test_repeated_tokens_repeat_and_hold_no_special_token(model):
    tokens = repeated_tokens(model, 5, 7, seed=1)
    assert (tokens[:, 0] == model.tokenizer.bos_token_id).all()
    assert torch.equal(tokens[:, 1:8], tokens[:, 8:])
    assert all(len(set(row)) == 7 for row in tokens[:, 1:8].tolist())
    assert model.tokenizer.bos_token_id not in tokens[:, 1:]


def test_texts_of_different_length_have_the_loss_that_each_has_alone(model):
    rows = [model.tokenizer.encode(text) for text in ("ant bee", "cat dog eel ant", "pig")]
    together = text_loss(model, rows)
    alone = torch.cat([text_loss(model, [row]) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_the_mean_that_stands_in_for_a_head_leaves_out_each_row_s_first_position(model):
    rows = [model.tokenizer.encode(text) for text in ("ant bee", "cat dog eel ant")]
    outputs = [model.run(torch.tensor([row]), cache=["z"]).stack("z")[:, 0] for row in rows]
    later = torch.cat([z[:, 1:] for z in outputs], 1).mean(1)
    torch.testing.assert_close(mean_outputs(model, rows), later)
    whole = torch.cat(outputs, 1).mean(1)
    assert (whole - later).abs().max() > 0.01, "the first position writes something else"


def test_without_ablation_and_without_controls_it_says_so(model, tmp_path):
    bare = heads(model, n_sequences=2, untrained=0, ablation="none")
    assert bare.ablated_on == () and "no untrained control" in str(bare)
    assert load_result(bare.save(tmp_path / "bare")) == bare
    frame = bare.frame()
    assert set(frame["score"]) == set(SCORES)
    assert len(frame[frame["quantity"] == "score"]) == 2 * 2 * len(SCORES)


def test_of_some_layers_it_is_those_rows_of_the_whole_table(model, result):
    for layers, own in (([0], [0]), ([-1], [1]), ([1, 0, -1], [0, 1])):
        part = heads(model, TEXTS, n_sequences=8, untrained=2, layers=layers)
        assert part.layers == tuple(own) and result.layers == (0, 1)
        for mine, whole in (
            (part.scores, result.scores[:, own]),
            (part.untrained, result.untrained[:, :, own]),
            # An interval depends on how many heads there are to choose from.
            (part.ablation[..., 0], result.ablation[:, own, :, 0]),
        ):
            torch.testing.assert_close(mine, whole, atol=1e-6, rtol=1e-5)
        assert part.clean_loss == result.clean_loss
        frame, whole = part.frame(), result.frame()
        same = whole[whole["layer"].isin(own)].reset_index(drop=True)
        assert frame[["layer", "head"]].equals(same[["layer", "head"]])


def test_the_layers_keep_their_numbers_wherever_they_are_named(model):
    part = heads(model, n_sequences=8, untrained=1, layers=[1])
    assert part.best("induction") == (1, 0)
    assert "1.0 is an induction head" in str(part) and "of layer 1 only" in str(part)
    figure = part.figure()
    assert figure.layout.yaxis.ticktext == ("1",)
    assert "head 1.0<br>" in str(figure.data[0].customdata)
    with pytest.raises(ConfigError, match=r"layers must be among 0-1 .*got 2"):
        heads(model, layers=[2])


def test_what_cannot_be_measured_is_refused(model):
    with pytest.raises(NotEnoughDataError, match="two"):
        heads(model, ["ant bee"])
    with pytest.raises(NotEnoughDataError, match="3 to"):
        heads(model, length=100)
    with pytest.raises(ConfigError, match="needs ablation 'mean'"):
        heads(model, ablation="median")


def test_the_same_seed_gives_the_same_result(model):
    first, second = (heads(model, n_sequences=4, untrained=1, seed=5) for _ in range(2))
    assert first == second
    assert first != heads(model, n_sequences=4, untrained=1, seed=6)


def scored(result, value, low, untrained=0.02):
    """The same result with one induction score, of head 1.0, in a model that knows no other."""
    scores = torch.zeros_like(result.scores)
    scores[SCORES.index("induction"), 1, 0] = torch.tensor([value, low, value])
    return replace(result, scores=scores, untrained=torch.full_like(result.untrained, untrained))


@pytest.mark.parametrize(
    ("value", "low", "untrained", "found"),
    [
        (0.9, 0.85, 0.02, True),
        (0.03, 0.025, 0.02, False),  # above the untrained, yet no habit
        (0.4, 0.3, 0.35, False),  # some untrained head reaches as much
        (0.3, 0.26, 0.25, True),
    ],
)
def test_the_headline_says_whether_a_head_is_one(result, value, low, untrained, found):
    text = str(scored(result, value, low, untrained))
    assert ("1.0 is an induction head" in text) == found
    assert ("no head is an induction head here" in text) == (not found)
    assert f"{untrained:.2f}" in text


def test_scores_that_are_not_known_are_never_the_best(result):
    scores = result.scores.clone()
    scores[SCORES.index("induction"), 0, 1] = torch.nan
    assert replace(result, scores=scores).best("induction") == (1, 0)


def test_random_tokens_beyond_a_model_s_texts_are_said_to_be_so(result):
    assert "uniform guess" not in str(result)  # the circuit was made for them
    far = Interval(value=15.9, low=15.0, high=16.0, n=8)
    told = str(replace(result, clean_loss=(far, far)))
    assert "cost 15.9 nats each where a uniform guess costs 3.5" in told
