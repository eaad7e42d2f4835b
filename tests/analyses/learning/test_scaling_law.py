"""Scale: operations as torch counts them, a law that finds known constants, records as they are."""

import json
import math
import shutil
from functools import cache

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from interp.analyses.learning._training_cost import (
    PUBLISHED,
    days_in_words,
    days_of_reading,
    forward_flops,
    n_multiplied,
    n_parameters,
    training_flops,
)
from interp.analyses.learning.scaling_law import ScalingLaw, scaling_law
from interp.core.errors import CheckpointError, ConfigError, NotEnoughDataError
from interp.methods.checkpoints.scaling_law import fit_law, why_not
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.io.load import load_model
from interp.results.result import load_result
from interp.runs.record import read_runs
from interp.training.data.sources import write_text_corpus
from interp.worlds import load_world

SHAPES = {
    "llama": dict(gated=True, act="silu", norm="rms", positions="rotary", tied=False, bias=False),
    "gpt2": dict(tied=True),
    "grouped": dict(n_key_value_heads=1, positions="rotary", d_mlp=20),
    "attention only": dict(attn_only=True, norm="none", tied=False),
}
GRID = np.array([[n, d] for n in (5e3, 2e4, 6e4, 2e5) for d in (1e5, 3e5, 9e5)] * 2)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_operations_are_those_that_torch_counts(shape):
    cfg = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=11, n_ctx=12, **SHAPES[shape])
    model, rows, n_tokens = GPT(cfg), 3, 9
    tokens = torch.randint(0, 11, (rows, n_tokens), generator=torch.Generator().manual_seed(0))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        logits = model(tokens)
    forward = rows * forward_flops(model, n_tokens)
    assert counted.get_total_flops() == forward
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        model(tokens).sum().backward()
    assert counted.get_total_flops() == training_flops(forward)
    assert logits.shape == (rows, n_tokens, 11)
    assert n_parameters(model) == sum(p.numel() for p in model.parameters())


def losses(floor=0.55, noise=0.01, seed=0):
    n, d = GRID.T
    clean = floor + 30 * n**-0.5 + 60 * d**-0.45
    return clean * np.exp(noise * np.random.default_rng(seed).standard_normal(len(n)))


def test_the_law_finds_known_constants_of_data_without_noise():
    law = fit_law(GRID, losses(noise=0.0), n_boot=4)
    values = {name: interval.value for name, interval in law.values.items()}
    truth = {"E": 0.55, "A": 30.0, "alpha": 0.5, "B": 60.0, "beta": 0.45}
    assert values == pytest.approx(truth, rel=0.02)
    assert law.miss < 1e-4 and law.noise == 0.0


@pytest.mark.slow
def test_its_intervals_hold_the_truth_as_often_as_they_say():
    hits = {"E": 0, "alpha": 0, "beta": 0}
    for seed in range(10):
        law = fit_law(GRID, losses(seed=seed), n_boot=60, seed=seed)
        for name, truth in (("E", 0.55), ("alpha", 0.5), ("beta", 0.45)):
            hits[name] += truth in law.values[name]
    # Of ten 95 % intervals, fewer than seven hold the truth once in ten thousand times.
    assert min(hits.values()) >= 7


def test_one_wild_run_does_not_move_the_law():
    loss = losses(noise=0.002)
    spoilt = loss.copy()
    spoilt[5] *= 1.5
    plain, robust = (fit_law(GRID, each, n_boot=4).values["alpha"].value for each in (loss, spoilt))
    assert robust == pytest.approx(plain, rel=0.1)


def test_one_varied_thing_has_one_power():
    points = np.array([[n, 1e6] for n in np.geomspace(1e3, 1e6, 8)])
    loss = 0.8 + 20 * points[:, 0] ** -0.4
    law = fit_law(points, loss, n_boot=4)
    assert law.varied == (0,) and set(law.values) == {"E", "A", "alpha"}
    assert law.values["E"].value == pytest.approx(0.8, rel=0.01)
    assert math.isnan(law.noise)


