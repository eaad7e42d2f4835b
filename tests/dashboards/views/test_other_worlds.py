"""Worlds differ in levels, splits and variables: no page asks one for what only another has."""

import pytest

from dashboards.page.navigation import stems
from tests.dashboards.model_folders import make_model
from tests.dashboards.views.learning.test_checkpoint_metrics import add_history

RUN = {
    "comprehension": "Ask",
    "emergence": "Measure every checkpoint",
    "fidelity": "Probe every checkpoint",
    "probe": "Train the probe",
}
"""Buttons that start what is slow."""
OF_RUNS = ("curriculum", "scaling_law")
"""They need the record that `interp train` writes, which a made model lacks."""


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A run on a world without the level `full`, without new compositions."""
    root = tmp_path_factory.mktemp("homes")
    add_history(make_model(root / "homes-run", world="homes"))
    return root


@pytest.mark.slow  # not one, but all pages together
@pytest.mark.parametrize("stem", [stem for stem in stems() if stem not in OF_RUNS])
def test_every_page_opens_on_a_run_of_homes(application, homes, stem):
    test = application(stem, folder=homes, model="homes-run")
    for button in [button for button in test.button if button.label == RUN.get(stem)][:1]:
        button.click().run()
    assert not test.exception and [error.value for error in test.error] == []


def test_a_world_without_a_lasting_variable_says_so(application, homes):
    for stem, query in (("fidelity", {}), ("probe", {"part": "Along a story"})):
        test = application(stem, folder=homes, model="homes-run", **query)
        assert not test.exception and not test.error
        assert "holds on from sentence to sentence" in test.info[0].value
