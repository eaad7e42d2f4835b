"""Directions that write: a concept's words grow more probable along them, and little else changes.

A vector v is added at every position. Two things follow, each to its leading order:

    gain  g.v        g = slope of the mean over expressions of the mean probability of the
                     concept's token where the text has that expression
    price v.F.v / 2  nats of KL(unedited || edited), summed over *every* position; F = sum of the
                     Fisher information of the next token over positions

The gain for a given price is largest along F^-1 g (at the maximum of g.v - m v.F.v / 2 the slope
g - m F v is zero): the natural gradient.

An expression is a kind of sentence that shows the concept by a token of its own (` happy`,
` Happy` as an answer, ` skips`). Each has the same weight, however often it comes and however sure
the model is there, so that a direction that wrote one and pushed the others down would lose in g.v
what it won; and since the slots are positions like any other, it would pay for them in F too.

Both orders are local: where the model is quite sure, slopes and Fisher information vanish alike, so
that what a long step does there has to be measured (`steering` tells it for every expression). And
examples need not lie along v as the concept would have it: it writes, which is not to be read.
"""

from collections import Counter
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
Slots = tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]
"""Tokens padded on the right, the number of the expression that may come next (-1: none), and
where real tokens are."""


def natural_gradients(
    model: LanguageModel, slots: Sequence[Example], word: str, sites: Sequence[Name], seed: int
) -> list[Float[Tensor, " d_model"]]:
    """For each site, the direction of the largest gain in the word's expressions for its price.

    Args:
        model: to differentiate.
        slots: positions before the words of one group; `label` is the word, `kind` the expression
            and `following` its token.
        word: the label of the positive slots.
        sites: hook points.
        seed: of the tokens drawn to estimate F.
    Returns:
        A vector a site, of no particular length.
    Source:
        Amari 1998, "Natural gradient works efficiently in learning" (there of weights).
    """
    slots = [slot for story in _stories(slots) for slot in story]
    wanted, sizes = _tokens_of(slots, word), Counter(slot.kind for slot in slots)
    generator = torch.Generator(model.device).manual_seed(seed)
    gains: list[list[Tensor]] = [[] for _ in sites]
    costs: list[list[Tensor]] = [[] for _ in sites]
    for tokens, expressions, real in _batches(model, slots):
        run = model.run(tokens, cache=list(sites), grad=True)
        log_probs = run.logits.float().log_softmax(-1)
        # Probability, not log-odds: those would be ruled by the slots where the model is sure of
        # another word, and odds against the kin would not see ` skips` lose to ` goes`.
        probability = sum(
            log_probs[expressions == number][:, ids].exp().sum() / sizes[kind]
            for number, (kind, ids) in enumerate(wanted.items())
        )
        _collect(gains, run, sites, probability)
        # F is the mean outer product of the slope of log p(token) over tokens drawn from the model
        # itself. Slopes may be summed over a row's positions first: their cross terms have mean
        # zero, since draws at two positions are independent and each slope has mean zero.
        probs = rearrange(log_probs.detach().exp(), "batch pos d_vocab -> (batch pos) d_vocab")
        for _ in range(N_DRAWS):
            picks = torch.multinomial(probs, 1, generator=generator)
            picks = rearrange(picks, "(batch pos) 1 -> batch pos 1", batch=len(tokens))
            pick_log_probs = log_probs.gather(-1, picks)[..., 0]
            _collect(costs, run, sites, pick_log_probs[real].sum())
    rows = zip(map(torch.cat, gains), map(torch.cat, costs), strict=True)
    return [_best(gain.sum(0), cost) for gain, cost in rows]


def natural_gradient_passes(model: LanguageModel, slots: Sequence[Example]) -> list[Passes]:
    """What `natural_gradients` costs, for `interp.core.cost.announce`."""
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


def _tokens_of(slots: Sequence[Example], word: str) -> dict[str, list[int]]:
    """By expression, in the order of their first slots, the tokens that begin it for the word."""
    wanted: dict[str, set[int]] = {slot.kind: set() for slot in slots}
    for slot in slots:
        if slot.label == word:
            wanted[slot.kind].add(slot.following)
    return {kind: sorted(ids) for kind, ids in wanted.items()}


def _stories(slots: Sequence[Example]) -> list[list[Example]]:
    """The slots of each of the first stories."""
    by_story: dict[int, list[Example]] = {}
    for slot in slots:
        by_story.setdefault(slot.story, []).append(slot)
    return list(by_story.values())[:N_STORIES]


def _batches(model: LanguageModel, slots: Sequence[Example]) -> Iterator[Slots]:
    stories = _stories(slots)
    number = {kind: i for i, kind in enumerate(dict.fromkeys(slot.kind for slot in slots))}
    rows = [max((slot.tokens for slot in story), key=len) for story in stories]
    longest = max(map(len, rows), default=1)
    # The tokens that estimate F are drawn batch by batch: another size would draw others.
    size = min(BATCH, rows_at_once(model, longest, most_values=MOST_VALUES))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        tokens = padded(rows[part], model.device)
        expressions = torch.full_like(tokens, -1)
        real = torch.zeros_like(tokens, dtype=torch.bool)
        for row, story in enumerate(stories[part]):
            for slot in story:
                expressions[row, len(slot.tokens) - 1] = number[slot.kind]
            real[row, : len(rows[start + row])] = True
        yield tokens, expressions, real
