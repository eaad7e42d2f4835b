"""Every method keeps one contract: examples lie higher, or it says that it cannot be read."""

from typing import get_args

import pytest

import interp
from interp.analyses.probing.concept import concepts_at
from interp.core.statistics.association import auroc
from interp.methods.probes.directions import Method
from interp.results.result import load_result

WORDS = (("happy", "asked"), ("garden", "stated"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "method, word, at", [(method, *word) for method in get_args(Method) for word in WORDS]
)
def test_held_out_examples_lie_higher_or_the_result_says_it_cannot_be_read(method, word, at):
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    sites = [("resid_pre", 0), *(("resid_post", layer) for layer in range(model.cfg.n_layers))]
    call = dict(positive=word, negative=None, world=world, at=at, level="full", seed=0)
    for found in concepts_at(model, call | {"method": method, "n_stories": 100}, sites):
        held_out = auroc(found.projections, found.positive).value
        if found.readable:
            higher = found.projections[found.positive].mean()
            assert held_out > 0.5 and higher > found.projections[~found.positive].mean()
            assert "cannot be read" not in f"{found.finding()} {found.use}"
        else:
            said = "writes, cannot be read" if method == "gradient" else "cannot be read"
            assert found.use == said and said in found.finding() and said in found.caption()
        assert found.writes_answer == (found.site == ("resid_post", model.cfg.n_layers - 1))


def test_what_can_be_read_is_kept_with_the_result(tmp_path):
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    found = interp.concept(
        model, "happy", world=world, site=("resid_post", 3), method="gradient", n_stories=100
    )
    again = load_result(found.save(tmp_path / "happy"))
    assert again == found and again.readable == found.readable == (found.auroc.low > 0.5)
    saved = (tmp_path / "happy" / "result.json").read_text()
    assert (
        f'"readable": {str(found.readable).lower()}' in saved and '"writes_answer": true' in saved
    )
