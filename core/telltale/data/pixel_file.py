"""Pixels written to a file image by image, so that memory holds one of them, and mapped into memory at the end."""

from __future__ import annotations

import io
import os
import shutil
import weakref
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.data.cache import PIXELS_FILE, scratch_folder

Pixels: TypeAlias = npt.NDArray[np.uint8]
AT_ONCE = 2**24


class PixelFile:
    """An array of uint8, shape (N, C, H, W), that grows.

    It is grey as long as every image is; the first one in colour turns the earlier ones into three equal channels.
    Memory: one image. The file goes away with the array that is mapped, unless something else holds a link to it.
    """

    def __init__(self) -> None:
        self._folder = scratch_folder()
        self._file: BinaryIO = (self._folder / PIXELS_FILE).open("w+b")
        self._count, self._shape = 0, (0, 0, 0)

    def __enter__(self) -> PixelFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._file.close()  # writes what is left, for which a full disk has no room
        finally:
            if kind is not None or self._count == 0:
                shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the images, once there is one."""
        return self._shape[1:] if self._count else None

    def append(self, pixels: Pixels) -> None:
        """Add an image, shape (1 or 3, H, W), of the size of those before."""
        if self._count == 0:
            self._shape = pixels.shape
            self._file.write(self._header())
        if pixels.shape[0] > self._shape[0]:
            self._widen(pixels.shape[0])
        self._file.write(np.ascontiguousarray(np.broadcast_to(pixels, self._shape)).data)
        self._count += 1

    def mapped(self) -> Pixels:
        """Finish the file and map it, read-only."""
        self._file.seek(0)
        header = self._header()
        self._file.write(header)
        self._file.flush()
        os.fsync(self._file.fileno())  # or a power failure could leave a file of the right size full of zeros
        path = self._folder / PIXELS_FILE
        found = np.memmap(path, np.uint8, "r", len(header), (self._count, *self._shape))
        weakref.finalize(found, shutil.rmtree, self._folder, ignore_errors=True)
        return found.view(np.ndarray)

    def blocks(self) -> Iterator[bytes]:
        """Read the pixels again, a few images at a time: to map them all would count as memory of the process."""
        self._file.seek(len(self._header()))
        each = int(np.prod(self._shape))
        for start in range(0, self._count, max(1, AT_ONCE // each)):
            yield self._file.read(min(max(1, AT_ONCE // each), self._count - start) * each)

    def _header(self) -> bytes:
        """Return the header of a ``.npy`` file; its length does not depend on the number of images."""
        written = io.BytesIO()
        described: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape)}
        np.lib.format.write_array_header_1_0(written, described)
        return written.getvalue()

    def _widen(self, channels: int) -> None:
        """Write every image again, with equal channels."""
        narrow, old = self._shape, self._file
        old.seek(len(self._header()))
        self._shape = (channels, *narrow[1:])
        path = self._folder / "wider.npy"
        wider: BinaryIO = path.open("w+b")
        wider.write(self._header())
        each = int(np.prod(narrow))
        for start in range(0, self._count, max(1, AT_ONCE // each)):
            count = min(max(1, AT_ONCE // each), self._count - start)
            few = np.frombuffer(old.read(count * each), np.uint8).reshape(count, *narrow)
            wider.write(np.ascontiguousarray(np.broadcast_to(few, (count, *self._shape))).data)
        old.close()
        path.replace(self._folder / PIXELS_FILE)
        self._file = wider
