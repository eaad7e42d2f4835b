"""The main job: from an empty folder to a trained model, findings with controls, and one page.

Every stage leaves its outcome in the folder, so the same command goes on where it was stopped.
"""

from dataclasses import dataclass
from pathlib import Path

from interp.demo.display import Display, Quiet
from interp.demo.findings import FULL, INDUCTION, STORIES, Finding, Size, findings
from interp.demo.ledger import Ledger
from interp.demo.training import train_demo
from interp.models.gpt import GPT
from interp.report import Report
from interp.results.cache import result_of_call, saved_results
from interp.results.registry import get_instrument
from interp.results.result import Result
from interp.training.recipe.recipes import demo_recipe, induction_recipe
from interp.worlds import load_world

TITLE = "What a small model learned from stories, and how we know"


@dataclass(frozen=True, kw_only=True)
class Places:
    """What lies where in the demo's folder."""

    folder: Path

    @property
    def run(self) -> Path:
        """The run, which is also the model's folder."""
        return self.folder / STORIES

    @property
    def induction_run(self) -> Path:
        """The run of the small model whose induction heads are watched."""
        return self.folder / INDUCTION

    @property
    def results(self) -> Path:
        """A folder a result."""
        return self.folder / "results"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    @property
    def times(self) -> Path:
        """Seconds by stage."""
        return self.folder / "times.json"


def run_demo(
    folder: str | Path,
    *,
    size: Size = FULL,
    seed: int = 0,
    long: bool = False,
    display: Display | None = None,
) -> Places:
    """Train on the stories world, look inside, steer, and write `report.html`.

    A second, smaller model learns to repeat random syllables, since induction heads form there.

    Args:
        folder: new, or that of a demo that was stopped.
        size: how much is computed.
        seed: seed of the corpora and the weights.
        long: train as long as the shipped model was.
        display: shows what happens; nothing does when None.
    Returns:
        Where everything is.
    Raises:
        ConfigError: the folder holds a demo with other settings.
        Interrupted: Ctrl-C during training; a plain KeyboardInterrupt elsewhere.
    """
    places, display = Places(folder=Path(folder)), display or Quiet()
    ledger = Ledger(places.times)
    recipes = {
        places.run: demo_recipe(seed, long=long),
        places.induction_run: induction_recipe(seed),
    }
    models = {
        run.name: train_demo(recipe, run, size, ledger, display) for run, recipe in recipes.items()
    }
    world = load_world(recipes[places.run].world)
    made = []
    for finding in findings(world, size):
        model = models[finding.run]
        before = saved_results(places.results, model.hash)
        result = result_of_call(before, finding.instrument, finding.arguments)
        if result is None:
            with ledger.stage(finding.folder), display.busy(finding.folder):
                result = _measured(finding, model, places.results)
        display.say(f"{finding.folder}  {result}")
        made.append((finding, result))
    with ledger.stage("report"), display.busy("report"):
        write_report(models[places.run.name], made, places.report)
    return places


def _measured(finding: Finding, model: GPT, folder: Path) -> Result:
    result = get_instrument(finding.instrument).function(model, **finding.arguments)
    result.save(folder / finding.folder)
    return result


def write_report(model: GPT, made: list[tuple[Finding, Result]], path: Path) -> Path:
    """The page of all findings; the same results give the same bytes.

    Args:
        model: the model that was measured.
        made: each finding with its result, in the order of the page.
        path: path of the HTML file.
    """
    report = Report(TITLE)
    report.add_text(
        f"A model of {sum(p.numel() for p in model.parameters()):,} parameters was trained from "
        "random weights on stories that a simulator told. The simulator knows the whole truth at "
        "every word, so every instrument below is scored against it, beside its control. A second "
        "model, of two attention layers, learned to repeat random syllables."
    )
    for finding, result in made:
        report.add(result, title=finding.title, comment=finding.comment)
    return report.save(path)
