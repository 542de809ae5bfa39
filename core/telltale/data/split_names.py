"""What people call the three splits of a data set."""

from __future__ import annotations

from collections.abc import Mapping

TRAIN, VALIDATION, TEST = "train", "validation", "test"
OWN_SPLITS = (TRAIN, VALIDATION, TEST)
_WORDS = {
    TRAIN: ("train", "training"),
    VALIDATION: ("validation", "valid", "val", "dev"),
    TEST: ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}


def split_of(word: str) -> str | None:
    """Return which of `OWN_SPLITS` a word means, whatever its case, or None.

    A word alone decides nothing: a class may be called *test* as well.
    """
    return _SPLIT_OF.get(word.strip().lower())


def own_held_out(counts: Mapping[str | None, int]) -> tuple[int, int]:
    """Return how many pictures are a data set's own test and validation splits, from those of every split.

    A split is held out only from something: pictures that are all called *test* are just pictures.
    """
    train, validation, test = (counts.get(split, 0) for split in OWN_SPLITS)
    return test if train + validation else 0, validation if train else 0
