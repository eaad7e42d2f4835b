"""What a run finds in its folder: it goes on from a whole state, or refuses and touches nothing."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from random import Random

import pytest

from interp.core.errors import CheckpointError, ConfigError, InterpError, TrainingError
from interp.models.io.load import load_model
from interp.runs.metrics import read_metrics
from interp.training.data.corpus import Corpus
from interp.training.loop.pretrain import train
from interp.training.run.state import load_state, newest_state
from interp.training.sweep import Grid, SweepRecipe, sweep
from tests.training.tiny_run import tiny_config, trace, write_tiny_corpus

RECIPE = tiny_config(steps=8, checkpoint_every=2, keep_full=3, log_every=1)


class Crash(Exception):
    """Stands for anything that ends a process without warning."""


def crash_at(last):
    """A progress callback that crashes once so many updates are done."""

    def report(progress):
        if progress.step >= last:
            raise Crash

    return report


def content(folder):
    """Every file below a folder with its bytes, but for the lock."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if path.name != "run.lock"}


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(RECIPE, corpus, folder, device="cpu")
    return folder


@pytest.fixture(scope="module")
def half(corpus, tmp_path_factory):
    """A run that crashed after 7 updates; its newest state is of step 6."""
    folder = tmp_path_factory.mktemp("half") / "run"
    with pytest.raises(Crash):
        train(RECIPE, corpus, folder, device="cpu", progress=crash_at(7))
    return folder


@pytest.fixture
def run(half, tmp_path):
    return shutil.copytree(half, tmp_path / "run")


def resumed(run, corpus, whole):
    """Train to the end, and see that nothing differs from the undisturbed run."""
    train(RECIPE, corpus, run, device="cpu")
    assert trace(run) == trace(whole)
    assert load_model(run).hash == load_model(whole).hash
    assert names(run / "checkpoints") >= names(whole / "checkpoints")


def names(folder):
    return {path.name for path in folder.iterdir()}


def without_states(folder):
    shutil.rmtree(folder / "states")


def flipped_states(folder):
    for path in folder.glob("states/*/model.safetensors"):
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(raw)


def hugging_face(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    for name in ("config.json", "model-00001-of-00002.safetensors"):
        (folder / name).write_bytes(b"{}")


def only(name):
    def keep(folder):
        for path in folder.iterdir():
            if path.name != name:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return keep


OCCUPIED = {
    "states deleted": without_states,
    "all states damaged": flipped_states,
    "another program's model": hugging_face,
    **{
        f"only {name}": only(name)
        for name in ("model.safetensors", "metrics.jsonl", "checkpoints", "run.json", "config.json")
    },
}


@pytest.mark.parametrize("kind", OCCUPIED)
@pytest.mark.parametrize("recipe", [RECIPE, tiny_config(steps=3, seed=9)], ids=["same", "other"])
def test_a_folder_that_holds_something_is_never_trained_over(whole, corpus, tmp_path, kind, recipe):
    folder = shutil.copytree(whole, tmp_path / "run")
    OCCUPIED[kind](folder)
    before = content(folder)
    with pytest.raises(CheckpointError, match=r"holds .*another folder.*move"):
        train(recipe, corpus, folder, device="cpu")
    assert content(folder) == before


def test_a_sweep_refuses_the_folder_of_a_run_that_lost_its_states(whole, corpus, tmp_path):
    size = {"n_layers": 1, "n_ctx": 16}
    settings = {"batch_size": 2, "context": 16, "rows": "window", "eval_tokens": 64}
    recipe = SweepRecipe(settings=settings | {f"model.{k}": v for k, v in size.items()})
    grid, opened = Grid(sizes=(4,), steps=(2,)), Corpus.open(corpus)
    place = shutil.copytree(whole, tmp_path / "size-4-steps-2-seed-0")
    without_states(place)
    record = json.loads((place / "run.json").read_text())
    del record["model_hash"]
    (place / "run.json").write_text(json.dumps(record))
    before = content(place)
    with pytest.raises(CheckpointError, match="another folder"):
        sweep(grid, opened, tmp_path, recipe=recipe, device="cpu")
    assert content(place) == before
    before = content(whole)
    with pytest.raises(CheckpointError, match="another folder"):
        sweep(grid, opened, whole, recipe=recipe, device="cpu")
    assert content(whole) == before


def test_a_run_that_died_before_its_first_checkpoint_goes_on(corpus, whole, tmp_path):
    with pytest.raises(Crash):
        train(RECIPE, corpus, tmp_path / "run", device="cpu", progress=crash_at(1))
    resumed(tmp_path / "run", corpus, whole)


def test_a_run_that_died_before_it_dropped_its_oldest_state_drops_it_later(corpus, whole, tmp_path):
    moments = []

    def on_write(moment):
        moments.append(moment)
        if moments.count("renamed") == 5:
            raise Crash

    with pytest.raises(Crash):
        train(RECIPE, corpus, tmp_path / "run", device="cpu", on_write=on_write)
    assert names(tmp_path / "run" / "states") > names(whole / "states")
    resumed(tmp_path / "run", corpus, whole)
    assert names(tmp_path / "run" / "states") == names(whole / "states")


def test_a_finished_run_takes_more_steps(whole, corpus, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    more = tiny_config(steps=10, checkpoint_every=2, keep_full=3, log_every=1)
    train(more, corpus, folder, device="cpu")
    assert newest_state(folder / "states")[0].step == 10


@pytest.mark.parametrize("step", [4, 6.0, True, "6", -6, None])
def test_a_state_of_another_step_than_its_folder_says_is_passed_over(run, corpus, whole, step):
    path = run / "states" / "step-000006" / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"step": step}))
    resumed(run, corpus, whole)


