"""What version 0.1 saved still opens, and what it measured is measured again with equal numbers."""

import ast
import json

import pytest
import torch

import interp
from interp.core.edits import from_json, to_json
from interp.models.io.load import find_model
from interp.results.registry import current_name, instruments
from interp.results.result import Result, load_result
from interp.results.values import encode
from interp.training.recipe.config import TrainConfig
from tests.earlier import calls

FILES, RESULTS = calls.HERE / "files", calls.HERE / "results"
NAMES = sorted(path.name for path in RESULTS.iterdir())
QUICK = {"attention", "logit_lens", "prediction", "surprise", "head_ablation", "gradient_step"}
CLOSE = {"rtol": 1e-4, "atol": 2e-5}
"""Machines and numbers of threads round differently; the numbers are float32."""
REDEFINED = {
    "comprehension": [
        "accuracy",
        "shortcuts",
        "margins",
        "questions",
        "recall",
        "consistent",
        "n_eventful",
        "rules",
        "discoveries",
        "error_rules",
        "errors_explained",
        "tellable",
    ],
    "allocation": [
        "totals", "points", "by_tensor", "by_layer", "by_head", "by_neuron", "lowered", "raised",
        "helping_in", "top_shares", "part_errors",
    ],
    "blame": [
        "totals", "points", "by_tensor", "by_layer", "by_head", "by_neuron", "by_vocabulary",
        "by_weight", "part_error",
    ],
    "emergence": [
        "curves", "measures", "units", "better", "values", "fitted", "when", "onset", "end",
        "change", "explained", "control", "untrained", "verdicts", "typical", "jumps", "kinds", "p",
    ],
    "emergence-runs": ["when", "change", "p"],
    "fidelity": ["correlations"],
    "heads": ["ablation", "uniform_nats", "simultaneous"],
    "scale-law": ["law", "law_weights"],
    "concept": ["written"],
    "concept-gradient": ["direction", "auroc", "projections", "written", "writes_answer"],
    "continuation": [
        "steered_text", "steered_tokens", "kl_nats", "base_kl_nats", "log_prob_nats",
        "steered_log_prob_nats", "before", "after",
    ],
    "gauges": ["steered"],
    "steering": [
        "direction", "measures", "best", "gain", "z", "p", "texts", "writes_answer", "bias",
    ],
    "steering-screened": [
        "direction", "measures", "gain", "texts", "ratio", "writes_answer", "expressions", "bias",
    ],
    "learning_curve": ["held_out_per_byte"],
    "learning_curve-shipped": ["held_out_per_byte"],
    "surprise": ["n_bytes"],
    "surprise-step": ["n_bytes"],
    "watch": [
        "curves", "measures", "titles", "units", "better", "values", "controls", "control_names",
        "untrained", "n",
    ],
}  # fmt: skip
"""Fields that are new or defined otherwise since then, as the changelog says."""


def instrument(name: str) -> str:
    """Today's name of the instrument of a saved result."""
    return current_name(name.partition("-")[0])


def numbers(value: object) -> tuple[list[float], str]:
    """Every number that is no whole one, in order, and all the rest as text."""
    tensors: dict[str, torch.Tensor] = {}
    plain = encode(value, "x", tensors)
    floats = [x for t in tensors.values() if t.is_floating_point() for x in t.flatten().tolist()]
    rest = [t.tolist() for t in tensors.values() if not t.is_floating_point()]

    def without(item: object) -> object:
        if isinstance(item, float):
            floats.append(item)
            return 0.0
        if isinstance(item, list):
            return [without(each) for each in item]
        return {k: without(v) for k, v in item.items()} if isinstance(item, dict) else item

    return floats, json.dumps([without(plain), rest], sort_keys=True)


def differences(saved: Result, again: Result) -> list[str]:
    """The fields that are not equal, but for rounding."""
    wrong = []
    for field in saved._own_fields():
        (before, text_before), (now, text_now) = (
            numbers(getattr(result, field)) for result in (saved, again)
        )
        equal = len(before) == len(now) and torch.allclose(
            torch.tensor(before), torch.tensor(now), equal_nan=True, **CLOSE
        )
        if not equal or text_before != text_now:
            wrong.append(field)
    return wrong


def test_there_is_a_result_of_every_instrument_of_that_version():
    measured = {instrument(name) for name in NAMES}
    assert measured <= set(instruments()) and len(measured) == 27
    assert set(NAMES) == set(calls.CALLS)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_result_opens_draws_and_tells_how_it_was_made(name):
    result = load_result(RESULTS / name)
    assert result.provenance.instrument == instrument(name)
    assert result.finding() and result.caption() and len(result.frame())
    assert result.figure().data
    code = result.code()
    ast.parse(code)
    assert f"interp.{instrument(name)}(" in code


