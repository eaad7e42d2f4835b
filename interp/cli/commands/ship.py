"""`interp ship`: a finished run of a world as a small model folder with a measured card."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interp.cli.model_folders import YES_HELP
from interp.cli.targets import Target
from interp.core.display import percent

if TYPE_CHECKING:
    from interp.analyses.behavior.comprehension import Comprehension

CHECKPOINTS = (0, 16, 64, 256, 512, 1000)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("folder", type=Target("folder"))
@click.option(
    "--world",
    "world_name",
    default="stories",
    show_default=True,
    help="World that the run was trained on.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=int,
    help="Step of a checkpoint to keep; can be given several times.",
)
@click.option(
    "--stories", default=300, show_default=True, help="Stories per split to measure the model on."
)
@click.option("--yes", "any_cost", is_flag=True, help=YES_HELP)
def command(
    run: Path,
    folder: Path,
    world_name: str,
    checkpoints: tuple[int, ...],
    stories: int,
    any_cost: bool,
) -> None:
    """Copy a finished RUN as a small model into FOLDER.

    It gets the weights, some checkpoints, the curves, and a model card with measured numbers.
    """
    from interp.analyses.behavior.comprehension import comprehension
    from interp.cli.progress import measuring
    from interp.models.io.checkpoint import checkpoint_steps
    from interp.models.io.load import load_model
    from interp.training.run.shipping import ship_run
    from interp.worlds import load_world

    model = load_model(run)
    with measuring(any_cost):
        result = comprehension(model, load_world(world_name), n_stories=stories)
    saved_steps = set(checkpoint_steps(run))
    steps = checkpoints or tuple(step for step in CHECKPOINTS if step in saved_steps)
    ship_run(
        run, folder, checkpoints=steps, card=card(folder.name, result), measures=measures(result)
    )
    click.echo(f"shipped  {folder}  weights {model.hash}, checkpoints {', '.join(map(str, steps))}")
    click.echo(str(result))


def measures(result: "Comprehension") -> dict[str, Any]:
    """The numbers of the card, and what they were measured with."""
    return {
        "model_hash": result.provenance.model_hash,
        "n_stories": result.n_stories,
        "accuracy": {
            split: {kind: round(i.value, 4) for kind, i in kinds.items()}
            for split, kinds in result.accuracy.items()
        },
        "best_shortcut": {
            split: {kind: _best(result, kind, split) for kind in kinds}
            for split, kinds in result.accuracy.items()
        },
        "regret_nats_per_token": round(result.regret.value, 5),
        "well_formed": round(result.well_formed["model"].value, 4),
        "consistent": round(result.consistent["model"].value, 4),
    }


def card(name: str, result: "Comprehension") -> str:
    """The model card: what it is, what it can do beside what shortcuts can, and how it was made."""
    provenance = result.provenance
    rows = [
        f"| {row.split} | {row.kind} | {row.accuracy.value:.2f} [{row.accuracy.low:.2f}, "
        f"{row.accuracy.high:.2f}] | {row.shortcuts[row.best].value:.2f} ({row.best}) | {row.n} |"
        for row in result.rows
    ]
    table = "\n".join(rows)
    return f"""# {name}

A small transformer trained from random weights on the `{provenance.world}` world: simulated
stories whose whole truth is known. It writes such stories and answers questions about them; it
knows nothing else. Weights `{provenance.model_hash}`, step {provenance.step}. The recipe is in
`run.json`, the loss curve in `metrics.jsonl`, the numbers below in `card.json`.

| stories | question | right answers [95 %] | best shortcut | n |
|---|---|---|---|---|
{table}

Regret (loss less the exact floor): {result.regret.value:.4f} nats per token. Of the sentences it
writes at temperature 1, {percent(result.well_formed["model"].value, 1)} are of the world's grammar,
and {percent(result.consistent["model"].value, 1)} of these agree with the story so far.

{_verdict(result)}
What people like (`likes`) is the same in every story: it is learned by heart, so a bag of words
does as well. `composition` holds stories with pairs of person and place that training never shows.

```python
import interp

model = interp.load_model("{name}")
print(model.generate("It is a sunny morning. Anna is in the", seed=0).text)
early = interp.load_model("{name}", step=64)
```

Made with `interp train --world {provenance.world} --threads 1 --out runs/{name}`, then
`interp ship runs/{name} trained_models/{name}`.
"""


def _best(result: "Comprehension", kind: str, split: str) -> float:
    row = result.row(kind, split)
    return round(row.shortcuts[row.best].value, 4)


def _verdict(result: "Comprehension") -> str:
    names = sorted({row.kind for row in result.unsafe})
    if not names:
        return "No shortcut comes within ten points of it."
    return f"A shortcut comes within ten points in: {', '.join(names)}; elsewhere none does."
