"""The steering page: doses move one text only, concepts of one's own, recipes there and back."""

import json

import pytest

import interp
from dashboards.pickers.own_concepts import OWN
from dashboards.steering.concept_sliders import concept_arguments
from interp.steering_recipe import Ingredient, SteeringRecipe

SHORT = {"length": "8"}
LINES = "\n".join(f"<script>alert({n})</script>" for n in range(12))


def problems(test) -> list[str]:
    """Tracebacks on the page."""
    return [error.message for error in test.exception]


def texts(test) -> dict[str, list[str]]:
    """The tokens of both texts, from the table below them."""
    if not test.toggle(key="table_continuation").value:
        test.toggle(key="table_continuation").set_value(True).run()
    table = next(each.value for each in test.dataframe if "base_token" in each.value.columns)
    columns = {"base": ("base_kl_nats", "base_token"), "steered": ("kl_nats", "token")}
    return {
        name: list(table.loc[table["quantity"] == quantity, token])
        for name, (quantity, token) in columns.items()
    }


def test_a_dose_moves_the_steered_text_only(application):
    test = application("steering", dose_happy="0.0", **SHORT)
    assert problems(test) == []
    still = texts(test)
    assert still["base"] == still["steered"]
    test.slider(key="dose_happy").set_value(2.0)
    test.selectbox(key="where_happy").set_value("everywhere").run()
    moved = texts(test)
    assert problems(test) == [] and moved["base"] == still["base"] != moved["steered"]
    assert any("random directions" in each.value for each in test.markdown)


@pytest.mark.slow
def test_six_concepts_at_most_each_with_its_slider(application):
    test = application("steering", **SHORT)
    concepts = ["happy", "sad", "angry"]
    test.multiselect(key="concepts").set_value(concepts).run()
    assert problems(test) == []
    assert {f"dose_{name}" for name in concepts} <= {slider.key for slider in test.main.slider}
    assert test.multiselect(key="concepts").proto.max_selections == 6
    test.multiselect(key="concepts").set_value([]).run()
    assert problems(test) == [] and "needs a concept" in test.info[0].value


@pytest.mark.slow
def test_zones_are_measured_when_asked_for_and_the_curve_is_shown(application):
    test = application("steering", **SHORT)
    assert "zones_happy" not in str(test.main)
    test.toggle(key="show_behind").set_value(True).run()
    figures = len(test.get("plotly_chart"))
    test.button(key="measure_happy").click().run()
    assert problems(test) == []
    assert len(test.get("plotly_chart")) == figures + 1
    assert any("useful" in caption.value for caption in test.caption)


def test_a_concept_of_ones_own_is_made_from_examples(application):
    test = application("steering", model="bytes", **SHORT)
    assert problems(test) == [] and "make one below" in test.info[0].value
    test.text_input(key="own_name").set_value("<b>mine</b>")
    test.text_area(key="positive").set_value(LINES)
    test.text_area(key="negative").set_value("one\ntwo").run()
    test.button(key="make_own").click().run()
    assert problems(test) == [] and "8 texts" in test.error[0].value
    test.text_area(key="negative").set_value(LINES.replace("script", "b")).run()
    test.button(key="make_own").click().run()
    assert problems(test) == [] and not test.error
    assert test.multiselect(key="concepts").value == ["<b>mine</b>"]
    assert test.slider(key="dose_own0").value == 0.75
    assert set(texts(test)) == {"base", "steered"}
    assert all(not element.allow_html for element in test.markdown)
    test.button(key="make_own").click().run()
    assert "is not taken" in test.error[0].value


@pytest.fixture(scope="module")
def sad(model_root):
    """A concept of the words' model."""
    model, world = interp.load_model(str(model_root / "stories-demo")), interp.load_world("stories")
    return interp.concept(model, **concept_arguments(model, "sad", world))


def recipe_of(model_root, sad, dose: float, **changes) -> bytes:
    """A recipe for the words' model, as a file's content."""
    model, world = interp.load_model(str(model_root / "stories-demo")), interp.load_world("stories")
    parts = [Ingredient.of(sad, dose, where=sad.where_written)]
    sampling = {"max_new_tokens": 8, "temperature": 0.9, "top_k": 7, "seed": 3, **changes}
    prompt = world.sample(1, split="held_out").text.split(".")[0] + "."
    return SteeringRecipe.of(model, parts, prompt, **sampling).to_json().encode()


@pytest.mark.slow
def test_a_loaded_recipe_gives_its_texts(application, model_root, sad):
    content = recipe_of(model_root, sad, -0.9)
    test = application("steering", **SHORT)
    test.file_uploader(key="recipe_file").set_value(("x.json", content, "application/json")).run()
    assert problems(test) == [] and "was loaded" in test.success[0].value
    assert test.multiselect(key="concepts").value == ["sad"]
    assert test.slider(key="dose_sad").value == -0.9 and test.slider(key="top_k").value == 7
    model = interp.load_model(str(model_root / "stories-demo"))
    recipe = SteeringRecipe.from_json(content.decode())
    written = model.generate(recipe.prompt, edits=recipe.edits(model), **recipe.sampling)
    assert texts(test)["steered"] == model.tokenizer.display(written.tokens[0])


def test_a_foreign_recipe_is_a_sentence_and_changes_nothing(application, model_root, sad):
    test = application("steering", **SHORT)
    other = json.loads(recipe_of(model_root, sad, 0.5))
    other["model"]["d_model"] = 512
    for content in (b"\xff\xfe", b"{}", json.dumps(other).encode()):
        test.file_uploader(key="recipe_file").set_value(("<b>.json", content, "text/plain")).run()
        assert problems(test) == [] and "needs a recipe" in test.error[0].value
        assert test.multiselect(key="concepts").value == ["happy"]
    far = recipe_of(model_root, sad, 7.0)
    test.file_uploader(key="recipe_file").set_value(("far.json", far, "application/json")).run()
    assert "doses from" in test.error[0].value and OWN in test.session_state


def test_any_model_is_steered_by_a_ready_list(application):
    test = application("steering", model="bytes", **SHORT)
    assert problems(test) == [] and "needs a concept" in test.info[0].value
    assert test.multiselect(key="concepts").options == [
        "sentiment: positive", "formality: formal", "topic: sport",
    ]  # fmt: skip
    assert any("8 or more" in box.label for box in test.text_area), "said before it is pressed"
    test = application("steering", model="bytes", concepts="topic: sport", **SHORT)
    assert problems(test) == [] and not test.error
    assert texts(test)["steered"]
    test.button(key="measure_gain").click().run()
    assert problems(test) == [] and not test.error
    assert any("Gain and damage" in head.value for head in test.subheader)
    assert any("random directions" in each.value for each in test.caption)
