"""Results saved with a model stand in for the very same call on the very same weights only."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

import interp
from dashboards.page import measurements
from dashboards.steering import dose_zones
from dashboards.steering.concept_sliders import concept_arguments
from interp.core.edits import Where
from tests.dashboards.browsing import SHIPPED


@pytest.fixture
def folder(tmp_path):
    """The shipped model's settings, weights and saved results, in a folder of their own."""
    folder = tmp_path / "stories-demo"
    shutil.copytree(SHIPPED / "stories-demo", folder, ignore=shutil.ignore_patterns("checkpoints"))
    return folder


def test_every_saved_concept_and_its_curve_are_found_for_the_shipped_model():
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    beyond_random = set()
    for word in world.concepts["mood"]:
        arguments = concept_arguments(model, word, world)
        concept = measurements.saved("concept", model, **arguments)
        assert concept.name == word and concept.provenance.model_hash == model.hash
        curve = dose_zones.curve_arguments(concept, concept.where_written, world, ())
        steering = measurements.saved("steering", model, **curve)
        kinds = [zone.kind for zone in steering.zones()]
        assert kinds and steering.word == word and not steering.writes_answer
        # The words can be pushed, so that a direction which moves nothing is the direction's fault.
        assert steering.bias_gain.low > 0.1
        # One of eight random directions at most gains as much, and eight are too few to beat.
        if steering.p <= 2 / 9 and steering.gain.low > 0 and "useful" in kinds:
            beyond_random.add(word)
        assert measurements.saved("steering", model, **{**curve, "seed": 1}) is None
        everywhere = dose_zones.curve_arguments(concept, Where(), world, ())
        assert measurements.saved("steering", model, **everywhere) is None
    assert beyond_random == {"angry", "calm", "proud", "tired"}, "not so for every mood"
    for changed in ({"seed": 5}, {"method": "pca"}, {"site": ("resid_post", 1)}):
        assert measurements.saved("concept", model, **{**arguments, **changed}) is None


def test_other_weights_and_damaged_files_count_as_none(folder):
    world = interp.load_world("stories")
    path = folder / measurements.FOLDER / "concept-happy" / "result.json"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    model = interp.load_model(folder)
    happy, sad = (concept_arguments(model, word, world) for word in ("happy", "sad"))
    assert measurements.saved("concept", model, **happy) is None
    assert measurements.saved("concept", model, **sad) is not None
    assert measurements.saved("concept", model.untrained(), **sad) is None


def test_a_saved_direction_is_the_one_that_is_found_now():
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    arguments = concept_arguments(model, "happy", world)
    saved = measurements.saved("concept", model, **arguments)
    assert interp.concept(model, **arguments).direction @ saved.direction > 0.999


def costly_page() -> None:
    """A page whose measurement is above the limit of cost."""
    import streamlit as st

    import interp
    from dashboards.page import measurements
    from dashboards.page.error_message import guarded
    from interp.core.cost import cost_limit

    def render() -> None:
        model = interp.load_model("stories-demo")
        prompt = st.text_input("Prompt", "It is a rainy night.")
        with cost_limit(seconds=0):
            st.code(measurements.measured("prediction", model, prompt=prompt).finding())

    guarded(render)()


def test_a_costly_measurement_shows_its_estimate_and_goes_on_when_told_to():
    measurements.forget()
    test = AppTest.from_function(costly_page, default_timeout=60).run()
    (warning,) = test.warning
    assert "GB" in warning.value and "shorter" in warning.value and "--yes" not in warning.value
    assert not test.code and not test.error
    test.button[0].click().run()
    assert not test.exception and not test.warning and "answer" in test.code[0].value
    test.text_input[0].set_value("It is a rainy night. Ben").run()  # another call asks again
    assert [button.label for button in test.button] == ["Measure all the same"]
