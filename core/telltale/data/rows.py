"""Some images of many, that are not copied before they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Pixels(Protocol):
    """Pictures in rows: an array of uint8, shape (N, C, H, W), or what makes its rows when they are asked for.

    ``numpy.asarray`` makes an array of either.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Return rows as an array of uint8."""

    def __len__(self) -> int: ...

    def __array__(self, dtype: Any = None, /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class Rows:
    """Rows of an array, which may be a file that is mapped into memory or drawn when it is asked for.

    What is sent to another process are the pixels of these rows and nothing else; they are read when it is sent.

    Attributes
    ----------
    pixels : Pixels
        Shape (N, C, H, W).
    ids : array of int64, shape (n,)
    """

    pixels: Pixels
    ids: npt.NDArray[np.int64]

    @classmethod
    def all_of(cls, pixels: Pixels) -> Rows:
        """Return every row of an array."""
        return cls(pixels, np.arange(len(pixels)))

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, count: int) -> Rows:
        """Return at most `count` of the rows from a place on."""
        return Rows(self.pixels, self.ids[start : start + count])

    def taken(self) -> npt.NDArray[np.uint8]:
        """Return a copy of these rows, shape (n, C, H, W)."""
        taken: npt.NDArray[np.uint8] = self.pixels[self.ids]
        return taken

    def __reduce__(self) -> tuple[Callable[..., Rows], tuple[Any, ...]]:
        return Rows.all_of, (self.taken(),)
