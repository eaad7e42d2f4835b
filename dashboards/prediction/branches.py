"""Where a reader stands in a text that is being written, and the tree of all that was tried."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import streamlit as st
import torch

from dashboards.page.link import compare
from interp.core.protocols import LanguageModel

WALK, PATH, STAGE = "prediction_walk", "path", "stage_number"
MOST_ROWS = 60
Path = tuple[int, ...]


@dataclass
class Walk:
    """One reader's way.

    Attributes:
        of: the model and the prompt it belongs to.
        path: ids that were chosen so far.
        stage: number of the stage that is shown.
        auto: the stages play by themselves.
        log_probs: of the last token of every path that was tried, in nats at temperature 1.
    """

    of: tuple[str, str]
    path: Path = ()
    stage: int = 0
    auto: bool = False
    log_probs: dict[Path, float] = field(default_factory=dict)

    def go(self, path: Sequence[int], stage: int = 0) -> None:
        """Stand at a path."""
        self.path, self.stage = tuple(path), stage

    def forward(self, n_stages: int, token: int) -> None:
        """The next stage; from the last one, on to the next token."""
        if self.stage < n_stages - 1:
            self.stage += 1
        else:
            self.go((*self.path, token))

    def back(self, n_stages: int) -> None:
        """The stage before; from the first one, back to the last stage of the token before."""
        if self.stage > 0:
            self.stage -= 1
        elif self.path:
            self.go(self.path[:-1], n_stages - 1)

    def settle(self, n_stages: int, room: int) -> None:
        """Stand where a model of so many stages, with room for so many tokens, can stand."""
        self.path, self.stage = self.path[:room], min(self.stage, n_stages - 1)

    def measure(self, model: LanguageModel, prompt: Sequence[int]) -> None:
        """Look up the probability of each token on the path that is not known yet."""
        starts = range(1, len(self.path) + 1)
        missing = [n for n in starts if self.path[:n] not in self.log_probs]
        if not missing:
            return
        logits = model.run(torch.tensor([[*prompt, *self.path]], device=model.device)).logits[
            0, len(prompt) - 1 : -1
        ]
        log_probs = logits.float().log_softmax(-1)
        for n in missing:
            self.log_probs[self.path[:n]] = float(log_probs[n - 1, self.path[n - 1]])

    def probability(self, path: Path) -> float:
        """Of the whole path, at temperature 1."""
        return math.exp(sum(self.log_probs[path[:n]] for n in range(1, len(path) + 1)))


@dataclass(frozen=True)
class Branch:
    """A piece of text between two forks.

    Attributes:
        depth: forks before it.
        ids: of the piece.
        path: to its end.
    """

    depth: int
    ids: Path
    path: Path


def branches(paths: Sequence[Path], here: Path = ()) -> list[Branch]:
    """The tree of the paths, each piece before those that go on from it.

    Args:
        paths: with every beginning of a path among them.
        here: a piece ends here, too, so that it can be marked.
    Example:
        >>> [(b.depth, b.ids) for b in branches([(1,), (1, 2), (1, 3), (1, 3, 4)])]
        [(0, (1,)), (1, (2,)), (1, (3, 4))]
    """
    children: dict[Path, list[Path]] = {}
    for path in paths:
        children.setdefault(path[:-1], []).append(path)
    return list(_grow((), 0, children, here))[:MOST_ROWS]


def _grow(root: Path, depth: int, children: dict[Path, list[Path]], here: Path) -> Iterator[Branch]:
    for path in children.get(root, []):
        while len(children.get(path, [])) == 1 and path != here:
            (path,) = children[path]
        yield Branch(depth, path[len(root) :], path)
        forks = len(children.get(path, [])) > 1
        yield from _grow(path, depth + forks, children, here)


def walk(of: tuple[str, str], d_vocab: int) -> Walk:
    """The reader's walk over this text; a new one where the text or the model is another.

    The first time, the address says where it stands.
    """
    current = st.session_state.get(WALK)
    if current is None:
        asked = st.query_params.get(PATH, "")
        stage = st.query_params.get(STAGE, "")
        path = _read(asked, d_vocab)
        current = st.session_state[WALK] = Walk(of, path, int(stage) if _is_number(stage) else 0)
    elif current.of != of:
        current = st.session_state[WALK] = Walk(of, stage=min(current.stage, 1))
    return current


def link(here: Walk, stages: Sequence[str]) -> None:
    """Put the path and the stage into the address, and note what it asked for in vain."""
    stage, path = str(here.stage or ""), ".".join(map(str, here.path))
    appended = f"{len(here.path)} tokens appended"
    for name, label, value, words in (
        (PATH, "Branch", path, appended),
        (STAGE, "Stage", stage, stages[here.stage]),
    ):
        asked = st.query_params.get_all(name)
        compare(name, label, asked, value, words, asked in ([], [value]) or asked == ["0"])
        if not value:
            st.query_params.pop(name, None)
        elif asked != [value]:
            st.query_params[name] = value


def _read(text: str, d_vocab: int) -> Path:
    """Ids from an address; nothing of what is no path."""
    parts = [part for part in text.split(".") if part]
    if not all(map(_is_number, parts)):
        return ()
    ids = tuple(map(int, parts))
    return ids if all(number < d_vocab for number in ids) else ()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 9
