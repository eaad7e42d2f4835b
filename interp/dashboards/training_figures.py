"""The curves of a run while it learns."""

import plotly.graph_objects as go

from interp.dashboards.training_log import TrainingLog, grouped
from interp.plots.theme import add_level, add_line, new_figure

LOW, HIGH = 190, 400


def loss_figure(log: TrainingLog, *, log_x: bool) -> go.Figure:
    """Training and held-out loss, between guessing and the least that any model could have."""
    figure = new_figure(x_title="step", y_title="loss (nats/token)", height=HIGH)
    steps, losses = log.curve("loss_nats_per_token", log_x=log_x)
    add_line(figure, steps, losses, name="training", color=0, markers=False)
    found = [r for r in log.evaluations if r["step"] > 0 or not log_x]
    held_out = [r["loss_nats_per_token"] for r in found]
    add_line(figure, [r["step"] for r in found], held_out, name="held-out", color=1)
    for name, value in log.levels.items():
        add_level(figure, value, name=name)
    figure.update_yaxes(rangemode="tozero")
    return _on_steps(figure, log, log_x)


def small_figures(log: TrainingLog, *, log_x: bool) -> dict[str, go.Figure]:
    """Learning rate, gradient norm and speed, by their names."""
    steps, scale = log.curve("learning_rate_scale", log_x=log_x)
    muon = log.recipe.get("optimizer", "muon") == "muon"
    rate = log.recipe.get("muon_lr" if muon else "adamw_lr", 1.0)
    curves = {
        "learning rate": (steps, scale * rate),
        "gradient norm": log.curve("grad_norm", log_x=log_x),
        "tokens/s": grouped(log.speed, "tokens_per_second", log_x),
    }
    return {name: _small(name, *curve, log, log_x) for name, curve in curves.items()}


def _small(name: str, steps: object, values: object, log: TrainingLog, log_x: bool) -> go.Figure:
    figure = new_figure(x_title="step", y_title=name, height=LOW)
    add_line(figure, steps, values, name=name, markers=False, legend=False)
    figure.update_layout(margin={"l": 56, "r": 12, "t": 8, "b": 44}).update_yaxes(
        rangemode="tozero"
    )
    return _on_steps(figure, log, log_x)


def _on_steps(figure: go.Figure, log: TrainingLog, log_x: bool) -> go.Figure:
    """Its steps on a linear or logarithmic axis; a reader's zoom outlives the next reading."""
    figure.update_layout(uirevision=f"{log_x}")
    return figure.update_xaxes(type="log" if log_x else "linear", dtick=1 if log_x else None)
