"""Models are found with what their folders say; a damaged one hides no other."""

from dashboards import launch
from dashboards.page.model_list import RUNS, entries, import_folder
from interp.models.io.load import load_model
from tests.dashboards.model_folders import make_model


def found(monkeypatch, *folders):
    monkeypatch.setenv(launch.FOLDERS, ":".join(map(str, folders)))
    return entries()


def test_the_shipped_model_comes_first_and_equal_names_stay_apart(
    tmp_path, monkeypatch, model_root
):
    make_model(tmp_path / "bytes")
    models = found(monkeypatch, model_root, tmp_path)
    assert models[0].name == "stories-demo" and models[0].world == "stories"
    assert len({entry.name for entry in models}) == 3
    model = load_model(models[0].source)
    assert models[0].parameters == sum(p.numel() for p in model.parameters())
    assert len(models[0].weights_hash(None)) == 64


def test_a_damaged_folder_is_listed_and_hides_no_other(tmp_path, monkeypatch):
    make_model(tmp_path / "whole")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text("{")
    names = {entry.name: entry for entry in found(monkeypatch, tmp_path)}
    assert set(names) == {"torn", "whole"}
    assert names["torn"].record == {} and names["torn"].weights_hash(None) == ""


def test_a_folder_may_be_a_model_itself(tmp_path, monkeypatch):
    (entry,) = found(monkeypatch, make_model(tmp_path / "one"))
    assert entry.name == "one"


def test_new_models_go_where_they_are_seen_and_never_to_the_shipped_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    found(monkeypatch, launch.APP.parents[1] / "trained_models", tmp_path / "mine")
    assert import_folder() == tmp_path / "mine"
    found(monkeypatch, launch.APP.parents[1] / "trained_models")
    make_model(import_folder() / "new")
    assert (tmp_path / "runs" / "new").is_dir()
    assert {entry.name for entry in entries()} == {"stories-demo", "new"}
    monkeypatch.delenv(launch.FOLDERS)
    assert import_folder() == RUNS
