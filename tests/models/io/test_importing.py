"""A model from elsewhere is among the models as a whole, or not at all and with a sentence."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from interp.core.errors import CheckpointError, InterpError
from interp.models.io import importing
from interp.models.io.huggingface import save_huggingface
from interp.models.io.importing import import_model
from interp.models.io.load import load_model
from tests.dashboards.model_folders import letters, make_model
from tests.families import tiny


def theirs(folder: Path, family: str) -> Path:
    """A folder as `transformers` would write it."""
    model = tiny(family, d_vocab=letters().d_vocab)
    model.tokenizer = letters()
    return save_huggingface(model, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model of bytes."""
    return make_model(tmp_path_factory.mktemp("theirs") / "garden", world=None)


def files(folder: Path, top: str = "garden/") -> dict[str, bytes]:
    """What a zip of the folder holds."""
    return {top + path.name: path.read_bytes() for path in folder.iterdir()}


def zipped(contents: dict[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    """A zip with these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parcel_:
        for name, data in contents.items():
            parcel_.writestr(name, data)
    made.seek(0)
    return made


def refused(source, models: Path, match: str, name: str | None = "new") -> None:
    """It is refused in a sentence or two, and no file of the models or around them changes."""
    models.mkdir(exist_ok=True)
    before = sorted(models.parent.rglob("*"))
    with pytest.raises(InterpError, match=match) as caught:
        import_model(source, models, name)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400 and ".tmp" not in message
    assert sorted(models.parent.rglob("*")) == before


@pytest.mark.parametrize("top", ["", "garden/", "a/b/"])
def test_a_zip_is_opened_and_computes_the_same(folder, tmp_path, top):
    made = import_model(zipped(files(folder, top)), tmp_path / "models", "garden")
    assert made == tmp_path / "models" / "garden" and [*made.parent.iterdir()] == [made]
    ours, theirs = load_model(made), load_model(folder)
    assert ours.hash == theirs.hash
    assert {path.name for path in made.iterdir()} == {path.name for path in folder.iterdir()}


def test_a_folder_is_copied_without_what_is_no_part_of_it(folder, tmp_path):
    source = make_model(tmp_path / "mine", world=None)
    (source / ".DS_Store").write_bytes(b"\x80\x04")
    (source / "states").mkdir()
    (source / "states" / "huge.bin").write_bytes(b"x")
    made = import_model(source, tmp_path / "models")
    assert made.name == "mine" and not (made / "states").exists()
    assert load_model(made).hash == load_model(source).hash


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_a_folder_of_transformers_is_written_in_our_form(tmp_path, family):
    source = theirs(tmp_path / "hub", family)
    ours, before = load_model(import_model(source, tmp_path / "models")), load_model(source)
    tokens, _ = ours.to_tokens("a small garden")
    assert torch.equal(tokens, before.to_tokens("a small garden")[0])
    assert torch.equal(ours.run(tokens).logits, before.run(tokens).logits)
    assert (tmp_path / "models" / "hub" / "run.json").exists()


@pytest.mark.parametrize(
    ("family", "huge"),
    [
        ("gpt2", "vocab_size"),
        ("gpt2", "n_positions"),
        ("gpt2", "n_inner"),
        ("gpt2", "n_layer"),
        ("qwen3", "hidden_size"),
        ("qwen3", "max_position_embeddings"),
        ("qwen3", "head_dim"),
    ],
)
def test_a_config_that_asks_for_more_than_its_weights_is_refused(tmp_path, family, huge):
    source = theirs(tmp_path / "hub", family)
    settings = json.loads((source / "config.json").read_text())
    assert huge in settings
    (source / "config.json").write_text(json.dumps(settings | {huge: 2**31}))
    refused(source, tmp_path / "models", "config.json")


@pytest.mark.parametrize(
    ("name", "match"), [("garden/CONFIG.json", "twice"), ("other/config.json", "several")]
)
def test_two_models_in_one_zip_are_refused(folder, tmp_path, name, match):
    refused(zipped(files(folder) | {name: b"{}"}), tmp_path / "models", match)


def test_a_folder_with_a_link_is_refused(tmp_path):
    source = make_model(tmp_path / "mine", world=None)
    (source / "vocab.json").symlink_to("/etc/hostname")
    refused(source, tmp_path / "models", "cp -rL")


def test_a_folder_of_too_many_files_is_refused(tmp_path, monkeypatch):
    source = make_model(tmp_path / "mine", world=None)
    limits = replace(importing.CONTENTS, most_files=len([*source.iterdir()]) - 1)
    monkeypatch.setattr(importing, "CONTENTS", limits)
    refused(source, tmp_path / "models", "files")


def test_a_sparse_file_of_two_gigabytes_is_refused_before_it_is_read(tmp_path):
    source = make_model(tmp_path / "mine", world=None)
    with (source / "model.safetensors").open("r+b") as file:
        file.truncate(importing.CONTENTS.most_bytes + 1)
    refused(source, tmp_path / "models", "at most 2,048 MiB")


@pytest.mark.parametrize("gone", ["config.json", "tokenizer.json", "model.safetensors", "run.json"])
def test_a_model_that_lacks_a_file_is_refused(folder, tmp_path, gone):
    contents = files(folder)
    del contents[f"garden/{gone}"]
    refused(zipped(contents), tmp_path / "models", gone.replace("model.safetensors", "weights"))


def test_damaged_weights_and_damaged_zips_are_refused(folder, tmp_path):
    contents = files(folder)
    weights = bytearray(contents["garden/model.safetensors"])
    weights[-1] ^= 1
    torn = zipped(contents | {"garden/model.safetensors": bytes(weights)})
    refused(torn, tmp_path / "models", "SHA-256")
    whole = zipped(contents).getvalue()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 255
    refused(io.BytesIO(bytes(broken)), tmp_path / "models", "again")


def test_foreign_weights_under_our_config_are_refused(folder, tmp_path):
    source = make_model(tmp_path / "mine", world=None)
    save_file({"x": torch.zeros(2)}, source / "model.safetensors")
    refused(source, tmp_path / "models", "SHA-256")


HOSTILE = ["", ".", "..", "../x", "a/b", "a\\b", "**bold** <b>", "a\nb", "\u202egpt", "a" * 65]
HOSTILE += ["CON", "nul.txt", "com1", ".hidden", "dot.", "-flag", "a b", "naïve"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(folder, tmp_path, name):
    refused(folder, tmp_path / "models", "letters, digits", name)


def test_a_model_is_never_replaced(folder, tmp_path):
    models = tmp_path / "models"
    first = import_model(folder, models)
    (first / "README.md").write_text("mine")
    with pytest.raises(CheckpointError, match="already"):
        import_model(folder, models)
    assert (first / "README.md").read_text() == "mine" and [*models.iterdir()] == [first]
    (models / "taken").write_text("a file")
    refused(folder, models, "already", "taken")


def test_what_is_no_model_is_told_what_can_be_opened(tmp_path):
    for name, content in (("weights.bin", b"junk"), ("model.safetensors", b"\0" * 64), ("a", b"")):
        (tmp_path / name).write_bytes(content)
        for source in (tmp_path / name, io.BytesIO(content)):
            refused(
                source, tmp_path / "models", "GGUF file, a folder of interp or of `transformers`"
            )


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + b"\xff" * 200])
def test_a_damaged_gguf_file_leaves_nothing_behind(tmp_path, content):
    pytest.importorskip("gguf", reason="the gguf extra is not installed")
    (tmp_path / "small.gguf").write_bytes(content)
    refused(tmp_path / "small.gguf", tmp_path / "models", "GGUF", None)
    refused(io.BytesIO(content), tmp_path / "models", "GGUF")


def test_a_gguf_file_that_the_disk_has_no_room_for_is_refused_before_it_is_copied(
    tmp_path, monkeypatch
):
    (tmp_path / "small.gguf").write_bytes(b"GGUF" + bytes(96))
    usage = importing.shutil.disk_usage(tmp_path)._replace(free=99)
    monkeypatch.setattr(importing.shutil, "disk_usage", lambda path: usage)
    for source in (tmp_path / "small.gguf", io.BytesIO(b"GGUF" + bytes(96))):
        refused(source, tmp_path / "models", "needs 0.0 GB; .*models has 0.0 GB left", "large")
