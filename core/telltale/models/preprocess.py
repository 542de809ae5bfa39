"""What happens to a picture before a network reads it: resize, crop, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from telltale.base.errors import InputError
from telltale.data.sizing import Sizing

Side: TypeAlias = "int | tuple[int, int]"
PerChannel: TypeAlias = "float | Sequence[float]"
Interpolation: TypeAlias = Literal["bilinear", "bicubic"]

BILINEAR: Interpolation = "bilinear"


@dataclass(frozen=True)
class Preprocess:
    """The preprocessing that a network was trained with, as declared.

    Resizing and cropping bring a picture of any size to the classifier's; attacks and gradients start from there, and
    only mean and standard deviation lie between these pixels and the network.

    Parameters
    ----------
    resize : int or (height, width), optional
        New length of the shorter side, the other in proportion; or the new height and width.
    crop : int or (height, width), optional
        Size of the centre that is kept. Resizing to 224 is not resizing to 256 and cropping 224.
    mean, std : float or sequence of float, optional
        Of pixels in [0, 1], one number for all channels or one for each. The network is given (x - mean) / std.
    interpolation : {"bilinear", "bicubic"}
        How pictures are resized, without aliasing in either case.

    Raises
    ------
    InputError
        If a value is not accepted.

    Examples
    --------
    >>> import numpy as np
    >>> import telltale
    >>> photograph = telltale.Preprocess(resize=8, crop=6, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    >>> photograph.to_size(np.zeros((3, 20, 10), dtype=np.float32)).shape
    (3, 6, 6)
    """

    resize: Side | None = None
    crop: Side | None = None
    mean: PerChannel | None = None
    std: PerChannel | None = None
    interpolation: Interpolation = BILINEAR

    def __post_init__(self) -> None:
        for name in ("resize", "crop"):
            object.__setattr__(self, name, _side(name, getattr(self, name)))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _per_channel(name, getattr(self, name)))
            _check_unit(name, getattr(self, name))
        if self.std is not None and min(_each(self.std)) <= 0.0:
            raise InputError(f"std must be positive. Got {self.std!r} instead.")
        if self.interpolation not in get_args(Interpolation):
            accepted = " or ".join(get_args(Interpolation))
            raise InputError(f"interpolation must be {accepted}. Got {self.interpolation!r} instead.")

    @property
    def channels(self) -> int | None:
        """Number of channels that mean or standard deviation are given for, if they are."""
        lengths = {len(value) for value in (self.mean, self.std) if isinstance(value, tuple)}
        if len(lengths) > 1:
            raise InputError(f"mean and std must be given for as many channels. Got {self.mean!r} and {self.std!r}.")
        return lengths.pop() if lengths else None

    def to_size(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Resize and crop one picture (C, H, W) in [0, 1], without aliasing.

        Raises
        ------
        InputError
            If what is to be cropped is larger than the picture.
        """
        if self.resize is not None:
            picture = _resized(picture, _new_size(self.resize, picture.shape[1:]), self.interpolation)
        return picture if self.crop is None else _centre(picture, _pair(self.crop))

    def part_kept(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return which part of a picture `to_size` leaves: left, top, right and bottom in the picture's own pixels.

        Parameters
        ----------
        size : tuple of int
            Width and height of the picture.
        """
        width, height = size
        down, across = (height, width) if self.resize is None else _new_size(self.resize, (height, width))
        if self.crop is None:
            return 0.0, 0.0, float(width), float(height)
        high, wide = _pair(self.crop)
        top, left = _start(down, high), _start(across, wide)
        x, y = width / across, height / down
        return left * x, top * y, (left + wide) * x, (top + high) * y

    def sizing(self, channels: int | None = None) -> Sizing:
        """Return `to_size` as image sets are loaded through it (`telltale.data.sources.load_image_set`).

        Parameters
        ----------
        channels : int, optional
            1 or 3, as the classifier takes; left out, a set is grey where every picture is.
        """
        key = f"{self.interpolation}, antialiased: resize {self.resize}, crop {self.crop}"
        return Sizing(self.to_size, key, channels)


_WAYS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def _side(name: str, value: Side | None) -> Side | None:
    if value is None:
        return None
    sides = value if isinstance(value, tuple | list) else (value,)
    if len(sides) > 2 or any(isinstance(s, bool) or not isinstance(s, int | np.integer) or s < 1 for s in sides):
        raise InputError(f"{name} must be a positive number of pixels or (height, width). Got {value!r} instead.")
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else int(sides[0])


def _per_channel(name: str, value: PerChannel | None) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim > 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise InputError(f"{name} must be a number or one number per channel. Got {value!r} instead.")
    return float(numbers) if numbers.ndim == 0 else tuple(float(number) for number in numbers)


def _check_unit(name: str, value: PerChannel | None) -> None:
    """Refuse what is of bytes: such numbers would be taken for a network that reads nothing right."""
    if value is not None and max(_each(value)) > 1.0:
        raise InputError(
            f"{name} must be of pixels from 0 to 1. Got {value!r} instead: of pixels from 0 to 255, divide it by 255."
        )


def _each(value: PerChannel) -> Sequence[float]:
    return (value,) if isinstance(value, int | float) else value


def _pair(side: Side) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else side


def _new_size(resize: Side, shape: tuple[int, ...]) -> tuple[int, int]:
    if not isinstance(resize, int):
        return resize
    shorter = min(shape)
    height, width = (max(1, int(resize * side / shorter)) for side in shape)
    return height, width


def _resized(
    picture: npt.NDArray[np.float32], size: tuple[int, int], interpolation: Interpolation
) -> npt.NDArray[np.float32]:
    # Not by torch: pages bring pictures to size too. Both average over what a pixel comes to stand for.
    way, (height, width) = _WAYS[interpolation], size
    channels = [Image.fromarray(np.ascontiguousarray(channel)).resize((width, height), way) for channel in picture]
    return np.asarray(np.clip(np.stack([np.asarray(channel) for channel in channels]), 0.0, 1.0), dtype=np.float32)


def _centre(picture: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    height, width = picture.shape[1:]
    if size[0] > height or size[1] > width:
        raise InputError(f"A picture of {height} x {width} pixels is smaller than the crop of {size[0]} x {size[1]}.")
    top, left = _start(height, size[0]), _start(width, size[1])
    return np.ascontiguousarray(picture[:, top : top + size[0], left : left + size[1]])


def _start(whole: int, kept: int) -> int:
    """Return where the middle of a side begins."""
    return round((whole - kept) / 2)
