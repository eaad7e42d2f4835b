"""Any model that TransformerLens can boot, behind our own protocol.

A bridge keeps hooks as state, so every pass here holds a lock, adds its hooks, and takes them away
again whatever happens. Interventions stay arguments.
"""

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import cached_property
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.bridge_core import build_alias_to_canonical_map
from transformer_lens.model_bridge.sources import build_bridge_from_module

from interp.core.errors import (
    ConfigError,
    HookNameError,
    InterpError,
    ReadoutError,
)
from interp.core.hooks import SHORT, SWITCHES, Name, layer_of, short_name
from interp.core.precision import rounding, widened
from interp.models.base import BaseModel
from interp.models.generation import Decoder
from interp.models.io import hub
from interp.models.io.huggingface import end_ids
from interp.models.io.transformers_folder import its_tokenizer, whole_model
from interp.models.taps import RunTap
from interp.models.tokenizer import Tokenizer
from interp.models.weights import REAL, check_weight, hash_of, split_name

READOUT_TOLERANCE = 1e-3
"""How far the unembedded last stream may be from the logits, as a share of their spread."""


def load_bridge(
    name: str,
    *,
    hf_model: Any = None,
    tokenizer: Any = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> "BridgeModel":
    """A model that TransformerLens can wrap: of a folder, of the hub, or one that is open.

    Args:
        name: a folder of `transformers` (config.json, safetensors), or `hf:NAME`; with `hf_model`,
            any name.
        hf_model: a model of `transformers`, taken over: its modules are wrapped in place.
        tokenizer: of `transformers`; read from the folder where the model is.

    Raises:
        CheckpointError: a file or tensor is missing, damaged, left over, quantised or not finite.
        ConfigError: transformers or TransformerLens knows no such architecture.
    """
    if hf_model is None:
        asked = str(name).startswith(hub.PREFIX)
        folder = hub.fetch(str(name).removeprefix(hub.PREFIX)) if asked else Path(name)
        hf_model = whole_model(folder, dtype).to(device)
        tokenizer = tokenizer or its_tokenizer(folder)
    for key, parameter in hf_model.named_parameters():
        if parameter.dtype in REAL:  # A model that is handed over may be quantised, and knows how.
            check_weight(key, parameter, str(name))
    # TransformerLens makes its tokenizers begin every text with a token: ours is taken before.
    ours = None if tokenizer is None else Tokenizer.from_transformers(tokenizer)
    try:
        bridge = _wrapped(hf_model, str(name), tokenizer)
        model = BridgeModel(bridge, str(name), ours)
    except InterpError:
        raise
    except Exception as error:  # Each class fails in its own way, and so do tokenizers.
        raise ConfigError(
            f"TransformerLens must wrap and run {str(name)!r} in {dtype}; it cannot: {error}"
        ) from error
    _refuse_sight_ahead(model)
    return model


def _refuse_sight_ahead(model: "BridgeModel") -> None:
    """Refuse a model whose logits depend on later tokens, as those of BERT do."""
    tokens = model._probe()
    other = tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % model.cfg.d_vocab
    a, b = (model.run(ids).logits[:, :-1].float() for ids in (tokens, other))
    if (a - b).abs().max() > READOUT_TOLERANCE * a.std().clamp_min(1e-12):
        raise ConfigError(
            f"A language model must not see the tokens that it foretells; {model.name} "
            f"({model.cfg.architecture}) does: its attention is not causal."
        )


def _wrapped(hf_model: Any, name: str, tokenizer: Any) -> TransformerBridge:
    """A model of transformers that is already here, as a bridge; nothing is looked up."""
    hf_model.eval().set_attn_implementation("eager")
    return build_bridge_from_module(
        hf_model,
        type(hf_model).__name__,
        hf_config=hf_model.config,
        tokenizer=tokenizer,
        model_name=name,
    )


@dataclass(frozen=True, kw_only=True)
class BridgeConfig:
    """The sizes of a bridge's model."""

    n_layers: int
    n_heads: int
    n_key_value_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    attn_only: bool
    architecture: str
    eos_token_ids: tuple[int, ...]

    @classmethod
    def of(cls, cfg: Any, eos_token_ids: tuple[int, ...]) -> "BridgeConfig":
        """From TransformerLens' config, and the tokens that end a text."""
        settings = {"eos_token_ids": eos_token_ids} | {
            field.name: getattr(cfg, field.name)
            for field in fields(cls)
            if field.name != "eos_token_ids"
        }
        settings["n_key_value_heads"] = cfg.n_key_value_heads or cfg.n_heads
        return cls(**settings | {"d_mlp": cfg.d_mlp or 0, "architecture": str(cfg.architecture)})


class BridgeModel(BaseModel):
    """A bridge as a `LanguageModel`: hook names, edits and generation work as on our own models.

    Attributes:
        hook_names: points that really fire on this architecture, found by running it once.
        bridge: TransformerLens' own object; hold `lock` while you touch it.
    """

    def __init__(
        self, bridge: TransformerBridge, name: str, tokenizer: Tokenizer | None = None
    ) -> None:
        self.bridge, self.name = bridge.eval(), name
        self.lock = threading.RLock()
        self.cfg = BridgeConfig.of(bridge.cfg, _end_ids(bridge.original_model, name))
        self.tokenizer = tokenizer
        self.step: int | None = None
        self._swapped: frozenset[str] = frozenset()
        self.hook_names: tuple[str, ...] = ()
        self._find_points()
        self._readout_gap = self._measure_readout()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.bridge.original_model.parameters()).device

    @property
    def hash(self) -> str:
        """16 hex digits of the SHA-256 over the weights' names and bytes."""
        return hash_of(self.bridge.original_model)

    def _pass(
        self, tokens: Tensor, real: Tensor, tap: RunTap | None, logits: bool
    ) -> Tensor | None:
        padded = None if bool(real.all()) else real.long()
        with self.hooked(tap):
            options = {} if logits else self._no_logits
            scores = self.bridge(tokens, attention_mask=padded, **options)
        return scores if logits else None

    @cached_property
    def _no_logits(self) -> dict[str, int]:
        """What spares the unembedding: `transformers` can give logits of the last position alone.

        TransformerLens' own `return_type=None` drops them only after they were made.
        """
        spares = "logits_to_keep" in signature(self.bridge.original_model.forward).parameters
        return {"logits_to_keep": 1} if spares else {}

    @contextmanager
    def hooked(self, tap: RunTap | None) -> Iterator[None]:
        """Hold the bridge with the tap's points hooked; everything is undone at the end."""
        with self.lock:
            names = [] if tap is None else [n for n in self.hook_names if tap.wants(n)]
            hooks = list(self._hooks(tap, names))
            with self._gates_open(names), self.bridge.hooks(fwd_hooks=hooks):
                yield

    def _hooks(self, tap: RunTap, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """What each point does; an edited middle stream must reach the skip connection too.

        TransformerLens' `hook_resid_mid` is the input of the second norm alone, so the change is
        added again where the block ends.
        """
        for name in names:
            if short_name(name) == "resid_mid" and name in tap.edits:
                note, add = _carried(self._hook(tap, name))
                yield name, note
                yield SHORT["resid_post"].format(layer_of(name)), add
        edited = {n for n in names if short_name(n) == "resid_mid" and n in tap.edits}
        yield from ((name, self._hook(tap, name)) for name in names if name not in edited)

    def _hook(self, tap: RunTap, name: str) -> Any:
        swapped = name in self._swapped

        def fire(x: Tensor, hook: object) -> Tensor | None:
            ours = x.transpose(1, 2) if swapped else x
            new = tap(name, ours)
            # None leaves the model's own tensor; a gradient must flow through what was cached.
            if new is ours and not tap.grad:
                return None
            return new.transpose(1, 2) if swapped else new

        return fire

    @contextmanager
    def _gates_open(self, names: Sequence[str]) -> Iterator[None]:
        """Turn on what makes the expensive points fire, and off again."""
        gates = {SWITCHES[short] for short in map(short_name, names) if short in SWITCHES}
        closed = [gate for gate in gates if not getattr(self.bridge.cfg, gate)]
        try:
            for gate in closed:
                getattr(self.bridge, f"set_{gate}")(True)
            yield
        finally:
            for gate in closed:
                getattr(self.bridge, f"set_{gate}")(False)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except HookNameError as error:
            lacks = f"{self.cfg.architecture} has {len(self.hook_names)} points"
            raise HookNameError(f"{error} (through TransformerLens, {lacks})") from None

    def unembed(self, resid: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_vocab"]:
        """Final norm, recomputed for what is given, then the unembedding: logits.

        Raises:
            ReadoutError: on this architecture that does not reproduce the model's own logits.
        """
        if not self._readout_gap <= READOUT_TOLERANCE:
            raise ReadoutError(
                f"Norm and unembedding of the last residual stream must give {self.name}'s logits; "
                f"they are off by {self._readout_gap:.2g} of the logits' spread (tolerance "
                f"{READOUT_TOLERANCE:g}): no lens can be read on this architecture."
            )
        with torch.set_grad_enabled(resid.requires_grad and torch.is_grad_enabled()):
            return self._unembed(resid)

    def _unembed(self, resid: Tensor) -> Tensor:
        # Its norms and unembedding are the model's own, and take its format alone.
        kind = next(self.bridge.original_model.parameters()).dtype
        rows = resid.reshape(1, -1, resid.shape[-1]).to(kind)
        with self.lock:
            norm = getattr(self.bridge, "ln_final", None)
            logits = self.bridge.unembed(rows if norm is None else norm(rows))
            logits = self.bridge.adapter.apply_output_logits_transform(logits)
        return logits.reshape(*resid.shape[:-1], -1)

    def _measure_readout(self) -> float:
        last = f"blocks.{self.cfg.n_layers - 1}.hook_resid_post"
        if last not in self.hook_names or getattr(self.bridge, "unembed", None) is None:
            return float("inf")
        run = self.run(self._probe(), cache=[last])
        with torch.no_grad():
            gap = (self._unembed(run[last]) - run.logits).abs().max()
        spread = widened(run.logits).std().clamp_min(1e-12)
        return max(0.0, float(gap) - rounding(run.logits)) / float(spread)

    def weight(self, name: Name) -> Tensor:
        """A weight by TransformerLens' name and layout, as on our own models.

        Raises:
            HookNameError: this architecture has no such weight, or not in that form.
        """
        short, layer = split_name(name)
        places = [self.bridge]
        if layer is not None:
            block = self.bridge.blocks[layer]
            parts = [part for name in ("attn", "mlp") for part in _has(block, name)]
            places = [*parts, block]
        for place in places:
            weight = _at(place, short)
            if weight is not None:
                return weight.detach()
        if short.startswith("b_") and short != "b_U":
            return _no_bias(short, self.weight(("W" + short[1:], layer)))
        raise HookNameError(f"{self.cfg.architecture} has no weight {name!r}.")

    def untrained(self, seed: int = 0) -> "BridgeModel":
        """The same architecture and tokenizer with fresh weights, as `transformers` draws them.

        Raises:
            ConfigError: the bridge does not hold a model of `transformers`.
        """
        original = self.bridge.original_model
        if not hasattr(original, "config") or not hasattr(original, "init_weights"):
            raise ConfigError(
                f"Fresh weights need a model of `transformers`; {self.name} is a "
                f"{type(original).__name__}. Leave this control out."
            )
        name = f"{self.name} (untrained)"
        with torch.random.fork_rng(devices=[]):  # Wrapping a model draws random numbers, too.
            torch.manual_seed(seed)
            fresh = type(original)(copy.deepcopy(original.config))
            fresh = fresh.to(self.device, next(original.parameters()).dtype)
            twin = load_bridge(name, hf_model=fresh, tokenizer=self.bridge.tokenizer)
        twin.tokenizer = self.tokenizer
        return twin

    def _decoder(self, *options: Any) -> "BridgeDecoder":
        return BridgeDecoder(self, *options)

    def _probe(self) -> Int[Tensor, "2 pos"]:
        sizes = (self.cfg.n_heads, self.cfg.n_key_value_heads)
        length = next(n for n in (3, 5, 7) if n not in sizes)
        return torch.arange(2 * length, device=self.device).view(2, -1) % self.cfg.d_vocab

    def _find_points(self) -> None:
        """Run once with every point hooked: those that see (batch, pos, …) are ours to use."""
        tokens = self._probe()
        seen: dict[str, tuple[int, ...]] = {}

        def note(x: Any, hook: Any) -> None:
            if isinstance(x, Tensor) and x.is_floating_point():
                seen.setdefault(hook.name, tuple(x.shape))

        with self.lock, torch.no_grad(), self._all_gates_open():
            points = self.bridge.hook_dict
            closed = [name for name in points if self.bridge._gated_hook_reason(name)]
            wanted = set(points) - set(closed)
            with self.bridge.hooks(fwd_hooks=[(wanted.__contains__, note)]):
                self.bridge(tokens)
            aliases = _aliases(build_alias_to_canonical_map(points))
        length, swapped = tokens.shape[1], []
        names = []
        for canonical, shape in seen.items():
            name = aliases.get(canonical, canonical)
            if not _is_point(name, canonical, shape, length):
                continue
            names.append(name)
            if len(shape) == 4 and shape[1] != length and not name.endswith(KEYED):
                swapped.append(name)
        self.hook_names, self._swapped = tuple(names), frozenset(swapped)

    def _all_gates_open(self) -> Any:
        names = [SHORT[short].format(0) for short in SWITCHES]
        try:
            with self._gates_open(names):
                return self._gates_open(names)
        except (NotImplementedError, ValueError):  # This architecture has none of them.
            return nullcontext()


class BridgeDecoder(Decoder):
    """The next logits of a bridge: with its model's own cache, or by running all anew."""

    past: Any = None

    @torch.no_grad()
    def __call__(self, new: Int[Tensor, "batch new"]) -> Float[Tensor, "batch d_vocab"]:
        self.ids = torch.cat([self.ids, new], 1)
        self.seen = self.ids.shape[1]
        fed = new if self.past is not None else self.ids
        tap = self.tap(fed)
        with self.model.hooked(tap):
            logits, past = self.model.bridge(
                fed,
                return_type="logits_and_cache",
                attention_mask=self.mask[:, : self.seen].long() if self.padded else None,
                past_key_values=self.past,
                use_cache=self.use_cache,
            )
        self.past = past if self.use_cache else None
        return self.checked(logits[:, -1], tap)


def _end_ids(original: Any, name: str) -> tuple[int, ...]:
    """The tokens that end a text, of either config that `transformers` keeps with a model."""
    configs = [getattr(original, kind, None) for kind in ("config", "generation_config")]
    ends = [end_ids({"eos_token_id": getattr(c, "eos_token_id", None)}, name) for c in configs]
    return tuple(dict.fromkeys(chain.from_iterable(ends)))


def _carried(edit: Any) -> tuple[Any, Any]:
    """An edit that keeps its change, and a hook that adds it to a later point."""
    change: list[Tensor] = []

    def note(x: Tensor, hook: object) -> Tensor | None:
        new = edit(x, hook)
        change[:] = [] if new is None else [new - x]
        return new

    def add(x: Tensor, hook: object) -> Tensor | None:
        return x + change.pop() if change else None

    return note, add


KEYED = ("hook_attn_scores", "hook_pattern")
_PASSED_ON = (".hook_in", ".hook_hidden_states", ".hook_cos", ".hook_sin")


def _is_point(name: str, canonical: str, shape: tuple[int, ...], length: int) -> bool:
    if (name == canonical and name.endswith(_PASSED_ON)) or canonical.startswith("unembed."):
        return False
    return len(shape) >= 3 and shape[0] == 2 and length in shape[1:3]


def _aliases(canonical_of: dict[str, str]) -> dict[str, str]:
    """For each canonical name the alias people know, those of `hooks.SHORT` before others."""
    known: dict[str, str] = {}
    for alias, canonical in canonical_of.items():
        if short_name(canonical) not in SHORT and short_name(known.get(canonical, "")) not in SHORT:
            known[canonical] = alias
    return known


def _at(place: Any, path: str) -> Tensor | None:
    """The tensor at a dotted path; `w` and `b` of a norm are its weight and bias."""
    for step in path.split("."):
        attributes = _has(place, {"w": "weight", "b": "bias"}.get(step, step))
        if not attributes:
            return None
        (place,) = attributes
    return place if isinstance(place, Tensor) else None


def _no_bias(short: str, weight: Tensor) -> Tensor:
    heads = weight.ndim == 3 and short != "b_O"
    shape = (weight.shape[0], weight.shape[-1]) if heads else weight.shape[-1:]
    return weight.new_zeros(shape)


def _has(place: Any, name: str) -> list[Any]:
    """The attribute, in a list, if it is there and can be had in TransformerLens' form."""
    try:
        attribute = getattr(place, name)
    except (AttributeError, NotImplementedError, ValueError):
        return []
    return [] if attribute is None else [attribute]
