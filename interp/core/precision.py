"""Numbers of low precision: where they are widened, and how far off they leave a reading."""

import torch
from torch import Tensor


def widened(values: Tensor) -> Tensor:
    """The values in single precision or better; double keeps its own.

    Squares, sums over many values and exponentials of half precision are worked out in it: the
    square of 256 is beyond float16, and a sum in bfloat16 has three digits.

    Example:
        >>> widened(torch.tensor([300.0], dtype=torch.float16)).square()
        tensor([90000.])
    """
    return values if values.dtype == torch.float64 else values.float()


def rounding(values: Tensor) -> float:
    """How far off two ways of working out the same values may be, by their rounding alone.

    Two units in the last place of the largest: `torch.finfo(dtype).eps` is one, as a share.

    Example:
        >>> rounding(torch.tensor([16.0, -2.0], dtype=torch.bfloat16))
        0.25
    """
    return 2 * torch.finfo(values.dtype).eps * float(values.abs().max())
