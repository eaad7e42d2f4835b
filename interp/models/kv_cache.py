"""Keys and values of the columns seen so far, in memory set aside once."""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.models.config import GPTConfig

Columns = Float[Tensor, "batch kv_head pos d_head"]


class KVCache:
    """What attention has already worked out.

    Attributes:
        length: columns stored; the model moves it on once a pass.
    """

    def __init__(self, cfg: GPTConfig, batch: int, capacity: int, like: Tensor) -> None:
        shape = (cfg.n_layers, 2, batch, cfg.n_key_value_heads, capacity, cfg.d_head)
        memory = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.layers = [tuple(layer.unbind()) for layer in memory.unbind()]
        self.length = 0

    def store(self, layer: int, k: Columns, v: Columns) -> tuple[Columns, Columns]:
        """Append the new columns; gives all so far."""
        keys, values = self.layers[layer]
        start, new = self.length, k.shape[2]
        keys.narrow(2, start, new).copy_(k)
        values.narrow(2, start, new).copy_(v)
        return keys.narrow(2, 0, start + new), values.narrow(2, 0, start + new)
