"""Back, Next, Auto and the card of a stage; the tree of branches below it."""

from typing import Any

import streamlit as st

from dashboards.components.branches import tree
from dashboards.components.stage import stage
from dashboards.prediction.branches import Path, Walk, branches
from dashboards.prediction.stages import percent, stages, told
from interp.analyses.lenses.prediction import Prediction
from interp.core.protocols import LanguageModel


def stage_row(here: Walk, names: list[str]) -> None:
    """The stages by name; one can be chosen."""
    st.session_state["stage"] = names[here.stage]
    st.segmented_control(
        "Stage", names, key="stage", required=True, label_visibility="collapsed",
        on_change=lambda: here.go(here.path, names.index(st.session_state["stage"])),
    )  # fmt: skip


def buttons(
    model: LanguageModel, prompt: list[int], here: Walk, chosen: int | None, how: dict[str, Any]
) -> None:
    """What moves a reader on: also the arrow keys do.

    Args:
        model: that writes.
        prompt: ids.
        here: where the reader stands.
        chosen: the next token; None where none can follow.
        how: options of `generate`, for many tokens at once.
    """
    n, over = len(stages(model.cfg.n_layers)), chosen is None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back", icon=":material/arrow_back:", shortcut="Left", key="back",
            on_click=here.back, args=(n,), disabled=here.stage == 0 and not here.path,
        )  # fmt: skip
        st.button(
            "Next", icon=":material/arrow_forward:", shortcut="Right", key="next", type="primary",
            on_click=here.forward, args=(n, chosen), disabled=over,
        )  # fmt: skip
        here.auto = st.toggle("Auto", key="auto", help="Play the stages, token after token.")
        st.button(
            "Next token", icon=":material/keyboard_double_arrow_right:", key="token",
            on_click=here.go, args=((*here.path, chosen), here.stage), disabled=over,
            help="Take the token that was drawn, and stay at this stage.",
        )  # fmt: skip
        st.button(
            f"Write {how['max_new_tokens']} tokens", icon=":material/edit_note:", key="write",
            on_click=_write, args=(model, prompt, here, how), disabled=over,
        )  # fmt: skip
        st.button(
            "Start over", icon=":material/restart_alt:", key="restart",
            on_click=here.go, args=((),), disabled=not here.path,
        )  # fmt: skip


def _write(model: LanguageModel, prompt: list[int], here: Walk, how: dict[str, Any]) -> None:
    """Many tokens at once: the very ones that single steps would take."""
    made = model.generate([*prompt, *here.path], written=len(here.path), top=0, **how)
    here.go((*here.path, *made.tokens[0]), here.stage)


def card(here: Walk, result: Prediction, text: str) -> None:
    """The stage where the reader stands; `text` is what was read so far, as on paper."""
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


def grown(model: LanguageModel, here: Walk) -> None:
    """The tree of all that was tried; a click goes to the end of a piece."""
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
