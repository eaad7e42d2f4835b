"""The plainest way to write a word: push its logit, with no data and no model of anything.

The difference of the unembedding's columns, added to the last residual stream, raises the logit of
one token and lowers those of its kin, wherever it is added. A direction that is said to steer a
concept has to do something that this does not.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interp.analyses.probing.concept import Concept
from interp.core.errors import HookNameError, TokenError
from interp.core.protocols import LanguageModel
from interp.methods.activations import median_norms
from interp.methods.data.examples import Example


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
    """The column of the unembedding of a concept's word less the mean of its kin's.

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
    mine, others = _tokens(model, concept, among, words)
    rows = [tuple(model.tokenizer.encode(text)[: model.cfg.n_ctx]) for text in texts]
    if not mine or max(map(len, rows)) < 2:
        return None
    try:
        columns = model.weight("W_U").detach().float().cpu()
    except HookNameError:
        return None
    direction = columns[:, mine].mean(1) - columns[:, others or slice(None)].mean(1)
    unit = concept.median_norm
    if concept.site != site:
        examples = [Example(tokens=row, label="", story=i, kind="") for i, row in enumerate(rows)]
        [unit] = median_norms(model, examples, [site])
    return Push(site=site, vector=direction / direction.norm() * unit)


def _tokens(
    model: LanguageModel, concept: Concept, among: Sequence[str], words: Sequence[str]
) -> tuple[list[int], list[int]]:
    """Those that are pushed up, and those that are pushed down."""
    if not among:
        return _first_tokens(model, words), []
    known = dict(zip(concept.among, concept.written, strict=False))
    tokens = {word: [known[word]] if known.get(word, -1) >= 0 else [] for word in among}
    if not known:
        tokens = {word: _first_tokens(model, [word]) for word in among}
    mine = tokens[concept.name]
    return mine, [i for word in among for i in tokens[word] if i not in mine]


def _first_tokens(model: LanguageModel, words: Sequence[str]) -> list[int]:
    """Of each word behind a space; words that the tokenizer cannot say are left out."""
    first: list[int] = []
    for word in words:
        with suppress(TokenError):
            first += model.tokenizer.encode(f" {word}", bos=False)[:1]
    return list(dict.fromkeys(first))
