"""Who is fooled by whose attack: images attacked on each of two models and read by both, and where each departs.

Only images that both models read correctly are attacked, so without an attack none of them is misread. Beside every
share stands a control: the same perturbations, each laid on another of the images. What is misread then is misread for
the noise alone; only what lies above it was transferred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.attacks.attack import attack_images
from telltale.base.errors import InputError
from telltale.base.images import FloatImages, round_to_8_bits
from telltale.base.parameters import ParameterValue
from telltale.base.progress import Progress, stage
from telltale.kinds.trajectory import TrajectoryView
from telltale.model_errors.versus import BOTH, TwoAnswers, two_answers
from telltale.scores.rates import Rate

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle

Rows = npt.NDArray[np.int64]

FEWEST = 2  # a perturbation is laid on another image


@dataclass(frozen=True)
class Crossing:
    """Images attacked on one model and read by one, the same or the other.

    Attributes
    ----------
    made_on, read_by : str
        Names of bundles.
    fooled : Rate
        Misread images among those attacked.
    control : Rate
        The same with every perturbation laid on another image.
    departures : array of int64, shape (fooled.count,)
        First layer of the reading model from which each misread image stays nearer to the class read than to its true
        class, `NO_LAYER` where there is none. Empty where the model has no trajectories.
    ids : array of int64, shape (fooled.count,)
        The misread images.
    """

    made_on: str
    read_by: str
    fooled: Rate
    control: Rate
    departures: Rows
    ids: Rows

    def to_json(self) -> dict[str, object]:
        """Return the rates and departures as JSON holds them."""
        return {
            "made_on": self.made_on,
            "read_by": self.read_by,
            "fooled": self.fooled.to_json(),
            "control": self.control.to_json(),
            "departures": self.departures.tolist(),
        }


@dataclass(frozen=True)
class Transfers:
    """One attack made on each of two models.

    Attributes
    ----------
    attack : str
    parameters : mapping of str to value
        The same for both models.
    seed : int
        Of the choice of images and of the attack.
    ids : array of int64, shape (m,)
        The images that were attacked.
    natural : mapping of str to Rate
        What each model misreads, without any attack, among all images of the test split that could have been chosen
        if both read them correctly.
    crossings : tuple of Crossing
        Made on the first and read by the first, made on the first and read by the second, and so for the second.
    layers : mapping of str to tuple of str
        Each model's own.
    """

    attack: str
    parameters: Mapping[str, ParameterValue]
    seed: int
    ids: Rows
    natural: Mapping[str, Rate]
    crossings: tuple[Crossing, ...]
    layers: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, object]:
        """Return everything as JSON holds it."""
        return {
            "attack": self.attack,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "images": len(self.ids),
            "natural": {name: rate.to_json() for name, rate in self.natural.items()},
            "crossings": [crossing.to_json() for crossing in self.crossings],
            "layers": {name: list(layers) for name, layers in self.layers.items()},
        }


def transfers(
    first: LoadedBundle,
    second: LoadedBundle,
    attack: str,
    parameters: Mapping[str, object],
    count: int,
    seed: int,
    checkpoint: Progress,
) -> Transfers:
    """Attack test images that both models read correctly on each of them, and let both read what comes out.

    Parameters
    ----------
    first, second : LoadedBundle
        Of the same classes and shape of images.
    attack : str
        Untargeted.
    parameters : mapping
        What is left out is taken from the first bundle's stored scores, for both models.
    count : int
        How many images at most.
    seed : int
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the bundles cannot be compared, the images are missing, fewer than two are read correctly by both, or the
        attack or its arguments are not accepted.
    """
    images = first.bundle.require_images()
    answers = two_answers(first.bundle, second.bundle, checkpoint, lambda: second)
    test = answers.take(answers.splits == "test")
    ids = _drawn(first, second, test, images.images, count, seed)
    natural, labels = images.images(ids), images.labels[ids]
    settings = first.bundle.attack_parameters(attack) | dict(parameters)
    crossings: list[Crossing] = []
    for place, maker in enumerate((first, second)):
        progress = stage(checkpoint, 0.5 * place, 0.5 * place + 0.45, f"attacking '{maker.bundle.name}'")
        made = attack_images(
            maker.classifier, natural, attack, settings, labels, seed=seed, checkpoint=progress, defence=maker.defence
        )
        control = laid_on_others(natural, made.images)
        for reader in (first, second):
            checkpoint(0.5 * place + 0.45, f"reading with '{reader.bundle.name}'")
            crossings.append(_crossing(maker, reader, made.images, control, labels, ids))
    return Transfers(
        attack=attack,
        parameters=made.parameters,
        seed=seed,
        ids=ids,
        natural={
            name: Rate(int((read != test.labels).sum()), len(test))
            for name, read in ((test.first_name, test.first), (test.second_name, test.second))
        },
        crossings=tuple(crossings),
        layers={loaded.bundle.name: loaded.bundle.layers for loaded in (first, second)},
    )


def laid_on_others(natural: FloatImages, attacked: FloatImages) -> FloatImages:
    """Lay every perturbation on the next image, the last one on the first; shape (n, C, H, W), on the 8-bit grid."""
    moved = np.roll(attacked - natural, 1, axis=0)
    return round_to_8_bits(np.clip(natural + moved, 0.0, 1.0))


def _drawn(
    first: LoadedBundle,
    second: LoadedBundle,
    test: TwoAnswers,
    images: Callable[[Rows], FloatImages],
    count: int,
    seed: int,
) -> Rows:
    """Draw images that both models read correctly; what is stored is checked, as floats may round otherwise here."""
    if count < FEWEST:
        raise InputError(f"At least {FEWEST} images are attacked; got {count}.")
    right = test.take(test.right[BOTH])
    chosen = right.take(np.random.default_rng(seed).permutation(len(right))[:count])
    pixels = images(chosen.ids)
    still = [loaded.classifier.predict(pixels) == chosen.labels for loaded in (first, second)]
    kept = np.asarray(chosen.ids[np.logical_and(*still)], dtype=np.int64)
    if len(kept) < FEWEST:
        raise InputError(f"Both models read only {len(kept)} test images correctly; at least {FEWEST} are needed.")
    return kept


def _crossing(
    maker: LoadedBundle, reader: LoadedBundle, attacked: FloatImages, control: FloatImages, labels: Rows, ids: Rows
) -> Crossing:
    misread = reader.classifier.predict(attacked) != labels
    by_noise = reader.classifier.predict(control) != labels
    departures = np.empty(0, dtype=np.int64)
    trajectory = next((kind for kind in reader.available if kind.name == TrajectoryView.kind), None)
    if trajectory is not None and misread.any():
        evidence = reader.evidence_of(reader.classifier.trace(attacked[misread]))
        departures = trajectory.explain(reader.seen(trajectory, evidence), labels[misread])["departures"]
    return Crossing(
        maker.bundle.name,
        reader.bundle.name,
        Rate(int(misread.sum()), len(labels)),
        Rate(int(by_noise.sum()), len(labels)),
        departures,
        ids[misread],
    )
