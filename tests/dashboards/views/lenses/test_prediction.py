"""One token step by step: every stage is told, branches grow, any text stays text."""

import json

import pytest
import torch

from dashboards.prediction.branches import Walk, branches
from dashboards.prediction.stages import stage_card, stages
from interp.analyses.lenses.prediction import prediction
from interp.models.io.load import load_model

TEXT = "It is a sunny morning. Anna"
HOSTILE = "<script>alert(1)</script> <b>bold</b> :red[x] $x^2$ 🌱 \u202eשלום\nnew"


@pytest.fixture(scope="module")
def model(model_root):
    return load_model(model_root / "stories-demo")


def here(test) -> Walk:
    """Where the reader of a page stands."""
    return test.session_state["prediction_walk"]


def written(model, n: int, **options) -> list[int]:
    return model.generate(TEXT, max_new_tokens=n, **options).tokens[0]


def test_next_goes_through_every_stage_and_on_to_the_token_that_generate_writes(application, model):
    test = application("prediction", prompt=TEXT)
    n = len(stages(model.cfg.n_layers))
    assert test.button(key="back").disabled
    for stage in range(n):
        assert (here(test).stage, here(test).path) == (stage, ())
        test.button(key="next").click().run()
        assert not test.exception and not test.error
    assert (here(test).stage, list(here(test).path)) == (0, written(model, 1))
    test.button(key="back").click().run()
    assert (here(test).stage, here(test).path) == (n - 1, ())


def test_single_tokens_and_many_at_once_write_the_same_text(application, model):
    how = {"temperature": 0.9, "top_p": 0.8, "seed": 3}
    test = application("prediction", prompt=TEXT, length="6", **{k: str(v) for k, v in how.items()})
    test.button(key="token").click().run()
    test.button(key="token").click().run()
    test.button(key="write").click().run()
    assert list(here(test).path) == written(model, 8, **how)
    path = ".".join(map(str, here(test).path))
    assert test.query_params["path"] in (path, [path])
    test.button(key="restart").click().run()
    assert here(test).path == () and len(here(test).log_probs) == 8


def test_a_link_leads_into_a_branch_and_another_text_begins_anew(application, model):
    test = application("prediction", prompt=TEXT, path="5.7")
    assert not test.exception and here(test).path == (5, 7)
    logits = model.run([*model.to_tokens(TEXT)[0][0].tolist(), 5]).logits[0, -1]
    ids = here(test).log_probs[(5, 7)]
    assert ids == pytest.approx(logits.log_softmax(-1)[7].item(), abs=1e-4)
    test.button(key="back").click().run()
    test.button(key="token").click().run()
    assert here(test).path[:1] == (5,)
    assert set(here(test).log_probs) == {(5,), (5, 7), here(test).path}
    test.text_area(key="prompt").set_value("It is a sunny morning.").run()
    assert here(test).path == () and "path" not in test.query_params


@pytest.mark.parametrize("path", ["x.y", "-1", "99999999", "1." * 400, "<b>", "٣"])
def test_a_path_that_is_none_is_no_error(application, path):
    test = application("prediction", prompt=TEXT, path=path)
    assert not test.exception


def test_the_end_of_the_text_and_of_the_context_are_said(application, model):
    bos = model.tokenizer.bos_token_id
    test = application("prediction", prompt=TEXT, path=f"5.{bos}")
    assert not test.exception and "text ends here" in test.info[0].value
    assert test.button(key="next").disabled and not test.button(key="back").disabled
    full = ".".join(["5"] * model.cfg.n_ctx)
    test = application("prediction", prompt=TEXT, path=full)
    assert not test.exception and "is full" in test.info[0].value


def test_the_python_of_a_step_gives_the_step(application, model):
    test = application("prediction", prompt=TEXT, path="5.7", seed="2")
    test.toggle(key="code_prediction").set_value(True).run()
    code = next(code.value for code in test.code if "interp.prediction(" in code.value)
    assert "then=[5, 7]" in code and "seed=2" in code
    names: dict = {}
    exec(code.replace("print(result)", ""), names)
    own = prediction(model, TEXT, then=[5, 7], seed=2)
    assert names["result"].chosen_id == own.chosen_id and names["result"].draw == own.draw


def test_hostile_texts_stay_letters_at_every_stage(application, model_root):
    model = load_model(model_root / "bytes")
    result = prediction(model, HOSTILE, temperature=0.0)
    for at in range(len(stages(model.cfg.n_layers))):
        json.dumps(stage_card(result, HOSTILE, at))
    test = application("prediction", model="bytes", prompt=HOSTILE)
    for _ in range(11):
        test.button(key="next").click().run()
        assert not test.exception and not test.error
    assert all(not element.allow_html for element in test.markdown)


def test_a_figure_is_drawn_where_it_is_wanted(application):
    test = application("prediction", prompt=TEXT)
    assert not test.get("plotly_chart")
    test.toggle(key="as_figure").set_value(True).run()
    assert not test.exception and test.get("plotly_chart")[0].proto.alt


def test_a_card_tells_the_numbers_of_the_result(model):
    result = prediction(model, TEXT, temperature=0.7, top_k=4, k=12)
    cards = [stage_card(result, TEXT, at) for at in range(len(stages(model.cfg.n_layers)))]
    ids = [chip["id"] for chip in cards[0]["chips"]["tokens"]]
    assert ids == [str(each) for each in result.ids.tolist()]
    rows = cards[-3]["candidates"]["rows"]
    assert [row["cut"] for row in rows] == [
        float(p) == 0 for p in result.sampling_probabilities[: len(rows)]
    ]
    assert sum(row["cut"] for row in rows) == len(rows) - 4
    parts = cards[-2]["dice"]["segments"]
    inside = [part for part in parts if part["low"] <= result.draw < part["high"]]
    assert [part["chosen"] for part in inside] == [True]
    scores = cards[-4]["meters"]
    assert scores[-1]["value"] == f"{result.scores[0]:.2f}"
    assert all(row["start"] >= 0 and row["start"] + row["share"] <= 1 + 1e-6 for row in scores)
    assert cards[-1]["text"]["before"] == TEXT


def test_branches_end_where_texts_part_and_where_one_stands():
    paths = [(1,), (1, 2), (1, 2, 3), (1, 4), (5,)]
    pieces = [(branch.depth, branch.ids) for branch in branches(paths)]
    assert pieces == [(0, (1,)), (1, (2, 3)), (1, (4,)), (0, (5,))]
    marked = branches(paths, here=(1, 2))
    assert (1, 2) in [branch.path for branch in marked] and len(marked) == 5
    walk = Walk(("", ""), log_probs={path: -0.5 for path in paths})
    assert walk.probability((1, 2)) == pytest.approx(torch.tensor(-1.0).exp().item())
