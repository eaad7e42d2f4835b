"""A result stands in for the very same call on the very same weights, and for nothing else."""

import shutil
from dataclasses import replace

import pytest

from interp.core.edits import Call, Scale, Where
from interp.results.cache import ResultCache, result_of_call, saved_results
from tests.analyses.tiny_model import tiny_model
from tests.analyses.tiny_world import TinyWorld

TEXT = TinyWorld().sample(0).text
ASK = {"prompt": TEXT, "untrained": 1}


@pytest.fixture(scope="module")
def model():
    return tiny_model(steps=2)


@pytest.fixture
def cache() -> ResultCache:
    return ResultCache(2**24)


@pytest.fixture
def folder(tmp_path, model, cache):
    """A folder with two results of the model."""
    for seed in (0, 1):
        cache.measured("attention", model, **ASK, seed=seed).save(tmp_path / f"seed-{seed}")
    return tmp_path


def test_the_same_call_is_measured_once_and_another_call_anew(model, cache):
    first = cache.measured("attention", model, **ASK, seed=0)
    assert cache.measured("attention", model, **ASK, seed=0) is first
    assert cache.knows("attention", model, **ASK, seed=0)
    assert not cache.knows("attention", model, **ASK, seed=1)
    assert not cache.knows("attention", model.untrained(), **ASK, seed=0)
    assert cache.measured("attention", model, **ASK, seed=1) is not first
    cache.clear()
    assert not cache.knows("attention", model, **ASK, seed=0)


def test_a_text_is_remembered_by_its_edits_and_options(model, cache):
    plain = cache.generated(model, TEXT, edits=[], max_new_tokens=4, seed=0)
    assert cache.generated(model, TEXT, edits=[], max_new_tokens=4, seed=0) is plain
    assert cache.generated(model, TEXT, edits=[], max_new_tokens=4, seed=1) is not plain
    edits = [Scale(hook=("resid_post", 0), factor=0.0)]
    assert cache.generated(model, TEXT, edits=edits, max_new_tokens=4, seed=0) is not plain


def test_positions_tell_two_calls_apart(model, cache):
    options = {"world": TinyWorld(), "words": ("a",), "n_prompts": 2, "n_tokens": 2}
    options |= {"n_random": 2, "n_random_prompts": 2, "doses": (0.5,), "prompt_sentences": 1}
    concept = cache.measured(
        "concept", model, positive="glad", world=TinyWorld(), at="stated", n_stories=40
    )
    first, other = Where(start=2), Where(tokens={3, 4})
    measured = cache.measured("steering", model, concept=concept, **options, where=first)
    assert cache.knows("steering", model, concept=concept, **options, where=Where(start=2))
    assert not cache.knows("steering", model, concept=concept, **options, where=other)
    assert not cache.knows("steering", model, concept=concept, **options)
    again = cache.measured("steering", model, concept=concept, **options, where=other)
    assert again.where != measured.where


def test_what_a_record_only_describes_is_never_taken_for_something_else(model, cache):
    def text(factor: float) -> str:
        edit = Call(hook=("resid_post", 0), function=lambda x, context: x * factor)
        options = {"max_new_tokens": 4, "temperature": 0.0}
        return cache.generated(model, TEXT, edits=[edit], **options).tokens

    plain = cache.generated(model, TEXT, max_new_tokens=4, temperature=0.0).tokens
    assert text(1.0) == plain != text(-30.0)


def test_a_saved_result_is_of_the_very_same_call_and_weights(folder, model, cache):
    saved = cache.saved(folder, "attention", model, **ASK)
    assert saved.provenance.seed == 0 and saved == cache.measured("attention", model, **ASK, seed=0)
    assert cache.saved(folder, "attention", model, **ASK, seed=1).provenance.seed == 1
    assert cache.saved(folder, "attention", model, **ASK, seed=2) is None
    assert (
        cache.saved(folder, "attention", model, prompt=TEXT[: len(TEXT) // 2], untrained=1) is None
    )
    assert cache.saved(folder, "logit_lens", model, prompt=TEXT) is None
    assert cache.saved(folder, "attention", model.untrained(), **ASK) is None
    assert cache.saved(folder / "nowhere", "attention", model, **ASK) is None


def test_a_damaged_result_counts_as_none(folder, model):
    place = folder / "seed-0" / "result.json"
    place.write_text(place.read_text()[:-9])
    results = saved_results(folder, model.hash)
    assert [result.provenance.seed for result in results] == [1]
    assert result_of_call(results, "attention", ASK) is None


def test_files_that_are_added_or_removed_are_seen(folder, model, cache):
    assert cache.saved(folder, "attention", model, **ASK, seed=2) is None
    cache.measured("attention", model, **ASK, seed=2).save(folder / "seed-2")
    assert cache.saved(folder, "attention", model, **ASK, seed=2) is not None
    shutil.rmtree(folder / "seed-2")
    assert cache.saved(folder, "attention", model, **ASK, seed=2) is None


def test_a_result_from_before_a_parameter_was_added_counts_with_its_default(folder, model):
    result = saved_results(folder, model.hash)[0]
    origin = result.provenance
    call = {name: value for name, value in origin.call.items() if name != "edits"}
    older = replace(result, provenance=replace(origin, call=call))
    asked = {**ASK, "seed": origin.call["seed"]}
    assert result_of_call([older], "attention", asked) is older
    edits = [Scale(hook=("resid_post", 0), factor=0.5)]
    assert result_of_call([older], "attention", {**asked, "edits": edits}) is None
