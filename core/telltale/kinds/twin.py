"""What a second network, trained independently, makes of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from telltale.detectors.twin import LOG_PROBABILITIES
from telltale.kinds.kind import Beside, Images, Kind, Observation, Seen
from telltale.models.trace import Trace

if TYPE_CHECKING:
    from telltale.models.classifier import Classifier


@dataclass(frozen=True)
class TwinView:
    """What both networks make of one image.

    Attributes
    ----------
    probabilities : array of float64, shape (C,)
        Softmax of the classifier.
    twin_probabilities : array of float64, shape (C,)
        Softmax of its twin.
    doubt : float
        Minus the logarithm of the twin's probability of the class that the classifier predicts, in nats.
    """

    kind: ClassVar[str] = "twin"
    probabilities: npt.NDArray[np.float64]
    twin_probabilities: npt.NDArray[np.float64]
    doubt: float

    @property
    def prediction(self) -> int:
        """Class that the twin predicts."""
        return int(self.twin_probabilities.argmax())


class TwinKind(Kind):
    """Whether a network that learned the same from another start says the same."""

    name = TwinView.kind
    title = "Second opinion"
    readings = (LOG_PROBABILITIES,)

    def lacks(self, classifier: Beside) -> str | None:
        """Say that there is no twin."""
        return None if classifier.twin is not None else "No second network was trained beside this classifier."

    def observe(self, classifier: Classifier, images: Images, trace: Trace) -> Observation:
        """Let the twin read n images; a classifier without one leaves nothing to be read."""
        del trace
        if classifier.twin is None:
            return Observation()
        from telltale.evidence.twin import log_probabilities

        return Observation({LOG_PROBABILITIES: log_probabilities(classifier.twin, images)})

    def view(self, seen: Seen) -> TwinView:
        """Return both networks' probabilities."""
        trace, found = seen.evidence.trace, seen.evidence.readings[LOG_PROBABILITIES][0]
        return TwinView(trace.probabilities[0], np.exp(found), float(-found[trace.predictions[0]]))
