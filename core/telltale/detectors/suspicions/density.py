"""The suspicion of I-defender: -log p(H | predicted class) of the stored mixtures (Zheng & Hong 2018, Eq. 4)."""

from __future__ import annotations

import math

import torch

from telltale.detectors.idefender import LOG_DENSITY, IDefender
from telltale.detectors.suspicions.suspicion import Suspicion, View, view
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import UPPER
from telltale.evidence.density import ClassDensities
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


class MixtureDensities:
    """`ClassDensities` in torch, in double precision.

    Parameters
    ----------
    densities : ClassDensities
    """

    def __init__(self, densities: ClassDensities) -> None:
        arrays = {name: torch.from_numpy(values) for name, values in densities.to_arrays().items()}
        self._mean, self._axes = arrays["mean"], arrays["axes"]
        self._means, self._roots = arrays["means"], arrays["precisions_cholesky"]
        self._full = self._roots.ndim == 4
        diagonal = self._roots.diagonal(dim1=-2, dim2=-1) if self._full else self._roots
        constant = -0.5 * self._means.shape[-1] * math.log(2.0 * math.pi)
        self._offsets = arrays["weights"].log() + diagonal.log().sum(-1) + constant
        self._known = torch.from_numpy(densities.known)

    def log_density(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return log p(H | class) in nats, float64, shape (n, C), for hidden states of shape (n, d); see the original.

        It is -inf for classes without a mixture.
        """
        projected = (hidden.double() - self._mean) @ self._axes.T
        differences = projected[:, None, None] - self._means
        if self._full:
            standard = torch.einsum("nckq,ckqr->nckr", differences, self._roots)
        else:
            standard = differences * self._roots
        found = torch.logsumexp(self._offsets - 0.5 * standard.square().sum(-1), dim=-1)
        if self._known.all():
            return found
        nothing = torch.full((len(hidden), len(self._known)), -torch.inf, dtype=found.dtype)
        return nothing.index_copy(1, torch.nonzero(self._known)[:, 0], found)

    def of_predicted(self, seen: View) -> torch.Tensor:
        """Return what `telltale.evidence.density.of_predicted` does, shape (n,)."""
        found = self.log_density(seen.hidden)
        own = seen.of_predicted(found)
        if self._known.all():
            return own
        return torch.where(self._known[seen.predictions], own, found[:, self._known].amin(1))


def density_suspicion(classifier: Classifier, reference: Reference, detector: IDefender) -> Suspicion:
    """Return I-defender's own score in its fitted variant: exact, and differentiable as it stands."""
    densities = MixtureDensities(reference.densities)
    upper = detector.settings.tails == UPPER
    raw = upper and detector.settings.variant == LOG_DENSITY
    natural = [NaturalValues(values) for values in detector.natural_]

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        surprise = -densities.of_predicted(seen)
        if raw:
            return surprise
        places = [n.position(surprise) if upper else n.outwardness(surprise) for n in natural]
        return seen.of_predicted(torch.stack(places, dim=1))

    return suspicion
