"""The whole trainable transformer, top to bottom: settings, norm, attention, MLP, block, model.

At every named point stands `x = tap(name, x)` when a tap is given, and nothing when it is not.
It knows nothing of training, files or what anybody looks for.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils import skip_init

from interp.core.errors import ShapeError, TokenError
from interp.core.hooks import Name, Tap
from interp.core.precision import widened
from interp.core.protocols import Tokenizer
from interp.core.surprisal import surprisal, weighted_mean
from interp.models.attention_mask import ForwardContext, causal_mask
from interp.models.base import BaseModel
from interp.models.config import ACTIVATIONS, GPTConfig
from interp.models.generation import GPTDecoder
from interp.models.kv_cache import KVCache
from interp.models.rotary import rotary_tables, rotate
from interp.models.taps import RunTap, hook_names
from interp.models.weights import hash_of, initialize, named

# `initialize` draws the weights, or a file has them: torch's own draws would be thrown away.
linear, embedding = partial(skip_init, nn.Linear), partial(skip_init, nn.Embedding)


class Norm(nn.Module):
    """Layer norm, RMS norm or none: fused, unless one of its two hook points is live."""

    def __init__(self, width: int, cfg: GPTConfig, kind: str | None = None) -> None:
        super().__init__()
        self.kind, self.eps = kind or cfg.norm, cfg.norm_eps
        if self.kind == "none":  # for readers of weights; nothing to train
            self.register_buffer("weight", torch.ones(width), persistent=False)
        else:
            self.weight = nn.Parameter(torch.ones(width))
        has_bias = self.kind == "layer" and cfg.norm_bias
        self.bias = nn.Parameter(torch.zeros(width)) if has_bias else None

    def reset_parameters(self) -> None:
        """Back to the identity."""
        nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x: Float[Tensor, "... d"], tap: Tap | None = None, path: str = ""
    ) -> Float[Tensor, "... d"]:
        if tap and (tap.wants(f"{path}.hook_scale") or tap.wants(f"{path}.hook_normalized")):
            return self._exact(x, tap, path)
        if self.kind == "none":
            return x
        # Streams may come in another precision than the weights': queries and keys under autocast,
        # what a lens translated. The fused norms want one kind.
        weight = self.weight.to(x.dtype)
        if self.kind == "layer":
            bias = None if self.bias is None else self.bias.to(x.dtype)
            return F.layer_norm(x, self.weight.shape, weight, bias, self.eps)
        return F.rms_norm(x, self.weight.shape, weight, self.eps)

    def _exact(self, x: Tensor, tap: Tap, path: str) -> Tensor:
        # As the fused norms, which widen half precision before they square and sum.
        wide = widened(x)
        if self.kind == "layer":
            wide = wide - wide.mean(-1, keepdim=True)
        scale = tap(f"{path}.hook_scale", self._scale(wide))
        normed = tap(f"{path}.hook_normalized", wide / scale) * self.weight
        return (normed if self.bias is None else normed + self.bias).to(x.dtype)

    def _scale(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... 1"]:
        if self.kind == "none":
            return torch.ones_like(x[..., :1])
        return (x.square().mean(-1, keepdim=True) + self.eps).sqrt()


class SelfAttention(nn.Module):
    """Causal self-attention; `qkv` holds the rows of all queries, then keys, then values."""

    def __init__(self, cfg: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.path, self.d_head = layer, f"blocks.{layer}.attn", cfg.d_head
        self.sizes = [cfg.n_heads, cfg.n_key_value_heads, cfg.n_key_value_heads]
        self.qkv = linear(cfg.d_model, sum(self.sizes) * cfg.d_head, bias=cfg.attn_bias)
        self.q_norm = Norm(cfg.d_head, cfg, "rms") if cfg.qk_norm else None
        self.k_norm = Norm(cfg.d_head, cfg, "rms") if cfg.qk_norm else None
        self.out = linear(cfg.n_heads * cfg.d_head, cfg.d_model, bias=cfg.attn_bias)

    def forward(
        self, resid: Float[Tensor, "batch pos d_model"], norm: Norm, context: ForwardContext
    ) -> Float[Tensor, "batch pos d_model"]:
        tap, path = context.tap, self.path
        q, k, v = self._project(resid, norm, context).split_with_sizes(self.sizes, 2)
        if tap:
            q, k, v = tap(f"{path}.hook_q", q), tap(f"{path}.hook_k", k), tap(f"{path}.hook_v", v)
        if self.q_norm is not None:
            q, k = self.q_norm(q, tap, f"{path}.q_norm"), self.k_norm(k, tap, f"{path}.k_norm")
        if context.cos_sin is not None:
            q, k = rotate(q, *context.cos_sin), rotate(k, *context.cos_sin)
            if tap:
                q, k = tap(f"{path}.hook_rot_q", q), tap(f"{path}.hook_rot_k", k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if context.kv is not None:
            k, v = context.kv.store(self.layer, k, v)
        exact = tap and context.wants(f"{path}.hook_attn_scores", f"{path}.hook_pattern")
        z = (self._exact if exact else self._fused)(q, k, v, context).transpose(1, 2)
        return self._combine(tap(f"{path}.hook_z", z) if tap else z, context)

    def _project(self, resid: Tensor, norm: Norm, context: ForwardContext) -> Tensor:
        """Queries, keys and values side by side: batch pos heads d_head."""
        ln1, tap = f"blocks.{self.layer}.ln1", context.tap
        points = [f"{self.path}.hook_{part}_input" for part in "qkv"]
        if not context.wants(*points):
            rows = self.qkv(norm(resid, tap, ln1))
            return rows.view(*resid.shape[:2], -1, self.d_head)
        sized_points = zip(points, self.sizes, strict=True)
        inputs = [tap(name, resid[:, :, None].expand(-1, -1, n, -1)) for name, n in sized_points]
        # One norm a head, so that an edit of the norm's own points reaches each of them.
        normed = torch.stack([norm(x, tap, ln1) for x in torch.cat(inputs, 2).unbind(2)], 2)
        norm(resid, tap, ln1)  # What a cache should hold of ln1 is the residual stream's.
        rows = self.qkv.weight.view(-1, self.d_head, resid.shape[-1])
        out = torch.einsum("btnm,nhm->btnh", normed, rows)
        return out if self.qkv.bias is None else out + self.qkv.bias.view(-1, self.d_head)

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, context: ForwardContext) -> Tensor:
        grouped = self.sizes[0] != self.sizes[1]
        settings = dict(is_causal=context.is_causal, dropout_p=context.dropout, enable_gqa=grouped)
        return F.scaled_dot_product_attention(q, k, v, context.attention_mask, **settings)

    def _exact(self, q: Tensor, k: Tensor, v: Tensor, context: ForwardContext) -> Tensor:
        groups, kind = self.sizes[0] // self.sizes[1], v.dtype
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        q, k, v = widened(q), widened(k), widened(v)  # as the fused kernels do
        unseen = context.unseen(q.shape[2], k.shape[2], q.device)
        scores = (q @ k.mT / math.sqrt(self.d_head)).masked_fill(unseen, -math.inf)
        scores = context.tap(f"{self.path}.hook_attn_scores", scores)
        # An edit must not let a token see the future, which a cached run does not even have.
        pattern = scores.masked_fill(unseen, -math.inf).softmax(-1)
        pattern = context.tap(f"{self.path}.hook_pattern", pattern).masked_fill(unseen, 0.0)
        return (F.dropout(pattern, context.dropout) @ v).to(kind)

    def _combine(
        self, z: Float[Tensor, "batch pos head d_head"], context: ForwardContext
    ) -> Tensor:
        point = f"{self.path}.hook_result"
        if not context.wants(point):
            return self.out(z.flatten(2))
        columns = self.out.weight.unflatten(1, (-1, self.d_head))
        results = torch.einsum("btnh,mnh->btnm", widened(z), widened(columns))
        result = context.tap(point, results).sum(2)
        return (result if self.out.bias is None else result + self.out.bias).to(z.dtype)


class MLP(nn.Module):
    """Two matrices with an activation between, or three with a gate."""

    def __init__(self, cfg: GPTConfig, layer: int) -> None:
        super().__init__()
        self.path, self.act = f"blocks.{layer}.mlp", ACTIVATIONS[cfg.act]
        self.gate = linear(cfg.d_model, cfg.d_mlp, bias=cfg.mlp_bias) if cfg.gated else None
        self.up = linear(cfg.d_model, cfg.d_mlp, bias=cfg.mlp_bias)
        self.down = linear(cfg.d_mlp, cfg.d_model, bias=cfg.mlp_bias)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], tap: Tap | None
    ) -> Float[Tensor, "batch pos d_model"]:
        pre = (self.gate or self.up)(x)
        if tap:
            pre = tap(f"{self.path}.hook_pre", pre)
        post = self.act(pre)
        if self.gate is not None:
            linear = self.up(x)
            post = post * (tap(f"{self.path}.hook_pre_linear", linear) if tap else linear)
        return self.down(tap(f"{self.path}.hook_post", post) if tap else post)


class Block(nn.Module):
    """Attention, then the MLP, each added to the residual stream."""

    def __init__(self, cfg: GPTConfig, layer: int) -> None:
        super().__init__()
        self.path = f"blocks.{layer}"
        self.ln1, self.attn = Norm(cfg.d_model, cfg), SelfAttention(cfg, layer)
        self.ln2 = None if cfg.attn_only else Norm(cfg.d_model, cfg)
        self.mlp = None if cfg.attn_only else MLP(cfg, layer)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], context: ForwardContext
    ) -> Float[Tensor, "batch pos d_model"]:
        tap, path = context.tap, self.path
        if tap:
            x = tap(f"{path}.hook_resid_pre", x)
        out = dropout(self.attn(x, self.ln1, context), context)
        x = x + (tap(f"{path}.hook_attn_out", out) if tap else out)
        if self.mlp is not None:
            if tap:
                x = tap(f"{path}.hook_resid_mid", x)
            entry = tap(f"{path}.hook_mlp_in", x) if tap else x
            out = dropout(self.mlp(self.ln2(entry, tap, f"{path}.ln2"), tap), context)
            x = x + (tap(f"{path}.hook_mlp_out", out) if tap else out)
        return tap(f"{path}.hook_resid_post", x) if tap else x


def _check_tokens(tokens: Tensor) -> None:
    whole = tokens.dtype in (torch.int64, torch.int32)
    if tokens.ndim != 2 or not tokens.numel() or not whole:
        raise ShapeError(
            'A pass needs ids "batch pos" as int64 or int32, at least one; got '
            f"{tuple(tokens.shape)} of {tokens.dtype}. `model.run` takes other forms too."
        )


def dropout(x: Tensor, context: ForwardContext) -> Tensor:
    """Dropout at the pass' own rate: no call at all when it is 0."""
    return F.dropout(x, context.dropout) if context.dropout else x


