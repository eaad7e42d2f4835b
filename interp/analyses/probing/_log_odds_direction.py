"""Directions that write: the odds of a concept's words rise along them, and little else changes.

A vector v is added at every position. To first order the log-odds gains g.v, to second order the
rest of the text pays v.F.v / 2 nats of KL, with F the Fisher information of the tokens elsewhere.
The gain for a given KL is largest along F^-1 g (at the maximum of g.v - m v.F.v / 2 the slope
g - m F v is zero).

Two things that this leaves out: the KL is not counted at the slots themselves, and a slot where the
model is already sure has no say in the gain. What a direction does to words that should be sure
there is therefore free, so that along it examples need not lie as the concept would have it.
"""

from collections.abc import Iterator, Sequence

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.cost import Passes
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel, Run
from interp.methods.batches import padded, rows_at_once
from interp.methods.data.examples import Example

N_STORIES, BATCH, N_DRAWS = 160, 32, 4
MOST_VALUES = 2**25
SHRINKAGE = 0.1


def log_odds_directions(
    model: LanguageModel, slots: Sequence[Example], word: str, sites: Sequence[Name], seed: int
) -> list[Float[Tensor, " d_model"]]:
    """For each site, the direction of the most log-odds for the least KL elsewhere.

    At each slot (a position before one of the words) the tokens that begin the word compete with
    those that begin the others.

    Args:
        model: to differentiate.
        slots: of one world, `following` set.
        word: the label of the positive slots.
        sites: hook points.
        seed: of the tokens drawn to estimate F.
    Returns:
        A vector a site, of no particular length.
    """
    wanted, others = _first_tokens(slots, word, model.device)
    generator = torch.Generator(model.device).manual_seed(seed)
    gains: list[list[Tensor]] = [[] for _ in sites]
    costs: list[list[Tensor]] = [[] for _ in sites]
    for tokens, at, elsewhere in _batches(model, slots):
        run = model.run(tokens, cache=list(sites), grad=True)
        log_probs = run.logits.float().log_softmax(-1)
        odds = log_probs[..., wanted].logsumexp(-1) - log_probs[..., others].logsumexp(-1)
        # The slope of sigmoid(odds) is p (1 - p) times that of the odds: what can still turn counts
        # most, where the odds alone would be ruled by slots that are decided anyway.
        _collect(gains, run, sites, odds[at].sigmoid().sum())
        # F is the mean outer product of the slope of log p(token) over tokens drawn from the model
        # itself. Slopes may be summed over a row's positions first: their cross terms have mean
        # zero, since draws at two positions are independent and each slope has mean zero.
        probs = rearrange(log_probs.detach().exp(), "batch pos d_vocab -> (batch pos) d_vocab")
        for _ in range(N_DRAWS):
            picks = torch.multinomial(probs, 1, generator=generator)
            picks = rearrange(picks, "(batch pos) 1 -> batch pos 1", batch=len(tokens))
            pick_log_probs = log_probs.gather(-1, picks)[..., 0]
            _collect(costs, run, sites, pick_log_probs[elsewhere].sum())
    rows = zip(map(torch.cat, gains), map(torch.cat, costs), strict=True)
    return [_best(gain.mean(0), cost) for gain, cost in rows]


def log_odds_passes(model: LanguageModel, slots: Sequence[Example]) -> list[Passes]:
    """What `log_odds_directions` costs, for `interp.core.cost.announce`."""
    sizes = [tokens.shape for tokens, *_ in _batches(model, slots)]
    # One forward pass with N_DRAWS + 1 backward ones, where `Passes` counts one.
    count = (1 + 2 * (N_DRAWS + 1)) / 3
    return [
        Passes(count=count, tokens=rows * width, width=width, logits=rows * width, gradients=True)
        for rows, width in sizes
    ]


def _collect(into: list[list[Tensor]], run: Run, sites: Sequence[Name], score: Tensor) -> None:
    """Slopes of a score that sums over rows, by what is added to a whole row, a row each."""
    slopes = torch.autograd.grad(score, [run[site] for site in sites], retain_graph=True)
    for rows, slope in zip(into, slopes, strict=True):
        # The same vector is added at every position but the first, so their slopes add up.
        summed = reduce(slope[:, 1:], "batch pos ... -> batch (...)", "sum")
        rows.append(summed.double().cpu())


def _best(gain: Float[Tensor, " d_model"], slopes: Float[Tensor, "draw d_model"]) -> Tensor:
    fisher = slopes.T @ slopes / len(slopes)
    # Fewer draws than directions leave some unmeasured; none of them is to look free.
    fisher += SHRINKAGE * fisher.diagonal().mean() * torch.eye(len(gain), dtype=fisher.dtype)
    return torch.linalg.solve(fisher, gain).float()


def _first_tokens(
    slots: Sequence[Example], word: str, device: torch.device
) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    mine = {slot.following for slot in slots if slot.label == word} - {-1}
    theirs = {slot.following for slot in slots if slot.label != word} - {-1} - mine
    return tuple(torch.tensor(sorted(ids), device=device) for ids in (mine, theirs))


def _batches(
    model: LanguageModel, slots: Sequence[Example]
) -> Iterator[
    tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]
]:
    """Tokens padded on the right, where the slots are, and where other real tokens are."""
    by_story: dict[int, list[Example]] = {}
    for slot in slots:
        by_story.setdefault(slot.story, []).append(slot)
    stories = list(by_story.values())[:N_STORIES]
    rows = [max((slot.tokens for slot in story), key=len) for story in stories]
    longest = max(map(len, rows), default=1)
    # The tokens that estimate F are drawn batch by batch: another size would draw others.
    size = min(BATCH, rows_at_once(model, longest, most_values=MOST_VALUES))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        tokens = padded(rows[part], model.device)
        at, real = torch.zeros(2, *tokens.shape, dtype=torch.bool, device=model.device)
        for row, story in enumerate(stories[part]):
            at[row, [len(slot.tokens) - 1 for slot in story]] = True
            real[row, : len(rows[start + row])] = True
        yield tokens, at, real & ~at
