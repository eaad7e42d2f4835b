"""The whole trainable transformer, top to bottom: settings, norm, attention, MLP, block, model.

At every named point stands `x = tap(name, x)` when a tap is given, and nothing when it is not.
It knows nothing of training, files or what anybody looks for.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from interp.core.edits import Edit
from interp.core.errors import TokenError
from interp.core.hooks import Name, Names, Tap
from interp.core.protocols import Generation, Prompt, Run, Step, Tokenizer
from interp.models import generation, prompts
from interp.models.attention_mask import Frame, who_sees_whom
from interp.models.config import ACTIVATIONS, GPTConfig
from interp.models.kv_cache import KVCache
from interp.models.rotary import rotary_tables, rotate
from interp.models.taps import RunTap, hook_names
from interp.models.weights import hash_of, initialize, named


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
        self, x: Float[Tensor, "... d"], tap: Tap | None = None, at: str = ""
    ) -> Float[Tensor, "... d"]:
        if tap and (tap.wants(f"{at}.hook_scale") or tap.wants(f"{at}.hook_normalized")):
            return self._exact(x, tap, at)
        if self.kind == "none":
            return x
        if self.kind == "layer":
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        # Under autocast queries and keys come in half precision; the fused norm wants one kind.
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)

    def _exact(self, x: Tensor, tap: Tap, at: str) -> Tensor:
        if self.kind == "layer":
            x = x - x.mean(-1, keepdim=True)
        scale = tap(f"{at}.hook_scale", self._scale(x))
        x = tap(f"{at}.hook_normalized", x / scale) * self.weight
        return x if self.bias is None else x + self.bias

    def _scale(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... 1"]:
        if self.kind == "none":
            return torch.ones_like(x[..., :1])
        return (x.square().mean(-1, keepdim=True) + self.eps).sqrt()


class Attention(nn.Module):
    """Causal self-attention; `qkv` holds the rows of all queries, then keys, then values."""

    def __init__(self, cfg: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.at, self.d_head = layer, f"blocks.{layer}.attn", cfg.d_head
        self.sizes = [cfg.n_heads, cfg.n_key_value_heads, cfg.n_key_value_heads]
        self.qkv = nn.Linear(cfg.d_model, sum(self.sizes) * cfg.d_head, bias=cfg.attn_bias)
        self.q_norm = Norm(cfg.d_head, cfg, "rms") if cfg.qk_norm else None
        self.k_norm = Norm(cfg.d_head, cfg, "rms") if cfg.qk_norm else None
        self.out = nn.Linear(cfg.n_heads * cfg.d_head, cfg.d_model, bias=cfg.attn_bias)

    def forward(
        self, resid: Float[Tensor, "batch pos d_model"], norm: Norm, frame: Frame
    ) -> Float[Tensor, "batch pos d_model"]:
        tap, at = frame.tap, self.at
        q, k, v = self._project(resid, norm, frame).split_with_sizes(self.sizes, 2)
        if tap:
            q, k, v = tap(f"{at}.hook_q", q), tap(f"{at}.hook_k", k), tap(f"{at}.hook_v", v)
        if self.q_norm is not None:
            q, k = self.q_norm(q, tap, f"{at}.q_norm"), self.k_norm(k, tap, f"{at}.k_norm")
        if frame.turn is not None:
            q, k = rotate(q, *frame.turn), rotate(k, *frame.turn)
            if tap:
                q, k = tap(f"{at}.hook_rot_q", q), tap(f"{at}.hook_rot_k", k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if frame.kv is not None:
            k, v = frame.kv.store(self.layer, k, v)
        exact = tap and frame.live(f"{at}.hook_attn_scores", f"{at}.hook_pattern")
        z = (self._exact if exact else self._fused)(q, k, v, frame).transpose(1, 2)
        return self._combine(tap(f"{at}.hook_z", z) if tap else z, frame)

    def _project(self, resid: Tensor, norm: Norm, frame: Frame) -> Tensor:
        """Queries, keys and values side by side: batch pos heads d_head."""
        ln1, tap = f"blocks.{self.layer}.ln1", frame.tap
        points = [f"{self.at}.hook_{part}_input" for part in "qkv"]
        if not frame.live(*points):
            rows = self.qkv(norm(resid, tap, ln1))
            return rows.view(*resid.shape[:2], -1, self.d_head)
        parts = zip(points, self.sizes, strict=True)
        inputs = [tap(at, resid[:, :, None].expand(-1, -1, heads, -1)) for at, heads in parts]
        # One norm a head, so that an edit of the norm's own points reaches each of them.
        each = torch.stack([norm(x, tap, ln1) for x in torch.cat(inputs, 2).unbind(2)], 2)
        norm(resid, tap, ln1)  # What a cache should hold of ln1 is the residual stream's.
        rows = self.qkv.weight.view(-1, self.d_head, resid.shape[-1])
        out = torch.einsum("btnm,nhm->btnh", each, rows)
        return out if self.qkv.bias is None else out + self.qkv.bias.view(-1, self.d_head)

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, frame: Frame) -> Tensor:
        grouped = self.sizes[0] != self.sizes[1]
        settings = dict(is_causal=frame.causal, dropout_p=frame.dropout, enable_gqa=grouped)
        return F.scaled_dot_product_attention(q, k, v, frame.allowed, **settings)

    def _exact(self, q: Tensor, k: Tensor, v: Tensor, frame: Frame) -> Tensor:
        groups = self.sizes[0] // self.sizes[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        hidden = frame.hidden(q.shape[2], k.shape[2], q.device)
        scores = (q @ k.mT / math.sqrt(self.d_head)).masked_fill(hidden, -math.inf)
        scores = frame.tap(f"{self.at}.hook_attn_scores", scores)
        # An edit must not let a token see the future, which a cached run does not even have.
        pattern = scores.masked_fill(hidden, -math.inf).softmax(-1)
        pattern = frame.tap(f"{self.at}.hook_pattern", pattern).masked_fill(hidden, 0.0)
        return F.dropout(pattern, frame.dropout) @ v

    def _combine(self, z: Float[Tensor, "batch pos head d_head"], frame: Frame) -> Tensor:
        point = f"{self.at}.hook_result"
        if not frame.live(point):
            return self.out(z.flatten(2))
        columns = self.out.weight.unflatten(1, (-1, self.d_head))
        result = frame.tap(point, torch.einsum("btnh,mnh->btnm", z, columns)).sum(2)
        return result if self.out.bias is None else result + self.out.bias


class MLP(nn.Module):
    """Two matrices with an activation between, or three with a gate."""

    def __init__(self, cfg: GPTConfig, layer: int) -> None:
        super().__init__()
        self.at, self.act = f"blocks.{layer}.mlp", ACTIVATIONS[cfg.act]
        self.gate = nn.Linear(cfg.d_model, cfg.d_mlp, bias=cfg.mlp_bias) if cfg.gated else None
        self.up = nn.Linear(cfg.d_model, cfg.d_mlp, bias=cfg.mlp_bias)
        self.down = nn.Linear(cfg.d_mlp, cfg.d_model, bias=cfg.mlp_bias)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], tap: Tap | None
    ) -> Float[Tensor, "batch pos d_model"]:
        pre = (self.gate or self.up)(x)
        if tap:
            pre = tap(f"{self.at}.hook_pre", pre)
        post = self.act(pre)
        if self.gate is not None:
            linear = self.up(x)
            post = post * (tap(f"{self.at}.hook_pre_linear", linear) if tap else linear)
        return self.down(tap(f"{self.at}.hook_post", post) if tap else post)


class Block(nn.Module):
    """Attention, then the MLP, each added to the residual stream."""

    def __init__(self, cfg: GPTConfig, layer: int) -> None:
        super().__init__()
        self.at = f"blocks.{layer}"
        self.ln1, self.attn = Norm(cfg.d_model, cfg), Attention(cfg, layer)
        self.ln2 = None if cfg.attn_only else Norm(cfg.d_model, cfg)
        self.mlp = None if cfg.attn_only else MLP(cfg, layer)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], frame: Frame
    ) -> Float[Tensor, "batch pos d_model"]:
        tap, at = frame.tap, self.at
        if tap:
            x = tap(f"{at}.hook_resid_pre", x)
        out = dropout(self.attn(x, self.ln1, frame), frame)
        x = x + (tap(f"{at}.hook_attn_out", out) if tap else out)
        if self.mlp is not None:
            if tap:
                x = tap(f"{at}.hook_resid_mid", x)
            entry = tap(f"{at}.hook_mlp_in", x) if tap else x
            out = dropout(self.mlp(self.ln2(entry, tap, f"{at}.ln2"), tap), frame)
            x = x + (tap(f"{at}.hook_mlp_out", out) if tap else out)
        return tap(f"{at}.hook_resid_post", x) if tap else x


def dropout(x: Tensor, frame: Frame) -> Tensor:
    """Dropout at the pass' own rate: no call at all when it is 0."""
    return F.dropout(x, frame.dropout) if frame.dropout else x


