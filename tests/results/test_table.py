"""The tidy table: a column or a row for each number, places by their names, controls in short."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.statistics.intervals import Interval
from interp.results.result import Result
from interp.results.table import field_axes
from tests.toy import make_toy, provenance_of_toy


def interval(value: float) -> Interval:
    return Interval(value=value, low=value - 1, high=value + 1, n=5)


@dataclass(frozen=True, kw_only=True)
class Grid(Result):
    score: Float[Tensor, "layer pos"]
    control: Float[Tensor, "seed layer pos"]
    tokens: tuple[str, ...]
    columns: ClassVar = {"score_nats": "score", "right": "right", "control": "control"}
    labels: ClassVar = {"token": ("pos", "tokens")}

    @property
    def right(self) -> Bool[Tensor, "layer pos"]:
        return self.score > 1


@dataclass(frozen=True, kw_only=True)
class Mixed(Result):
    vector: Float[Tensor, " d_model"]
    curve: Float[Tensor, "run bound"]
    rank: Int[Tensor, "layer pos"]
    sites: tuple[str, ...]
    runs: tuple[str, ...]
    best: tuple[tuple[str, ...], ...]
    accuracy: dict[str, tuple[Interval, ...]]
    losses: tuple[float, ...]
    axes: ClassVar = {"accuracy": "split layer", "losses": "step"}
    labels: ClassVar = {
        "layer": ("layer", "sites"),
        "run": ("run", "runs"),
        "token": ("layer pos", "best"),
    }


def mixed(**changes) -> Mixed:
    values = {
        "vector": torch.ones(3),
        "curve": torch.tensor([[2.0, 1.0, 3.0]]),
        "rank": torch.tensor([[0, 1], [2, 3]]),
        "sites": ("first", "second"),
        "runs": ("seed-0",),
        "best": (("a", "b"), ("c",)),
        "accuracy": {"train": (interval(1), interval(2)), "test": (interval(3), interval(4))},
        "losses": (0.5, 0.25),
    }
    return Mixed(**(values | changes), provenance=provenance_of_toy())


def grid(seeds: int = 2) -> Grid:
    control = torch.arange(seeds * 4.0).reshape(seeds, 2, 2)
    return Grid(
        score=torch.tensor([[0.0, 1.0], [2.0, 3.0]]),
        control=control,
        tokens=("a", "a"),
        provenance=provenance_of_toy(),
    )


def test_fields_of_the_same_axes_stand_side_by_side():
    table = grid().frame()
    assert list(table) == [
        *("layer", "pos", "token", "score_nats", "right"),
        *("control", "control_low", "control_high"),
    ]
    assert table["layer"].tolist() == [0, 0, 1, 1] and table["token"].tolist() == ["a"] * 4
    assert table["right"].tolist() == [False, False, True, True] and table["right"].dtype == bool


def test_a_repeated_control_stands_as_mean_lowest_and_highest():
    last = grid().frame().iloc[-1]
    assert (last["control"], last["control_low"], last["control_high"]) == (5.0, 3.0, 7.0)
    assert grid(seeds=0).frame()["control"].isna().all()


def test_where_axes_differ_there_is_a_row_a_value():
    table = mixed().frame()
    assert list(table) == [
        *("run", "layer", "pos", "token", "split", "step", "quantity"),
        *("value", "low", "high", "n"),
    ]
    assert table["quantity"].value_counts().to_dict() == {
        "curve": 1,
        "rank": 4,
        "accuracy": 4,
        "losses": 2,
    }, "all with axes, but no vector"
    one = table.query("split == 'test' and layer == 'second'").iloc[0]
    assert (one["value"], one["low"], one["high"], one["n"]) == (4.0, 3.0, 5.0, 5)
    curve = table.query("run == 'seed-0'").iloc[0]
    assert (curve["value"], curve["low"], curve["high"]) == (2.0, 1.0, 3.0)


def test_names_of_places_may_depend_on_several_axes_and_be_fewer():
    ranks = mixed().frame().query("quantity == 'rank'")
    assert ranks["token"].tolist() == ["a", "b", "c", ""] and ranks["value"].tolist() == [
        0,
        1,
        2,
        3,
    ]


def test_numbers_of_places_stay_whole_where_others_are_empty():
    text = mixed().frame().to_csv(index=False)
    assert ",second,1,,,,rank,3.0,,," in text and ",,,,,1,losses,0.25,,," in text


def test_the_default_is_every_field_with_axes_by_annotation_or_declaration():
    assert field_axes(Mixed)["accuracy"] == ("split", "layer")
    assert field_axes(Grid)["right"] == ("layer", "pos") and "tokens" not in field_axes(Grid)


def test_the_toy_has_its_table():
    toy = make_toy()
    assert list(toy.frame()) == ["layer", "pos", "token", "score_nats"]
    assert toy.frame()["score_nats"].tolist() == toy.score.flatten().tolist()


@dataclass(frozen=True, kw_only=True)
class Scalars(Result):
    loss: Interval
    floor: float
    columns: ClassVar = {"loss_nats": "loss", "floor_nats": "floor"}


@dataclass(frozen=True, kw_only=True)
class Empty(Result):
    score: Float[Tensor, " pos"]
    change: Float[Tensor, " head"]


def test_numbers_without_a_place_are_one_row():
    frame = Scalars(loss=interval(2), floor=1.5, provenance=provenance_of_toy()).frame()
    row = {"loss_nats": 2.0, "loss_nats_low": 1.0, "loss_nats_high": 3.0, "loss_nats_n": 5}
    assert frame.to_dict("records") == [{**row, "floor_nats": 1.5}]


def test_a_result_without_a_value_has_a_table_without_rows():
    nothing = {"score": torch.zeros(0), "change": torch.zeros(0)}
    frame = Empty(**nothing, provenance=provenance_of_toy()).frame()
    assert list(frame) == ["pos", "head", "quantity", "value"] and not len(frame)
