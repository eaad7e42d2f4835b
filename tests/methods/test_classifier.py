"""The batched classifiers equal their references and respect their tasks' independence."""

import pytest
import torch

from interp.methods.probes.classifier import fit_linear, fit_mlp


def clouds(n: int = 300, d: int = 12, classes: int = 4, seed: int = 0, spread: float = 1.5):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=generator)
    centres = torch.randn(classes, d, generator=generator)
    x = centres[labels] + spread * torch.randn(n, d, generator=generator)
    return x * torch.logspace(-2, 2, d) + 5, labels


@pytest.mark.parametrize(("n", "d"), [(300, 12), (40, 60)])
def test_the_linear_fit_equals_scikit_learn(n: int, d: int) -> None:
    from sklearn.linear_model import LogisticRegression

    x, labels = clouds(n, d)
    ours = fit_linear(x, labels[None], 4, tolerance=1e-6, max_steps=5000)
    mean, deviation = x.mean(0), x.std(0, correction=0)
    theirs = LogisticRegression(C=1 / (n * 0.01), tol=1e-8, max_iter=5000)
    theirs.fit(((x - mean) / deviation).double().numpy(), labels.numpy())
    weight = ours.weight[0] * deviation
    expected = torch.tensor(theirs.coef_).float()
    torch.testing.assert_close(weight, expected, atol=2e-3, rtol=2e-3)


def test_tasks_do_not_disturb_each_other() -> None:
    x, labels = clouds()
    other = labels[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    alone = fit_linear(x, labels[None], 4, tolerance=1e-6, max_steps=5000)
    together = fit_linear(x, torch.stack([other, labels]), 4, tolerance=1e-6, max_steps=5000)
    torch.testing.assert_close(together.weight[1], alone.weight[0], atol=1e-3, rtol=1e-3)


def test_separable_rows_are_separated_and_constant_columns_do_no_harm() -> None:
    x, labels = clouds(spread=0.05)
    x = torch.cat([x, torch.full((300, 1), 7.0)], 1)
    fitted = fit_linear(x, labels[None], 4)
    assert bool((fitted.predict(x)[0] == labels).all())
    assert bool(fitted.weight.isfinite().all())


def test_an_mlp_finds_what_no_line_can() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(800, 2, generator=generator)
    labels = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).long()
    train, test = slice(0, 600), slice(600, 800)
    linear = fit_linear(x[train], labels[None, train], 2).predict(x[test])[0]
    mlp = fit_mlp(x[train], labels[None, train], 2).predict(x[test])[0]
    assert (linear == labels[test]).float().mean() < 0.65
    assert (mlp == labels[test]).float().mean() > 0.93


def test_the_mlp_repeats_with_its_seed() -> None:
    x, labels = clouds()
    first, again, other = (fit_mlp(x, labels[None], 4, seed=s).parameters[0] for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
