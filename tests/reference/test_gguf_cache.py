"""A GGUF file opens from its copy only if file and copy are what they were."""

from pathlib import Path
from runpy import run_path

import pytest
import torch
from click.testing import CliRunner

from interp.cli.commands import convert
from interp.core.errors import CheckpointError, ConfigError
from interp.models.io import gguf_cache, huggingface
from interp.models.io.gguf_cache import cache_folder, open_gguf
from interp.models.io.huggingface import load_gguf, load_huggingface
from interp.models.io.importing import import_model

pytest.importorskip("gguf", reason="the gguf extra is not installed: pip install 'interp[gguf]'")
FAMILIES = run_path(str(Path(__file__).parents[2] / "docs" / "model_families.py"))
built, write_gguf = FAMILIES["built"], FAMILIES["write_gguf"]
NATIVE = {"llama": "LlamaForCausalLM"}
pytestmark = pytest.mark.reference


@pytest.fixture
def conversions(monkeypatch, tmp_path):
    """The files that are converted from now on, with an empty cache."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    files, real = [], load_gguf

    def counted(path, **options):
        files.append(Path(path).name)
        return real(path, **options)

    monkeypatch.setattr(huggingface, "load_gguf", counted)
    return files


def test_a_file_is_converted_once_and_a_changed_one_again(conversions, tmp_path):
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    first, again = open_gguf(file), open_gguf(file, dtype=torch.float64)
    assert conversions == ["m.gguf"]
    assert again.hash == first.to(torch.float64).hash and again.name == "m"
    assert again.embed.weight.dtype == torch.float64
    content = bytearray(file.read_bytes())
    content[-2] ^= 1  # the same size, one bit of the last weight
    file.write_bytes(content)
    assert open_gguf(file).hash == load_gguf(file).hash
    assert conversions == ["m.gguf", "m.gguf"]


def test_a_damaged_copy_is_written_anew(conversions, tmp_path):
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    hash_ = open_gguf(file).hash
    (weights,) = cache_folder().glob("*/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert [open_gguf(file).hash for _ in range(2)] == [hash_, hash_]
    assert conversions == ["m.gguf", "m.gguf"]


def test_a_copy_that_is_not_the_model_is_never_kept(conversions, tmp_path, monkeypatch):
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    hash_ = load_gguf(file).hash
    real = gguf_cache.save_model

    def other(model, folder):
        twin = model.untrained(seed=1)
        return real(twin, folder)

    monkeypatch.setattr(gguf_cache, "save_model", other)
    assert [open_gguf(file).hash for _ in range(2)] == [hash_, hash_]
    assert conversions == ["m.gguf", "m.gguf"] and list(cache_folder().glob("*")) == []


def test_it_can_be_switched_off(conversions, tmp_path, monkeypatch):
    monkeypatch.setenv("INTERP_CACHE", "off")
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    assert open_gguf(file).hash == open_gguf(file).hash and len(conversions) == 2


def test_convert_writes_a_folder_and_refuses_one_that_is_there(conversions, tmp_path):
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    done = CliRunner().invoke(convert.command, [str(file), str(tmp_path / "new")])
    assert done.exit_code == 0 and "model.safetensors" in done.output and "MB" in done.output
    assert load_huggingface(tmp_path / "new").hash == load_gguf(file).hash
    refused = CliRunner().invoke(convert.command, [str(file), str(tmp_path / "new")])
    assert isinstance(refused.exception, ConfigError)


def test_an_imported_file_does_not_follow_its_original(tmp_path):
    original = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    ours = import_model(original, tmp_path / "models")
    hash_ = load_gguf(ours).hash
    content = bytearray(original.read_bytes())
    content[-64:] = bytes(64)  # the last weights, in place
    with original.open("r+b") as file:
        file.write(content)
    assert load_gguf(original).hash != hash_ == load_gguf(ours).hash


def test_a_list_of_a_gguf_file_that_claims_endless_members_is_refused(tmp_path):
    """Beyond the file's end its reader read nothing 2^62 times, into memory."""
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf", keys={"listed": [1, 2, 3]})
    whole = file.read_bytes()
    place = whole.index(b"listed") + len(b"listed") + 8  # behind the kinds of list and member
    assert int.from_bytes(whole[place : place + 8], "little") == 3
    file.write_bytes(whole[:place] + (2**62).to_bytes(8, "little") + whole[place + 8 :])
    with pytest.raises(CheckpointError, match="ends too early"):
        load_gguf(file)
