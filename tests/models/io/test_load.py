"""One call opens every kind of model, and says what is wrong with what is none."""

import json
import socket

import pytest
import torch

from interp.core.errors import CheckpointError, ConfigError
from interp.models.io.load import find_model, load_model


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("no/such/folder", "Check the path"),
        ("gone.gguf", "Check the path"),
        ("../nowhere at all", "Check the path"),
        ("", "model"),
    ],
)
def test_what_is_not_there_is_refused_without_asking_the_network(
    source, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=said):
        load_model(source)
    assert source == "" or find_model(source) is None


@pytest.mark.parametrize("named", [{"a": 1}, [3], "GPT2LMHeadModel", [["x"]]])
def test_nonsense_settings_are_refused(tmp_path, named):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": named}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="architectures"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["gpt2", "true", "1e400", "None", "../gpt2", "x" * 5000, "a\0b"])
def test_a_name_that_is_nowhere_is_refused_at_once_and_never_sent(name, monkeypatch):
    def connect(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    for step in (None, 3):
        with pytest.raises(CheckpointError, match="There is no") as caught:
            load_model(name, step=step)
    assert ("'hf:gpt2'" in str(caught.value)) is (name == "gpt2")


def test_a_mistyped_folder_is_told_its_neighbour(tmp_path):
    (tmp_path / "my-model").mkdir()
    with pytest.raises(CheckpointError, match=r"Did you mean '.*my-model'"):
        load_model(tmp_path / "my-modle")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="Device must be"):
        load_model("anything", device="abacus")


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("family", ["GPT2", "GPTNeoX"])
def test_transformers_folders_open_whatever_the_family(tmp_path, family):
    import transformers

    transformers.logging.disable_progress_bar()
    config = getattr(transformers, f"{family}Config")(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    suffix = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    theirs = getattr(transformers, family + suffix)(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_model(tmp_path, device="cpu")
    tokens = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        torch.testing.assert_close(
            ours.run(tokens).logits, theirs(tokens).logits, atol=1e-5, rtol=1e-5
        )
    assert ours.source == str(tmp_path)


def test_a_run_opens_at_every_step_it_kept():
    model = load_model("stories-demo", step=16)
    assert model.step == 16 and len(model.history) >= 3
    steps = list(model.history)
    assert steps == sorted(steps) and 0 in model.history and 3 not in model.history
    first, last = model.history[steps[0]], model.history[steps[-1]]
    assert (first.step, last.step) == (steps[0], steps[-1])
    assert first.hash != last.hash == load_model("stories-demo").hash
    assert load_model("stories-demo", step=16).hash == model.hash
    with pytest.raises(KeyError):
        model.history[3]


def test_a_checkpoint_opened_by_its_folder_knows_its_run():
    place = find_model("stories-demo") / "checkpoints" / "step-000016"
    model = load_model(place)
    assert list(model.history) == list(load_model("stories-demo").history)
    assert model.history[16].hash == model.hash
