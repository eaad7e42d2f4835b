"""What every view begins with: the model and its step, the text, the seed.

The values stand in the address bar (`bind="query-params"`), so the address is the permalink.
"""

from typing import Any, NoReturn

import streamlit as st

from dashboards.page import model_cache
from dashboards.page.error_message import PageEnd
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import NEWEST, Entry, entries
from interp.core.errors import ConfigError, TokenError
from interp.core.protocols import LanguageModel
from interp.worlds import world_names
from interp.worlds.world import World

LONGEST_PROMPT = 20_000
MOST_SEEDS = 2**31 - 1
EXAMPLES = 50


def begin(title: str, what: str) -> tuple[LanguageModel, Entry]:
    """Draw title and introduction and open the chosen model; without one the page ends.

    Raises:
        CheckpointError: the model cannot be opened.
    """
    st.title(title)
    st.markdown(what)
    models = entries()
    if not models:
        no_model()
        raise PageEnd
    entry, step = _pick(models)
    model = model_cache.opened(entry, step)
    st.caption(_about(entry, model))
    return model, entry


def begin_measuring(title: str, what: str) -> tuple[LanguageModel, Entry, int]:
    """`begin` for a page that measures: the seed of its random numbers comes third."""
    return *begin(title, what), seed_input()


def no_model() -> None:
    """The empty state."""
    st.info("There is no model on this machine yet. Train one with:", icon=":material/info:")
    st.code("interp demo", language="bash")
    st.caption(
        "Then reload this page. `interp dashboard PATH` opens a GGUF file, a model's folder, or a "
        "folder of models."
    )


def _pick(models: list[Entry]) -> tuple[Entry, int | None]:
    names = [entry.name for entry in models]
    with st.sidebar:
        name = linked(st.selectbox, "Model", names, key="model")
        entry = models[names.index(name)]
        steps = [NEWEST, *map(str, reversed(entry.steps))]
        help_text = "The newest checkpoint, or one from an earlier training step."
        step = linked(st.selectbox, "Training step", steps, key="step", help=help_text)
    return entry, None if step == NEWEST else int(step)


def _about(entry: Entry, model: LanguageModel) -> str:
    parameters = entry.parameters
    step = model.step
    evaluation = next((e for e in reversed(entry.evaluations) if e["step"] == step), {})
    parts = [
        entry.name,
        "" if step is None else f"step {step:,}",
        f"{parameters:,} parameters" if parameters else "",
        _nats("held-out loss", evaluation.get("loss_nats_per_token")),
        _nats("regret", evaluation.get("regret_nats_per_token")),
        f"weights {model.hash[:8]}",
    ]
    return plain(" · ".join(part for part in parts if part))


def _nats(name: str, value: float | None) -> str:
    return "" if value is None else f"{name} {value:.3f} nats/token"


def world_of(entry: Entry) -> World | None:
    """The world whose text the model was trained on; None for other text."""
    return model_cache.world(entry.world) if entry.world in world_names() else None


def level_of(world: World | None) -> dict[str, str]:
    """The argument `level` of an instrument; none where its default, `full`, is a level."""
    if world is None or "full" in world.levels:
        return {}
    return {"level": list(world.levels)[-1]}


def splits_of(world: World) -> tuple[str, ...]:
    """The splits that no model is trained on; not every world has new compositions."""
    try:
        world.sample(0, split="composition")
    except ConfigError:
        return ("held_out",)
    return ("held_out", "composition")


def needed_world(entry: Entry) -> World:
    """The world whose text the model was trained on; without one the page ends."""
    world = world_of(entry)
    if world is None:
        no_world()
        raise PageEnd
    return world


def no_world() -> None:
    """The empty state of views that need to know the truth."""
    st.info(
        "This page needs a model that was trained on a simulated world, because only there the "
        "true answers are known. Choose such a model in the sidebar.",
        icon=":material/info:",
    )


def checkpoints_of(model: LanguageModel) -> tuple[int, ...]:
    """The steps of the run's checkpoints; none where the model is not part of a run."""
    return tuple(sorted(getattr(model, "history", None) or ()))


def needed_checkpoints(model: LanguageModel, fewest: int = 2) -> tuple[int, ...]:
    """The steps of the run's checkpoints; with fewer than that the page ends."""
    steps = checkpoints_of(model)
    if len(steps) < fewest:
        ends_here(
            f"This needs a run with {'two' if fewest == 2 else fewest} or more checkpoints; this "
            f"model has {len(steps)}. "
            "Choose another run, or the shipped `stories-demo`."
        )
    return steps


def ends_here(message: str) -> NoReturn:
    """Say what the page needs, and end it."""
    st.info(message, icon=":material/info:")
    raise PageEnd


def prompt_input(
    model: LanguageModel, entry: Entry, *, key: str = "prompt", sentences: int | None = 2
) -> str:
    """A text, with its tokens as the model sees them.

    Args:
        model: that will read it.
        entry: the model in the list; its world gives the examples.
        key: of the widget; views with the same key share the text.
        sentences: how many sentences an example has; None = a whole story.
    Raises:
        TokenError: empty, longer than the context, or with words the model does not know.
    """
    world = world_of(entry)
    text = prompt_area("Text", example(world, 0, sentences), key, placeholder="Enter a prompt …")
    if world is not None:
        st.button(
            "Another example",
            key=f"another_{key}",
            icon=":material/casino:",
            on_click=_another,
            args=(world, key, sentences),
        )
    tokens_of(model, text or "")
    return text


def prompt_area(label: str, text: str, key: str, **widget: Any) -> str:
    """A box for a text that the model reads, at first with `text` in it."""
    usual = {"height": 100, "max_chars": LONGEST_PROMPT}
    return linked(st.text_area, label, text, key=key, **{**usual, **widget})


def tokens_of(model: LanguageModel, text: str) -> None:
    """Say how many tokens a text is, and show them.

    Raises:
        TokenError: see `prompt_input`.
    """
    ids = checked_ids(model, text)
    with st.expander(f"{len(ids)} of {model.cfg.n_ctx} tokens", icon=":material/notes:"):
        st.code("│".join(model.tokenizer.display(ids)), language=None, wrap_lines=True)


def checked_ids(model: LanguageModel, text: str) -> list[int]:
    """The tokens of a text that fits the model's context.

    Raises:
        TokenError: empty, longer than the context, or with words the model does not know.
    """
    if not text.strip():
        raise TokenError("The model needs a text; got none. Enter one, or take an example.")
    tokens, _ = model.to_tokens(text)
    ids = tokens[0].tolist()
    if len(ids) > model.cfg.n_ctx:
        raise TokenError(
            f"The model's context is {model.cfg.n_ctx} tokens; got a text of {len(ids)}. "
            "Give a shorter one."
        )
    return ids


def seed_input() -> int:
    """The seed of everything that is drawn."""
    help_text = "The same seed gives the same random numbers."
    return linked(st.sidebar.number_input, "Seed", 0, MOST_SEEDS, 0, key="seed", help=help_text)


def example(world: World | None, number: int, sentences: int | None) -> str:
    """The beginning of a story that no model was trained on; a plain word without a world."""
    if world is None:
        return "Once upon a time"
    text = world.sample(number, split="held_out").text
    ends = [sentence.span[1] for sentence in world.parse(text).sentences]
    return text[: ends[sentences - 1]] if sentences and len(ends) >= sentences else text


def _another(world: World, key: str, sentences: int | None) -> None:
    number = st.session_state.get(f"example_{key}", 0) % EXAMPLES + 1
    st.session_state[f"example_{key}"] = number
    st.session_state[key] = example(world, number, sentences)