@pytest.mark.parametrize("hashed", [True, False], ids=["with a hash", "of an earlier version"])
def test_a_damaged_recipe_falls_back_to_the_state_before(run, corpus, whole, hashed):
    folder = run / "states" / "step-000006"
    if not hashed:
        (folder / "meta.json.sha256").unlink()
    meta = json.loads((folder / "meta.json").read_text())
    for recipe in (meta["meta"]["recipe"] | {"muon_lr": 0.07}, {"model": None}, [], None):
        meta["meta"]["recipe"] = recipe
        (folder / "meta.json").write_text(json.dumps(meta))
        resumed(shutil.copytree(run, run.with_name(f"run {recipe}"[:20])), corpus, whole)


def test_no_flipped_bit_of_a_states_record_gives_another_result(run, corpus, whole):
    path, random = run / "states" / "step-000006" / "meta.json", Random(0)
    good = path.read_bytes()
    for place in random.sample(range(8 * len(good)), 300):
        damaged = bytearray(good)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_state(path.parent)
    resumed(run, corpus, whole)


def test_states_of_an_earlier_version_resume(run, corpus, whole):
    for path in run.glob("states/*/meta.json.sha256"):
        path.unlink()
    resumed(run, corpus, whole)
    assert read_metrics(run / "metrics.jsonl")


def test_another_recipe_is_named_although_older_states_are_there(run, corpus):
    other = tiny_config(steps=8, checkpoint_every=2, log_every=1, seed=9)
    with pytest.raises(ConfigError, match="seed was 0, now 9"):
        train(other, corpus, run, device="cpu")


def test_a_whole_state_of_another_recipe_is_refused_and_nothing_is_undone(run, corpus):
    """Not passed over as damaged: the checkpoints behind it would go."""
    path = run / "states" / "step-000006" / "meta.json"
    meta = json.loads(path.read_text())
    meta["meta"]["recipe"]["seed"] = 9
    path.write_text(json.dumps(meta))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name("meta.json.sha256").write_text(f"{digest}  meta.json\n")
    before = sorted(str(each) for each in run.rglob("*"))
    with pytest.raises(ConfigError, match="seed was 9, now 0"):
        resumed(run, corpus, run)
    assert sorted(str(each) for each in run.rglob("*")) == before


