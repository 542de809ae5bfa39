"""A small folder of pictures with splits of its own, and a network that knows other classes, to be fine-tuned."""

from __future__ import annotations

from pathlib import Path

from support.coloured import write_folder

COLOURS = ("cherry", "leaf", "sky")  # red, green and blue under other names: none of the network's own
COUNTS = {"train": 24, "validation": 16, "test": 12}


def write_splits(folder: Path, counts: dict[str, int] | None = None, names: tuple[str, ...] = COLOURS) -> Path:
    """Write train, validation and test with so many pictures of every class."""
    for seed, (split, each) in enumerate((counts or COUNTS).items(), 11):
        write_folder(folder / split, each, names, seed)
    return folder
