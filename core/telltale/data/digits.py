"""scikit-learn's handwritten digits at 32x32: the data set that needs no download."""

from __future__ import annotations

from functools import partial

import numpy as np
from skimage.transform import resize
from sklearn.datasets import load_digits

from telltale.data.image_set import ImageSet
from telltale.data.listing import Listed, Listing
from telltale.data.uploads import png_bytes

SIDE = 32


def load() -> ImageSet:
    """Return the 1,797 digits as grey images of shape (1797, 1, 32, 32), enlarged bilinearly from 8x8."""
    digits = load_digits()
    small = digits.images / 16.0
    large = resize(small, (len(small), SIDE, SIDE), order=1, mode="edge", anti_aliasing=False)  # type: ignore[no-untyped-call]
    pixels = np.rint(large * 255.0).astype(np.uint8)[:, None]
    return ImageSet("digits", pixels, digits.target.astype(np.int64), tuple(str(d) for d in range(10)))


def state() -> list[str]:
    """Return what tells the digits from any other image set."""
    return ["digits"]


def listing() -> Listing:
    """List the digits as a folder's pictures are listed."""
    digits = load()
    listed = [
        Listed(f"digit {number}", None, digits.class_names[label], partial(png_bytes, image))
        for number, (image, label) in enumerate(zip(digits.images(range(len(digits))), digits.labels, strict=True))
    ]
    return Listing("digits", "digits", listed, len(listed), digits.class_names, named=False)
