"""The form of a new run: text, model shape, recipe, and the estimated cost."""

import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
import torch

from dashboards.page import header, model_cache
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.pickers.choice import choice
from interp.core.errors import ConfigError
from interp.models.io.presets import PRESETS
from interp.training.data.text_files import text_files
from interp.training.jobs import jobs
from interp.training.loop.estimate import Estimate, Speed, estimate, measured_speed
from interp.training.recipe.choices import TrainingPlan
from interp.training.recipe.config import TrainConfig
from interp.worlds import world_names

WORLD, OWN = "a world", "my own text"
TOKENS = {"bpe": "subwords (BPE)", "characters": "characters"}
KEPT = {"persist_state": "session"}
DOCUMENTS = (50, 200, 1_000, 4_000, 16_000)
LAYERS = (1, 2, 3, 4, 6, 8, 12)
WIDTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
HEADS = (1, 2, 3, 4, 6, 8, 12, 16)
CONTEXTS = (16, 32, 64, 96, 128, 192, 256, 512)
ROWS = (4, 8, 16, 32, 64, 128)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
MOST_STEPS = 1_000_000
N_TIMED = 12


def form(runs: Path) -> None:
    """Draw the fields, the estimate and *Start*.

    Args:
        runs: the folder that gets the run.
    Raises:
        InterpError: settings that do not fit together, or text that cannot be read.
    """
    source = choice("Text", [WORLD, OWN], "text_from")
    first, second, third = st.columns(3)
    world, tokens, data, texts = None, "bpe", "", {}
    if source == WORLD:
        world = linked(first.selectbox, "World", world_names(), _first_world(), key="world")
    else:
        tokens = first.selectbox(
            "Tokenizer", list(TOKENS), format_func=TOKENS.__getitem__, key="tokens", **KEPT
        )
    preset = linked(second.selectbox, "Preset", list(PRESETS), key="preset")
    name = third.text_input(
        "Run name", _free_name(runs), key="run_name", max_chars=jobs.LONGEST_NAME, **KEPT
    )
    if source == OWN:
        data, texts = _own_text()
    plan = _choices(world, preset, tokens)
    config = plan.config()
    _costs(plan, estimate(config, _speed(_threads())))
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="start"):
        job = jobs.start(runs, name.strip(), [*plan.arguments(), *_data(world, data, texts)], texts)
        st.session_state["run"] = job.name
        st.toast(plain(f"{job.name} was started."))


def _choices(world: str | None, preset: str, tokenizer: str) -> TrainingPlan:
    """The sliders, each at first at the value of the preset."""
    defaults = TrainingPlan(world=world, preset=preset, tokenizer=tokenizer).config()
    with st.expander("Model and recipe", icon=":material/tune:", key="shape_and_recipe"):
        left, right = st.columns(2)
        with left:
            shape = _shape(defaults, f"{preset}_{world}")
        with right:
            recipe = _recipe(defaults, world, f"{preset}_{world}")
    data = {"world": world, "preset": preset, "tokenizer": tokenizer}
    return TrainingPlan(**data, **shape, **recipe, seed=header.seed_input(), threads=_threads())


def _shape(defaults: TrainConfig, key: str) -> dict[str, int]:
    model = defaults.model
    width = _slider("Width (d_model)", WIDTHS, model.d_model, f"width_{key}")
    fitting = [n for n in HEADS if width % (2 * n) == 0]
    heads = model.n_heads if width == model.d_model else max(n for n in fitting if n <= 4)
    return {
        "width": width,
        "layers": _slider("Layers", LAYERS, model.n_layers, f"layers_{key}"),
        "heads": _slider("Heads per layer", fitting, heads, f"heads_{key}_{width}"),
        "context": _slider("Context length (tokens)", CONTEXTS, defaults.context, f"context_{key}"),
    }


def _recipe(defaults: TrainConfig, world: str | None, key: str) -> dict:
    recipe = {
        "steps": st.number_input(
            "Steps", 1, MOST_STEPS, defaults.steps, 50, key=f"steps_{key}", **KEPT
        ),
        "batch_size": _slider("Batch size (sequences)", ROWS, defaults.batch_size, f"rows_{key}"),
        "learning_rate": _slider("Learning rate", RATES, defaults.muon_lr, f"rate_{key}"),
    }
    if world is None:
        return recipe
    most = DOCUMENTS[-1]
    recipe["documents"] = _slider("Documents per level", DOCUMENTS, most, f"documents_{key}")
    if len(model_cache.world(world).levels) > 1:
        words = "From the easiest level to the hardest; without it, all levels from the start."
        recipe["curriculum"] = st.toggle(
            "Curriculum", True, key=f"curriculum_{key}", help=words, **KEPT
        )
    return recipe


