"""Write the table of families in docs/models.md: `python docs/model_families.py`.

One small random model a family is saved by `transformers` and opened every way in, in every dtype;
a cell says what was equal: logits within 1e-4 of the largest in float32 and float64 (8 times the
dtype's own step in the others), and the same greedy tokens in float32. `tests/reference` checks
that the page is what comes out. `–` = transformers itself does not run in that dtype.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from einops import rearrange

from interp.core.errors import InterpError
from interp.models.io.load import load_model
from interp.models.transformer_lens_bridge import load_bridge

PAGE = Path(__file__).with_name("models.md")
BEGIN, END = "<!-- families: made by docs/model_families.py -->", "<!-- families end -->"
SIZES = dict(num_hidden_layers=2, hidden_size=32, num_attention_heads=4, vocab_size=61)
SIZES |= dict(max_position_embeddings=64, intermediate_size=48, tie_word_embeddings=False)
SIZES |= dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
GROUPED = dict(num_key_value_heads=2, head_dim=8)
EXPERTS = dict(num_local_experts=4, num_experts_per_tok=2)
FAMILIES: dict[str, dict[str, Any]] = {
    "GPT2LMHeadModel": dict(tie_word_embeddings=True),
    "LlamaForCausalLM": GROUPED,
    "Qwen3ForCausalLM": GROUPED,
    "BloomForCausalLM": dict(n_layer=2, n_head=4, tie_word_embeddings=True),
    "CohereForCausalLM": GROUPED | dict(tie_word_embeddings=True),
    "FalconForCausalLM": dict(alibi=False, multi_query=True, ffn_hidden_size=48),
    "GemmaForCausalLM": GROUPED | dict(tie_word_embeddings=True),
    "Gemma2ForCausalLM": GROUPED | dict(tie_word_embeddings=True, sliding_window=8),
    "Gemma3ForCausalLM": GROUPED | dict(tie_word_embeddings=True, sliding_window=8),
    "GPTJForCausalLM": dict(n_layer=2, n_head=4, n_embd=32, n_positions=64, rotary_dim=4),
    "GPTNeoForCausalLM": dict(
        attention_types=[[["global", "local"], 1]], num_heads=4, window_size=8
    ),
    "GPTNeoXForCausalLM": {},
    "GraniteForCausalLM": GROUPED | dict(logits_scaling=2.0, residual_multiplier=0.5),
    "MistralForCausalLM": GROUPED | dict(sliding_window=8),
    "MixtralForCausalLM": GROUPED | EXPERTS,
    "OlmoForCausalLM": GROUPED,
    "Olmo2ForCausalLM": GROUPED,
    "OPTForCausalLM": dict(ffn_dim=48, word_embed_proj_dim=32, tie_word_embeddings=True),
    "PhiForCausalLM": dict(partial_rotary_factor=0.5),
    "Phi3ForCausalLM": GROUPED,
    "Qwen2ForCausalLM": GROUPED,
    "Qwen2MoeForCausalLM": GROUPED | dict(moe_intermediate_size=16, num_experts=4),
    "SmolLM3ForCausalLM": GROUPED,
    "StableLmForCausalLM": dict(num_key_value_heads=2),
}
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
GGUF = {"GPT2LMHeadModel": "GPT2", "LlamaForCausalLM": "LLAMA", "Qwen3ForCausalLM": "QWEN3"}
ROWS = torch.randint(0, 61, (2, 20), generator=torch.Generator().manual_seed(1))


def built(family: str, **changes: Any) -> Any:
    """A random model of transformers, every parameter drawn so that each part matters."""
    model_class = getattr(transformers, family)
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**SIZES | FAMILIES[family] | changes))
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
            parameter.copy_(start + 0.15 * torch.randn(parameter.shape, generator=random))
    return model.eval()


@torch.no_grad()
def gap(ours: Any, theirs: Any) -> float:
    """The largest difference of logits, as a share of the largest logit."""
    expected = theirs(ROWS, return_dict=True).logits.double()
    return float((ours.run(ROWS).logits.double() - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def continuation(theirs: Any, length: int = 8) -> list[int]:
    """The greedy tokens of transformers behind the first row."""
    ids = ROWS[:1]
    for _ in range(length):
        ids = torch.cat([ids, theirs(ids).logits[:, -1:].argmax(-1)], 1)
    return ids[0, ROWS.shape[1] :].tolist()


def bound(dtype: torch.dtype) -> float:
    """How far logits may be off, as a share of the largest."""
    return max(1e-4, 8 * torch.finfo(dtype).eps)


def verdict(family: str, open_it: Any, theirs: Any, dtype: torch.dtype) -> str:
    """`equal`, or what is not; `–` where transformers itself does not run."""
    try:
        theirs(ROWS)
    except RuntimeError:  # transformers has experts in no double precision
        return "–"
    try:
        ours = open_it(dtype)
    except InterpError as error:
        return f"refused: {error}"
    distance = gap(ours, theirs)
    if not distance <= bound(dtype):
        return f"off by {distance:.0e}"
    if dtype is torch.float32:
        made = ours.generate(ROWS[0].tolist(), temperature=0.0, max_new_tokens=8).tokens[0]
        if made != continuation(theirs):
            return "other tokens"
    return "equal"


def rows(family: str, dtypes: dict[str, torch.dtype] = DTYPES) -> Iterator[str]:
    """The family's rows of the table, one a way in."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        built(family).save_pretrained(folder)
        ways = {"folder": lambda dtype: load_model(folder, device="cpu", dtype=dtype)}
        if family in GGUF:
            file = write_gguf(built(family), Path(place) / "model.gguf")
            ways["GGUF"] = lambda dtype: load_model(file, device="cpu", dtype=dtype)
            ways["bridge"] = lambda dtype: load_bridge(str(folder), dtype=dtype)
        for way, open_it in ways.items():
            own = "interp's own" if family in GGUF and way != "bridge" else "TransformerLens"
            cells = []
            for dtype in dtypes.values():
                theirs = type(built(family)).from_pretrained(folder, dtype=dtype).eval()
                theirs.set_attn_implementation("eager")
                cells.append(verdict(family, open_it, theirs, dtype))
            yield f"| `{family}` | {way} | {own} | {' | '.join(cells)} |"


