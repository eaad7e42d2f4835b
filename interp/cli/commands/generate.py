"""`interp generate MODEL PROMPT`: continue a text, token by token."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from interp.cli.model_folders import BOS_HELP, model_source

if TYPE_CHECKING:
    from interp.core.protocols import LanguageModel, Step


@click.command()
@click.argument("source", metavar="MODEL")
@click.argument("prompt")
@click.option("--step", type=int, help="Checkpoint; the newest by default.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--bos/--no-bos", default=None, help=BOS_HELP)
@click.option(
    "--max-new-tokens", default=64, show_default=True, help="Maximum number of tokens to generate."
)
@click.option(
    "--temperature", default=1.0, show_default=True, help="0 = always the most probable token."
)
@click.option("--top-k", type=int, help="Sample from the k most probable tokens.")
@click.option(
    "--top-p", type=float, help="Sample from the smallest set of tokens with this probability."
)
@click.option("--min-p", type=float, help="Drop tokens below this share of the top probability.")
@click.option("--repetition-penalty", default=1.0, show_default=True, help="1 = none.")
@click.option("--stop", multiple=True, help="Stop before this text; can be given several times.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sampling.")
@click.option("--edits", "edits_file", metavar="FILE", help="Interventions as JSON.")
@click.option("--recipe", "recipe_file", metavar="FILE", help="Steer with a saved recipe.")
@click.option("--use-cache/--no-use-cache", default=True, help="Whether to cache keys and values.")
@click.option("--only-new", is_flag=True, help="Print the new text only, without the prompt.")
@click.option(
    "--explain", is_flag=True, help="Print one line per token: probability, rank, random number."
)
def command(
    source: str,
    prompt: str,
    step: int | None,
    device: str,
    bos: bool | None,
    edits_file: str | None,
    recipe_file: str | None,
    only_new: bool,
    explain: bool,
    **options: Any,
) -> None:
    """Continue a text, printing each token as it is sampled."""
    from interp.cli.parameters import read_edits
    from interp.core.edits import idle_edits
    from interp.models.io.load import load_model

    model = load_model(model_source(source), step=step, device=device, bos=bos)
    edits = read_edits(edits_file) if edits_file else []
    if recipe_file:
        edits += steer(model, recipe_file)
    ids: list[int] = []

    def steps() -> "Iterator[Step]":
        for (token,) in model.stream(prompt, edits=edits, **options):
            if token is not None:
                ids.append(token.token)
                yield token

    if explain:
        for token in steps():
            click.echo(describe(model, token))
    else:
        if not only_new:
            click.echo(prompt, nl=False)
        for text in growing_text(model, steps(), options["stop"]):
            click.echo(text, nl=False)
        click.echo()
    for edit in idle_edits(edits, model.to_tokens(prompt)[0].tolist(), [ids]):
        click.echo(
            f"Warning: no position of prompt and text met this edit, so it changed nothing: {edit}",
            err=True,
        )


def steer(model: "LanguageModel", path: str) -> list[Any]:
    """The edits of a recipe file; warns where the recipe was made with another model.

    Raises:
        CheckpointError: no such file, or no recipe.
        ModelMismatchError: its directions do not fit the model.
    """
    from interp.steering_recipe import load_recipe

    recipe = load_recipe(path)
    recipe.fit(model)
    if caution := recipe.caution(model):
        click.echo(f"Warning: {caution}", err=True)
    return [concept.add() for concept in recipe.concepts]


def growing_text(
    model: "LanguageModel", steps: "Iterator[Step]", stop: tuple[str, ...] = ()
) -> Iterator[str]:
    """What each token adds to the text; half a character waits for its other half.

    Args:
        model: whose tokenizer.
        steps: the tokens as they are drawn.
        stop: texts to end before; what may be the beginning of one waits too.
    """
    ids: list[int] = []
    length = 0
    for step in steps:
        ids.append(step.token)
        text = model.tokenizer.decode(ids)
        ends = [text.index(text_) for text_ in stop if text_ in text]
        sure = min(ends) if ends else len(text) - _unsure(text, stop)
        yield text[length:sure]
        length = max(length, sure)
        if ends:
            return
    yield model.tokenizer.decode(ids)[length:]


def _unsure(text: str, stop: tuple[str, ...]) -> int:
    """Length of the ending that may change with the next token."""
    broken = len(text) - len(text.rstrip("\ufffd"))
    begun = [n for each in stop for n in range(1, len(each)) if text.endswith(each[:n])]
    return max([broken, *begun])


def describe(model: "LanguageModel", step: "Step") -> str:
    """One token as a line: what it is, its probability, its rank, the random number."""
    (token,) = model.tokenizer.display([step.token])
    draw = "greedy" if step.draw is None else f"sampled at {step.draw:.4f}"
    return (
        f"{token:<16} probability {step.probability:.4f}  rank {step.rank}  "
        f"entropy {step.entropy_bits:.2f} bits  kept mass {step.kept_mass:.3f}  {draw}"
    )
