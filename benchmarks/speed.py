"""Speed and memory of our model beside a plain PyTorch one, TransformerLens and transformers.

    python benchmarks/speed.py [--rounds 7] [--only training cache generation memory]

Everything runs in one process with one thread; contestants take turns within a round, and what is
reported is the median over rounds of the ratio of CPU times within the round, so that a busy
machine disturbs all alike.
"""

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.models.config import GPTConfig
from interp.models.gpt import GPT

SHAPE = dict(n_layers=4, d_model=256, n_heads=4, d_vocab=2048, n_ctx=128)
TINY = dict(n_layers=2, d_model=64, n_heads=4, d_vocab=512, n_ctx=128)
Row = tuple[str, float, str, bool]


class PlainBlock(nn.Module):
    """A layer of GPT-2 as one would write it: fused attention, no hook points."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.ln1, self.ln2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv, self.out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.up, self.down = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        batch, pos, width = x.shape
        parts = self.qkv(self.ln1(x)).view(batch, pos, 3, self.n_heads, -1).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in parts)
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(z.transpose(1, 2).reshape(batch, pos, width))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class Plain(nn.Module):
    """GPT-2 in forty lines: what our model is measured against."""

    def __init__(self, n_layers: int, d_model: int, n_heads: int, d_vocab: int, n_ctx: int) -> None:
        super().__init__()
        self.embed, self.pos = nn.Embedding(d_vocab, d_model), nn.Embedding(n_ctx, d_model)
        self.blocks = nn.ModuleList(PlainBlock(d_model, n_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, d_vocab, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.pos(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def ours(shape: dict[str, int], **changes: object) -> GPT:
    """Our model of the shape, with a head of its own as the others have."""
    return GPT(GPTConfig(**shape, **{"tied": False} | changes))


def native(shape: dict[str, int]) -> nn.Module:
    """TransformerLens' own trainable model."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    config = TransformerBridgeConfig(
        **shape,
        d_head=shape["d_model"] // shape["n_heads"],
        d_mlp=4 * shape["d_model"],
        act_fn="gelu_new",
        normalization_type="LN",
        positional_embedding_type="standard",
        architecture="TransformerLensNative",
        device="cpu",
    )
    return TransformerBridge.boot_native(config)


