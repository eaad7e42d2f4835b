"""A full disk ends a run with a clear error, and leaves the old state to go on from."""

import resource

import pytest

from interp.core.errors import TrainingError
from interp.training.loop.pretrain import train
from interp.training.run.state import newest_state
from tests.training.tiny_run import tiny_config, trace


class DiskFull:
    """From the nth write of a state on, no file may grow beyond so many bytes."""

    def __init__(self, limit, nth_write):
        self.limit, self.left = limit, nth_write
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def __call__(self, moment):
        self.left -= moment == "before"
        if self.left == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.before[1]))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


RECIPE = tiny_config(steps=16)


@pytest.fixture(scope="module")
def whole_run(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(RECIPE, corpus, folder, device="cpu")
    return folder


@pytest.mark.parametrize("limit", [0, 600, 9_000])
def test_a_full_disk_stops_the_run_and_space_lets_it_go_on(whole_run, corpus, tmp_path, limit):
    with (
        DiskFull(limit, nth_write=4) as disk,
        pytest.raises(TrainingError, match="could not be written"),
    ):
        train(RECIPE, corpus, tmp_path / "run", device="cpu", on_write=disk)
    state, warnings = newest_state(tmp_path / "run" / "states")
    assert state.step == 10 and not warnings
    assert not list((tmp_path / "run" / "states").glob(".*"))
    train(RECIPE, corpus, tmp_path / "run", device="cpu")
    assert trace(tmp_path / "run") == trace(whole_run)


@pytest.mark.parametrize("limit", [0, 500, 3_000, 7_000])
def test_a_disk_that_is_full_from_the_start_is_an_error_of_ours(corpus, tmp_path, limit):
    with DiskFull(limit, nth_write=0) as disk:
        disk("start")
        with pytest.raises(TrainingError, match="could not be written"):
            train(RECIPE, corpus, tmp_path, device="cpu")
