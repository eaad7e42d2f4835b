"""Results kept with a model stand in for the very same call on the very same weights only."""

import shutil

import pytest

import interp
from interp.dashboards import dose_curve, kept
from interp.dashboards.concept_rack import found_by
from interp.dashboards.shelf import Entry
from tests.dashboards.browsing import SHIPPED


@pytest.fixture
def entry(tmp_path):
    """The shipped model's settings, weights and kept results, in a folder of their own."""
    folder = tmp_path / "stories-demo"
    shutil.copytree(SHIPPED / "stories-demo", folder, ignore=shutil.ignore_patterns("checkpoints"))
    return Entry("stories-demo", folder)


def test_every_kept_concept_and_its_curve_are_found_for_the_shipped_model(entry):
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    for word in world.concepts["mood"]:
        asked = found_by(model, word, world)
        concept = kept.find(entry, "concept", model, **asked)
        assert concept.name == word and concept.provenance.model_hash == model.hash
        curve = dose_curve.asked(concept, concept.where_written, world, ())
        found = kept.find(entry, "steering", model, **curve)
        kinds = [zone.kind for zone in found.zones()]
        assert "useful" in kinds and found.word == word and found.beats_random
        assert kept.find(entry, "steering", model, **{**curve, "seed": 1}) is None
    for changed in ({"seed": 5}, {"method": "pca"}, {"site": ("resid_post", 1)}):
        assert kept.find(entry, "concept", model, **{**asked, **changed}) is None


def test_other_weights_and_damaged_files_count_as_none(entry):
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    asked = found_by(model, "happy", world)
    assert kept.find(entry, "concept", model.untrained(), **asked) is None
    place = entry.folder / kept.FOLDER / "concept-happy" / "result.json"
    place.write_text(place.read_text().replace("0.", "1.", 1))
    damaged = Entry("moved", entry.folder.rename(entry.folder.with_name("moved")))
    assert kept.find(damaged, "concept", model, **asked) is None
    assert kept.find(damaged, "concept", model, **found_by(model, "sad", world)) is not None


def test_a_kept_direction_is_the_one_that_is_found_now(entry):
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    asked = found_by(model, "happy", world)
    there = kept.find(entry, "concept", model, **asked)
    assert interp.concept(model, **asked).direction @ there.direction > 0.999