class GPT(nn.Module):
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
        seed: int = 0,
        name: str = "gpt",
    ) -> None:
        super().__init__()
        self.cfg, self.tokenizer, self.name = cfg, tokenizer, name
        self.step: int | None = None
        self.history: Mapping[int, GPT] = {}
        self.embed = nn.Embedding(cfg.d_vocab, cfg.d_model)
        learned = cfg.positions == "learned"
        self.pos_embed = nn.Embedding(cfg.n_ctx, cfg.d_model) if learned else None
        self.blocks = nn.ModuleList(Block(cfg, layer) for layer in range(cfg.n_layers))
        self.ln_final = Norm(cfg.d_model, cfg)
        self.head = None if cfg.tied else nn.Linear(cfg.d_model, cfg.d_vocab, bias=False)
        rotary = (cfg.d_head, cfg.n_ctx, cfg.rope_theta, cfg.rope_scaling)
        tables = rotary_tables(*rotary) if cfg.positions == "rotary" else (None, None)
        self.register_buffer("cos", tables[0], persistent=False)
        self.register_buffer("sin", tables[1], persistent=False)
        self.hook_names: tuple[str, ...] = hook_names(cfg)
        initialize(self, cfg, seed)

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        tap: Tap | None = None,
        *,
        mask: Bool[Tensor, "batch key"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        kv: KVCache | None = None,
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Next-token logits.

        Args:
            tap: called at every hook point; None = no point is live.
            mask: True at real tokens, of the cached columns and of `tokens`; None = all are real.
            positions: of `tokens`, counted from the first real one; worked out when not given.
            kv: keys and values of earlier columns, to which those of `tokens` are added.
        """
        rate = self.cfg.dropout if self.training else 0.0
        hidden = self.hidden(tokens, tap, mask=mask, positions=positions, kv=kv, rate=rate)
        return self.to_logits(hidden)

    def hidden(
        self,
        tokens: Int[Tensor, "batch pos"],
        tap: Tap | None = None,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        kv: KVCache | None = None,
        rate: float = 0.0,
    ) -> Float[Tensor, "batch pos d_model"]:
        """As `forward`, up to the final norm; `rate` is dropout's."""
        start = 0 if kv is None else kv.length
        place = self._places(tokens, start, mask, positions)
        x = self.embed(tokens)
        if tap:
            x = tap("hook_embed", x)
        if self.pos_embed is not None:
            where = self.pos_embed.weight[place]
            x = x + (tap("hook_pos_embed", where.expand(x.shape)) if tap else where)
        allowed, causal = who_sees_whom(tokens.shape[1], start, mask, tokens.device)
        turn = self._turn(place) if self.cfg.positions == "rotary" else None
        frame = Frame(tap, allowed, causal, turn, kv, rate)
        x = dropout(x, frame)
        for block in self.blocks:
            x = block(x, frame)
        if kv is not None:
            kv.length += tokens.shape[1]
        return self.ln_final(x, tap, "ln_final")

    def _places(
        self, tokens: Tensor, start: int, mask: Tensor | None, positions: Tensor | None
    ) -> Tensor | slice:
        if positions is not None:
            return positions
        stop = start + tokens.shape[1]
        if mask is not None:
            return (mask.long().cumsum(1) - 1).clamp(min=0)[:, start:stop]
        if stop > self.cfg.n_ctx:
            raise TokenError(
                f"The context holds {self.cfg.n_ctx} tokens; got {stop}. Cut the text."
            )
        return slice(start, stop)

    def _turn(self, place: Tensor | slice) -> tuple[Tensor, Tensor]:
        return self.cos[place].unsqueeze(-2), self.sin[place].unsqueeze(-2)

    def to_logits(self, normalized: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_vocab"]:
        """The unembedding alone, of what the final norm gave."""
        return F.linear(normalized, (self.head or self.embed).weight)

    def loss(
        self, tokens: Int[Tensor, "batch pos"], weights: Float[Tensor, "batch pos"] | None = None
    ) -> Float[Tensor, ""]:
        """Mean nats per predicted token; `weights` says how much each token counts."""
        logits, targets = self(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()
        if weights is None:
            return F.cross_entropy(logits, targets)
        counts = weights[:, 1:].flatten().to(logits.dtype)
        return F.cross_entropy(logits, targets, reduction="none") @ counts / counts.sum()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed.weight.device

    @property
    def hash(self) -> str:
        """16 hex digits of the SHA-256 over the weights' names and bytes."""
        return hash_of(self)

    def to_tokens(self, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """`tokens` and `mask` (batch pos); rows of different length are padded on the left."""
        return prompts.to_tokens(prompt, self.tokenizer, self.cfg, self.device)

    def run(
        self,
        tokens: Prompt,
        *,
        cache: Names = (),
        edits: Sequence[Edit] = (),
        grad: bool = False,
        mask: Tensor | None = None,
        prompt_lengths: Sequence[int] | None = None,
    ) -> Run:
        """One forward pass without dropout; see `LanguageModel.run`."""
        ids, real = prompts.with_mask(self.to_tokens(tokens), mask, self.cfg.n_ctx)
        padded = None if bool(real.all()) else real
        tap = RunTap.of(self.hook_names, cache, edits, ids, real, prompt_lengths, grad)
        with torch.set_grad_enabled(grad):
            logits = self.to_logits(self.hidden(ids, tap, mask=padded))
        return Run(tokens=ids, mask=real, logits=logits, cache=tap.cache if tap else {})

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

    def generate(self, prompt: Prompt, **options: Any) -> Generation:
        """Continue each row; options as in `LanguageModel.generate`."""
        return generation.generate(self, prompt, **options)

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[list[Step | None]]:
        """As `generate`, but yields after each token."""
        return generation.stream(self, prompt, **options)
