"""`interp models` reads what runs say of themselves, damaged ones too."""

import json

from click.testing import CliRunner

from interp.cli.commands.models import command, row_of
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model


def saved(folder, **record):
    """A model's folder with a measured loss."""
    model = GPT(GPTConfig(n_layers=1, d_model=8, n_heads=2, d_vocab=11, n_ctx=8))
    model.step = 20
    save_model(model, folder)
    measured = {"loss_nats_per_token": 1.25, "regret_nats_per_token": 0.5}
    line = json.dumps({"kind": "eval", "step": 20, **measured})
    (folder / "metrics.jsonl").write_text(line + "\n")
    return model


def test_a_model_is_a_line_with_its_numbers(tmp_path):
    model = saved(tmp_path / "small")
    count = f"{sum(p.numel() for p in model.parameters()):,}"
    expected = ("small", "20", count, "1.2500", "0.5000", model.hash, str(tmp_path / "small"))
    assert row_of(tmp_path / "small") == expected


def test_a_run_that_is_not_finished_says_how_far_it_is(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"recipe": {"steps": 300}}))
    assert row_of(tmp_path)[1:3] == ("0 of 300", "-")


def test_a_damaged_folder_does_not_hide_the_others(tmp_path):
    saved(tmp_path / "whole")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    output = CliRunner().invoke(command, [str(tmp_path)], catch_exceptions=False).output
    assert "whole" in output and "damaged" in output


def test_an_empty_folder_says_what_to_do(tmp_path):
    assert "interp demo" in CliRunner().invoke(command, [str(tmp_path)]).output