def write_gguf(theirs: Any, path: Path, *, keys: Any = (), tensors: Any = (), **words: Any) -> Path:
    """A GGUF file of a Llama, Qwen 3 or GPT-2 model, as llama.cpp's converter writes it.

    Args:
        keys: settings added or replaced, by their names without the architecture.
        tensors: tensors added or replaced, by their names in the file.
        words: settings of the tokenizer, by their names without `tokenizer.ggml.`.
    """
    import gguf

    cfg, family = theirs.config, theirs.config.model_type
    settings = {"block_count": cfg.num_hidden_layers, "embedding_length": cfg.hidden_size}
    settings |= {"context_length": cfg.max_position_embeddings}
    settings |= {"attention.head_count": cfg.num_attention_heads}
    if family == "gpt2":
        settings |= {"feed_forward_length": cfg.n_inner or 4 * cfg.n_embd}
        settings |= {"attention.layer_norm_epsilon": cfg.layer_norm_epsilon}
    else:
        settings |= {"feed_forward_length": cfg.intermediate_size}
        settings |= {"attention.head_count_kv": cfg.num_key_value_heads}
        settings |= {"attention.layer_norm_rms_epsilon": cfg.rms_norm_eps}
        settings |= {"attention.key_length": cfg.head_dim, "attention.value_length": cfg.head_dim}
        settings |= {"rope.freq_base": float(cfg.rope_parameters["rope_theta"])}
        settings |= {"rope.dimension_count": cfg.head_dim, "vocab_size": cfg.vocab_size}
    writer = gguf.GGUFWriter(path, family)
    given = {f"{family}.{name}": value for name, value in (settings | dict(keys)).items()}
    for name, value in (given | {f"tokenizer.ggml.{k}": v for k, v in words.items()}).items():
        kind = {bool: "bool", str: "string", float: "float32", list: "array"}.get(type(value))
        getattr(writer, f"add_{kind or 'uint32'}")(name, value)
    architecture = getattr(gguf.MODEL_ARCH, family.upper())
    names = gguf.get_tensor_name_map(architecture, cfg.num_hidden_layers)
    arrays = {}
    for name, parameter in theirs.state_dict().items():
        if name == "lm_head.weight" and cfg.tie_word_embeddings:
            continue
        weight = parameter.float().numpy()
        if family == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = cfg.num_attention_heads if "q_proj" in name else cfg.num_key_value_heads
            order = "(head two pair) ... -> (head pair two) ..."
            weight = rearrange(weight, order, head=heads, two=2)
        if family == "gpt2" and weight.ndim == 2 and ".c_" in name:
            weight = weight.T
        arrays[names.get_name(name, try_suffixes=(".weight", ".bias"))] = weight
    for name, array in (arrays | dict(tensors)).items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def table(lines: list[str]) -> str:
    """The table of the rows, as the page has it."""
    head = f"| class of `transformers` | way in | opened as | {' | '.join(DTYPES)} |"
    return "\n".join([head, "| --- " * (3 + len(DTYPES)) + "|", *lines])


def page_table(page: str) -> str:
    """The table that the page holds."""
    return page.split(BEGIN)[1].split(END)[0].strip()


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    made = table([row for family in FAMILIES for row in rows(family)])
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", "utf-8")