@pytest.mark.parametrize("points", [GRID[:1], GRID[[0, 0, 0, 0, 0, 0]], GRID[:6], GRID[[0, 3, 6]]])
def test_too_few_runs_are_a_sentence(points):
    assert why_not(points).startswith("A law needs")
    assert why_not(GRID) == ""


@cache
def words():
    return load_model("stories-demo").tokenizer


def bare():
    """A model that no record tells of."""
    return GPT(GPTConfig(n_layers=1, n_heads=1, d_vocab=words().d_vocab, n_ctx=16, d_model=8))


def write_run(folder, *, steps=10, loss=1.5, corpus="c0", d_model=8):
    cfg = GPTConfig(n_layers=1, n_heads=1, d_vocab=words().d_vocab, n_ctx=16, d_model=d_model)
    model = GPT(cfg, words(), name=folder.name)
    model.step = steps
    save_model(model.eval(), folder)
    record = json.loads((folder / "run.json").read_text())
    record["recipe"] = {"batch_size": 4, "context": 16}
    record["corpus"] = {"hash": corpus, "source": {"world": "stories", "documents": {"full": 50}}}
    (folder / "run.json").write_text(json.dumps(record))
    record = {"kind": "eval", "step": steps, "loss_nats_per_token": loss}
    record["floor_nats_per_token"] = 0.55
    (folder / "metrics.jsonl").write_text(f"no json\n[1]\n{json.dumps(record)}\n")
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Runs on record whose losses follow a law; their weights are beside the point."""
    root = tmp_path_factory.mktemp("sweep")
    (root / "sweep.json").write_text("{}")
    for size in (4, 8, 16):
        for steps in (10, 30, 90):
            run = write_run(root / f"{size}-{steps}", steps=steps, d_model=size)
            (read,) = read_runs([run])
            loss = 0.55 + 20 * read.parameters**-0.5 + 5 * read.tokens**-0.4
            write_run(root / f"{size}-{steps}", steps=steps, d_model=size, loss=loss)
    return root


def test_runs_tell_their_size_and_text(swept, tmp_path):
    runs = read_runs([swept])
    assert len(runs) == 9 and {run.floor for run in runs} == {0.55}
    run = next(run for run in runs if run.name == "8-30")
    assert run.tokens == 30 * 4 * 16
    assert run.parameters == n_parameters(load_model(swept / "8-30"))
    assert read_runs([swept, swept / "8-30"]) == runs


def test_a_model_of_a_run_is_counted_and_its_sweep_fitted(swept, tmp_path):
    model = load_model(swept / "8-30")
    result = scaling_law(model, runs=[str(swept)], n_documents=5, n_boot=8)
    assert result.tokens == 30 * 4 * 16 and result.context == 16
    assert result.rule_flops == 6 * result.parameters * result.tokens
    assert result.training_flops == pytest.approx(3 * forward_flops(model, 16) * 30 * 4)
    texts = [load_world("stories").sample(i).text for i in range(5)]
    assert result.corpus_words == 10 * sum(len(text.split()) for text in texts)
    assert result.reading_days(2) == pytest.approx(12 * result.reading_days(24))
    assert result.law["E"].value == pytest.approx(0.55, abs=0.1) and result.floor == 0.55
    assert "E is" in str(result) and "floor" in result.caption()
    assert load_result(result.save(tmp_path / "kept")) == result
    table = result.frame()
    assert list(table["kind"].unique()) == ["this model", "published", "run", "law"]
    assert (table["source"][table["kind"] == "published"].str.len() > 10).all()
    for view in ("models", "law"):
        assert result.figure(view=view).data
    with pytest.raises(ConfigError, match="models, law"):
        result.figure(view="<b>")


def test_losses_on_other_rows_of_a_text_are_not_compared(tmp_path):
    """As of runs from before evaluations began at documents: same text, another floor."""
    one, other = (write_run(tmp_path / name) for name in "ab")
    assert len(read_runs([one, other])) == 2
    metrics = other / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace("0.55", "0.41"))
    with pytest.raises(ConfigError, match=r"rows.* from 0.4100 to 0.5500"):
        read_runs([one, other])


def test_without_a_record_it_asks_for_the_numbers(swept):
    model = bare()
    with pytest.raises(NotEnoughDataError, match="tokens="):
        scaling_law(model)
    result = scaling_law(model, tokens=1000, words=750)
    assert isinstance(result, ScalingLaw) and result.corpus_words == 750
    assert "No runs were given" in result.caption() and result.law == {}
    assert result.figure(view="law").layout.annotations[-1].text.startswith("No runs")
    assert n_multiplied(model) < n_parameters(model)
    few = scaling_law(model, tokens=1000, words=750, runs=[str(swept / "8-30")])
    assert few.law == {} and few.no_law.startswith("A law needs")
    assert few.figure(view="law").data


def test_what_is_no_run_or_no_number_is_refused(tmp_path):
    model = bare()
    for wrong in ({"tokens": 0}, {"words": -1}, {"words_per_minute": math.nan}, {"n_boot": 0}):
        with pytest.raises(ConfigError, match="above 0"):
            scaling_law(model, **{"tokens": 10, "words": 10, **wrong})
    with pytest.raises(CheckpointError):
        read_runs([tmp_path / "nothing"])
    one, other = (write_run(tmp_path / name, corpus=name) for name in "ab")
    with pytest.raises(ConfigError, match="one text only"):
        read_runs([one, other])
    (one / "metrics.jsonl").write_text('{"kind": "eval", "step": 10, "loss_nats_per_token": null}')
    assert math.isnan(read_runs([one])[0].loss)
    assert (
        "1 runs without a finite loss" in scaling_law(model, tokens=1, words=1, runs=[one]).no_law
    )
    (one / "metrics.jsonl").write_text('{"kind": "eval", "step": 9, "loss_nats_per_token": 2.0}')
    with pytest.raises(NotEnoughDataError, match=r"last step, 10; .* newest is of step 9"):
        read_runs([one])
    (one / "metrics.jsonl").unlink()
    with pytest.raises(NotEnoughDataError, match="held-out loss"):
        read_runs([one])
    for record in ('{"step": "x"}', '{"recipe": {"batch_size": "<b>"}, "step": 3}', "[]"):
        (other / "run.json").write_text(record)
        with pytest.raises(CheckpointError):
            read_runs([other])


def test_published_numbers_are_plausible_and_have_a_source():
    sizes = {name: (parameters, tokens) for name, parameters, tokens, _ in PUBLISHED}
    assert len(sizes) == len(PUBLISHED)
    for _, parameters, tokens, source in PUBLISHED:
        assert 1e7 < parameters < 1e12 < 10 * tokens < 1e15
        assert "20" in source
    parameters, tokens = sizes["GPT-3"]
    assert 6 * parameters * tokens == pytest.approx(3.14e23, rel=0.01)


def test_reading_is_told_in_the_unit_that_fits():
    assert days_of_reading(2 * 60 * 200, 200, 2) == 1.0
    assert [days_in_words(x) for x in (1e6, 500, 2.0, 0.1, 1e-4)] == [
        "2,738 years", "500 days", "2 days", "2.4 hours", "0.14 minutes",
    ]  # fmt: skip


def test_the_words_of_own_text_are_counted_in_its_corpus(tmp_path):
    text = "It is a sunny morning. All is well.\n\n" * 200
    (tmp_path / "own.txt").write_text(text)
    corpus = write_text_corpus(tmp_path / "own.txt", tmp_path / "run" / "corpus", d_vocab=280)
    cfg = GPTConfig(n_layers=1, n_heads=1, d_vocab=corpus.tokenizer.d_vocab, n_ctx=16, d_model=8)
    save_model(GPT(cfg, corpus.tokenizer), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["corpus"] = {"hash": corpus.hash, "source": {"files": ["own.txt"]}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    model = load_model(tmp_path / "run")
    counted = scaling_law(model, tokens=1000).corpus_words
    assert counted == pytest.approx(0.9 * len(text.split()), rel=0.01), "a tenth is held out"
    shutil.rmtree(tmp_path / "run" / "corpus")
    with pytest.raises(NotEnoughDataError, match="corpus is not there"):
        scaling_law(load_model(tmp_path / "run"), tokens=1000)
