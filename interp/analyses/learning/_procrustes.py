"""Embeddings of words in two dimensions, turned so that neighbouring checkpoints agree."""

import torch
from jaxtyping import Float
from torch import Tensor


def plane(
    vectors: Float[Tensor, "word d_model"],
) -> tuple[Float[Tensor, "word 2"], float]:
    """The two directions in which the words differ most, and their share of the variance.

    Source:
        Pearson 1901 (principal components).
    """
    centred = (vectors - vectors.mean(0)).double()
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * sizes[:2]
    if points.shape[1] < 2:
        points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    total = float((sizes**2).sum())
    return points, float((sizes[:2] ** 2).sum()) / total if total > 0 else 0.0


def turned(
    points: Float[Tensor, "word 2"], like: Float[Tensor, "word 2"]
) -> Float[Tensor, "word 2"]:
    """The points turned or mirrored about their centre, never stretched, to lie nearest `like`.

    In two dimensions on purpose: with fewer words than dimensions a rotation of the whole space
    would carry any points onto any others, and show order where there is none.

    Source:
        Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    Example:
        >>> square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1.5]])
        >>> quarter = torch.tensor([[0.0, 1], [-1, 0]])
        >>> torch.allclose(turned(square @ quarter, square), square.double(), atol=1e-6)
        True
    """
    left, _, right = torch.linalg.svd(points.double().T @ like.double())
    return points.double() @ left @ right
