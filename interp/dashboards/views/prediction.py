"""One next token step by step, and the branches of a text that is written so."""

from typing import Any

import streamlit as st

from interp.analyses.prediction import Prediction
from interp.dashboards import exhibit, frame, session
from interp.dashboards.branches import Path, Walk, branches, link, walk
from interp.dashboards.components.branches import tree
from interp.dashboards.components.stage import stage
from interp.dashboards.sampling import odds
from interp.dashboards.stages import Stage, percent, stages, told
from interp.dashboards.whole_text import whole_text
from interp.protocols import LanguageModel

TITLE, ICON, GROUP = "Predict", ":material/stairs:", "Look inside"
STEPS, WHOLE = "Step by step", "Whole text"
WHAT = "How a language model writes: follow one token from letters to the draw, then take another."


def render() -> None:
    """Draw the page."""
    model, entry = frame.begin(TITLE, WHAT)
    seed = frame.seed_box()
    prompt = frame.prompt_box(model, entry)
    options = {**odds(), "seed": seed}
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    mode = left.segmented_control(
        "Show", [STEPS, WHOLE], default=STEPS, required=True, key="mode", **frame.LINK
    )
    length = right.slider("Tokens to write", 1, 128, 40, key="length", **frame.LINK)
    if mode == WHOLE:
        whole_text(model, prompt, {**options, "max_new_tokens": length})
        return
    _walk(model, prompt, options, length)


def _walk(model: LanguageModel, prompt: str, options: dict[str, Any], length: int) -> None:
    ids = model.to_tokens(prompt)[0][0].tolist()
    here = walk((model.hash, prompt), model.cfg.d_vocab)
    here.path = here.path[: model.cfg.n_ctx - len(ids)]
    here.measure(model, ids)
    link(here.path)
    over = _over(model, len(ids), here)
    known = stages(model.cfg.n_layers)
    here.stage = min(here.stage, len(known) - 1)
    result = None
    if not over:
        then = list(here.path)
        result = session.measured("prediction", model, prompt=prompt, then=then, **options)
    _controls(model, ids, here, known, result, length, options)
    text = prompt + model.tokenizer.decode(list(here.path))
    if result is None:
        with st.container(border=True):
            st.text(text)
        st.info(over, icon=":material/flag:")
    else:
        _stage(here, result, text)
    _tree(model, here)
    if result is not None:
        shown = known[here.stage]
        title = f"The next token, {shown.name.lower()}"
        as_figure = st.toggle("Draw as a figure", key="as_figure", persist_state="session")
        picture = None if as_figure else (lambda: None)
        exhibit.show(result, title, picture=picture, view=shown.view)


def _over(model: LanguageModel, n_prompt: int, here: Walk) -> str:
    """Why nothing can follow here; empty while something can."""
    names = ("bos_token_id", "eos_token_id")
    ends = {getattr(model.tokenizer, name, None) for name in names}
    if here.path and here.path[-1] in ends:
        return "The text ends here. Go back, or choose another branch."
    if n_prompt + len(here.path) >= model.cfg.n_ctx:
        return f"The context of {model.cfg.n_ctx} tokens is full. Go back to another branch."
    return ""


def _controls(
    model: LanguageModel,
    ids: list[int],
    here: Walk,
    known: list[Stage],
    result: Prediction | None,
    length: int,
    options: dict[str, Any],
) -> None:
    names = [each.name for each in known]
    if result is not None:
        st.session_state["stage"] = names[here.stage]
        st.segmented_control(
            "Stage", names, key="stage", required=True, label_visibility="collapsed",
            on_change=lambda: here.go(here.path, names.index(st.session_state["stage"])),
        )  # fmt: skip
    chosen = -1 if result is None else result.chosen_id
    n = len(known)
    with st.container(horizontal=True):
        st.button(
            "Back", icon=":material/arrow_back:", shortcut="Left", key="back",
            on_click=here.back, args=(n,), disabled=here.stage == 0 and not here.path,
        )  # fmt: skip
        st.button(
            "Next", icon=":material/arrow_forward:", shortcut="Right", key="next", type="primary",
            on_click=here.forward, args=(n, chosen), disabled=result is None,
        )  # fmt: skip
        here.auto = st.toggle("Auto", key="auto", help="Play the stages, token after token.")
        st.button(
            "Next token", icon=":material/keyboard_double_arrow_right:", key="token",
            on_click=here.go, args=((*here.path, chosen), here.stage), disabled=result is None,
            help="Take the token that was drawn, and stay at this stage.",
        )  # fmt: skip
        st.button(
            f"Write {length} tokens", icon=":material/edit_note:", key="write",
            on_click=_write, args=(model, ids, here, length, options), disabled=result is None,
        )  # fmt: skip
        st.button(
            "Start over", icon=":material/restart_alt:", key="restart",
            on_click=here.go, args=((),), disabled=not here.path,
        )  # fmt: skip


def _write(
    model: LanguageModel, ids: list[int], here: Walk, length: int, options: dict[str, Any]
) -> None:
    done = len(here.path)
    made = model.generate(
        [*ids, *here.path], written=done, max_new_tokens=length, top=0, **options
    )  # fmt: skip
    here.go((*here.path, *made.tokens[0]), here.stage)


def _stage(here: Walk, result: Prediction, text: str) -> None:
    turn = f"{'.'.join(map(str, here.path))}/{here.stage}"
    n = len(stages(len(result.attn_norms)))

    def choose() -> None:
        came, _, token = str(st.session_state["stage_card"]["chosen"]).partition(" ")
        if came == turn and int(token) in result.candidate_ids.tolist():
            here.go((*here.path, int(token)), here.stage)

    def play() -> None:
        if here.auto and st.session_state["stage_card"]["played"] == turn:
            here.forward(n, result.chosen_id)

    data = told(result, text, here.stage)
    stage(data, turn=turn, auto=here.auto, key="stage_card", on_choose=choose, on_play=play)


def _tree(model: LanguageModel, here: Walk) -> None:
    if not here.log_probs:
        st.caption("Take a token, or another than the one drawn: the branches will grow here.")
        return
    st.subheader("Branches")

    def go() -> None:
        _, _, path = str(st.session_state["branches"]["went"]).partition(" ")
        ids = tuple(int(each) for each in path.split(".") if each)
        if not ids or ids in here.log_probs:
            here.go(ids, here.stage)

    tree(_rows(model, here), key="branches", on_go=go)
    st.caption(
        "Each piece of text between two forks, with the probability of the whole branch at "
        "temperature 1. A click goes to its end."
    )


def _rows(model: LanguageModel, here: Walk) -> list[dict[str, Any]]:
    start = {"depth": 0, "text": "(the prompt)", "odds": "", "path": "", "on": True}
    rows = [start | {"here": not here.path, "label": "The prompt"}]
    for branch in branches(list(here.log_probs), here.path):
        text = model.tokenizer.decode(list(branch.ids))
        shown = text.strip() or "".join(model.tokenizer.display(list(branch.ids)))
        share = percent(here.probability(branch.path))
        rows.append(
            {
                "depth": branch.depth + 1,
                "text": shown,
                "odds": share,
                "path": _joined(branch.path),
                "here": branch.path == here.path,
                "on": here.path[: len(branch.path)] == branch.path,
                "label": f"{shown}, probability {share}",
            }
        )
    return rows


def _joined(path: Path) -> str:
    return ".".join(map(str, path))