def test_a_saved_result_claims_no_correction_that_it_was_made_without():
    assert "at once" not in load_result(RESULTS / "heads").caption()
    assert "Holm" not in load_result(RESULTS / "emergence").caption()


@pytest.mark.parametrize(
    "name",
    [n if instrument(n) in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES],
)
def test_measured_again_the_numbers_are_equal(name, tmp_path):
    with calls.beside(tmp_path):
        again = calls.CALLS[name]()
    assert differences(load_result(RESULTS / name), again) == REDEFINED.get(name, [])


NEW_CURVES = {
    "watch": ["accuracy: object_place", "known_words", "log_prob: object_place", "loss_per_byte"],
    "emergence": ["accuracy: object_place", "log_prob: object_place"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW_CURVES)
def test_a_curve_keeps_its_numbers_beside_those_that_are_new(name, tmp_path):
    """Where curves are new, the fields as a whole are other ones."""
    saved = load_result(RESULTS / name)
    with calls.beside(tmp_path):
        again = calls.CALLS[name]()
    same = [again.curves.index(curve) for curve in saved.curves]
    assert sorted(set(again.curves) - set(saved.curves)) == NEW_CURVES[name]
    assert len(set(same)) == len(saved.curves)
    if name == "watch":
        assert saved.n == tuple(again.n[i] for i in same)
    for field in ("values", "untrained") if name == "watch" else ("values",):
        before, after = getattr(saved, field), getattr(again, field)
        after = after[..., same, :] if name == "emergence" else after[same]
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concept-happy", "steering-sad", "watch", "emergence"])
def test_a_result_that_comes_with_the_shipped_model_is_measured_again(name):
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    saved = load_result(find_model("stories-demo") / "results" / name)
    lines = saved.code().rstrip().splitlines()
    if name.startswith("steering"):
        pytest.importorskip("dashboards", reason="the curve's positions are the page's own choice")
        from dashboards.steering.concept_sliders import concept_arguments
        from dashboards.steering.dose_zones import curve_arguments

        concept = interp.concept(model, **concept_arguments(model, saved.word, world))
        again = interp.steering(model, **curve_arguments(concept, concept.where_written, world, ()))
    else:
        scope: dict = {}
        exec("\n".join(lines[:-1]), scope)
        again = scope["result"]
    assert differences(saved, again) == []


def test_a_report_opens_with_its_figures():
    report = interp.Report.load(FILES / "report.zip")
    assert report.title == "What the last version wrote" and len(report.figures) == 2
    names = [part.result.provenance.instrument for part in report.figures]
    assert names == ["logit_lens", "head_ablation"]
    assert "The lens" in report.html()


def test_a_recipe_gives_the_text_it_gave():
    recipe, model = interp.load_recipe(FILES / "happy.recipe.json"), calls.model()
    text = model.generate(recipe.prompt, edits=recipe.edits(model), **recipe.sampling).text
    assert text == (FILES / "happy.recipe.txt").read_text()


def test_edits_are_the_same_value():
    text = (FILES / "edits.json").read_text()
    assert json.loads(to_json(from_json(text))) == json.loads(text)


@pytest.mark.slow
def test_a_run_goes_on_to_the_same_weights(tmp_path):
    record = json.loads((FILES / "resumed.json").read_text())
    with calls.beside(tmp_path):
        recipe = json.loads((tmp_path / "runs/forth-0/run.json").read_text())["recipe"]
        config = TrainConfig.from_dict(recipe | {"steps": record["step"]})
        trained = interp.train(config, "runs/corpus", "runs/forth-0", device="cpu", threads=1)
        assert trained.step == record["step"]
        lines = (tmp_path / "runs/forth-0/metrics.jsonl").read_text().splitlines()
    losses = {r["step"]: r for r in map(json.loads, lines) if r["kind"] == "train"}
    for each in record["train"]:
        key = next(key for key in each if key.startswith("loss"))
        assert losses[each["step"]][key] == pytest.approx(each[key], rel=1e-4)


def test_the_old_import_paths_still_lead_somewhere():
    from interp.edits import Add
    from interp.errors import ConfigError
    from interp.protocols import LanguageModel
    from interp.results import Result as FormerResult
    from interp.statistics import Interval, holm, spearman

    assert Add is interp.Add and FormerResult is Result and issubclass(ConfigError, Exception)
    assert all((LanguageModel, Interval, holm, spearman))
