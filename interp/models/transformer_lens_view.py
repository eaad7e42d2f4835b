"""Our GPT as TransformerLens' own tools expect a model: the same weights, hook points on its taps.

The view holds hooks, the model never does; drop the view and everything is as it was.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens import ActivationCache, FactoredMatrix, HookedRootModule
from transformer_lens.config import TransformerLensConfig
from transformer_lens.hook_points import HookPoint

from interp.core.errors import HookNameError, TokenError, near_misses
from interp.core.hooks import SWITCHES, short_name
from interp.core.surprisal import surprisal, weighted_mean
from interp.models.gpt import GPT

ATTENTION = tuple(f"{kind}_{part}" for kind in "Wb" for part in "QKVO")
MLP = tuple(f"{kind}_{part}" for kind in "Wb" for part in ("in", "gate", "out"))

Tokens = str | list[str] | Int[Tensor, "batch pos"]


class TransformerLensView(HookedRootModule):
    """A GPT under TransformerLens' names, for `ActivationCache`, patching, `tools.analysis` …

    Args:
        model: shared, not copied: training either trains both.

    Example:
        >>> from interp.models.gpt import GPT, GPTConfig
        >>> cfg = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=20, n_ctx=8)
        >>> view = TransformerLensView(GPT(cfg).eval())
        >>> logits, cache = view.run_with_cache(torch.tensor([[1, 2, 3]]))
        >>> cache["pattern", 0].shape
        torch.Size([1, 2, 3, 3])
    """

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model, self.tokenizer = model, model.tokenizer
        self.cfg = _config(model)
        self.embed = LensComponent(model, ("W_E",))
        self.unembed = LensComponent(model, ("W_U", "b_U"))
        self.blocks = nn.ModuleList(_block(model, layer) for layer in range(model.cfg.n_layers))
        self.ln_final = FinalNorm(model)
        for name in model.hook_names:
            _plant(self, name)
        self.setup()
        self._set_training(model.training)

    def setup(self) -> None:
        """Give the hook points their names; the model's own modules keep theirs."""
        points = {name: m for name, m in self.named_modules() if isinstance(m, HookPoint)}
        self.hook_dict = {name: points[name] for name in self.model.hook_names}
        self.mod_dict = dict(self.hook_dict)
        for name, point in self.hook_dict.items():
            point.name = name

    def _set_training(self, mode: bool) -> None:
        for module in self.modules():
            if module is not self.model and not module.__class__.__module__.endswith(".gpt"):
                module.training = mode

    def forward(
        self,
        input: Tokens,
        return_type: Literal["logits", "loss", "both"] | None = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor] | None:
        """Run the model, its hook points firing; `attention_mask` is 1 at real tokens.

        Returns:
            Logits, the mean nats per predicted token, both, or nothing, as `return_type` says.
        """
        tokens, mask = self._tokens(input, prepend_bos)
        mask = mask if attention_mask is None else attention_mask.bool()
        live = {name: p for name, p in self.hook_dict.items() if _is_hooked(p)}
        rate = self.model.cfg.dropout if self.training else 0.0
        tap = HookTap(live) if live else None
        normalized = self.model.last_hidden_state(tokens, tap, mask=mask, rate=rate)
        if return_type is None:
            return None
        logits = self.model.to_logits(normalized)
        if return_type == "logits":
            return logits
        loss = self.loss_fn(logits, tokens, mask, per_token=loss_per_token)
        return loss if return_type == "loss" else (logits, loss)

    def loss_fn(
        self,
        logits: Float[Tensor, "batch pos d_vocab"],
        tokens: Int[Tensor, "batch pos"],
        attention_mask: Tensor | None = None,
        per_token: bool = False,
    ) -> Tensor:
        """Nats of each next token (batch pos-1), or their mean over real tokens."""
        losses = surprisal(logits[:, :-1], tokens[:, 1:])
        if per_token:
            return losses
        real = None if attention_mask is None else attention_mask[:, :-1] & attention_mask[:, 1:]
        return weighted_mean(losses, real)

    def run_with_cache(
        self,
        *model_args: Any,
        return_cache_object: bool = True,
        remove_batch_dim: bool = False,
        **options: Any,
    ) -> tuple[Any, ActivationCache | dict[str, Tensor]]:
        """As TransformerLens', with its `ActivationCache`.

        Raises:
            HookNameError: `names_filter` names a point that the model does not have.
        """
        out, cache = super().run_with_cache(
            *model_args, remove_batch_dim=remove_batch_dim, **options
        )
        if return_cache_object:
            cache = ActivationCache(cache, self, has_batch_dim=not remove_batch_dim)
        return out, cache

    def get_caching_hooks(self, names_filter: Any = None, *args: Any, **options: Any) -> Any:
        """As TransformerLens', but no name is silently absent, and none expensive uninvited."""
        if names_filter is None:
            names_filter = self._is_cheap
        elif not callable(names_filter):
            names_filter = [names_filter] if isinstance(names_filter, str) else list(names_filter)
            for name in names_filter:
                self._check_name(name)
        return super().get_caching_hooks(names_filter, *args, **options)

    def add_hook(self, name: str | Callable[[str], bool], *args: Any, **options: Any) -> None:
        """As TransformerLens'.

        Raises:
            HookNameError: no such point.
        """
        if isinstance(name, str):
            self._check_name(name)
        super().add_hook(name, *args, **options)

    def _enable_hook_with_name(self, name: str, hook: Callable, dir: Literal["fwd", "bwd"]) -> None:
        self._check_name(name)
        super()._enable_hook_with_name(name, hook, dir)

    def _is_cheap(self, name: str) -> bool:
        short = short_name(name)
        return short not in SWITCHES or getattr(self.cfg, SWITCHES[short])

    def _check_name(self, name: str) -> None:
        if name not in self.hook_dict:
            known = near_misses(name, self.hook_dict)
            raise HookNameError(f"No hook point matches {name!r}.{known}")

    def set_use_attn_result(self, on: bool) -> None:
        """Whether a cache without names holds `hook_result`; named, it always fires."""
        self.cfg.use_attn_result = on

    def set_use_split_qkv_input(self, on: bool) -> None:
        """Whether a cache without names holds `hook_{q,k,v}_input`; named, they always fire."""
        self.cfg.use_split_qkv_input = on

    def set_use_hook_mlp_in(self, on: bool) -> None:
        """Whether a cache without names holds `hook_mlp_in`; named, it always fires."""
        self.cfg.use_hook_mlp_in = on

    def to_tokens(self, input: Tokens, prepend_bos: bool | None = None, **_: Any) -> Tensor:
        """Ids (batch pos); shorter rows are padded on the left."""
        return self._tokens(input, prepend_bos)[0]

    def _tokens(self, input: Tokens, prepend_bos: bool | None) -> tuple[Tensor, Tensor | None]:
        if isinstance(input, str | list) and prepend_bos is False:
            texts = [input] if isinstance(input, str) else input
            input = [self.tokenizer.encode(text, bos=False) for text in texts]
        tokens, mask = self.model.to_tokens(input)
        return tokens, None if bool(mask.all()) else mask

    def to_single_token(self, string: str) -> int:
        """The id of a text that is one token.

        Raises:
            TokenError: it is several.
        """
        ids = self.tokenizer.encode(string, bos=False)
        if len(ids) != 1:
            raise TokenError(
                f"The text must be one token; {string!r} is {self.tokenizer.display(ids)}."
            )
        return ids[0]

    def to_string(self, tokens: Any) -> str | list[str]:
        """The text of ids, or of each row of ids."""
        ids = tokens.tolist() if isinstance(tokens, Tensor) else tokens
        if isinstance(ids, list) and ids and isinstance(ids[0], list):
            return [self.tokenizer.decode(row) for row in ids]
        return self.tokenizer.decode(ids if isinstance(ids, list) else [ids])

    def to_str_tokens(self, input: Any, prepend_bos: bool | None = None) -> list[Any]:
        """The text of each token."""
        if isinstance(input, list):
            return [self.to_str_tokens(each, prepend_bos) for each in input]
        ids = self.to_tokens(input, prepend_bos)[0] if isinstance(input, str) else input
        names = zip(ids.flatten().tolist(), self.tokenizer.display(ids.flatten().tolist()))  # noqa: B905
        return [self.tokenizer.decode([token]) or name for token, name in names]

    def tokens_to_residual_directions(
        self, tokens: str | int | Int[Tensor, "..."]
    ) -> Float[Tensor, "... d_model"]:
        """What the normalised stream is read along for each token's logit.

        The final norm's gain is part of it, so that direct logit attribution is exact without
        folding the norm into the live weights.
        """
        ids = self.to_single_token(tokens) if isinstance(tokens, str) else tokens
        if isinstance(ids, Tensor) and ids.numel() == 1:
            ids = int(ids)
        return self.W_U.T[ids] * self.model.weight("ln_final.w")

    def accumulated_bias(
        self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True
    ) -> Float[Tensor, "d_model"]:
        """What the biases alone have written to the stream before `layer`."""
        total = torch.zeros_like(self.model.weight("ln_final.w"))
        for block in self.blocks[: layer + mlp_input]:
            total = total + block.attn.b_O
        if include_mlp_biases and not self.cfg.attn_only:
            for block in self.blocks[:layer]:
                total = total + block.mlp.b_out
        return total

    def blocks_with(self, submodule: str) -> list[tuple[int, nn.Module]]:
        """Layers that have the part `attn` or `mlp`."""
        return [(i, block) for i, block in enumerate(self.blocks) if hasattr(block, submodule)]

    def tl_parameters(self) -> dict[str, Tensor]:
        """Every weight by TransformerLens' name and layout."""
        return dict(self._weights())

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        for path, part in self.named_modules():
            if isinstance(part, LensComponent) and not path.startswith("model."):
                yield from ((f"{path}.{name}", getattr(part, name)) for name in part.names)

    @property
    def QK(self) -> FactoredMatrix:
        """W_Q W_K^T of every layer and query head."""
        keys = self._per_query_head(self.W_K)
        transposed = rearrange(keys, "layer head d_model d_head -> layer head d_head d_model")
        return FactoredMatrix(self.W_Q, transposed)

    @property
    def OV(self) -> FactoredMatrix:
        """W_V W_O of every layer and query head."""
        return FactoredMatrix(self._per_query_head(self.W_V), self.W_O)

    def _per_query_head(self, weights: Tensor) -> Tensor:
        # Grouped queries: consecutive query heads share one key and value head.
        axes = "layer head d_model d_head -> layer (head query) d_model d_head"
        return repeat(weights, axes, query=self.cfg.n_heads // weights.shape[1])

    def __getattr__(self, name: str) -> Any:
        if name in ("W_U", "b_U", "W_E", "W_pos"):
            return self.model.weight(name)
        if name in ATTENTION + MLP:
            return torch.stack([self.model.weight((name, i)) for i in range(len(self.blocks))])
        return super().__getattr__(name)


class HookTap:
    """Lets every hook point that somebody hooked see, and change, its activation."""

    def __init__(self, live: Mapping[str, HookPoint]) -> None:
        self.live = live

    def wants(self, name: str) -> bool:
        """Whether anybody hooked the point."""
        return name in self.live

    def __call__(self, name: str, x: Tensor) -> Tensor:
        point = self.live.get(name)
        return x if point is None else point(x)


class LensComponent(nn.Module):
    """A place in TransformerLens' tree: its hook points, and views of the model's weights.

    Args:
        names: weights that stand here, by TransformerLens' names.
        prefix: of these names where the model wants one, as in `ln1.w`.
    """

    def __init__(
        self, model: GPT, names: tuple[str, ...] = (), layer: int | None = None, prefix: str = ""
    ) -> None:
        super().__init__()
        self.names, self._layer, self._prefix = names, layer, prefix
        self._weight = model.weight  # A bound method, so that the model is no submodule.

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("names", ()):
            full = self._prefix + name
            return self._weight(full if self._layer is None else (full, self._layer))
        return super().__getattr__(name)


class FinalNorm(LensComponent):
    """`ln_final`: callable, as readouts need it."""

    def __init__(self, model: GPT) -> None:
        super().__init__(model, ("w", "b"), prefix="ln_final.")
        self._norm = model.ln_final.forward

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """The final norm of `x`, with the statistics of `x`."""
        return self._norm(x)


class LensBlock(LensComponent):
    """One layer."""

    hook_out_is_single_residual_stream = True


def _block(model: GPT, layer: int) -> LensBlock:
    cfg, block = model.cfg, LensBlock(model)
    norm = ("w", "b") if cfg.norm == "layer" else ("w",)
    gated = tuple(name for name in MLP if cfg.gated or "gate" not in name)
    block.ln1 = LensComponent(model, norm, layer, "ln1.")
    block.attn = LensComponent(model, ATTENTION, layer)
    if not cfg.attn_only:
        block.ln2 = LensComponent(model, norm, layer, "ln2.")
        block.mlp = LensComponent(model, gated, layer)
    if cfg.qk_norm:
        block.attn.q_norm = LensComponent(model, ("w",), layer, "q_norm.")
        block.attn.k_norm = LensComponent(model, ("w",), layer, "k_norm.")
    return block


def _plant(root: nn.Module, name: str) -> None:
    """Put a hook point at its place in the tree."""
    path, _, leaf = name.rpartition(".")
    root.get_submodule(path).add_module(leaf, HookPoint())


def _is_hooked(point: HookPoint) -> bool:
    return bool(point._forward_hooks or point._backward_hooks or point._forward_pre_hooks)


def _config(model: GPT) -> TransformerLensConfig:
    cfg = model.cfg
    kinds = {"learned": "standard", "rotary": "rotary", "none": "none"}
    sizes = ("d_model", "d_head", "n_layers", "n_ctx", "n_heads", "d_mlp", "d_vocab", "attn_only")
    config = TransformerLensConfig(
        **{name: getattr(cfg, name) for name in sizes},
        device=str(model.device),
        positional_embedding_type=kinds[cfg.positions],
        n_key_value_heads=None if cfg.n_key_value_heads == cfg.n_heads else cfg.n_key_value_heads,
        gated_mlp=cfg.gated,
        uses_rms_norm=cfg.norm == "rms",
        normalization_type={"rms": "RMS", "layer": "LN", "none": None}[cfg.norm],
        eps=cfg.norm_eps,
        act_fn=cfg.act,
        dtype=model.embed.weight.dtype,
    )
    config.use_hook_mlp_in = config.use_attn_in = False
    config.model_name = model.name
    return config
