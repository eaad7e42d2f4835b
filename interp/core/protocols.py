"""What an analysis may ask of a model and of a tokenizer, and what they give back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.alignment import Span
from interp.core.hooks import Name, Names, find_cached, layers_of

if TYPE_CHECKING:
    from interp.core.edits import Edit


Prompt = str | Sequence[str] | Sequence[int] | Int[Tensor, "..."]


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back, byte for byte.

    Attributes:
        d_vocab: one more than the highest id that a token has.
        bos_token_id: the token that is put before every text; None where none is.
        eos_token_ids: tokens that end a text.
        hash: changes with anything that could change an id.
    """

    d_vocab: int
    bos_token_id: int | None
    eos_token_ids: tuple[int, ...]
    hash: str

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Token ids; first what the tokenizer puts before a text, if `bos`."""

    def encode_with_spans(self, text: str, *, bos: bool = True) -> "tuple[list[int], list[Span]]":
        """Token ids and, for each, its character span in `text` (empty span for special tokens)."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; special tokens are left out."""

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """The exact bytes of each token; none for special tokens and for ids without a token."""

    def display(self, ids: Sequence[int]) -> list[str]:
        """One printable string a token, for people only: never count or join these."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One forward pass: what went in, the logits, and the activations that were asked for.

    Attributes:
        tokens: ids, left-padded where rows differ in length.
        mask: True at real tokens.
        logits: next-token logits; None for a run with `logits=False`.
        cache: full hook name to activation (TransformerLens' names and axis orders).
    """

    tokens: Int[Tensor, "batch pos"]
    mask: Bool[Tensor, "batch pos"]
    logits: Float[Tensor, "batch pos d_vocab"] | None
    cache: Mapping[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: "Name | tuple[str]") -> Tensor:
        """`run["pattern", 2]`, `run["resid_post", -1]`, `run["hook_embed"]`.

        Raises:
            HookNameError: the activation was not cached; the names that were are shown.
        """
        return find_cached(self.cache, name)

    def stack(self, short: str) -> Float[Tensor, "layer ..."]:
        """The same point of every layer, stacked: `run.stack("resid_post")`."""
        return torch.stack([self.cache[name] for name in layers_of(self.cache, short)])


@dataclass(frozen=True, kw_only=True)
class Step:
    """One generated token of one row: what could have come, what was drawn, what was chosen.

    Attributes:
        token: the chosen id.
        probability: its probability after temperature and cut-offs, as it was drawn.
        log_prob_nats: its log-probability under the model at temperature 1, no cut-offs.
        rank: 0 = the most probable token before cut-offs.
        draw: the uniform random number in [0, 1) that chose it; None when greedy.
        entropy_bits: of the distribution that was drawn from.
        kept_mass: share of the temperature-scaled probability that the cut-offs kept.
        top: the best candidates, as (id, probability at temperature 1, probability as drawn).
    """

    token: int
    probability: float
    log_prob_nats: float
    rank: int
    draw: float | None
    entropy_bits: float
    kept_mass: float
    top: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What came out, row by row.

    Attributes:
        prompts: the token ids fed, a row each, without padding.
        tokens: the generated ids, a row each (a stop string's tokens are kept).
        texts: the generated text, a row each, without the prompt, cut before a stop string.
        steps: one `Step` a generated token, a row each.
        finished: why each row ended.
        idle_edits: those edits that met no position of any row, and so changed nothing.
    """

    prompts: list[list[int]]
    tokens: list[list[int]]
    texts: list[str]
    steps: list[list[Step]]
    finished: list[Literal["length", "end_of_text", "stop_string", "context"]]
    idle_edits: "tuple[Edit, ...]" = ()

    @property
    def text(self) -> str:
        """The only row's text; `texts` holds all."""
        if len(self.texts) != 1:
            raise ValueError(f"This generation has {len(self.texts)} rows: read .texts.")
        return self.texts[0]


@runtime_checkable
class ModelConfig(Protocol):
    """The sizes an analysis may rely on."""

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    attn_only: bool


@runtime_checkable
class LanguageModel(Protocol):
    """A causal language model that can be opened. Interventions are arguments, never state."""

    cfg: ModelConfig
    tokenizer: Tokenizer
    name: str
    hash: str
    step: int | None
    hook_names: tuple[str, ...]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a text: all that the model's or its tokenizer's files name."""

    def to_tokens(self, prompt: Prompt) -> "tuple[Tensor, Tensor]":
        """`tokens` and `mask` ("batch pos"); several texts are padded on the left.

        Raises:
            TokenError: empty, longer than the context, or text the tokenizer cannot encode.
        """

    def run(
        self,
        tokens: Prompt,
        *,
        cache: Names = (),
        edits: "Sequence[Edit]" = (),
        grad: bool = False,
        mask: Tensor | None = None,
        prompt_lengths: Sequence[int] | None = None,
        logits: bool = True,
    ) -> Run:
        """One forward pass; caches the named points, applies the edits, keeps gradients if asked.

        With `logits=False` the unembedding is left out, which for a large vocabulary is most of
        the time and memory of a pass, and so are layers behind the last point that is cached or
        edited: what reads activations alone asks for no logits.

        Raises:
            HookNameError: a name matches no hook point.
            TokenError: see `to_tokens`.
            ShapeError: an edit's value does not fit its site.
            ConfigError: an edit meets no position of any row, and would change nothing.
            NonFiniteError: what came out is not finite, or an edit made too large numbers.
        """

    def unembed(self, resid: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_vocab"]:
        """Final norm, recomputed for what is given, then the unembedding: logits."""

    def weight(self, name: Name) -> Tensor:
        """A weight by TransformerLens' name and layout: `W_E`, `("W_O", 2)` (head first)."""

    def untrained(self, seed: int = 0) -> "LanguageModel":
        """The same settings and tokenizer with fresh weights: the control of most instruments.

        Raises:
            InterpError: it is not known how such a model starts.
        """

    def generate(
        self,
        prompt: Prompt,
        *,
        edits: "Sequence[Edit]" = (),
        max_new_tokens: int = 64,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        stop: Sequence[str] = (),
        seed: int | Sequence[int] = 0,
        use_cache: bool = True,
        top: int = 5,
        written: int = 0,
    ) -> Generation:
        """Continue each row; temperature 0 is greedy; row r draws from (seed, r) or its own.

        `written` of the prompt's last tokens count as generated before: they have used up as many
        draws, and edits see them so. A text that is continued thus is what one call would write.

        An edit may be of a token or position that only may come; one that never met any is among
        the `idle_edits` of the generation.

        The cut-offs work as in `transformers`: `top_p` is a share of what `top_k` left, `min_p` a
        share of the best token's probability.

        Raises:
            ConfigError: an option of another kind or outside its range.
            TokenError: see `to_tokens`.
            NonFiniteError: the logits are not finite, or an edit made too large numbers.
        """

    def stream(self, prompt: Prompt, **options: Any) -> "Iterator[list[Step | None]]":
        """As `generate`, but yields after each token: a `Step` a row, None for rows that ended."""
