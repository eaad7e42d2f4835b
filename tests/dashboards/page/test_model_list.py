"""Models are found with what their folders say; a damaged one hides no other."""

from dashboards import launch
from dashboards.page.model_list import RUNS, entries, import_folder
from interp.models.io.huggingface import save_huggingface
from interp.models.io.load import load_model
from tests.dashboards.model_folders import letters, make_model
from tests.families import tiny


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


def theirs(folder):
    """A folder as `transformers` writes it."""
    model = tiny("gpt2", d_vocab=letters().d_vocab)
    model.tokenizer = letters()
    return save_huggingface(model, folder)


def test_folders_of_transformers_and_gguf_files_are_listed_as_they_come(tmp_path, monkeypatch):
    theirs(tmp_path / "hub-model")
    (tmp_path / "deep").mkdir()
    for file in (tmp_path / "flat.gguf", tmp_path / "deep" / "quantized.Q4_0.gguf"):
        file.write_bytes(b"GGUF")
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "config.json").write_text("{}")  # of something else: no weights
    models = {entry.name: entry for entry in found(monkeypatch, tmp_path)}
    assert set(models) == {"hub-model", "flat", "quantized.Q4_0"}
    assert models["flat"].state == "GGUF file" and models["hub-model"].state == "model folder"
    opened = load_model(models["hub-model"].source)
    assert models["hub-model"].parameters == sum(p.numel() for p in opened.parameters())
    assert models["hub-model"].steps == models["hub-model"].checkpoints == []
    before = models["flat"].weights_hash(None)
    (tmp_path / "flat.gguf").write_bytes(b"GGUF, other weights")
    assert models["flat"].weights_hash(None) != before


def test_what_is_named_by_itself_comes_first_whatever_else_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_model(tmp_path / "runs" / "a-run")
    file = tmp_path / "z.gguf"
    file.write_bytes(b"GGUF")
    assert [entry.name for entry in found(monkeypatch, file)] == ["z", "a-run"]
    folder = theirs(tmp_path / "zz")
    assert [entry.name for entry in found(monkeypatch, folder)] == ["zz", "a-run"]
    assert import_folder() == RUNS


def test_a_finished_run_counts_its_last_weights_among_the_checkpoints(monkeypatch):
    monkeypatch.setenv(launch.FOLDERS, str(launch.APP.parents[1] / "trained_models"))
    (shipped,) = (entry for entry in entries() if entry.name == "stories-demo")
    model = load_model("stories-demo")
    assert shipped.checkpoints == sorted(model.history) and len(shipped.checkpoints) == 8


def test_a_folder_of_transformers_opens_on_a_page(application, tmp_path):
    theirs(tmp_path / "hub-model")
    test = application("attention", folder=tmp_path, model="hub-model", prompt="a garden")
    assert not test.exception and not test.error
    assert "hub-model" in test.caption[0].value.replace("\\", "")
