"""`interp ship`: a finished run of a world as a small model folder with a measured card."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from interp.cli.model_folders import YES_HELP
from interp.cli.targets import Target
from interp.core.display import percent

if TYPE_CHECKING:
    from interp.analyses.behavior.comprehension import Comprehension, QuestionScore

CHECKPOINTS = (0, 16, 64, 256, 512, 1000, 2000)
EVENTFUL = 2
"""Stories about rare events, of which a row needs many, for each of the others."""


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
        result = comprehension(
            model,
            load_world(world_name),
            n_stories=stories,
            n_eventful=EVENTFUL * stories,
            n_generated=stories,
        )
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
        "n_eventful": result.n_eventful,
        "n_generated": result.n_generated,
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
        "tellable": round(result.tellable["model"].value, 4),
    }


def card(name: str, result: "Comprehension") -> str:
    """The model card: what it is, what it can do beside what shortcuts can, and how it was made."""
    provenance = result.provenance
    rows = [
        f"| {row.split} | {row.kind} | {row.accuracy.value:.2f} [{row.accuracy.low:.2f}, "
        f"{row.accuracy.high:.2f}] | {_shortcut(row, row.best_listed)} | "
        f"{_shortcut(row, row.discovery)} | {row.n} |"
        for row in result.rows
    ]
    table = "\n".join(rows)
    return f"""# {name}

A small transformer trained from random weights on the `{provenance.world}` world: simulated
stories whose whole truth is known. It writes such stories and answers questions about them; it
knows nothing else. Weights `{provenance.model_hash}`, step {provenance.step}. The recipe is in
`run.json`, the loss curve in `metrics.jsonl`, the numbers below in `card.json`.

| stories | question | right answers [95 %] | best listed shortcut | found shortcut | n |
|---|---|---|---|---|---|
{table}

`object_place` is all questions where a thing is, and the rows below it are parts of them.
`handed_over`: another has the thing than took it, who is elsewhere. `dropped_and_left`: it lies
where its dropper is no longer. `retaken`: it was taken again, and carried from where it had lain.
`moved_once` …: its taker has it and moved so often. Those rows and `composition` take more stories,
told so that such questions are frequent (n in the last column). One rule can be right in all of
one part; that no one rule is right in every part is what the row of the whole says.

{_rules(result)}

Regret (loss less the exact floor): {result.regret.value:.4f} nats per token. Of the sentences it
writes at temperature 1, {percent(result.well_formed["model"].value, 1)} are of the world's grammar,
and {percent(result.consistent["model"].value, 1)} of these agree with the story so far; but of its
whole texts only {percent(result.tellable["model"].value)} keep all rules of the world (who comes in
when, what may be asked), which every text of the world does.

{_verdict(result)}
What people like (`likes`) is the same in every story: it is learned by heart, so a bag of words
does as well. `composition` holds questions about pairs of person and place that training never
shows, and about the likes of people whom training never asks about.

```python
import interp

model = interp.load_model("{name}")
print(model.generate("It is a sunny morning. Anna is in the", seed=0).text)
early = interp.load_model("{name}", step=64)
```

Trained with one thread by the recipe in `run.json`, then `interp ship RUN {name}`.
"""


def _shortcut(row: "QuestionScore", name: str) -> str:
    return f"{row.shortcuts[name].value:.2f} ({name})" if name else "–"


def _rules(result: "Comprehension") -> str:
    """What the found shortcuts are, and what stands behind the errors."""
    words: dict[str, list[str]] = {}
    for row, rules in result.rules.items():
        for name, rule in rules.items():
            words.setdefault(f"`{name}`: {rule}", []).append(row)
    lines = [
        f"- {rule} ({', '.join(rows[:2])}{' …' * (len(rows) > 2)})" for rule, rows in words.items()
    ]
    errors = [
        f"- Of the wrong answers about {kind} ({split}) {percent(share.value)} are those of the "
        f'rule "{result.error_rules[split][kind]}".'
        for split, kinds in result.errors_explained.items()
        for kind, share in kinds.items()
        if share.value > 0.5
    ]
    return "\n".join(
        [
            "Shortcuts found by search on training stories (a handler took, gave, got or dropped).",
            "The table has in all rows of a kind of question the same one of `rule`, `two_rules`",
            "and `tree`: the one that does best on all training questions of this kind.",
            "",
            *lines,
            *errors,
        ]
    )


def _best(result: "Comprehension", kind: str, split: str) -> float:
    row = result.row(kind, split)
    return round(row.shortcuts[row.best].value, 4)


def _verdict(result: "Comprehension") -> str:
    names: dict[str, list[str]] = {}
    for row in result.unsafe:
        names.setdefault(row.split, []).append(row.kind)
    if not names:
        return (
            "Each shortcut of the table, listed or found, is ten points below it, for sure below."
        )
    rows = "; ".join(f"{split}: {', '.join(kinds)}" for split, kinds in names.items())
    return fill(
        "A shortcut of the table, listed or found, comes within ten points, or is not shown to do "
        f"worse, in {rows}; elsewhere none does. Where one does, a right answer is no evidence "
        "that the story was followed.",
        100,
    )