def damaged_json(text):
    return lambda run: (run / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))


def record_with(**values):
    def change(run):
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | values))

    return change


def link(place):
    def make(run):
        (run.parent / "elsewhere").mkdir()
        (run.parent / "elsewhere" / "mine.txt").write_text("mine")
        (run / place).symlink_to(run.parent / "elsewhere")

    return make


def folder_at(place):
    def make(run):
        (run / place).mkdir()
        (run / place / "mine.txt").write_text("mine")

    return make


def file_at(place):
    return lambda run: (run / place).write_text("mine")


def append(path, rubbish):
    path.write_bytes(path.read_bytes() + rubbish)


FOREIGN = {
    "record empty": damaged_json(""),
    "record cut": damaged_json('{"recipe": {"st'),
    "record a list": damaged_json("[1]"),
    "record with a surrogate": damaged_json('{"a": "\\ud800", "sessions": []}'),
    "record not UTF-8": lambda run: (run / "run.json").write_bytes(b"\xff\xfe{}"),
    "record nested": damaged_json('{"sessions":' + "[" * 900 + "]" * 900 + "}"),
    "record with NaN": record_with(seed=float("nan")),
    **{f"sessions {value!r}": record_with(sessions=value) for value in ({}, {"a": 1}, 3, [1], "x")},
    "sessions of anything": record_with(sessions=[{"torch": [], "ranks": None}, None]),
    "folder step-000008.bak": folder_at("checkpoints/step-000008.bak"),
    "file step-abc": file_at("checkpoints/step-abc"),
    "file step-000999": file_at("checkpoints/step-000999"),
    "folder step-000999": folder_at("checkpoints/step-000999"),
    "link step-000999": link("checkpoints/step-000999"),
    "states: file .step-x": file_at("states/.step-x"),
    "states: file step-000999": file_at("states/step-000999"),
    "states: folder step-000999": folder_at("states/step-000999"),
    "states: folder step-000003": folder_at("states/step-000003"),
    "states: link step-000999": link("states/step-000999"),
    "states: link step-000001": link("states/step-000001"),
    "metrics: rubbish": lambda run: append(run / "metrics.jsonl", b'{"step": 9\n\xff'),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_foreign_or_damaged_stays_and_does_not_stand_in_the_way(run, corpus, whole, kind):
    FOREIGN[kind](run)
    resumed(run, corpus, whole)
    if kind.split()[0] not in ("record", "sessions", "metrics:"):
        mine = [p for p in run.parent.rglob("*") if p.is_file() and p.read_bytes() == b"mine"]
        assert len(mine) == 1


def changed_lines(change):
    def write(run):
        path = run / "metrics.jsonl"
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return write


def training_losses_but(steps):
    """The lines of a metrics file without those updates' losses."""

    def change(lines):
        records = [(json.loads(line), line) for line in lines]
        return [line for r, line in records if r["kind"] != "train" or r["step"] not in steps]

    return change


LOST = {
    "the file": (lambda run: (run / "metrics.jsonl").unlink(), "6 of the 6 updates done"),
    "an empty file": (changed_lines(lambda lines: []), "6 of the 6 updates done"),
    "the start": (changed_lines(training_losses_but({1, 2})), r"2 of the 6 .* \(steps 1 to 2\)"),
    "the end": (changed_lines(training_losses_but({6, 7})), r"1 of the 6 .* \(step 6\)"),
    "a line": (changed_lines(lambda lines: [b"\xff{\n", *lines[1:]]), "1 line that cannot be read"),
    "all lines": (changed_lines(lambda lines: [b"x\n"] * len(lines)), "lines that cannot be read"),
    "a step's name": (
        changed_lines(lambda lines: [line.replace(b'"step": 3', b'"stop": 3') for line in lines]),
        r"1 of the 6 .* \(step 3\), and 2 lines",
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_lost_losses_are_named_in_a_sentence_and_the_weights_do_not_change(
    run, corpus, whole, kind, caplog
):
    damage, match = LOST[kind]
    damage(run)
    train(RECIPE, corpus, run, device="cpu")
    [warning] = json.loads((run / "run.json").read_text())["sessions"][-1]["warnings"]
    assert re.search(match, warning) and warning in caplog.text and warning.count(". ") == 0
    assert trace(run)[0] == trace(whole)[0]
    assert load_model(run).hash == load_model(whole).hash
    later = [[r for r in trace(folder)[1] if r["step"] > 6] for folder in (run, whole)]
    assert later[0] == later[1]


def test_a_last_line_that_a_crash_cut_is_no_loss(run, corpus, whole, caplog):
    append(run / "metrics.jsonl", b'{"kind": "train", "st')
    resumed(run, corpus, whole)
    assert not caplog.text


BLOCKED = {
    "a file is the states": lambda run: (shutil.rmtree(run / "states"), file_at("states")(run)),
    "a folder is the record": lambda run: ((run / "run.json").unlink(), folder_at("run.json")(run)),
    "a file is a checkpoint to come": file_at("checkpoints/step-000008"),
    "a link is a checkpoint to come": link("checkpoints/step-000008"),
    "a file is a state to come": file_at("states/step-000008"),
    "a folder is the metrics": lambda run: (
        (run / "metrics.jsonl").unlink(),
        folder_at("metrics.jsonl")(run),
    ),
}


@pytest.mark.parametrize("kind", BLOCKED)
def test_what_blocks_a_run_is_named(run, corpus, kind):
    BLOCKED[kind](run)
    with pytest.raises(InterpError):
        train(RECIPE, corpus, run, device="cpu")
    mine = [p for p in run.parent.rglob("*") if p.is_file() and p.read_bytes() == b"mine"]
    assert len(mine) == 1


def test_a_file_in_place_of_the_folder_is_named(corpus, tmp_path):
    (tmp_path / "f").write_text("mine")
    for place in (tmp_path / "f", tmp_path / "f" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(TrainingError, match="could not be"):
            train(RECIPE, corpus, place, device="cpu")


LEFT = [
    ".config.json.0123456789ab.tmp",
    ".tokenizer.json.0123456789ab.tmp",
    "checkpoints/.step-000008.0123456789ab.tmp/model.safetensors",
    "checkpoints/.step-000004.0123456789ab.old/model.safetensors",
    "states/.step-000008.0123456789ab.tmp/.tmpA1b2C3",
    ".tmpA1b2C3",
]
KEPT = [".mine.tmp", ".tmp", "checkpoints/.notes/a", "checkpoints/.x.tmp", "notes.tmp"]


def test_leftovers_go_and_nothing_else(run, corpus, whole):
    for name in [*LEFT, *KEPT]:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    resumed(run, corpus, whole)
    assert not [name for name in LEFT if (run / name).exists()]
    assert all((run / name).exists() for name in KEPT)


def change_a_token(corpus):
    path = corpus.folder / "train" / "full" / "tokens.u16"
    raw = bytearray(path.read_bytes())
    raw[400] ^= 1
    path.write_bytes(raw)


def change_the_starts(corpus):
    path = corpus.folder / "train" / "full" / "starts.u64"
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize("damage", [change_a_token, change_the_starts])
@pytest.mark.parametrize("new", [True, False], ids=["new", "resumed"])
def test_a_changed_corpus_is_noticed_before_a_step(run, tmp_path, damage, new):
    (tmp_path / "own").mkdir()
    corpus = write_tiny_corpus(tmp_path / "own")
    damage(Corpus.open(corpus))
    before = content(run)
    with pytest.raises(CheckpointError, match="not what was written"):
        train(RECIPE, corpus, tmp_path / "new" if new else run, device="cpu")
    assert content(run) == before
