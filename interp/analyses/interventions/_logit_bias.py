"""The plainest way to write a word: push the logits of its tokens, with no model of anything.

Added to the last residual stream, a vector made of the unembedding's columns raises the logits of
the tokens by which a word shows, and lowers those of its kin, wherever it is added. A direction
that is said to steer a concept has to do something that this does not.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.probing.concept import Concept
from interp.core.errors import HookNameError, TokenError
from interp.core.protocols import LanguageModel
from interp.methods.activations import median_norms
from interp.methods.data.examples import Example
from interp.methods.unembedding import final_gain

Contrast = tuple[list[int], list[int]]
"""Tokens whose mean logit is pushed up against the mean of the others; none = the vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Push:
    """What a dose of 1 adds, and where.

    Attributes:
        site: hook point.
        vector: as long as the site's median norm.
    """

    site: tuple[str, int]
    vector: Float[Tensor, " d_model"]


def logit_bias(
    model: LanguageModel,
    concept: Concept,
    among: Sequence[str],
    words: Sequence[str],
    texts: Sequence[str],
) -> Push | None:
    """The shortest vector that raises the logits of all tokens by which a word shows alike.

    Args:
        model: to push.
        concept: whose `written` tokens are known; else the first token of each word is taken.
        among: the concept's group; where it has none, `words` less the mean of the vocabulary.
        words: that are counted.
        texts: of which the site's median norm is taken, the first position left out.
    Returns:
        Push: None where there are no such tokens, no texts, or no unembedding to read.
    """
    site = ("resid_post", model.cfg.n_layers - 1)
    contrasts = _contrasts(model, concept, among, words)
    rows = [tuple(model.tokenizer.encode(text)[: model.cfg.n_ctx]) for text in texts]
    if not contrasts or max(map(len, rows)) < 2:
        return None
    try:
        columns = model.weight("W_U").detach().float().cpu()
    except HookNameError:
        return None
    gain = final_gain(model).float().cpu()
    readers = torch.stack(
        [
            columns[:, mine].mean(1) - columns[:, kin or slice(None)].mean(1)
            for mine, kin in contrasts
        ]
    )
    # Adding v moves the logit of an expression's token, less the mean of its kin's, by r.v / scale:
    # r = its reader times the final norm's gain, scale = what that norm divides by, the same for
    # all of them. Equal rises ask for R v = 1 with the r as rows. Of all its solutions the shortest
    # has no part that R does not see, so v = R' a with R R' a = 1, which is the pseudo-inverse's
    # v = R' (R R')^-1 1 (it also stands where two expressions share a token). With one row it is
    # that row.
    direction = torch.linalg.pinv(readers * gain).sum(1)
    unit = concept.median_norm
    if concept.site != site:
        examples = [Example(tokens=row, label="", story=i, kind="") for i, row in enumerate(rows)]
        [unit] = median_norms(model, examples, [site])
    return Push(site=site, vector=direction / direction.norm() * unit)


def _contrasts(
    model: LanguageModel, concept: Concept, among: Sequence[str], words: Sequence[str]
) -> list[Contrast]:
    """What is pushed up and what down: one for each kind of sentence that shows the group."""
    if not among:
        mine = _first_tokens(model, words)
        return [(mine, [])] if mine else []
    known = dict(zip(concept.among, concept.written, strict=False))
    kinds = len(known[concept.name]) if concept.name in known else 0
    tokens = [{word: [ids[kind]] for word, ids in known.items()} for kind in range(kinds)]
    tokens = tokens or [{word: _first_tokens(model, [word]) for word in among}]
    pairs = [
        (by_word[concept.name], [i for word in among for i in by_word.get(word, ())])
        for by_word in tokens
    ]
    return [
        (mine, [i for i in kin if i >= 0 and i not in mine])
        for mine, kin in pairs
        if mine and min(mine) >= 0
    ]


def _first_tokens(model: LanguageModel, words: Sequence[str]) -> list[int]:
    """Of each word behind a space; words that the tokenizer cannot say are left out."""
    first: list[int] = []
    for word in words:
        with suppress(TokenError):
            first += model.tokenizer.encode(f" {word}", bos=False)[:1]
    return list(dict.fromkeys(first))
