"""A story token by token: the true state of the world beside the state decoded from activations."""

from collections.abc import Sequence

import streamlit as st
import torch

from dashboards.components.coloured_text import coloured_text
from dashboards.page import header, model_cache
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from interp.analyses.probing.state_decoding import WHERE, StateDecoding, state_variables
from interp.worlds.world import World

RIGHT, WRONG, NOTHING = "✓", "✗", "—"
SIGN = "right?"


@st.cache_data(show_spinner=False)
def states(world: str) -> list[str]:
    """The variables of a world that hold on from sentence to sentence."""
    simulator = model_cache.world(world)
    stories = (simulator.sample(number, split="held_out") for number in range(8))
    variables = state_variables([fact for story in stories for fact in story.facts])
    return [variable for variable in simulator.variables if variable in variables]


def needed_states(world: World) -> list[str]:
    """The variables of `states`; without one the page ends."""
    names = states(world.name)
    if not names:
        header.ends_here(
            "This needs a variable that holds on from sentence to sentence; the world of this "
            "model has none. Choose another model in the sidebar."
        )
    return names


def coloured_story(result: StateDecoding, positions: Sequence[str]) -> None:
    """The story, its tokens blue where all is read right, orange where something is read wrong.

    The pointer or the arrow keys tell the world's state and the one read, token by token.

    Args:
        result: what is drawn.
        positions: the kinds of token at which decoded values are shown.
    """
    places = torch.tensor([position in positions for position in result.places])[result.where]
    right = (result.right & places).sum(0).double()
    count = ((result.read >= 0) & places).sum(0)
    # Signed, so that both ends can be told apart: -1 = all right, 1 = all wrong.
    balance = torch.where(count > 0, 1 - 2 * right / count, torch.nan)
    coloured_text(
        result.tokens,
        balance,
        labels=[label(result, pos, positions) for pos in range(len(result.tokens))],
        scale="diverging",
        low=-1.0,
        high=1.0,
        unit="−1 = all decoded right, 1 = all wrong",
        key="reading_text",
        name="The story, token by token",
    )


def label(result: StateDecoding, pos: int, positions: Sequence[str]) -> str:
    """What is said of a token: a line each of those the variable is about.

    Lines are parted by new lines and columns by tabs; ✓ and ✗ say what the colour says.
    """
    lines = [f"{result.tokens[pos]}\ttrue\tdecoded"]
    for row, who in enumerate(result.about):
        true, read, mark, p = cells(result, row, pos, positions)
        lines.append("\t".join((who or "story", true, f"{read} {mark} {p}".strip())))
    return "\n".join(lines)


def cells(
    result: StateDecoding, row: int, pos: int, positions: Sequence[str]
) -> tuple[str, str, str, str]:
    """The true value, the one read, ✓ or ✗, and the probability of the true one."""
    truth, read = int(result.truth[row, pos]), int(result.read[row, pos])
    true = result.classes[truth] if truth >= 0 else NOTHING
    if read < 0 or result.places[int(result.where[row, pos])] not in positions:
        return true, NOTHING, "", ""
    mark = RIGHT if truth == read else WRONG
    return true, result.classes[read], mark, f"{float(result.p_true[row, pos]):.2f}"


def stepper(result: StateDecoding, positions: Sequence[str]) -> int:
    """A slider through the story with a button each way; arrow keys move it too.

    It begins at the first token at which something is shown.
    """
    last = len(result.tokens) - 1
    places = torch.tensor([position in positions for position in result.places])[result.where]
    read = ((result.read >= 0) & places).any(0).tolist()
    first = read.index(True) if True in read else 0
    token = st.session_state.get("reading_at", first)
    st.session_state["reading_at"] = min(max(0, int(token)), last)
    back, bar, on = st.columns([1, 10, 1], vertical_alignment="bottom")
    for column, step, words, side in (
        (back, -1, "Previous token", "left"),
        (on, 1, "Next token", "right"),
    ):
        column.button(
            "", icon=f":material/chevron_{side}:", help=words, key=f"reading_{side.capitalize()}",
            on_click=_move, args=(step, last), width="stretch",
        )  # fmt: skip
    return linked(bar.slider, "Token", 0, last, key="reading_at")


def _move(step: int, last: int) -> None:
    st.session_state["reading_at"] = min(max(0, st.session_state["reading_at"] + step), last)


def two_tables(result: StateDecoding, pos: int, positions: Sequence[str]) -> None:
    """The world's state and the one read, side by side, at one token."""
    said = "".join(token.replace("·", " ") for token in result.tokens[max(0, pos - 12) : pos])
    here = result.tokens[pos].replace("·", " ").strip()
    st.markdown(f"… {plain(said)} **{plain(here)}**")
    world, read = st.columns(2)
    world.markdown("**True state**")
    read.markdown("**Decoded from the activations**")
    name = result.variable.replace("_", " ")
    truths: list[dict[str, str]] = []
    decoded: list[dict[str, str]] = []
    for row, who in enumerate(result.about):
        true, value, mark, p = cells(result, row, pos, positions)
        about = {"about": who or "the story"}
        here = {"here": WHERE[result.places[int(result.where[row, pos])]]}
        truths.append(about | {name: true})
        decoded.append(about | {name: value, SIGN: mark, "p(true)": p} | here)
    height = 35 * (len(truths) + 1) + 3
    world.dataframe(
        truths, hide_index=True, height=height, alt="The true state", key="reading_world"
    )
    read.dataframe(
        _marked(decoded, name), hide_index=True, height=height, alt=_words(decoded, name),
        key="reading_read",
    )  # fmt: skip


def _marked(rows: Sequence[dict[str, str]], name: str) -> object:
    """The table with wrong values in the colour of wrong ones; the sign says the same."""
    import pandas as pd

    def colour(row: "pd.Series") -> list[str]:
        paint = {WRONG: "background-color: #d55e00; color: #000", RIGHT: ""}.get(row[SIGN], "")
        return [paint if column in (name, SIGN) else "" for column in row.index]

    return pd.DataFrame(list(rows)).style.apply(colour, axis=1)


def _words(rows: Sequence[dict[str, str]], name: str) -> str:
    return "; ".join(f"{row['about']}: {row[name]} {row[SIGN]}" for row in rows)
