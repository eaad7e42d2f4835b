"""How far our numbers are from those of transformers and of TransformerLens, at most.

    python benchmarks/parity.py [--models 4]

Tiny random models of every family, every parameter drawn, float32, one thread. Each row is the
largest absolute difference over all models, positions and entries, and the largest number compared.
"""

import argparse
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from interp.models.gpt import GPT
from interp.models.io.huggingface import load_huggingface, save_huggingface

LLAMA = dict(num_hidden_layers=3, hidden_size=48, num_attention_heads=4, num_key_value_heads=2)
LLAMA |= dict(intermediate_size=64, vocab_size=61, max_position_embeddings=64)
GPT2 = dict(n_layer=3, n_embd=48, n_head=4, vocab_size=61, n_positions=64)
NO_IDS = dict(bos_token_id=None, eos_token_id=None)


def theirs(family: str, seed: int) -> nn.Module:
    """A tiny random model of transformers."""
    import transformers as hub

    makers = {
        "GPT-2": lambda: hub.GPT2LMHeadModel(hub.GPT2Config(**GPT2, **NO_IDS)),
        "Llama": lambda: hub.LlamaForCausalLM(hub.LlamaConfig(**LLAMA, **NO_IDS)),
        "Qwen 3": lambda: hub.Qwen3ForCausalLM(hub.Qwen3Config(**LLAMA, head_dim=16, **NO_IDS)),
    }
    model, random = makers[family](), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = 1.0 if "norm" in name or "ln_" in name else 0.0
            parameter.copy_(start + 0.15 * torch.randn(parameter.shape, generator=random))
    return model.eval()


def compared(family: str, seed: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What was compared, our tensor and theirs."""
    from interp.models.transformer_lens_bridge import load_bridge

    model = theirs(family, seed)
    tokens = torch.randint(0, 61, (2, 48), generator=torch.Generator().manual_seed(seed))
    expected = model(tokens).logits
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        ours = load_huggingface(folder)
    yield "logits, loaded from transformers", ours.run(tokens).logits, expected
    yield "logits, saved for transformers", reopened(ours)(tokens).logits, expected
    run = ours.run(tokens, cache="all")
    view = ours.as_transformer_lens()
    logits, cache = view.run_with_cache(tokens)
    yield "logits, as_transformer_lens", logits, run.logits
    for name in run.cache:
        yield "activations, as_transformer_lens", cache[name], run[name]
    bridge = load_bridge(family, hf_model=model)
    other = bridge.run(tokens, cache=list(run.cache))
    yield "logits, TransformerBridge", run.logits, other.logits
    for name in run.cache:
        if "attn_scores" not in name:
            yield "activations, TransformerBridge", run[name], other[name]
    yield "unembed(last stream), bridge", bridge.unembed(other["resid_post", -1]), other.logits
    yield "direct logit attribution, sum", *attribution(ours, tokens)


def reopened(ours: GPT) -> nn.Module:
    """Our model, saved and opened by transformers."""
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        return AutoModelForCausalLM.from_pretrained(save_huggingface(ours, Path(folder))).eval()


def attribution(ours: GPT, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Summed direct logit attribution (plus the final norm's bias) and the logit it explains."""
    from transformer_lens.tools.analysis import direct_logit_attribution

    view = ours.as_transformer_lens()
    result = direct_logit_attribution(view, tokens, 7, 3).attribution.sum(0)
    bias = ours.weight("ln_final.b") @ (view.W_U[:, 7] - view.W_U[:, 3])
    logits = ours.run(tokens).logits[:, -1]
    return result + bias, logits[:, 7] - logits[:, 3]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=4, help="random models a family")
    names = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    print("| family | what | largest difference | largest number |\n| --- | --- | --- | --- |")
    for family in ("GPT-2", "Llama", "Qwen 3"):
        worst: dict[str, tuple[float, float]] = {}
        for seed in range(names.models):
            for what, a, b in compared(family, seed):
                finite = a.isfinite() & b.isfinite()
                gap, size = (a - b)[finite].abs().max().item(), b[finite].abs().max().item()
                before = worst.get(what, (0.0, 0.0))
                worst[what] = (max(before[0], gap), max(before[1], size))
        for what, (gap, size) in worst.items():
            print(f"| {family} | {what} | {gap:.1e} | {size:.1f} |", flush=True)


if __name__ == "__main__":
    main()
