"""What an image processor of the `transformers` library does to a picture, read from its file as a `Preprocess`.

Read here and not by the library, whose processors for images need torchvision. What it does is sizes and a
normalisation: resize, crop, multiply by a factor, subtract, divide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telltale.base.errors import InputError
from telltale.models.preprocess import BILINEAR, Interpolation, Preprocess, Side

BYTE = 255.0
INTERPOLATIONS: Mapping[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
WARPED_FROM = 384  # pixels: from here on a processor with a crop share brings whole pictures to a square instead
WHERE = "The image processor's file"


@dataclass(frozen=True)
class Processor:
    """A processor as it was understood.

    Attributes
    ----------
    preprocess : Preprocess
    size : (int, int)
        Height and width of what comes out.
    remarks : tuple of str
        Where it differs from what the library does, in sentences.
    """

    preprocess: Preprocess
    size: tuple[int, int]
    remarks: tuple[str, ...]


def read_processor(raw: Mapping[str, Any]) -> Processor:
    """Understand the JSON of ``preprocessor_config.json``.

    Raises
    ------
    InputError
        If it does not say to which size pictures are brought, or a value is not accepted.
    """
    raw = raw.get("image_processor", raw)
    resize, crop = _sides(raw)
    remarks = []
    if isinstance(resize, int) and crop is None:
        remarks.append(f"Pictures keep their proportions there; here the middle {resize} x {resize} pixels are kept.")
        crop = resize
    interpolation = INTERPOLATIONS.get(int(raw.get("resample", 2)))
    if interpolation is None:
        remarks.append("Pictures are resized there in a way that is not known here; here bilinearly.")
    mean, std = _normalisation(raw)
    preprocess = Preprocess(resize, crop, mean, std, interpolation or BILINEAR)
    size = preprocess.crop if preprocess.crop is not None else preprocess.resize
    if size is None:
        raise InputError(f"{WHERE} does not say to which size pictures are brought; give it by --size.")
    return Processor(preprocess, (size, size) if isinstance(size, int) else size, tuple(remarks))


def _sides(raw: Mapping[str, Any]) -> tuple[Side | None, Side | None]:
    crops = bool(raw.get("do_center_crop", False))
    crop = _side(raw.get("crop_size"), shorter=False) if crops else None
    resize = _side(raw.get("size"), shorter=crops or "crop_pct" in raw) if raw.get("do_resize", True) else None
    share = raw.get("crop_pct")
    if share is not None and isinstance(resize, int):  # the size is that of the crop, whatever the name
        return (resize, resize) if resize >= WARPED_FROM else int(
            resize / share
        ), None if resize >= WARPED_FROM else resize
    return resize, crop


def _side(value: Any, shorter: bool) -> Side | None:
    """Read a size: a number is that of the shorter side, or of both."""
    if isinstance(value, Mapping):
        if {"height", "width"} <= set(value):
            return int(value["height"]), int(value["width"])
        if set(value) == {"shortest_edge"}:
            return int(value["shortest_edge"])
        raise InputError(f"{WHERE} names a size that is not known here: {dict(value)}.")
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return int(value[0]), int(value[1])
    if value is None or shorter:
        return None if value is None else int(value)
    return int(value), int(value)


def _normalisation(raw: Mapping[str, Any]) -> tuple[list[float] | None, list[float] | None]:
    """Return mean and standard deviation of pixels in [0, 1] that do what the processor does to bytes."""
    factor = BYTE * float(raw.get("rescale_factor", 1 / BYTE)) if raw.get("do_rescale", True) else BYTE
    offset = 1.0 if raw.get("rescale_offset", False) else 0.0
    normalises = raw.get("do_normalize", True) and raw.get("image_mean") is not None
    mean, std = _each(raw["image_mean"]) if normalises else [0.0], _each(raw["image_std"]) if normalises else [1.0]
    # (factor · x − offset − mean) / std, written as (x − m) / s
    m, s = [(offset + value) / factor for value in mean], [value / factor for value in std]
    nothing = all(abs(a) < 1e-9 for a in m) and all(abs(b - 1.0) < 1e-9 for b in s)
    return (None, None) if nothing else (m, s)


def _each(value: Any) -> list[float]:
    return [float(number) for number in (value if isinstance(value, Sequence) else [value])]
