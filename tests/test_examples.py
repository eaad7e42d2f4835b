"""Every example runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from interp.results.result import load_result

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
PNG = b"\x89PNG"


@pytest.mark.slow
@pytest.mark.browser
def test_the_readme_picture_is_a_photograph_of_a_report(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "readme_picture.py"), "report.png"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=600)
    picture = (tmp_path / "report.png").read_bytes()
    assert picture.startswith(PNG) and len(picture) > 50_000


@pytest.mark.slow
def test_sums_are_known_by_heart_before_they_are_understood(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "grokking.py"), "--quick"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        env=ENVIRONMENT, check=True, timeout=600, capture_output=True, text=True,
    )  # fmt: skip
    assert re.search(
        r"known by heart at step \d+; half of the unseen pairs right at None", done.stdout
    )
    assert (tmp_path / "grokking.html").stat().st_size > 10_000


def told(name: str, *options: str, folder: Path) -> str:
    """What an example prints, run as it stands in a folder of its own."""
    command = [sys.executable, str(ROOT / "examples" / name), *options, "--out", str(folder)]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, timeout=900)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode()


@pytest.mark.slow
def test_beliefs_are_read_from_a_model_better_than_from_an_untrained_one(tmp_path):
    text = told("belief_state.py", "--quick", folder=tmp_path)
    columns = r"R² ([\d.]+) .*untrained ([\d.]+) +shuffled beliefs ([-+][\d.]+)"
    row = re.search(rf"^layer 1 +{columns}", text, flags=re.MULTILINE)
    trained, untrained, shuffled = map(float, row.groups())
    assert trained > untrained + 0.05 and abs(shuffled) < 0.05
    excess = float(re.search(r"optimum: ([-\d.]+) nats", text)[1])
    assert -0.01 < excess < 0.2
    assert (tmp_path / "belief-state.html").stat().st_size > 10_000


@pytest.mark.slow
def test_two_layers_learn_to_copy_and_one_does_not(tmp_path):
    text = told("induction.py", "--quick", folder=tmp_path)
    found = dict(
        re.findall(r"^(\d) layers?, seed 0: .*prefix matching ([\d.]+)", text, re.MULTILINE)
    )
    assert float(found["2"]) > 0.3 > float(found["1"])
    line = r"^(\d) layers?, seed 0: .*in-context score ([-+][\d.]+)"
    scores = dict(re.findall(line, text, re.MULTILINE))
    assert float(scores["2"]) < float(scores["1"]) - 1
    copied = dict(
        re.findall(r"^copied right, (?:without )?([^,:]+).*: ([\d.]+)$", text, re.MULTILINE)
    )
    whole, without_first, _ = map(float, copied.values())
    assert whole > 0.5 and without_first < whole - 0.2, "the previous-token head is needed"


@pytest.mark.slow
def test_orders_are_compared_at_equal_tokens_and_a_curriculum_forgets(tmp_path):
    text = told("curriculum.py", "--quick", folder=tmp_path)
    found = load_result(tmp_path / "result")
    assert found.groups == ("shuffled", "curriculum") and found.tokens[-1] == 250 * 16 * 72
    shuffled, curriculum = found.loss
    assert (shuffled[-1] < shuffled[0] - 1).all(), "it learned something of every level"
    assert curriculum[-1, -1] < curriculum[0, -1] - 1
    assert found.forgetting[1, 0] > found.forgetting[0, 0], "gap-0 left first, for long"
    assert "curriculum against shuffled: loss too few seeds" in text


@pytest.mark.slow
def test_a_mood_moves_no_further_than_its_three_words_are_pushed(tmp_path):
    text = told("mood_steering.py", "--quick", folder=tmp_path)
    result = load_result(tmp_path / "result")
    assert result.finding() in text and not result.writes_answer
    gains = {kind: gain.value for kind, gain in result.expressions.items()}
    pushed = {kind: gain.value for kind, gain in result.bias_expressions.items()}
    assert min(gains.values()) > 0 and min(pushed.values()) > 0
    assert not any(gain.above(result.bias_expressions[k]) for k, gain in result.expressions.items())
