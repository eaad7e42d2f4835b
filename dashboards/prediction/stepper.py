"""Back, Next, Auto and the card of a stage; the tree of branches below it."""

from typing import Any

import streamlit as st

from dashboards.components import component
from dashboards.prediction.branches import Path, Walk, branches
from dashboards.prediction.stages import stage_card, stages
from interp.analyses.lenses.prediction import Prediction
from interp.core.display import percent
from interp.core.protocols import LanguageModel

SECONDS = 2.4
"""How long a stage stays when they play by themselves."""


def stage_row(here: Walk, names: list[str]) -> None:
    """The stages by name; one can be chosen."""
    st.session_state["stage"] = names[here.stage]
    st.segmented_control(
        "Stage", names, key="stage", required=True, label_visibility="collapsed",
        on_change=lambda: here.go(here.path, names.index(st.session_state["stage"])),
    )  # fmt: skip


def buttons(
    model: LanguageModel, prompt: list[int], here: Walk, next_token: int | None, how: dict[str, Any]
) -> None:
    """The buttons that move through the stages; the arrow keys do the same.

    Args:
        model: that writes.
        prompt: ids.
        here: where the reader stands.
        next_token: id of the sampled token; None where none can follow.
        how: options of `generate`, for many tokens at once.
    """
    n, over = len(stages(model.cfg.n_layers)), next_token is None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back", icon=":material/arrow_back:", shortcut="Left", key="back",
            on_click=here.back, args=(n,), disabled=here.stage == 0 and not here.path,
        )  # fmt: skip
        st.button(
            "Next", icon=":material/arrow_forward:", shortcut="Right", key="next", type="primary",
            on_click=here.forward, args=(n, next_token), disabled=over,
        )  # fmt: skip
        here.auto = st.toggle("Auto", key="auto", help="Play the stages, token after token.")
        st.button(
            "Next token", icon=":material/keyboard_double_arrow_right:", key="token",
            on_click=here.go, args=((*here.path, next_token), here.stage), disabled=over,
            help="Append the sampled token and stay at this stage.",
        )  # fmt: skip
        st.button(
            f"Generate {how['max_new_tokens']} tokens", icon=":material/edit_note:", key="write",
            on_click=_write, args=(model, prompt, here, how), disabled=over,
        )  # fmt: skip
        st.button(
            "Start over", icon=":material/restart_alt:", key="restart",
            on_click=here.go, args=((),), disabled=not here.path,
        )  # fmt: skip


def _write(model: LanguageModel, prompt: list[int], here: Walk, how: dict[str, Any]) -> None:
    """Many tokens at once: the same ones that single steps would give."""
    generation = model.generate([*prompt, *here.path], written=len(here.path), top=0, **how)
    here.go((*here.path, *generation.tokens[0]), here.stage)


def card(here: Walk, result: Prediction, text: str) -> None:
    """The card of the current stage; `text` is the text so far."""
    # Names this stage of this text, so that a late click on another one is ignored.
    turn = f"{_joined(here.path)}/{here.stage}"
    n = len(stages(len(result.attn_norms)))

    def choose() -> None:
        clicked_turn, _, token = str(st.session_state["stage_card"]["chosen"]).partition(" ")
        if clicked_turn == turn and int(token) in result.candidate_ids.tolist():
            here.go((*here.path, int(token)), here.stage)

    def play() -> None:
        if here.auto and st.session_state["stage_card"]["played"] == turn:
            here.forward(n, result.chosen_id)

    data = stage_card(result, text, here.stage)
    component("stage")(
        key="stage_card",
        data=data | {"turn": turn, "auto": SECONDS if here.auto else 0},
        on_chosen_change=choose,
        on_played_change=play,
    )


def branch_tree(model: LanguageModel, here: Walk) -> None:
    """The tree of all branches; a click goes to the end of one."""
    if not here.log_probs:
        st.caption(
            "Append a token, or choose one other than the sampled; the branches are then drawn "
            "here."
        )
        return
    st.subheader("Branches")

    def go() -> None:
        _, _, path = str(st.session_state["branches"]["went"]).partition(" ")
        ids = tuple(int(number) for number in path.split(".") if number)
        if not ids or ids in here.log_probs:
            here.go(ids, here.stage)

    component("branches")(key="branches", data={"rows": _rows(model, here)}, on_went_change=go)
    st.caption(
        "Each row is the text between two forks, with the probability of the whole branch at "
        "temperature 1. Click a row to go to its end."
    )


def _rows(model: LanguageModel, here: Walk) -> list[dict[str, Any]]:
    """A row a piece; `on` are those on the way to where the reader stands."""
    start = {"depth": 0, "text": "(the prompt)", "odds": "", "path": "", "on": True}
    rows = [start | {"here": not here.path, "label": "The prompt"}]
    for branch in branches(list(here.log_probs), here.path):
        text = model.tokenizer.decode(list(branch.ids))
        piece = text.strip() or "".join(model.tokenizer.display(list(branch.ids)))
        share = percent(here.probability(branch.path))
        rows.append(
            {
                "depth": branch.depth + 1,
                "text": piece,
                "odds": share,
                "path": _joined(branch.path),
                "here": branch.path == here.path,
                "on": here.path[: len(branch.path)] == branch.path,
                "label": f"{piece}, probability {share}",
            }
        )
    return rows


def _joined(path: Path) -> str:
    return ".".join(map(str, path))
