"""Books on a recording's tensors: what was given, what was compared, how far off it was, what was left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from tests.parity.recordings import Part, Recordings


class Entry(NamedTuple):
    """One comparison."""

    file: str
    tensor: str
    difference: float
    limit: float
    unit: str  # "absolute", "relative" to the largest value, or "unequal" values

    @property
    def passed(self) -> bool:
        return self.difference <= self.limit  # not so if it isn't a number

    def __str__(self) -> str:
        mark = " " if self.passed else "!"
        size = f"{self.difference:8.1e} of {self.limit:.1e} {self.unit}"
        return f"{mark} {self.file:20} {self.tensor:58} {size}"


Layout = Callable[[Tensor], Tensor]


def same(tensor: Tensor) -> Tensor:
    return tensor


class Ledger:
    """The tensors of a part, by their names without its prefix.

    Reading a tensor as an input or comparing with it marks it as used. All differences are kept and judged at
    the end, by :meth:`settle`.
    """

    def __init__(self, recordings: Recordings, part: Part) -> None:
        self.recordings = recordings
        self.part = part
        self.meta: dict[str, Any] = recordings.meta(part.file)
        self.rows: list[tuple[Any, ...]] = []  # entries in plain types, which xdist's workers can send
        self._tensors = recordings.tensors(part.file)
        self._unused = set(part.names)

    def __contains__(self, name: str) -> bool:
        return self.part.prefix + name in self.part.names

    def __getitem__(self, name: str) -> Tensor:
        self._unused.discard(self.part.prefix + name)
        return self._tensors[self.part.prefix + name]

    def names(self, prefix: str = "") -> list[str]:
        """Names of the part's tensors that start with `prefix`."""
        names = [name.removeprefix(self.part.prefix) for name in self.part.names]
        return [name for name in names if name.startswith(prefix)]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Tensors of the part whose name starts with `prefix`, without it."""
        return {name.removeprefix(prefix): self[name] for name in self.names(prefix)}

    def of_file(self, prefix: str) -> dict[str, Tensor]:
        """Tensors of any part of the file whose name starts with `prefix`, without it."""
        return {k.removeprefix(prefix): v for k, v in self._tensors.items() if k.startswith(prefix)}

    def absolute(self, name: str, actual: Tensor, limit: float, of: Layout = same) -> None:
        """Compare by the largest difference; nothing happens if the file has no such tensor.

        Args:
            of: brings the recorded tensor into the layout of `actual`.
        """
        if name in self:
            self._note(self.part.prefix + name, _distance(name, actual, of(self[name])), limit, "absolute")

    def relative(
        self, name: str, actual: Tensor, limit: float, of: Layout = same, *, floor: float = 1e-12
    ) -> None:
        """Compare by the largest difference over the largest value (or over `floor`, if that is larger)."""
        if name in self:
            expected = of(self[name])
            largest = max(expected.abs().amax().item(), floor)
            distance = _distance(name, actual, expected) / largest
            self._note(self.part.prefix + name, distance, limit, "relative")

    def equal(self, name: str, actual: Tensor, of: Layout = same) -> None:
        """Compare by the number of unequal values."""
        if name in self:
            expected = of(self[name])
            _check_shape(name, actual, expected)
            self.count(self.part.prefix + name, actual != expected)

    def count(self, what: str, wrong: Tensor) -> None:
        """Note how many values of something are wrong."""
        self._note(what, wrong.sum().item(), 0, "unequal")

    def settle(self) -> None:
        """Fail on differences beyond their limits and on tensors that nothing was done with."""
        wrong = [str(entry) for entry in map(Entry._make, self.rows) if not entry.passed]
        assert not wrong, "\n".join([f"{len(wrong)} of {len(self.rows)} tensors differ too much:", *wrong])
        unused = sorted(self._unused)
        assert not unused, f"{len(unused)} tensors were compared with nothing: {', '.join(unused)}"

    def _note(self, tensor: str, difference: float, limit: float, unit: str) -> None:
        self.rows.append((self.part.file, tensor, float(difference), float(limit), unit))


def _distance(name: str, actual: Tensor, expected: Tensor) -> float:
    _check_shape(name, actual, expected)
    return (actual.detach().double() - expected.double()).abs().amax().item()


def _check_shape(name: str, actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape, f"{name} is {tuple(expected.shape)}, ours is {tuple(actual.shape)}"
