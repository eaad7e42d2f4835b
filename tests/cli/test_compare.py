"""`interp train --curriculum` and `--order-by`, and `interp compare` of what they leave."""

import json
import shutil

import pytest
from click.testing import CliRunner

from interp.cli.commands.compare import command as compare
from interp.cli.commands.train import command as train
from interp.core.errors import ConfigError
from interp.results.result import load_result
from interp.training.data.corpus import Corpus

SMALL = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_mlp": 16, "n_ctx": 32}
OPTIONS = [
    "--steps=4", "--batch-size=2", "--context=24", "--device=cpu", "--set=eval_tokens=64",
    "--set=rows=document", "--documents=8", *[f"--set=model.{k}={v}" for k, v in SMALL.items()],
]  # fmt: skip


def trained(*arguments: object):
    return CliRunner().invoke(train, [*map(str, arguments), *OPTIONS])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on one text, which is told once."""
    root = tmp_path_factory.mktemp("runs")
    for name, curriculum in (("forth-0", "step"), ("mixed-0", "shuffled-step")):
        if name == "mixed-0":
            with_text_of(root / "forth-0", root / name)
        done = trained("--world", "homes", "--out", root / name, "--curriculum", curriculum)
        assert done.exit_code == 0, done.output
    return root


def with_text_of(run, other):
    """Another run's folder with the same text in it, as if it had been told there."""
    shutil.copytree(run / "corpus", other / "corpus")


@pytest.mark.slow
def test_a_named_curriculum_paces_the_levels_of_the_corpus(runs):
    forth, mixed = (
        json.loads((runs / name / "run.json").read_text())["recipe"]["stages"]
        for name in ("forth-0", "mixed-0")
    )
    assert [max(stage["mix"], key=stage["mix"].get) for stage in forth] == [
        "gap-0", "gap-1", "gap-2", "gap-3",
    ]  # fmt: skip
    assert [stage["steps"] for stage in forth] == [1] * 4
    assert mixed == [{"steps": 4, "mix": dict.fromkeys(forth[0]["mix"], 0.25)}]


@pytest.mark.slow
def test_runs_are_compared_and_the_result_is_kept(runs, tmp_path):
    out, csv, html = tmp_path / "result", tmp_path / "t.csv", tmp_path / "f.html"
    options = ["--stories=4", "--baseline=mixed", "--view=end", f"--out={out}", f"--csv={csv}"]
    places = [str(runs / name) for name in ("forth-0", "mixed-0")]
    done = CliRunner().invoke(compare, [*places, *options, f"--html={html}"])
    assert done.exit_code == 0, done.output
    assert "forth against mixed: loss" in done.output and "too few seeds" in done.output
    assert load_result(out).baseline == "mixed"
    assert csv.read_text().startswith("run,group,step") and html.stat().st_size > 1000


def test_text_is_sorted_into_levels_and_paced(tmp_path):
    text = tmp_path / "tales.txt"
    text.write_text("\n<|endoftext|>\n".join("Anna went home. " * n for n in range(8, 48)))
    out = tmp_path / "run"
    asked = ["--data", text, "--tokenizer", "words", "--out", out, "--order-by", "length"]
    done = trained(*asked, "--curriculum", "linear")
    assert done.exit_code == 0, done.output
    corpus = Corpus.open(out / "corpus", verify=True)
    assert corpus.levels() == ("bin-1", "bin-2", "bin-3", "bin-4")
    assert list(corpus.n_tokens().values()) == sorted(corpus.n_tokens().values())
    assert not (out / "corpus-unsorted").exists()
    other = trained(*asked[:-1], "chance")
    assert "order_by was 'length', now 'chance'" in str(other.exception)


def test_the_recipes_own_levels_are_gone_when_its_text_is_sorted(tmp_path):
    out = tmp_path / "run"
    done = trained("--world", "stories", "--order-by", "gap", "--out", out)
    assert done.exit_code == 0, done.output
    assert Corpus.open(out / "corpus").source["order"]["by"] == "gap"


@pytest.mark.slow
def test_what_does_not_go_together_is_refused(tmp_path, runs):
    with_text_of(runs / "forth-0", tmp_path / "run")
    world = ("--world", "homes", "--out", tmp_path / "run")
    twice = trained(*world, "--curriculum", "step", "--set", "stages=[{}]")
    assert isinstance(twice.exception, ConfigError) and "got both" in str(twice.exception)
    wrong = trained(*world, "--curriculum", "stap")
    assert "Did you mean 'step'" in str(wrong.exception)
    nobody = CliRunner().invoke(compare, [str(runs / "nothing")])
    assert nobody.exit_code != 0


def test_one_folder_under_two_names_is_refused(tmp_path):
    """Counted twice it would be two seeds that agree to the last digit."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for other in (tmp_path / "a", tmp_path / "." / "a", tmp_path / "b"):
        refused = CliRunner().invoke(compare, [str(tmp_path / "a"), str(other)])
        assert isinstance(refused.exception, ConfigError)
        assert "each run once" in str(refused.exception)
