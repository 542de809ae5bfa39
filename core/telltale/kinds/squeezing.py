"""How far the softmax output moves when the image is squeezed (Xu, Evans & Qi 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from telltale.kinds.kind import Images, Kind, Observation, Seen
from telltale.models.trace import Trace

SQUEEZED = "squeezed"


@dataclass(frozen=True)
class SqueezingView:
    """What squeezing does to the answer for one image.

    Attributes
    ----------
    distances : mapping of str to float
        L1 distance between the softmax outputs before and after, by squeezer; in [0, 2].
    """

    kind: ClassVar[str] = "squeezing"
    distances: dict[str, float]


class SqueezingKind(Kind):
    """Whether the answer survives fewer bits and some smoothing."""

    name = SqueezingView.kind
    title = "Feature squeezing"
    readings = (SQUEEZED,)

    def versions(self, images: Images) -> Images:
        """Squeeze n images in every way."""
        from telltale.evidence.squeezing import squeezed

        return squeezed(images)

    def read(self, trace: Trace, logits: npt.NDArray[np.float32]) -> Observation:
        """Measure how far the answers move."""
        from telltale.evidence.squeezing import distances_to

        return Observation({SQUEEZED: distances_to(logits, trace.probabilities)})

    def view(self, seen: Seen) -> SqueezingView:
        """Return the distances by squeezer."""
        from telltale.evidence.squeezing import SQUEEZERS

        return SqueezingView(dict(zip(SQUEEZERS, seen.evidence.readings[SQUEEZED][0].tolist(), strict=True)))
