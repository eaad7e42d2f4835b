"""Where each head attends on one prompt, and how much it writes from there.

`view="written"` of the figure multiplies each weight by the norm of what the head writes from that
position, |v W_O|: a large weight on a position with a small value moves nothing.

Control: mean entropy, distance, and weight on the first token, the token before and the token
itself, of each head and of untrained models of the same config. Weights say where a head read, not
why the model answered: for that see the ablations of `head_ablation` and `heads`.

Units: weights in [0, 1], each query's sum to one; entropy in bits; distance in tokens.

    interp run attention --prompt "It is a sunny morning. Anna is in the garden."
        --html attention.html
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.cost import Passes, announce
from interp.core.edits import Edit
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt, Run
from interp.methods.attention_patterns import off_by, written_norms
from interp.methods.prompts import displayed, one_row
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result

if TYPE_CHECKING:
    import pandas as pd


SINK = 0.5
"""Mean weight on the first token above which a head rests there."""
MOST_CELLS = 250_000
"""Of a figure: 1.4 MB of numbers."""
MOST_ROWS = 250_000
"""Of a table."""
SUMMARIES = ("entropy_bits", "distance_tokens", "first_token", "previous_token", "itself")


@dataclass(frozen=True, kw_only=True)
class Attention(Result):
    """Attention weights of a prompt. They say where a head read, not why the model answered.

    Attributes:
        tokens: the prompt's tokens, for display.
        pattern: attention weights; each query's sum to one.
        written: pattern x |v W_O|: the norm of what is written into the residual stream.
        summary: mean over queries of each of `SUMMARIES`, from the second query on.
        untrained: `summary` of untrained models of the same config, one a seed.
    """

    tokens: tuple[str, ...]
    pattern: Float[Tensor, "layer head query key"]
    written: Float[Tensor, "layer head query key"]
    summary: Float[Tensor, "quantity layer head"]
    untrained: Float[Tensor, "seed quantity layer head"]
    columns: ClassVar = {"attention": "pattern", "written_norm": "written"}
    labels: ClassVar = {"query_token": ("query", "tokens"), "key_token": ("key", "tokens")}

    @property
    def written_share(self) -> Float[Tensor, "layer head query key"]:
        """`written` as shares of each query's total."""
        return self.written / self.written.sum(-1, keepdim=True).clamp_min(1e-30)

    @property
    def sinks(self) -> Bool[Tensor, "layer head"]:
        """Heads that rest on the first token: the mean of their weights on it is above a half."""
        return self.summary[SUMMARIES.index("first_token")] > SINK

    def finding(self) -> str:
        entropy = self.summary[SUMMARIES.index("entropy_bits")]
        control = self.untrained[:, SUMMARIES.index("entropy_bits")]
        beside = (
            f"untrained heads {control.min():.2f} to {control.max():.2f}"
            if len(control)
            else "no untrained control"
        )
        resting = int(self.sinks.sum())
        rest = (
            f" {resting} of {entropy.numel()} heads rest on the first token (an attention sink)."
            if resting
            else ""
        )
        candidates = entropy.masked_fill(self.sinks | entropy.isnan(), math.inf)
        if candidates.isinf().all():
            why = rest or f" {len(self.tokens)} tokens leave nothing to choose from."
            return f"Attention: no head is focused on what the text says.{why}"
        layer, head = divmod(int(candidates.argmin()), entropy.shape[1])
        return (
            f"Attention: head {layer}.{head} is the most focused, {entropy[layer, head]:.2f} bits "
            f"over {len(self.tokens)} tokens ({beside}).{rest}"
        )

    def caption(self) -> str:
        control = (
            f"the same in {len(self.untrained)} untrained models of the same config"
            if len(self.untrained)
            else "none (this model has no untrained twin)"
        )
        return (
            f"{self.finding()} Attention weights, query rows and key columns; each row sums "
            "to one. The weighted view multiplies by the norm of what is written from the key, "
            f"|v W_O|. n = one prompt of {len(self.tokens)} tokens, so no interval, also for the "
            "head that is named out of all; control: "
            f"{control}.{self._bounds()} Attention weights are not explanations: see the heads' "
            "ablations."
        )

    def _bounds(self) -> str:
        """What figures and tables of a long prompt leave out."""
        length, heads = len(self.tokens), self.pattern.shape[0] * self.pattern.shape[1]
        parts = []
        if heads * length**2 > MOST_CELLS:
            parts.append("a cell of a figure with too many is the largest weight of several tokens")
        if heads * length * (length + 1) // 2 > MOST_ROWS:
            parts.append(f"the table keeps the main keys of each query, {MOST_ROWS:,} rows")
        return f" The prompt is long: {'; '.join(parts)}." if parts else ""

    def frame(self) -> "pd.DataFrame":
        """One row a query and key that it sees; of a long prompt only each query's main keys.

        So many keys a query, those with the largest weights, that there are at most `MOST_ROWS`.
        """
        import pandas as pd

        length, queries = len(self.tokens), self.pattern[..., 0].numel()
        cells = torch.ones(length, length).tril().bool().expand_as(self.pattern)
        if int(cells.sum()) > MOST_ROWS:
            main = self.pattern.topk(max(1, MOST_ROWS // queries), -1).indices
            cells = cells & torch.zeros_like(cells).scatter(-1, main, True)
        places = dict(
            zip(("layer", "head", "query", "key"), cells.nonzero().unbind(1), strict=True)
        )
        tokens = np.array(self.tokens, dtype=object)
        columns = {}
        for axis, numbers in places.items():
            columns[axis] = numbers.numpy()
            if axis in ("query", "key"):
                columns[f"{axis}_token"] = tokens[columns[axis]]
        values = {name: getattr(self, field)[cells] for name, field in self.columns.items()}
        return pd.DataFrame(columns | {name: each.numpy() for name, each in values.items()})


def attention(
    model: LanguageModel,
    prompt: Prompt,
    *,
    edits: Sequence[Edit] = (),
    untrained: int = 3,
    seed: int = 0,
) -> Attention:
    """Where each head attends on one prompt, and how much it writes from there.

    Args:
        model: any language model.
        prompt: one text, or the ids of one row.
        edits: interventions during the run.
        untrained: untrained models of the same config to compare with, where they can be made.
        seed: of the first untrained model.
    Returns:
        Attention: weights "layer head query key", plain and times the norm of what is written.
    Raises:
        TokenError: the prompt cannot be read.
    Example:
        >>> attention(model, "It is a rainy night. Ben is in the").pattern.sum(-1)  # doctest: +SKIP
    Source:
        Kobayashi et al. 2020, "Attention is Not Only a Weight: Analyzing Transformers with Vector
        Norms", for the weighted view.
    """
    call = dict(locals())
    tokens = one_row(model, prompt)
    n, width = 1 + untrained, tokens.shape[1]
    announce(
        model,
        Passes(count=n, tokens=width),
        copies=min(untrained, 2),
        draws=untrained,
        kept=3 * model.cfg.n_layers * model.cfg.n_heads * width**2,
        smaller="Give a shorter prompt, or fewer untrained models (untrained=0).",
    )
    report_progress("this model", 0, n)
    run = model.run(tokens, cache=["pattern", "v"], edits=edits, logits=False)
    pattern = _pattern(run)
    twins = untrained_twins(model, untrained, seed)
    controls = []
    for number, twin in enumerate(twins, start=1):
        report_progress(f"untrained model {number}", number, n)
        controls.append(_summary(_pattern(twin.run(tokens, cache=["pattern"], logits=False))))
    summary, layers = _summary(pattern), range(model.cfg.n_layers)
    return Attention(
        tokens=displayed(model.tokenizer, tokens[0].tolist()),
        pattern=pattern,
        written=torch.stack([written_norms(model, run, layer)[0] for layer in layers]),
        summary=summary,
        untrained=torch.stack(controls) if controls else summary.new_zeros(0, *summary.shape),
        provenance=provenance(attention, call, hooks=("pattern", "v")),
    )


def _pattern(run: Run) -> Float[Tensor, "layer head query key"]:
    return run.stack("pattern")[:, 0].float()


def _summary(
    pattern: Float[Tensor, "layer head query key"],
) -> Float[Tensor, "quantity layer head"]:
    """`SUMMARIES`, meant over queries; the first can only attend to itself and is left out."""
    length = pattern.shape[-1]
    if length == 1:
        return pattern.new_full((len(SUMMARIES), *pattern.shape[:2]), math.nan)
    late = pattern[:, :, 1:]
    place = torch.arange(length, device=pattern.device, dtype=pattern.dtype)
    behind = (place[1:, None] - place[None]).clamp_min(0)
    entropy = -torch.where(late > 0, late * late.clamp_min(1e-30).log2(), 0.0).sum(-1)
    quantities = (
        entropy,
        (late * behind).sum(-1),
        late[..., 0],
        off_by(pattern, 1),
        off_by(pattern, 0)[..., 1:],
    )
    return torch.stack([quantity.mean(-1) for quantity in quantities])
