"""Pictures in files: one as a bundle's classifier takes it, and which files a bundle's images come from."""

from __future__ import annotations

from pathlib import Path

from telltale.base.images import FloatImages, to_floats
from telltale.bundle.bundle import Bundle
from telltale.bundle.own_data import noted_sizing
from telltale.data.opening import read_bytes
from telltale.data.uploads import decode_image, load_image_file


def load_picture(bundle: Bundle, path: Path) -> FloatImages:
    """Read an image file for a bundle.

    Parameters
    ----------
    bundle : Bundle
    path : Path

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid. Where the bundle was built from pictures of any size, this one is brought to the
        classifier's as they were; one that has its size is used bit for bit. Without that only such are accepted.

    Raises
    ------
    InputError
        If the file is missing, too large, not an image or damaged, or cannot be brought to size.
    """
    sizing, (_, height, width) = noted_sizing(bundle.notes), bundle.image_shape
    if sizing is None:
        return load_image_file(path, bundle.image_shape)
    picture = decode_image(read_bytes(path))
    if picture.size == (width, height):
        return load_image_file(path, bundle.image_shape, strict=False)
    return to_floats(sizing.apply(picture))


def file_names(bundle: Bundle) -> tuple[str, ...]:
    """Return the file of every image, by id, relative to the bundle's data; nothing where they are none or not here."""
    image_set = bundle.image_set
    return () if image_set is None else image_set.names