def _slider(name: str, steps: Sequence[float], value: float, key: str) -> float:
    options = sorted({*steps, value})
    if len(options) == 1:
        return value
    return st.select_slider(name, options, value, key=key, **KEPT)


def _costs(plan: TrainingPlan, cost: Estimate) -> None:
    speed = _speed(_threads())
    generating = plan.n_documents() * _seconds_per_document(plan.world) if plan.world else 0.0
    with st.container(horizontal=True, key="costs"):
        st.metric("Parameters", f"{cost.parameters:,}", width=170)
        st.metric("Memory (estimate)", f"{cost.memory_bytes / 1e9:.1f} GB", width=170)
        st.metric("Time (estimate)", duration(cost.seconds + generating), width=170)
    vocabulary = "exact" if plan.world else "for the largest vocabulary that the text may need"
    st.caption(
        f"Parameters: {vocabulary}. Memory: weights, gradients, optimizer and activations, "
        f"computed. Time: {duration(generating)} to generate the text and {duration(cost.seconds)} "
        f"to train, from a trial just now on {_threads()} of this machine's cores "
        f"({speed.flops / 1e9:.0f} billion operations per second); half or twice as long is "
        "common. Starting takes a few seconds more."
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use.

    Example:
        >>> [duration(seconds) for seconds in (4.2, 250, 9000)]
        ['4 s', '4 min', '2.5 h']
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _own_text() -> tuple[str, dict[str, bytes]]:
    """A path on this machine, and the uploaded files."""
    left, right = st.columns(2)
    files = left.file_uploader(
        "Text files", ["txt", "jsonl"], accept_multiple_files=True, key="own_files",
        help="UTF-8. Each line of a .jsonl file is a document: {\"text\": …}.",
    )  # fmt: skip
    data = right.text_input(
        "Or a file or folder on this machine", key="own_path", placeholder="/path/to/texts", **KEPT
    )
    return data.strip(), {
        f"{number:03}{Path(file.name).suffix.lower()}": file.getvalue()
        for number, file in enumerate(files or ())
    }


def _data(world: str | None, data: str, texts: dict[str, bytes]) -> list[str]:
    """The argument that names own text.

    Raises:
        ConfigError: none was given, or it cannot be read.
    """
    if world or (texts and not data):
        for name, content in texts.items():
            _check_utf8(name, content)
        return []
    if not data or texts:
        raise ConfigError(
            "Training on your own text needs either uploaded files or a path; got "
            f"{'both' if data else 'neither'}. Give one of them."
        )
    text_files(Path(data).expanduser())
    return [f"--data={Path(data).expanduser().resolve()}"]


def _check_utf8(name: str, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"Text files need to be UTF-8; byte {error.start} of file {int(name[:3]) + 1} is not. "
            "Save the file as UTF-8."
        ) from None


def _free_name(runs: Path) -> str:
    """The first of run-1, run-2 … that is not taken."""
    if "run_name" in st.session_state:
        return ""
    return next(name for n in range(1, 10**6) if not (runs / (name := f"run-{n}")).exists())


def _first_world() -> int:
    names = world_names()
    return names.index("stories") if "stories" in names else 0


def _threads() -> int:
    """All cores but one, which stays free for the dashboard."""
    return max(1, torch.get_num_threads() - 1)


@st.cache_resource(show_spinner="Timing this machine …")
def _speed(threads: int) -> Speed:
    return measured_speed(threads)


@st.cache_resource(show_spinner=False)
def _seconds_per_document(name: str) -> float:
    """Measured by generating a few documents with their floors."""
    from interp.training.data.world_documents import world_documents

    world = model_cache.world(name)
    began = time.perf_counter()
    list(world_documents(world, range(N_TIMED), level=list(world.levels)[-1], split="train"))
    return (time.perf_counter() - began) / N_TIMED