class GPT(nn.Module, BaseModel):
    """A causal language model that can be trained, opened, steered and asked.

    Example:
        >>> cfg = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=20, n_ctx=8)
        >>> run = GPT(cfg, seed=1).run([1, 2, 3], cache=["pattern"])
        >>> run["pattern", 1].shape
        torch.Size([1, 2, 3, 3])
    """

    def __init__(
        self,
        cfg: GPTConfig,
        tokenizer: Tokenizer | None = None,
        *,
        seed: int | None = 0,
        name: str = "gpt",
    ) -> None:
        """Fresh weights of a seed; None leaves them unset, for whoever fills every one."""
        super().__init__()
        self.cfg, self.tokenizer, self.name = cfg, tokenizer, name
        self.step: int | None = None
        self.history: Mapping[int, GPT] = {}
        self.embed = embedding(cfg.d_vocab, cfg.d_model)
        learned = cfg.positions == "learned"
        self.pos_embed = embedding(cfg.n_ctx, cfg.d_model) if learned else None
        self.blocks = nn.ModuleList(Block(cfg, layer) for layer in range(cfg.n_layers))
        self.ln_final = Norm(cfg.d_model, cfg)
        self.head = None if cfg.tied else linear(cfg.d_model, cfg.d_vocab, bias=False)
        rotary = (cfg.d_head, cfg.n_ctx, cfg.rope_theta, cfg.rope_scaling)
        tables = rotary_tables(*rotary) if cfg.positions == "rotary" else (None, None)
        self.register_buffer("cos", tables[0], persistent=False)
        self.register_buffer("sin", tables[1], persistent=False)
        self.hook_names: tuple[str, ...] = hook_names(cfg)
        if seed is not None:
            initialize(self, cfg, seed)

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        tap: Tap | None = None,
        *,
        mask: Bool[Tensor, "batch key"] | None = None,
        position_ids: Int[Tensor, "batch pos"] | None = None,
        kv: KVCache | None = None,
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Next-token logits.

        Args:
            tap: called at every hook point; None = no point is live.
            mask: True at real tokens, of the cached columns and of `tokens`; None = all are real.
            position_ids: of `tokens`, counted from the first real one; None = as `mask` says.
            kv: keys and values of earlier columns, to which those of `tokens` are added.

        Raises:
            TokenError: ids outside the vocabulary, or more than the context holds.
            ShapeError: `tokens` are not whole numbers "batch pos".
        """
        rate = self.cfg.dropout if self.training else 0.0
        return self.to_logits(
            self.last_hidden_state(
                tokens, tap, mask=mask, position_ids=position_ids, kv=kv, rate=rate
            )
        )

    def last_hidden_state(
        self, tokens: Int[Tensor, "batch pos"], tap: Tap | None = None, **options: Any
    ) -> Float[Tensor, "batch pos d_model"]:
        """What the final norm gives: `forward` up to the unembedding; options as in `residual`."""
        return self.ln_final(self.residual(tokens, tap, **options), tap, "ln_final")

    def residual(
        self,
        tokens: Int[Tensor, "batch pos"],
        tap: Tap | None = None,
        *,
        mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        kv: KVCache | None = None,
        rate: float = 0.0,
        stop_at_layer: int | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream before layer `stop_at_layer` (None = after the last).

        The other arguments are those of `forward`; `rate` is dropout's.
        """
        _check_tokens(tokens)
        start = 0 if kv is None else kv.length
        rows = self._position_ids(tokens, start, mask, position_ids)
        try:
            x = self.embed(tokens)
        except IndexError:  # `run` and `generate` look first: on a GPU it cannot be caught.
            raise TokenError(
                f"Token ids must be in 0-{self.cfg.d_vocab - 1}; got {int(tokens.min())} to "
                f"{int(tokens.max())}. Another tokenizer?"
            ) from None
        if tap:
            x = tap("hook_embed", x)
        if self.pos_embed is not None:
            place = self.pos_embed.weight[rows]
            x = x + (tap("hook_pos_embed", place.expand(x.shape)) if tap else place)
        visible, is_causal = causal_mask(tokens.shape[1], start, mask, tokens.device)
        cos_sin = self._cos_sin(rows) if self.cfg.positions == "rotary" else None
        context = ForwardContext(tap, visible, is_causal, cos_sin, kv, rate)
        x = dropout(x, context)
        for block in islice(self.blocks, stop_at_layer):
            x = block(x, context)
        if kv is not None:
            kv.length += tokens.shape[1]
        return x

    def _position_ids(
        self, tokens: Tensor, start: int, mask: Tensor | None, position_ids: Tensor | None
    ) -> Tensor | slice:
        if position_ids is not None:
            return position_ids
        stop = start + tokens.shape[1]
        if mask is not None:
            return (mask.long().cumsum(1) - 1).clamp(min=0)[:, start:stop]
        if stop > self.cfg.n_ctx:
            raise TokenError(
                f"The context holds {self.cfg.n_ctx} tokens; got {stop}. Cut the text."
            )
        return slice(start, stop)

    def _cos_sin(self, position_ids: Tensor | slice) -> tuple[Tensor, Tensor]:
        return self.cos[position_ids].unsqueeze(-2), self.sin[position_ids].unsqueeze(-2)

    def to_logits(self, normalized: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_vocab"]:
        """The unembedding alone, of what the final norm gave."""
        weight = (self.head or self.embed).weight
        return F.linear(normalized.to(weight.dtype), weight)

    def loss(
        self, tokens: Int[Tensor, "batch pos"], weights: Float[Tensor, "batch pos"] | None = None
    ) -> Float[Tensor, ""]:
        """Mean nats per predicted token; `weights` says how much each token counts."""
        nats = surprisal(self(tokens[:, :-1]), tokens[:, 1:])
        return weighted_mean(nats, None if weights is None else weights[:, 1:])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed.weight.device

    @property
    def hash(self) -> str:
        """16 hex digits of the SHA-256 over the weights' names and bytes."""
        return hash_of(self)

    def _pass(
        self, tokens: Tensor, real: Tensor, tap: RunTap | None, logits: bool
    ) -> Tensor | None:
        """The logits; or, where they are not asked for, as much of the pass as the tap needs."""
        mask = None if bool(real.all()) else real
        if logits:
            return self.to_logits(self.last_hidden_state(tokens, tap, mask=mask))
        stop = 0 if tap is None else tap.stop_at_layer()
        if stop is None:
            self.last_hidden_state(tokens, tap, mask=mask)
        else:
            self.residual(tokens, tap, mask=mask, stop_at_layer=stop)
        return None

    def unembed(self, resid: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_vocab"]:
        """Final norm, recomputed for what is given, then the unembedding: logits."""
        with torch.set_grad_enabled(resid.requires_grad and torch.is_grad_enabled()):
            return self.to_logits(self.ln_final(resid))

    def weight(self, name: Name) -> Tensor:
        """A weight by TransformerLens' name and layout: `W_E`, `("W_O", 2)`; see `weights.py`."""
        return named(self, name)

    def untrained(self, seed: int = 0) -> "GPT":
        """The same settings and tokenizer with fresh weights: the control of most instruments.

        Its output projections are random even where training began with zeros, which would make
        every layer a copy of the embedding: a control that nothing could lose to.
        """
        cfg = replace(self.cfg, zero_projections=False)
        twin = GPT(cfg, self.tokenizer, seed=seed, name=f"{self.name} (untrained)")
        return twin.to(self.device, self.embed.weight.dtype).eval()

    def as_transformer_lens(self) -> Any:
        """A `TransformerLensView` of this model, on which TransformerLens' own tools run.

        The weights are shared. The view is looked up by name: it stands on this file, not below it.
        """
        view = import_module("interp.models.transformer_lens_view")
        return view.TransformerLensView(self)

    def _decoder(self, *options: Any) -> GPTDecoder:
        return GPTDecoder(self, *options)