def transformers_gpt2(shape: dict[str, int]) -> nn.Module:
    """GPT-2 of transformers."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=shape["n_layers"],
        n_embd=shape["d_model"],
        n_head=shape["n_heads"],
        vocab_size=shape["d_vocab"],
        n_positions=shape["n_ctx"],
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config).eval()


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def race(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each contestant in each round, after one round to warm up."""
    for work in contestants.values():
        work()
    names = list(contestants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            times[name].append(cpu_seconds(contestants[name]))
    return times


def ratio(times: dict[str, list[float]], name: str, other: str) -> float:
    """Median over rounds of `name`'s time as a share of `other`'s."""
    return statistics.median(a / b for a, b in zip(times[name], times[other], strict=True))


def step(loss: Callable[[], Tensor], model: nn.Module) -> Callable[[], None]:
    """One training step: forward and loss as the contestant does it, backward, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    model.train()

    def work() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return work


def plain_loss(model: Plain, tokens: Tensor) -> Tensor:
    """Mean nats of each next token."""
    return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def training(rounds: int) -> list[Row]:
    rows: list[Row] = []
    for label, shape, batch, length in (("256 wide", SHAPE, 32, 128), ("64 wide", TINY, 16, 64)):
        tokens = torch.randint(0, shape["d_vocab"], (batch, length))
        mine, simple, theirs = ours(shape), Plain(**shape), native(shape)
        contestants = {
            "ours": step(partial(mine.loss, tokens), mine),
            "plain": step(partial(plain_loss, simple, tokens), simple),
            "native": step(partial(theirs, tokens, return_type="loss"), theirs),
        }
        times = race(contestants, rounds)
        plain, against = ratio(times, "ours", "plain"), ratio(times, "ours", "native")
        rows.append((f"training step / plain PyTorch ({label})", plain, "<= 1.05", plain <= 1.05))
        rows.append((f"training step / boot_native ({label})", against, "<= 0.85", against <= 0.85))
    return rows


@torch.no_grad()
def cache(rounds: int) -> list[Row]:
    rows: list[Row] = []
    for label, shape in (("256 wide", SHAPE), ("64 wide", TINY)):
        mine, theirs = ours(shape).eval(), native(shape).eval()
        for length in (16, 128):
            tokens = torch.randint(0, shape["d_vocab"], (1, length))
            contestants = {
                "ours": lambda m=mine, t=tokens: [m.run(t, cache="all") for _ in range(5)],
                "theirs": lambda m=theirs, t=tokens: [m.run_with_cache(t) for _ in range(5)],
            }
            seconds = ratio(race(contestants, rounds), "ours", "theirs")
            name = f"run(cache='all') / run_with_cache ({label}, {length} tokens)"
            rows.append((name, seconds, "<= 0.80", seconds <= 0.8))
    return rows


def generation(rounds: int, new: int = 96) -> list[Row]:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    mine, hub = ours(SHAPE).eval(), transformers_gpt2(SHAPE)
    wrapped = transformers_gpt2(SHAPE)
    wrapped.set_attn_implementation("eager")
    bridge = build_bridge_from_module(wrapped, "GPT2LMHeadModel", hf_config=wrapped.config)
    prompt = torch.randint(0, SHAPE["d_vocab"], (1, 16))
    mask = torch.ones_like(prompt)
    quiet = dict(verbose=False, stop_at_eos=False, return_type="tokens")
    contestants = {
        "ours": lambda: mine.generate(prompt, temperature=0.0, max_new_tokens=new),
        "transformers": lambda: hub.generate(
            prompt, attention_mask=mask, do_sample=False, max_new_tokens=new, pad_token_id=0
        ),
        "bridge": lambda: bridge.generate(prompt, max_new_tokens=new, do_sample=False, **quiet),
    }
    times = race(contestants, rounds)
    hub_speed, bridge_speed = (ratio(times, name, "ours") for name in ("transformers", "bridge"))
    return [
        ("greedy tokens a second, × transformers' GPT-2", hub_speed, ">= 1.4", hub_speed >= 1.4),
        ("greedy tokens a second, × the GPT-2 bridge", bridge_speed, ">= 3", bridge_speed >= 3),
    ]


def saved_bytes(model: nn.Module, tokens: Tensor) -> int:
    """Bytes that autograd keeps for the backward pass, each storage once, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        key = tensor.untyped_storage().data_ptr()
        if key not in weights:
            sizes[key] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model.train()(tokens)[:, :-1].flatten(0, 1)
        loss = F.cross_entropy(logits, tokens[:, 1:].flatten())
    total = sum(tensor.untyped_storage().nbytes() for tensor in sizes.values())
    del loss
    return total


def memory(_: int) -> list[Row]:
    rows: list[Row] = []
    tokens = torch.randint(0, SHAPE["d_vocab"], (8, 128))
    plain = saved_bytes(Plain(**SHAPE), tokens)
    for name, model in (("ours", ours(SHAPE)), ("boot_native", native(SHAPE))):
        peaks = saved_bytes(model, tokens) / plain
        cases = ("<= 1.02", peaks <= 1.02) if name == "ours" else ("", True)
        rows.append((f"activations saved for backward, {name} / plain", peaks, *cases))
    return rows


PARTS = {"training": training, "cache": cache, "generation": generation, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    names = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    print("| what | ratio | target | met |\n| --- | --- | --- | --- |", flush=True)
    for part in names.only:
        for name, rows, target, met in PARTS[part](names.rounds):
            print(f"| {name} | {rows:.2f} | {target} | {'yes' if met else 'no'} |", flush=True)


if __name__ == "__main__":
    main()
