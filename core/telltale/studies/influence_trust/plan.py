"""What the study of influence retrains, and how often."""

from __future__ import annotations

from dataclasses import dataclass, fields

from telltale.base.errors import InputError

FEWEST_SUBSETS = 4  # a rank correlation over fewer says nothing
SEEDS_EACH = 1000  # set aside for the repeats on one subset, and for the networks on all training images


@dataclass(frozen=True)
class Plan:
    """What is retrained, and what its answers are compared with.

    The defaults take one core some minutes on the digits; the network is the recipe's own kind, smaller, so that it can
    be retrained hundreds of times.

    Attributes
    ----------
    subsets : int
        Random halves of the training images.
    repeats : int
        Networks retrained on each, from different starts; their margins are averaged.
    images : int
        Test images whose answers are compared.
    networks : int
        Networks trained on all training images; the first is the one that is explained, TRAK averages over all.
    projection : int
        Dimensions that TRAK projects gradients to.
    checkpoints : int
        Moments of the explained network's training that TracIn adds up.
    training_images : int
        At most so many, drawn from the recipe's training split; the subsets are halves of these.
    side : int
        Images are averaged down to this many pixels a side.
    base_width, depth, epochs, batch_size : int
        Of the small network and its training, in place of the recipe's.
    seed : int

    Raises
    ------
    InputError
        If a number is out of range.
    """

    subsets: int = 60
    repeats: int = 2
    images: int = 150
    networks: int = 10
    projection: int = 512
    checkpoints: int = 4
    training_images: int = 2000
    side: int = 8
    base_width: int = 8
    depth: int = 1
    epochs: int = 12
    batch_size: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"subsets": FEWEST_SUBSETS, "seed": 0, "training_images": 2}
        for field in fields(self):
            value, lowest = getattr(self, field.name), least.get(field.name, 1)
            if value < lowest:
                raise InputError(f"The study's '{field.name}' must be at least {lowest}; got {value}.")
        if max(self.repeats, self.networks) > SEEDS_EACH:
            raise InputError(f"At most {SEEDS_EACH} networks learn from the same images.")
        if self.checkpoints > self.epochs:
            raise InputError(f"There are at most as many checkpoints as epochs, {self.epochs}; got {self.checkpoints}.")
