"""One stage of a prediction as a card: a sentence, a picture, numbers; candidates are buttons."""

from collections.abc import Callable
from typing import Any

from dashboards.components import component

SECONDS = 2.4
"""How long a stage stays when they play by themselves."""


def stage(
    data: dict[str, Any],
    *,
    turn: str,
    auto: bool,
    key: str,
    on_choose: Callable[[], None],
    on_play: Callable[[], None],
) -> None:
    """Draw a stage.

    Args:
        data: of `dashboards.prediction.stages.stage_card`; raw text, never read as markup.
        turn: names this stage of this text, so that a late click on another one is ignored.
        auto: play: after a while `on_play` is called.
        key: unique on the page. The session's state holds under it `chosen`, `turn id` of the
            candidate that was clicked, and `played`, the turn that was played to its end.
        on_choose: called after a candidate was clicked.
        on_play: called when the next stage is due.
    """
    component("stage")(
        key=key,
        data=data | {"turn": turn, "auto": SECONDS if auto else 0},
        on_chosen_change=on_choose,
        on_played_change=on_play,
    )
