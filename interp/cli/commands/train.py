"""`interp train`: from random weights to a model, on a world or on your own text."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interp.cli.targets import Target, refuse_target
from interp.core.errors import ConfigError

if TYPE_CHECKING:
    from interp.training.loop.metrics import Writer

DIRECT = ("steps", "batch_size", "context", "seed", "optimizer")
settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other setting of the recipe.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or mps."
)
threads_option = click.option("--threads", type=int, help="CPU threads.")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Text file, JSONL file or folder.")
@click.option("--world", "world_name", help="Simulated world to use instead; see `interp worlds`.")
@click.option("--out", type=Target("folder"), help="Run folder; runs/NAME by default.")
@click.option("--preset", default="demo", show_default=True, help="Preset of the model shape.")
@click.option("--steps", type=int, help="Training steps.")
@click.option("--batch-size", type=int, help="Sequences per step, over all ranks.")
@click.option("--context", type=int, help="Context length: predicted tokens per sequence.")
@click.option("--seed", type=int, help="Seed of weights, batches and dropout.")
@click.option("--optimizer", type=click.Choice(["muon", "adamw"]), help="Optimizer.")
@click.option(
    "--tokenizer", type=click.Choice(["words", "characters", "bpe"]), help="Kind of tokenizer."
)
@click.option("--vocab", type=int, help="Vocabulary size of a bpe tokenizer.")
@click.option("--documents", type=int, help="Documents per level of a world.")
@click.option("--curriculum", metavar="PACING", help="step, overlapping, linear, root; anti-…")
@click.option("--order-by", help="Sort documents into levels by: length, gap, chance, loss:MODEL.")
@settings_option
@device_option
@threads_option
@click.option(
    "--engine",
    type=click.Choice(["ddp", "fsdp"]),
    default="ddp",
    show_default=True,
    help="Distributed engine.",
)
@click.option("--tensorboard", is_flag=True, help="Log to TensorBoard, in the run folder.")
@click.option("--wandb", "wandb_project", metavar="PROJECT", help="Log to Weights & Biases.")
def command(
    data: Path | None,
    world_name: str | None,
    out: Path | None,
    preset: str,
    settings: tuple[str, ...],
    tensorboard: bool,
    wandb_project: str | None,
    tokenizer: str | None,
    vocab: int | None,
    documents: int | None,
    curriculum: str | None,
    order_by: str | None,
    device: str,
    threads: int | None,
    engine: str,
    **direct: Any,
) -> None:
    """Train a model on text or on a world.

    Repeat the command to resume a run that was stopped.
    """
    from interp.cli.progress import TrainingProgress
    from interp.cli.resumable import resumable
    from interp.cli.run_corpus import corpus_of_run
    from interp.training.loop.baselines import write_baselines
    from interp.training.loop.pretrain import train
    from interp.training.loop.samples import SampleLog
    from interp.training.recipe.text_source import chosen_source, paced_config, sorted_source
    from interp.training.run.run_folder import check_resumable

    seed = direct["seed"] or 0
    source = chosen_source(data, world_name, preset, tokenizer, vocab, documents, seed)
    if order_by:
        source = sorted_source(source, order_by, world_name)
    out = out or Path("runs") / (world_name or data.stem)
    refuse_target(out, "folder", "--out")
    check_resumable(out)
    overrides = {name: direct[name] for name in DIRECT if direct[name] is not None}
    overrides |= read_settings(settings)
    source.check(overrides)
    corpus = corpus_of_run(out, source.asked, source.write)
    config = source.config(corpus.tokenizer.d_vocab, preset, overrides)
    if curriculum:
        config = paced_config(config, corpus, curriculum, overrides)
    is_main = os.environ.get("RANK", "0") == "0"
    samples = SampleLog(out / "samples.jsonl")
    if is_main:
        write_baselines(out, corpus, config)
    with (
        resumable(f"The run in {out}"),
        TrainingProgress(config.steps, silent=not is_main) as progress,
    ):
        model = train(
            config,
            corpus.folder,
            out,
            device=device,
            threads=threads,
            engine=engine,
            progress=progress,
            writers=_writers(out, tensorboard, wandb_project) if is_main else (),
            watch=samples,
        )
    if is_main:
        samples.add(model, model.step)
        click.echo(f"trained  {out}  {model.step} steps, weights {model.hash}")


def read_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`NAME=VALUE` pairs as a recipe's fields; a value is JSON where it reads as JSON.

    Raises:
        ConfigError: a setting without `=`.

    Example:
        >>> read_settings(("muon_lr=0.02", "decay=cosine"))
        {'muon_lr': 0.02, 'decay': 'cosine'}
    """
    fields = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"A setting needs to be NAME=VALUE; got {setting!r}.")
        fields[name] = _json_or_text(value)
    return fields


def _writers(out: Path, tensorboard: bool, wandb_project: str | None) -> "list[Writer]":
    from interp.training.loop.writers import tensorboard_writer, wandb_writer

    writers = [tensorboard_writer(out / "tensorboard")] if tensorboard else []
    return writers + ([wandb_writer(wandb_project, name=out.name)] if wandb_project else [])


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
