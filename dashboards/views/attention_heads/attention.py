"""Where a word looks in each head, and what a head does for the answer when it is taken away."""

import streamlit as st

from dashboards.components import attention as words
from dashboards.page import header, measurements, result_card, run_button
from dashboards.pickers.heads import COMPONENT, HeadChoice, follow, pick
from dashboards.stories import head_descriptions
from interp.analyses.attention_heads.attention import Attention
from interp.analyses.attention_heads.head_ablation import HeadAblation
from interp.analyses.attention_heads.heads import Heads
from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.plots.attention_heads.attention import UNITS
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Attention", ":material/visibility:", "Look inside", 30
MANY = 64


def render() -> None:
    """Draw the page."""
    what = "Point at a word to see where it looks. Click to lock it; arrow keys move."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    prompt = header.prompt_input(model, entry)
    _ask_box(header.world_of(entry))
    result = measurements.measured("attention", model, prompt=prompt, seed=seed)
    picked = pick(result)
    effect = _effect(model, prompt, seed) if picked.show == "effect" else None
    habits = _habits(model)

    def picture() -> None:
        _draw(result, picked, habits, effect)

    if effect is None:
        result_card.show(result, picked.title, picture=picture, **picked.options(result))
    else:
        title = f"What each head does for the answer {effect.answer}"
        result_card.show(effect, title, key="attention", picture=picture)


def _ask_box(world: World | None) -> None:
    """A story that ends in a question, where the world asks questions."""
    if world is not None and "?" in world.sample(0, split="held_out").text:
        told = "An example that ends in a question"
        st.button(told, icon=":material/help:", on_click=_ask, args=(world,))


def _ask(world: World) -> None:
    number = st.session_state.get("asked_story", -1) + 1
    st.session_state["asked_story"] = number % header.EXAMPLES
    text = world.sample(number, split="held_out").text
    st.session_state["prompt"] = text[: text.rfind("?") + 1] or text


def _effect(model: LanguageModel, prompt: str, seed: int) -> HeadAblation | None:
    """Every head taken away in turn; of many heads only when it is asked for."""
    told = "the most probable next token"
    answer = st.text_input("Answer", key="answer", placeholder=told, **header.LINK)
    count = model.cfg.n_layers * model.cfg.n_heads
    if count > MANY:
        pressed = st.button(f"Take each of {count} heads away in turn", type="primary")
        if not run_button.is_requested("effect", pressed, [model.hash, prompt, answer, seed]):
            return None
    with st.spinner(f"Taking {count} heads away, one after the other …", show_time=True):
        return measurements.measured(
            "head_ablation", model, prompt=prompt, answer=answer, seed=seed
        )


def _habits(model: LanguageModel) -> Heads | None:
    """The heads' scores beside untrained models; of many heads only when they are asked for.

    They are the model's own, whatever the text and the seed of the page: *Heads* draws them anew.
    """
    count = model.cfg.n_layers * model.cfg.n_heads
    if count > MANY:
        pressed = st.button(f"Score the habits of {count} heads", icon=":material/apps:")
        if not run_button.is_requested("habits", pressed, [model.hash]):
            return None
    try:
        return measurements.measured("heads", model, ablation="none", untrained=3, seed=0)
    except NotEnoughDataError:
        return None


def _draw(
    result: Attention, picked: HeadChoice, habits: Heads | None, effect: HeadAblation | None
) -> None:
    values = result.written_share if picked.show == "written" else result.pattern
    n_layers, n_heads = values.shape[:2]
    told = words.HeadNotes(
        badges=head_descriptions.badges(habits, n_layers, n_heads),
        words=head_descriptions.sentences(result, habits, effect),
        effect=[] if effect is None else effect.change.tolist(),
        caption=head_descriptions.caption(effect),
    )
    words.draw(
        result.tokens,
        values[list(picked.layers)],
        place=picked.place,
        layers=picked.layers,
        n_layers=n_layers,
        told=told,
        look=picked.look,
        combine=picked.combine,
        unit=UNITS.get(picked.show, UNITS["attention"]),
        key=COMPONENT,
        on_change=follow,
    )
