"""Every parameter is trained by exactly one optimizer, and its buffers come back as they were."""

import pytest
import torch

from interp.core.errors import CheckpointError
from interp.models.gpt import GPT
from interp.models.io.presets import PRESETS, get_preset
from interp.training.loop.objective import Objective
from interp.training.loop.optimizers import build_optimizers, parameter_groups
from tests.training.tiny_run import tiny_config

SMALL = [name for name in PRESETS if name != "gpt2-small"]


@pytest.mark.parametrize("preset", SMALL)
def test_groups_are_a_partition(preset):
    model = GPT(get_preset(preset))
    groups = parameter_groups(model)
    names = [name for group in groups.values() for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert all(p.ndim == 2 and "blocks." in name for name, p in groups["hidden"].items())
    assert "embed.weight" in groups["embed"]
    assert ("head.weight" in groups["head"]) != model.cfg.tied
    assert all(p.ndim < 2 for p in groups["scalar"].values())


def test_frozen_parameters_are_left_out():
    model = GPT(get_preset("llama-tiny"))
    model.embed.weight.requires_grad_(False)
    names = [name for group in parameter_groups(model).values() for name in group]
    assert "embed.weight" not in names and len(names) == len(list(model.parameters())) - 1


def _trained(optimizer, steps):
    config = tiny_config(optimizer=optimizer, dropout=0.0)
    model = GPT(config.model)
    optimizers = build_optimizers(model, config)
    _go_on(model, optimizers, range(steps))
    return config, model, optimizers


def _go_on(model, optimizers, steps):
    for step in steps:
        torch.manual_seed(step)
        tokens = torch.randint(model.cfg.d_vocab, (4, 17))
        Objective(model)(tokens, torch.ones(4, 17))[0].backward()
        optimizers.step(step)
        model.zero_grad()


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("before", [0, 3])
def test_buffers_come_back_to_the_bit(optimizer, before):
    config, model, optimizers = _trained(optimizer, before)
    twin = GPT(config.model)
    twin.load_state_dict(model.state_dict())
    others = build_optimizers(twin, config)
    others.load_tensors(optimizers.tensors())
    for one, its in ((model, optimizers), (twin, others)):
        _go_on(one, its, range(before, before + 3))
    for left, right in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(left, right)


def test_adamw_alone_is_torchs_own():
    config, model, _ = _trained("adamw", 0)
    twin = GPT(config.model)
    twin.load_state_dict(model.state_dict())
    reference = torch.optim.AdamW(
        twin.parameters(), lr=config.adamw_lr, betas=config.betas, weight_decay=0.0
    )
    optimizers = build_optimizers(model, config)
    for step in range(config.warmup_steps - 1, config.warmup_steps + 1):
        torch.manual_seed(step)
        for left, right in zip(model.parameters(), twin.parameters(), strict=True):
            left.grad = torch.randn_like(left)
            right.grad = left.grad.clone()
        optimizers.step(step)
        reference.step()
    for left, right in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-5)


def test_foreign_buffers_are_refused():
    _, _, optimizers = _trained("muon", 2)
    tensors = optimizers.tensors()
    missing = dict(list(tensors.items())[1:])
    with pytest.raises(CheckpointError, match="missing or foreign"):
        optimizers.load_tensors(missing)
    name = next(name for name in tensors if name.startswith("adamw.exp_avg."))
    with pytest.raises(CheckpointError, match="shape"):
        optimizers.load_tensors(tensors | {name: torch.zeros(3)})
