"""The demo's models: the corpus that each one's recipe asks for, and the run that trains on it."""

from contextlib import nullcontext
from pathlib import Path

from interp.demo.display import Display
from interp.demo.findings import Size
from interp.demo.ledger import Ledger
from interp.models.gpt import GPT
from interp.models.io.load import load_model
from interp.runs.record import needs_training, record_of
from interp.training.data.corpus import Corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.recipes import TrainingRecipe
from interp.training.run.run_folder import check_resumable


def train_demo(
    recipe: TrainingRecipe, run: Path, size: Size, ledger: Ledger, display: Display
) -> GPT:
    """The trained model; goes on where an earlier call was stopped.

    Args:
        recipe: decides the corpus and the run.
        run: the run's folder; the corpus is in it.
        size: may cut the recipe's steps and documents.
        ledger: is told the seconds of both stages, by the run's name.
        display: shows what happens.
    Raises:
        ConfigError: the folder holds a run with other settings.
        CheckpointError: it holds a model, or a run without a whole state.
        Interrupted: Ctrl-C.
    """
    check_resumable(run)
    corpus = _corpus(recipe, run / "corpus", size, ledger, display)
    config = recipe.config(corpus.tokenizer.d_vocab, steps=size.steps)
    stage = ledger.stage(f"training {run.name}")
    timed = nullcontext() if _is_finished(run, config.steps) else stage
    with timed, display.training(config.steps) as progress:
        train(config, corpus.folder, run, progress=progress)
    model = load_model(run)
    display.say(f"model  {run}  {config.steps} steps, weights {model.hash}")
    return model


def _corpus(
    recipe: TrainingRecipe, folder: Path, size: Size, ledger: Ledger, display: Display
) -> Corpus:
    if (folder / "corpus.json").exists():
        return Corpus.open(folder)
    stage = ledger.stage(f"corpus {folder.parent.name}")
    with stage, display.busy(f"the world {recipe.world} tells its texts"):
        corpus = recipe.write_corpus(folder, n_documents=size.n_documents)
    counts = sum(corpus.n_tokens().values())
    display.say(f"corpus  {folder}  {counts:,} tokens, {corpus.tokenizer.d_vocab} words")
    return corpus


def _is_finished(run: Path, steps: int) -> bool:
    return not needs_training(run) and record_of(run).get("step") == steps
