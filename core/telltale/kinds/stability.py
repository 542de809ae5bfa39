"""How clearly the predicted class still wins when the image is moved by one pixel or mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from telltale.detectors.stability import StabilityDetector
from telltale.evidence.margins import logit_margins
from telltale.evidence.stability import TRANSFORMS, counted_transforms, margin_drops, margins_of, transformed
from telltale.kinds.kind import Images, Kind, Observation, Seen
from telltale.models.trace import Trace

TRANSFORMED_MARGINS = "transformed_margins"


@dataclass(frozen=True)
class StabilityView:
    """What small movements do to the lead of the class that is predicted for one image.

    Attributes
    ----------
    margin : float
        Logit of the predicted class less the largest other one, for the image as it is.
    margins : mapping of str to float
        The same class's margin after each transform; below 0 where another class wins.
    counted : tuple of str
        Transforms over which the mean is taken: the shifts, and mirroring where a bundle's detector has seen natural
        images of the predicted class survive it.
    drop : float
        The margin less that mean, in logits.
    """

    kind: ClassVar[str] = "stability"
    margin: float
    margins: dict[str, float]
    counted: tuple[str, ...]
    drop: float


class StabilityKind(Kind):
    """Whether the answer survives a step aside."""

    name = StabilityView.kind
    title = "Stability"
    readings = (TRANSFORMED_MARGINS,)

    def versions(self, images: Images) -> Images:
        """Transform n images in every way."""
        return transformed(images)

    def read(self, trace: Trace, logits: npt.NDArray[np.float32]) -> Observation:
        """Measure how far the predicted class still leads."""
        return Observation({TRANSFORMED_MARGINS: margins_of(logits, trace.predictions)})

    def view(self, seen: Seen) -> StabilityView:
        """Return the margins by transform; without a fitted detector, which knows of mirroring, only shifts count."""
        trace, transformed = seen.evidence.trace, seen.evidence.readings[TRANSFORMED_MARGINS]
        detector = seen.fitted.detectors.get(StabilityDetector.name)
        mirrored = np.zeros(len(trace), dtype=np.bool_)
        if isinstance(detector, StabilityDetector):
            mirrored = detector.mirrored(trace.predictions)
        margins = logit_margins(trace.logits, trace.predictions)
        counted = counted_transforms(mirrored)[0]
        return StabilityView(
            margin=float(margins[0]),
            margins=dict(zip(TRANSFORMS, transformed[0].tolist(), strict=True)),
            counted=tuple(name for name, counts in zip(TRANSFORMS, counted, strict=True) if counts),
            drop=float(margin_drops(margins, transformed, mirrored)[0]),
        )
