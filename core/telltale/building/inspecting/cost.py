"""What a build around a network will take, from what its parts take on a few images."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import observe_images
from telltale.attacks import attack_images
from telltale.attacks.base import RandomTarget
from telltale.base.processes import one_thread
from telltale.base.progress import Progress, part, silent
from telltale.data.splits import SplitSizes
from telltale.models.classifier import Classifier
from telltale.recipes import AttackPlan, BundlePlan, own_sizes

IMAGES = 10
SECONDS_AN_ATTACK = 20.0  # after which no further image is attacked for the measurement
GIBIBYTE = 2**30

Images = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """Seconds that one image takes in one process, and the memory of that process.

    Attributes
    ----------
    trace, observe : float
        One pass that keeps the layers; and all that the kinds of evidence measure on the pixels, pass included.
    attacks : mapping of str to float
    memory : int
        Bytes, at the most, of the process that measured.
    images : int
        How many were measured.
    read : float
        Decoding a picture and bringing it to size.
    """

    trace: float
    observe: float
    attacks: Mapping[str, float]
    memory: int
    images: int
    read: float = 0.0


@dataclass(frozen=True)
class Counts:
    """Images that a build takes.

    Attributes
    ----------
    references : int
        Training images.
    sizes : SplitSizes
        Of the held-out splits.
    attacks : tuple of AttackPlan
        No more images are attacked than the splits hold.
    pictures : int
        Of the data: all are read, however many a build takes.
    """

    references: int
    sizes: SplitSizes
    attacks: tuple[AttackPlan, ...]
    pictures: int = 0

    @property
    def held_out(self) -> int:
        """Images of all held-out splits."""
        return self.sizes.fit + self.sizes.calibration + self.sizes.test

    @property
    def attacked(self) -> int:
        """Attacked images of all attacks."""
        return sum(map(self.attacked_with, self.attacks))

    def attacked_with(self, attack: AttackPlan) -> int:
        """Return how many images an attack is run on."""
        return min(attack.fit, self.sizes.fit) + min(attack.test, self.sizes.test)

    def seconds(self, measured: Measured) -> tuple[float, float]:
        """Return what one process takes until the first pages, and after them."""
        natural = self.held_out * measured.observe + self.references * measured.trace
        # Those that detectors are fitted to are observed once more, moved and brightened a little.
        shifted = self.sizes.fit * measured.observe
        attacked = (self.attacked_with(a) * (measured.attacks[a.name] + measured.observe) for a in self.attacks)
        return natural, shifted + sum(attacked)

    def reading(self, measured: Measured) -> float:
        """Return the seconds for reading all pictures, one after the other, whatever is cut."""
        return self.pictures * measured.read

    def minutes(self, measured: Measured, processes: int = 0) -> float:
        """Return what reading, observing and attacking take in so many processes, as many as there are cores where 0.

        Fitting, maps and scores come on top: how long these take, no few images tell.
        """
        return (self.reading(measured) + sum(self.seconds(measured)) / (processes or cores())) / 60.0


@dataclass(frozen=True)
class Estimate:
    """A build's cost.

    Attributes
    ----------
    first_minutes : float
        Until all pictures are read and everything natural is observed and traced.
    minutes : float
        Until everything attacked is observed as well. Fitting, maps and scores come on top.
    memory : float
        GiB, all processes together.
    assumptions : tuple of str
        Sentences.
    """

    first_minutes: float
    minutes: float
    memory: float
    assumptions: tuple[str, ...]


def measure(
    classifier: Classifier,
    images: Images,
    plan: BundlePlan,
    progress: Progress = silent,
    now: Callable[[], float] = time.perf_counter,
    read: float = 0.0,
) -> Measured:
    """Run the parts of a build on a few images.

    Parameters
    ----------
    classifier : Classifier
    images : array of float32, shape (n, C, H, W), in [0, 1]
    plan : BundlePlan
        Its attacks are run on one image after the other, each for at most `SECONDS_AN_ATTACK` and on one at least.
    progress : callable
    now : callable
        Clock, in seconds.
    read : float
        Seconds that reading a picture has taken.
    """
    with one_thread():  # as in the processes of a build
        return replace(_measure(classifier, images, plan, progress, now), read=read)


def _measure(
    classifier: Classifier, images: Images, plan: BundlePlan, progress: Progress, now: Callable[[], float]
) -> Measured:
    observe_images(classifier, images[:1])  # the first time a process imports and sets things up
    progress(0.0, "Measuring a build's parts")
    start = now()
    classifier.trace(images)
    traced = now()
    observe_images(classifier, images)
    observed = now()
    attacks = {}
    for place, attack in enumerate(plan.attacks):
        part(progress, place / len(plan.attacks), 1.0)(0.0, f"Measuring {attack.name}")
        begun, done = now(), 0
        while done < len(images) and (done == 0 or now() - begun < SECONDS_AN_ATTACK):
            targets: RandomTarget | None = "random" if attack.random_target else None
            attack_images(classifier, images[done : done + 1], attack.name, attack.parameters, targets=targets)
            done += 1
        attacks[attack.name] = (now() - begun) / done
    each = len(images)
    return Measured((traced - start) / each, (observed - traced) / each, attacks, _peak_memory(), each)


def estimate(
    measured: Measured,
    plan: BundlePlan,
    images: int,
    image_bytes: int,
    processes: int = 0,
    own_held_out: tuple[int, int] = (0, 0),
) -> Estimate:
    """Add up what a build does.

    Parameters
    ----------
    measured : Measured
    plan : BundlePlan
    images : int
        Of the data.
    image_bytes : int
        Of one image in the network's size.
    processes : int
        As many as there are cores where 0.
    own_held_out : (int, int)
        How many images are the data's own test and validation splits.

    Raises
    ------
    InputError
        If there are too few images to build anything around.
    """
    processes = processes or cores()
    sizes = own_sizes(plan.sizes, images, *own_held_out)
    held_out = sizes.fit + sizes.calibration + sizes.test
    own_test, own_validation = own_held_out
    aside = own_validation or sizes.fit + sizes.calibration + (0 if own_test else sizes.test)
    counts = Counts(images - own_test - aside, sizes, plan.attacks, images)
    natural, _ = counts.seconds(measured)
    return Estimate(
        (counts.reading(measured) + natural / processes) / 60.0,
        counts.minutes(measured, processes),
        (processes * measured.memory + images * image_bytes) / GIBIBYTE,
        (
            f"{images:,} images, {held_out:,} of them held out; {processes} processes that share nothing and do not "
            "slow each other down",
            f"all images take as long as the {measured.images} that were measured, and all are attacked that the plan "
            "names, also where the network misreads some; pictures that were read before are there at once",
            "fitting, maps and scores come on top and are no part of these minutes: they depend on the number of "
            "images and layers, and no few pictures tell how long they take",
            "every process takes as much memory as the one that measured; the decoded images lie in memory once",
        ),
    )


def cores() -> int:
    """Return how many processes a build runs in."""
    return os.cpu_count() or 1


def _peak_memory() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
