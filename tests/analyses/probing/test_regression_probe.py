"""Regression probes: a planted number is found, none is made up, and the fit is scikit-learn's."""

import json
from pathlib import Path

import pytest
import torch

from interp.analyses.probing.regression_probe import RegressionProbe, regression_probe
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.activations import rows_at
from interp.methods.data.examples import file_examples
from interp.methods.probes.regression import fit_numbers, numbers_of
from interp.methods.probes.ridge import fit_ridge
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from interp.plots.probing.regression_probe import figure
from tests.analyses.tiny_world import NAMES, PLACES, TinyWorld

WORLD = TinyWorld()
WORTH = {place: float(number) for number, place in enumerate(PLACES)}


@pytest.fixture(scope="module")
def model() -> GPT:
    tokenizer = Tokenizer.words(WORLD.sample(seed).text for seed in range(300))
    cfg = GPTConfig(
        n_layers=2, d_model=24, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=48, init_std=None
    )
    return GPT(cfg, tokenizer, seed=1)


def table(folder: Path, numbers: str = "planted", n: int = 120) -> Path:
    """Sentences, each with the worth of its place, or with a number that means nothing."""
    draw = torch.Generator().manual_seed(3)
    noise = torch.randn(n, generator=draw)
    rows = []
    for number in range(n):
        text = WORLD.sample(number).text
        worth = WORTH[WORLD.sample(number).facts[0].value]
        label = worth + 0.1 * noise[number] if numbers == "planted" else noise[number]
        place = WORLD.sample(number).facts[0].value
        rows.append({"text": text, "label": f"{float(label):.3f}", "word": place})
    path = folder / f"{numbers}.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def planted(model: GPT, tmp_path_factory) -> RegressionProbe:
    return regression_probe(model, table(tmp_path_factory.mktemp("numbers")), n_untrained=2)


def test_a_planted_number_is_read_and_controls_are_not(planted: RegressionProbe) -> None:
    best = planted.r2[planted.best]
    assert best.low > 0.8 and planted.controls["shuffled"][planted.best].value < 0.2
    assert best.low <= best.value <= best.high <= 1
    error = ((planted.predicted - planted.numbers) ** 2).sum()
    spread = ((planted.numbers - planted.numbers.mean()) ** 2).sum()
    assert best.value == pytest.approx(float(1 - error / spread), abs=1e-5)
    # The word itself stands where it is read, so that a model without training has it too.
    assert "untrained" in planted.unbeaten and "WARNING" in planted.caption()
    assert "ridge regression (not a classifier)" in planted.caption()


def test_no_number_is_read_where_there_is_none(model: GPT, tmp_path: Path) -> None:
    result = regression_probe(model, table(tmp_path, "noise"), n_untrained=0)
    assert result.r2[result.best].low < 0 and "the mean" in result.unbeaten
    assert not result.beats_controls and "the mean" in result.caption()


def test_the_regression_is_scikit_learns_and_the_closed_form() -> None:
    from sklearn.linear_model import Ridge

    draw = torch.Generator().manual_seed(0)
    for n, d in ((60, 12), (12, 60)):
        x = torch.randn(n, d, generator=draw).double() * 3 + 1
        y = torch.randn(2, n, generator=draw).double() + x[:, 0]
        ours = fit_ridge(x, y, l2=0.05)
        rows = (x - x.mean(0)) / x.std(0, correction=0)
        theirs = Ridge(alpha=0.05 * n, tol=1e-12).fit(rows.numpy(), y.T.numpy())
        expected = torch.from_numpy(theirs.predict(rows.numpy()).T)
        torch.testing.assert_close(ours.predict(x), expected, atol=1e-8, rtol=1e-8)


def test_every_fold_is_predicted_by_the_others_and_no_group_is_parted(
    model: GPT, tmp_path: Path
) -> None:
    examples = file_examples(model.tokenizer, table(tmp_path), max_tokens=48, numeric=True)
    data = numbers_of(examples, 4, 0)
    parts = [*data.folds, data.validation]
    assert sorted(i for part in parts for i in part.tolist()) == list(range(len(examples)))
    prefixes = [{examples[i].tokens for i in part.tolist()} for part in parts]
    assert not any(prefixes[i] & prefixes[j] for i in range(5) for j in range(i))
    rows = rows_at(model, examples, [("resid_post", 0)])[0]
    fold = data.folds[0]
    fit = fit_numbers(rows, data, 0.01)
    moved = data.targets.clone()
    moved[:, fold] += 100.0  # what a fold is told of itself must not matter to its prediction
    again = fit_numbers(rows, type(data)(**{**vars(data), "targets": moved}), 0.01)
    there = torch.isin(data.tested, fold)
    torch.testing.assert_close(fit.predicted[there], again.predicted[there])
    assert not torch.allclose(fit.predicted[~there], again.predicted[~there])


def test_it_saves_draws_and_repeats(planted: RegressionProbe, tmp_path: Path) -> None:
    assert RegressionProbe.load(planted.save(tmp_path / "kept")) == planted
    assert set(planted.frame()["quantity"]) == {"r2", "control"}
    for view in ("r2", "numbers"):
        assert figure(planted, view=view).data
    assert "regression_probe" in planted.code()


def test_what_is_no_number_is_refused_by_its_row(model: GPT, tmp_path: Path) -> None:
    rows = [{"text": f"{name} sits in the den.", "label": "3.5"} for name in NAMES * 6]
    path = tmp_path / "rows.jsonl"
    for label, error, words in (
        ("much", ConfigError, "Row 5: a regression needs a number as label; got 'much'"),
        ("nan", ConfigError, "Row 5: a regression needs a number"),
        ("3.5", NotEnoughDataError, "all labelled '3.5'"),
    ):
        rows[4]["label"] = label
        path.write_text("\n".join(map(json.dumps, rows)))
        with pytest.raises(error, match=words):
            regression_probe(model, path)
    with pytest.raises(ConfigError, match="2 folds or more"):
        regression_probe(model, path, folds=1)
