"""Embeddings of words in two dimensions, turned so that neighbouring checkpoints agree."""

import torch
from jaxtyping import Float
from torch import Tensor


def principal_plane(
    vectors: Float[Tensor, "word d_model"],
) -> tuple[Float[Tensor, "word 2"], float]:
    """The words on the two directions in which they differ most, and their share of the variance.

    Source:
        Pearson 1901 (principal components).
    """
    centred = (vectors - vectors.mean(0)).double()
    # centred = U S V': the coordinates along the main directions V are centred @ V = U S, and the
    # squares of S are the variances (times the number of words) along them.
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * sizes[:2]
    if points.shape[1] < 2:
        points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    total = float((sizes**2).sum())
    return points, float((sizes[:2] ** 2).sum()) / total if total > 0 else 0.0


def procrustes(
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
        >>> torch.allclose(procrustes(square @ quarter, square), square.double(), atol=1e-6)
        True
    """
    # |points @ R - like|^2 = const - 2 tr(R' points' like). With points' like = U S V' the trace is
    # tr(S (V' R' U)): V' R' U is orthogonal, so no entry of its diagonal exceeds 1, and R = U V'
    # reaches 1 in all of them. Nothing keeps det R = 1, hence mirroring is allowed.
    left, _, right = torch.linalg.svd(points.double().T @ like.double())
    return points.double() @ left @ right
