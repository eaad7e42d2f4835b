"""Intervals cover what they promise; known values come out."""

import math

import pytest
import torch

from interp.core.errors import NotEnoughDataError, ShapeError
from interp.core.statistics.association import auroc, spearman
from interp.core.statistics.intervals import (
    Interval,
    bootstrap,
    bootstrap_mean,
    clopper_pearson,
    group_draws,
    mean_interval,
    paired_difference,
    rate,
)
from interp.core.statistics.rank_agreement import bootstrap_weights
from interp.core.statistics.significance import (
    holm,
    permutation_p,
    rank_sum_p,
    sign_flip_p,
    smallest_rank_sum_p,
)


def clustered(seed: int, n_groups: int = 40, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Zero-mean values whose groups share a shift: tokens are not independent, stories are."""
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randn(n_groups, 1, generator=generator)
    values = shift + 0.5 * torch.randn(n_groups, size, generator=generator)
    return values.flatten(), torch.arange(n_groups).repeat_interleave(size)


def covered(intervals: list[Interval], truth: float) -> float:
    return sum(truth in interval for interval in intervals) / len(intervals)


def test_the_cluster_bootstrap_covers_and_the_naive_one_does_not() -> None:
    samples = [clustered(seed) for seed in range(400)]
    by_story = [bootstrap_mean(v, g, seed=1, n_boot=400) for v, g in samples]
    by_token = [bootstrap_mean(v, seed=1, n_boot=400) for v, _ in samples[:100]]
    assert 0.91 <= covered(by_story, 0.0) <= 0.98
    assert covered(by_token, 0.0) < 0.75


def test_the_general_bootstrap_equals_the_fast_mean() -> None:
    values, groups = clustered(3)
    slow = bootstrap(lambda w: w @ values.double() / w.sum(1), len(values), groups, chunk=5_000)
    fast = bootstrap_mean(values, groups)
    assert slow.n == fast.n == 40
    for end in ("value", "low", "high"):
        assert getattr(slow, end) == pytest.approx(getattr(fast, end), abs=1e-9)


def test_nan_values_are_left_out() -> None:
    assert bootstrap_mean([1.0, float("nan"), 3.0, 2.0]).value == 2.0
    assert math.isnan(bootstrap_mean([float("nan")] * 3).low)


def test_a_rate_of_one_is_not_certainty() -> None:
    perfect = rate([True] * 30)
    assert perfect.value == perfect.high == 1.0
    assert perfect.low == pytest.approx(0.025 ** (1 / 30))
    assert rate([False] * 30).high == pytest.approx(1 - 0.025 ** (1 / 30))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(8, 10, 0.4439, 0.9748), (1, 20, 0.0013, 0.2487), (50, 100, 0.3983, 0.6017)],
)
def test_clopper_pearson_known_values(successes: int, n: int, low: float, high: float) -> None:
    interval = clopper_pearson(successes, n)
    assert interval.low == pytest.approx(low, abs=1e-4)
    assert interval.high == pytest.approx(high, abs=1e-4)


def test_clopper_pearson_covers_at_least_its_level() -> None:
    flags = torch.rand(500, 25, generator=torch.Generator().manual_seed(0)) < 0.3
    hits = [0.3 in clopper_pearson(int(row.sum()), 25) for row in flags]
    assert sum(hits) / 500 >= 0.95


def test_spearman_agrees_with_scipy_and_covers() -> None:
    from scipy.stats import spearmanr

    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 6, (60,), generator=generator).double()
    y = x + 2 * torch.randn(60, generator=generator).round()
    assert spearman(x, y).value == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    noise = [torch.randn(2, 40, generator=generator) for _ in range(200)]
    assert 0.90 <= covered([spearman(a, b, n_boot=300) for a, b in noise], 0.0) <= 0.99


def test_auroc_agrees_with_sklearn_and_has_an_interval() -> None:
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(1)
    positive = torch.rand(80, generator=generator) < 0.4
    scores = (torch.randn(80, generator=generator) + positive).round(decimals=1)
    interval = auroc(scores, positive)
    assert interval.value == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert interval.low < interval.value < interval.high
    with pytest.raises(NotEnoughDataError, match="one kind is missing"):
        auroc(scores, torch.ones(80))


def test_permutation_tests_are_uniform_under_the_null_and_small_under_an_effect() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = [torch.randn(2, 20, generator=generator) for _ in range(150)]
    for test in (sign_flip_p, permutation_p):
        p_values = [test(a, b, n_permutations=199) for a, b in pairs]
        assert 0.01 <= sum(p <= 0.05 for p in p_values) / len(p_values) <= 0.12
        assert test(pairs[0][0] + 3, pairs[0][1], n_permutations=999) == 0.001


def test_few_values_are_permuted_exactly_as_scipy_does() -> None:
    from scipy import stats

    generator = torch.Generator().manual_seed(2)
    for sizes in ((4, 4), (3, 6)):
        first, second = (torch.randn(n, generator=generator).double() for n in sizes)
        exact = stats.mannwhitneyu(first, second, method="exact").pvalue
        assert rank_sum_p(first, second) == pytest.approx(exact)
        for a, b in ((first, second), (first.round(), second.round())):
            theirs = stats.permutation_test(
                (a, b), lambda x, y: abs(x.mean() - y.mean()), alternative="greater"
            )
            assert permutation_p(a, b) == pytest.approx(theirs.pvalue)
    assert rank_sum_p([1.0, 2.0, 3.0], [4.0, 5.0, math.inf]) == smallest_rank_sum_p(3, 3) == 0.1
    for unknown in ([], [1.0, math.nan]):
        for test in (permutation_p, rank_sum_p):
            with pytest.raises(NotEnoughDataError, match="none may be nan"):
                test(unknown, [1.0, 2.0])


def test_a_paired_difference_is_narrower_than_unpaired_noise() -> None:
    base = torch.randn(50, generator=torch.Generator().manual_seed(0)) * 10
    gap = paired_difference(base + 0.5, base)
    assert gap.value == pytest.approx(0.5, abs=1e-5)
    assert gap.high - gap.low < 0.01
    with pytest.raises(ShapeError, match="50 and 49"):
        paired_difference(base, base[1:])


def test_holm_known_values_and_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_group_cannot_be_resampled() -> None:
    with pytest.raises(NotEnoughDataError, match="two groups"):
        bootstrap_mean([1.0, 2.0], ["a", "a"])
    with pytest.raises(ShapeError, match="2 examples, 1 groups"):
        bootstrap_mean([1.0, 2.0], ["a"])


def test_a_mean_without_spread_has_no_ends() -> None:
    assert mean_interval([1.0, 2.0, 4.0], seed=3) == bootstrap_mean([1.0, 2.0, 4.0], seed=3)
    for values, groups, n in (([3.0], None, 1), ([2.0, 4.0], ["a", "a"], 1), ([], None, 0)):
        alone = mean_interval(values, groups)
        assert alone.n == n and math.isnan(alone.low) and math.isnan(alone.high)
        assert alone.value == 3.0 if n else math.isnan(alone.value)
    with pytest.raises(ShapeError, match="2 examples, 1 groups"):
        mean_interval([1.0, 2.0], ["a"])


def test_the_draws_of_all_intervals_are_the_same_ones() -> None:
    weights = bootstrap_weights(5, 20, seed=4)
    assert torch.equal(weights[0], torch.ones(5, dtype=torch.float64))
    assert torch.equal(weights[1:], group_draws(5, 20, seed=4))
    assert (weights.sum(1) == 5).all()


def test_intervals_know_when_they_are_apart() -> None:
    low, high = (Interval(value=v, low=v - 0.1, high=v + 0.1, n=9) for v in (0.2, 0.5))
    assert high.above(low) and not low.above(high) and not high.above(high)
