"""Heights of many things in order, with their sums. Pure."""

from collections.abc import Iterable

_STRIDE = 512


class Heights:
    """Sums over strides keep each question far under a millisecond at a hundred thousand. A change is two additions."""

    def __init__(self, values: Iterable[int] = ()) -> None:
        self.values = list(values)
        self._sums = [sum(self.values[at : at + _STRIDE]) for at in range(0, len(self.values), _STRIDE)]
        self.total = sum(self._sums)

    def set(self, index: int, height: int) -> None:
        change = height - self.values[index]
        self.values[index] = height
        self._sums[index // _STRIDE] += change
        self.total += change

    def append(self, height: int) -> None:
        if len(self.values) % _STRIDE == 0:
            self._sums.append(0)
        self.values.append(0)
        self.set(len(self.values) - 1, height)

    def before(self, index: int) -> int:
        """The row at which `index` begins."""
        stride = index // _STRIDE
        return sum(self._sums[:stride]) + sum(self.values[stride * _STRIDE : index])

    def find(self, row: int) -> tuple[int, int]:
        """Which one is at `row`, and how far into it; the last one when `row` is past the end."""
        stride = 0
        while stride < len(self._sums) - 1 and row >= self._sums[stride]:
            row, stride = row - self._sums[stride], stride + 1
        index = stride * _STRIDE
        while index < len(self.values) - 1 and row >= self.values[index]:
            row, index = row - self.values[index], index + 1
        return index, row
