"""The sum over every slice of a parameter, without a tensor operation for each of thousands."""

from dataclasses import dataclass

from torch import Tensor

from interp.analyses._parameters import Index


@dataclass(frozen=True, kw_only=True)
class SliceSums:
    """Sums of a tensor's rows and columns, in double precision: a slice is some of either.

    Attributes:
        rows: a sum a row; of a vector, its numbers.
        columns: a sum a column; of a vector, none.
    """

    rows: list[float]
    columns: list[float]

    @classmethod
    def of(cls, values: Tensor) -> "SliceSums":
        """The sums of numbers in a parameter's layout."""
        exact = values.detach().cpu().double()
        if exact.ndim < 2:
            return cls(rows=exact.tolist(), columns=[])
        return cls(rows=exact.sum(1).tolist(), columns=exact.sum(0).tolist())

    def at(self, index: Index) -> float:
        """Over the slice of this index (see `_parameters.Slice`): whole, rows, or columns."""
        if len(index) == 2:
            return _over(self.columns, index[1])
        return _over(self.rows, *index) if index else sum(self.rows)


def _over(sums: list[float], place: int | slice) -> float:
    return sum(sums[place]) if isinstance(place, slice) else sums[place]
