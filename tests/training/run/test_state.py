"""A state is whole or not there; the newest valid one wins; damage is named."""

import multiprocessing
import os
import resource
import signal
import time

import pytest
import torch

from interp.core.errors import CheckpointError, TrainingError
from interp.training.run import state as state_module
from interp.training.run.state import (
    TrainingState,
    load_state,
    newest_state,
    prune_states,
    save_state,
)

MOMENTS = ["before", "model written", "written", "renamed", "pruned"]
TICK = 0.02
"""Seconds after which a file's times differ."""


def _state(step):
    return TrainingState(
        step=step,
        model={"w": torch.full((64, 64), float(step))},
        optimizer={"m": torch.arange(10.0) * step, "step": torch.tensor(float(step))},
        meta={"seed": 3},
    )


def _same(left, right):
    return (
        left.step == right.step
        and left.meta == right.meta
        and all(torch.equal(left.model[k], right.model[k]) for k in right.model)
        and all(torch.equal(left.optimizer[k], right.optimizer[k]) for k in right.optimizer)
    )


def test_what_was_saved_comes_back(tmp_path):
    save_state(tmp_path, _state(7), keep=3)
    state, warnings = newest_state(tmp_path)
    assert _same(state, _state(7)) and not warnings


def test_only_the_newest_are_kept(tmp_path):
    for step in (5, 10, 15, 20):
        save_state(tmp_path, _state(step), keep=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-000010", "step-000015", "step-000020"]


def test_no_state_at_all(tmp_path):
    assert newest_state(tmp_path / "none") == (None, [])


def _flip_a_bit(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


DAMAGE = {
    "bit": lambda folder: _flip_a_bit(folder / "model.safetensors"),
    "bit in the optimizer": lambda folder: _flip_a_bit(folder / "optimizer.safetensors"),
    "empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "half": lambda folder: os.truncate(folder / "model.safetensors", 8000),
    "last byte": lambda f: os.truncate(
        f / "optimizer.safetensors", (f / "optimizer.safetensors").stat().st_size - 1
    ),
    "no meta": lambda folder: (folder / "meta.json").unlink(),
    "no json": lambda folder: (folder / "meta.json").write_text("{"),
    "other json": lambda folder: (folder / "meta.json").write_text('{"step": "x"}'),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_falls_back_and_says_so(tmp_path, kind):
    save_state(tmp_path, _state(1), keep=3)
    newest = save_state(tmp_path, _state(2), keep=3)
    DAMAGE[kind](newest)
    state, warnings = newest_state(tmp_path)
    assert _same(state, _state(1))
    assert len(warnings) == 1 and "step-000002" in warnings[0]
    with pytest.raises(CheckpointError):
        load_state(newest)


def test_a_damaged_state_is_replaced_when_its_step_comes_again(tmp_path):
    DAMAGE["half"](save_state(tmp_path, _state(2), keep=3))
    save_state(tmp_path, _state(2), keep=3)
    assert _same(newest_state(tmp_path)[0], _state(2))


def test_a_whole_state_that_was_passed_over_pushes_no_other_out(tmp_path):
    """Its record, without a hash as version 0.1 wrote it, says another recipe: it is refused."""
    save_state(tmp_path, _state(1), keep=2)
    meta = save_state(tmp_path, _state(2), keep=2) / "meta.json"
    meta.with_name("meta.json.sha256").unlink()
    meta.write_text(meta.read_text().replace('"seed": 3', '"seed": 4'))

    def check(state):
        if state.meta != {"seed": 3}:
            raise CheckpointError("another recipe")

    assert newest_state(tmp_path, check)[0].step == 1
    save_state(tmp_path, _state(2), keep=1)
    assert _same(newest_state(tmp_path, check)[0], _state(2))


@pytest.fixture
def hashed(monkeypatch):
    """The files that are hashed from now on."""
    files, real = [], state_module.sha256_file

    def counted(path):
        files.append(path.parent.name.strip(".").partition(".")[0])
        return real(path)

    monkeypatch.setattr(state_module, "sha256_file", counted)
    return files


def test_a_save_hashes_the_new_state_only(tmp_path, hashed):
    for step in (1, 2, 3):
        save_state(tmp_path, _state(step), keep=3)
        assert set(hashed) == {f"step-{step:06d}"} and len(hashed) == 3
        hashed.clear()
    save_state(tmp_path, _state(3), keep=3)
    assert not hashed


def test_another_process_hashes_what_it_finds_once(tmp_path, hashed):
    for step in (1, 2, 3):
        save_state(tmp_path, _state(step), keep=3)
    state_module._whole.clear()  # as another process has it
    hashed.clear()
    newest_state(tmp_path)
    prune_states(tmp_path, 3, keep=3)
    assert len(hashed) == 9 and len(set(hashed)) == 3
    prune_states(tmp_path, 3, keep=3)
    assert len(hashed) == 9


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_while_a_run_goes_on_pushes_no_whole_state_out(tmp_path, kind):
    for step in (1, 2, 3):
        save_state(tmp_path, _state(step), keep=2)
    time.sleep(TICK)
    DAMAGE[kind](tmp_path / "step-000003")
    save_state(tmp_path, _state(4), keep=2)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"step-000002", "step-000004"}


def test_a_bit_that_flips_behind_an_old_date_is_noticed(tmp_path):
    save_state(tmp_path, _state(1), keep=1)
    newest = save_state(tmp_path, _state(2), keep=2) / "model.safetensors"
    before = newest.stat()
    time.sleep(TICK)
    _flip_a_bit(newest)
    os.utime(newest, ns=(before.st_atime_ns, before.st_mtime_ns))
    save_state(tmp_path, _state(3), keep=2)
    assert newest_state(tmp_path)[0].step == 3
    assert {path.name for path in tmp_path.iterdir()} == {"step-000001", "step-000003"}


def _save_and_die(folder, moment):
    def at(reached):
        if reached == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    save_state(folder, _state(2), keep=1, on_write=at)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_of_a_write_there_is_a_valid_state(tmp_path, moment):
    save_state(tmp_path, _state(1), keep=1)
    process = multiprocessing.get_context("fork").Process(
        target=_save_and_die, args=(tmp_path, moment)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    state, warnings = newest_state(tmp_path)
    assert not warnings
    assert _same(state, _state(2 if moment in ("renamed", "pruned") else 1))
    save_state(tmp_path, _state(3), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000003"]


def test_a_full_disk_keeps_the_old_state_and_leaves_no_rubbish(tmp_path):
    save_state(tmp_path, _state(1), keep=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(TrainingError, match="state after step 2 could not be written"):
            save_state(tmp_path, _state(2), keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
    assert _same(newest_state(tmp_path)[0], _state(1))
