"""Where each head attends, and how the answer changes when a head is ablated."""

import streamlit as st

from dashboards.components import attention as words
from dashboards.components.attention_picture import attention_picture
from dashboards.page import header, measurements, result_card, run_button
from dashboards.pickers.heads import COMPONENT, HeadChoice, follow_click, head_choice
from dashboards.pickers.words import one_word
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
    what = (
        "Point at a token to see what it attends to. Click to lock it; use the arrow keys to move."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    prompt = header.prompt_input(model, entry)
    _question_button(header.world_of(entry))
    result = measurements.measured("attention", model, prompt=prompt, seed=seed)
    choice = head_choice(result)
    effect = _effect(model, prompt, seed) if choice.show == "effect" else None
    scores = _head_scores(model)

    scene = _scene(result, choice, scores, effect)
    card = {
        "picture": lambda: words.draw(scene, key=COMPONENT, on_change=follow_click),
        "seen": lambda: attention_picture(scene),
    }
    if effect is None:
        result_card.show(result, choice.title, **card, **choice.options(result))
    else:
        title = f"Effect of ablating each head on the answer {effect.answer}"
        result_card.show(effect, title, key="attention", **card)


def _question_button(world: World | None) -> None:
    """A story that ends in a question, where the world asks questions."""
    if world is not None and "?" in world.sample(0, split="held_out").text:
        label = "Example that ends in a question"
        st.button(label, icon=":material/help:", on_click=_take_question, args=(world,))


def _take_question(world: World) -> None:
    number = st.session_state.get("asked_story", -1) + 1
    st.session_state["asked_story"] = number % header.EXAMPLES
    text = world.sample(number, split="held_out").text
    st.session_state["prompt"] = text[: text.rfind("?") + 1] or text


def _effect(model: LanguageModel, prompt: str, seed: int) -> HeadAblation | None:
    """Every head ablated in turn; of many heads only on request."""
    placeholder = "default: the most probable next token"
    answer = one_word(model, "Answer", "answer", placeholder=placeholder)
    count = model.cfg.n_layers * model.cfg.n_heads
    pressed = count <= MANY or st.button(f"Ablate each of {count} heads in turn", type="primary")
    with st.spinner(f"Ablating {count} heads, one after the other …", show_time=True):
        return run_button.on_request(
            "head_ablation", model, pressed, prompt=prompt, answer=answer, seed=seed
        )


def _head_scores(model: LanguageModel) -> Heads | None:
    """The scores of the heads beside untrained models; of many heads only on request.

    They do not depend on the text and the seed of the page; *Attention heads* takes other seeds.
    """
    count = model.cfg.n_layers * model.cfg.n_heads
    pressed = count <= MANY or st.button(f"Score {count} heads", icon=":material/apps:")
    arguments = {"ablation": "none", "untrained": 3, "seed": 0}
    try:
        return run_button.on_request("heads", model, pressed, **arguments)
    except NotEnoughDataError:
        return None


def _scene(
    result: Attention, choice: HeadChoice, scores: Heads | None, effect: HeadAblation | None
) -> words.Scene:
    values = result.written_share if choice.show == "written" else result.pattern
    n_layers, n_heads = values.shape[:2]
    notes = words.HeadNotes(
        badges=head_descriptions.badges(scores, n_layers, n_heads),
        words=head_descriptions.sentences(result, scores, effect),
        effect=[] if effect is None else effect.change.tolist(),
        caption=head_descriptions.caption(effect),
    )
    return words.Scene(
        tokens=result.tokens,
        weights=values[list(choice.layers)],
        selection=choice.selection,
        layers=choice.layers,
        n_layers=n_layers,
        notes=notes,
        look=choice.look,
        combine=choice.combine,
        unit=UNITS.get(choice.show, UNITS["attention"]),
    )
