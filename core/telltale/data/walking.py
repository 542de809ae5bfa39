"""Every file below a folder exactly once, whatever links lead where."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from telltale.data.image_set import LeftOut
from telltale.data.listing import HIDDEN, shown

IMAGE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        "png", "apng", "jpg", "jpeg", "jpe", "jfif", "mpo", "webp", "bmp", "dib", "gif", "tif", "tiff", "heic", "heif",
        "avif", "jp2", "ppm", "pgm", "pbm", "pnm", "ico", "tga", "psd", "svg", "exr", "hdr", "dng", "nef", "cr2", "arw",
    )
)  # fmt: skip
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def has_image_suffix(name: str) -> bool:
    """Return whether a file's name is that of an image."""
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


@dataclass(frozen=True)
class File:
    """A regular file below a folder.

    Attributes
    ----------
    path : Path
    parts : tuple of str
        Of its path below the folder.
    """

    path: Path
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its path below the folder, as messages show it."""
        return shown("/".join(self.parts))

    def inside(self, depth: int) -> bool:
        """Return whether it lies below a folder of this depth, and not in it."""
        return len(self.parts) > depth + 1

    @property
    def has_image_suffix(self) -> bool:
        """Whether its name is that of an image."""
        return has_image_suffix(self.path.name)

    def looks_like_image(self) -> bool:
        """Return whether its name or its first bytes are those of an image."""
        if self.has_image_suffix:
            return True
        try:
            with self.path.open("rb") as opened:
                start = opened.read(12)
        except OSError:
            return False
        return start.startswith(_SIGNATURES) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


@dataclass
class Walk:
    """What lies below a folder.

    Attributes
    ----------
    root : Path
        Resolved.
    files : list of File
        In the order of their paths as text.
    folders : list of tuple of str
        Parts of the path of every folder that was entered, from the root, which has none.
    left_out : list of LeftOut
        Folders and files that are not followed: links to what is there already or nowhere, hidden ones, what is no
        file, what may not be read.
    """

    root: Path
    files: list[File] = field(default_factory=list)
    folders: list[tuple[str, ...]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @classmethod
    def below(cls, folder: Path) -> Walk:
        """Walk a folder; links to folders outside are followed once."""
        walk = cls(folder.resolve())
        entered = {_identity(walk.root)}
        # A stack and no recursion: folders may lie deeper in each other than functions may.
        waiting = [walk._entries(walk.root, ())]
        while waiting:
            found = next(waiting[-1], None)
            if found is None:
                waiting.pop()
                continue
            entry, parts = found
            if walk._take(entry, parts, entered):
                waiting.append(walk._entries(Path(entry.path), parts))
        walk.files.sort(key=lambda file: "/".join(file.parts))
        walk.left_out.sort(key=lambda left: left.name)
        return walk

    def state(self) -> list[object]:
        """Return what tells the files from any others without reading them."""
        found: list[object] = [str(self.root)]
        for file in self.files:
            try:
                state = file.path.stat()
            except OSError:
                continue
            found.append(["/".join(file.parts), state.st_size, state.st_mtime_ns, state.st_ctime_ns])
        folders = ["/".join(parts) for parts in self.folders]  # an empty one may be a class without images
        return [*found, folders, [[left.name, left.reason] for left in self.left_out]]

    def _entries(self, folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[os.DirEntry[str], tuple[str, ...]]]:
        try:
            with os.scandir(folder) as opened:
                entries = sorted(opened, key=lambda entry: entry.name)
        except OSError as error:
            self._leave_out(parts, f"cannot be read: {error.strerror}")
            return
        self.folders.append(parts)
        for entry in entries:
            yield entry, (*parts, entry.name)

    def _take(self, entry: os.DirEntry[str], parts: tuple[str, ...], entered: set[tuple[int, int]]) -> bool:
        """Take or leave out what a folder holds; returns whether it is a folder to enter."""
        path = Path(entry.path)
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:
            self._leave_out(parts, "a link that leads nowhere")
            return False
        if entry.name.startswith("."):
            if is_folder or has_image_suffix(entry.name):
                self._leave_out(parts, HIDDEN)
        elif is_file:
            self.files.append(File(path, parts))
        elif not is_folder:
            self._leave_out(parts, "a link that leads nowhere" if entry.is_symlink() else "no regular file")
        else:
            return self._may_enter(entry, path, parts, entered)
        return False

    def _may_enter(
        self, entry: os.DirEntry[str], path: Path, parts: tuple[str, ...], entered: set[tuple[int, int]]
    ) -> bool:
        try:
            identity = _identity(path)
        except OSError as error:  # the folder around it may be listed but not entered, or the path is too long
            self._leave_out(parts, f"cannot be read: {error.strerror}")
            return False
        if entry.is_symlink() and (self._holds(path) or identity in entered):
            self._leave_out(parts, "a link to a folder that is read already")
            return False
        entered.add(identity)
        return True

    def _holds(self, link: Path) -> bool:
        """Return whether a link leads into the folder itself, or to a folder around it."""
        target = link.resolve()
        return target.is_relative_to(self.root) or self.root.is_relative_to(target)

    def _leave_out(self, parts: tuple[str, ...], reason: str) -> None:
        self.left_out.append(LeftOut(shown("/".join(parts)), reason))


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino
