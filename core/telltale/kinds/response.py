"""Feature responses and their local entropy (Amirian et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from telltale.evidence.evidence import Evidence
from telltale.kinds.kind import Images, Kind, Observation, Seen
from telltale.models.batch import batch_of
from telltale.models.trace import Trace

if TYPE_CHECKING:
    from telltale.evidence.response import Responses
    from telltale.models.classifier import Classifier

MEAN_ENTROPY = "mean_entropy"
RESPONDED_AT_ONCE = 50


@dataclass(frozen=True)
class ResponseView:
    """Feature response and local entropy of one image (Amirian 2018, Eqs. 3 and 4).

    Attributes
    ----------
    response : array of float32, shape (H, W)
        Grey guided-backprop response before rescaling; signed.
    grey : array of uint8, shape (H, W)
        The response rescaled to the 8-bit grey levels whose entropy is taken.
    entropy : array of float32, shape (H - p + 1, W - p + 1)
        Entropy in bits of the grey-level histogram in every interior p x p patch.
    mean_entropy : float
        Mean over the patches, in bits.
    levels, patch : int
        Grey levels and patch side used.
    method : str
        ``"guided backprop"``, or ``"plain gradient"`` for a network without rectifiers.
    """

    kind: ClassVar[str] = "response"
    response: npt.NDArray[np.float32]
    grey: npt.NDArray[np.uint8]
    entropy: npt.NDArray[np.float32]
    mean_entropy: float
    levels: int
    patch: int
    method: str


class ResponseKind(Kind):
    """Which pixels drive the last convolutional stage, and how scattered they are."""

    name = ResponseView.kind
    title = "Feature response"
    readings = (MEAN_ENTROPY,)

    def observe(self, classifier: Classifier, images: Images, trace: Trace) -> Observation:
        """Backpropagate the responses of n images and measure their entropy; the detail is that of the first ones."""
        from telltale.evidence.response import feature_responses

        del trace
        starts = range(0, len(images), RESPONDED_AT_ONCE)
        parts = [feature_responses(classifier, images[start : start + RESPONDED_AT_ONCE]) for start in starts]
        return Observation({MEAN_ENTROPY: np.concatenate([part.mean_entropy for part in parts])}, parts[0])

    def columns(self, evidence: Evidence) -> dict[str, npt.NDArray[np.float64]]:
        """Return the mean entropy."""
        return {MEAN_ENTROPY: evidence.readings[MEAN_ENTROPY]}

    def view(self, seen: Seen) -> ResponseView:
        """Return the maps of one image, which observing has left."""
        responses: Responses = seen.detail  # type: ignore[assignment]
        return response_view(responses)


def response_view(responses: Responses) -> ResponseView:
    """Return the maps of the first image."""
    return ResponseView(
        response=responses.maps[0],
        grey=responses.grey[0],
        entropy=responses.entropy[0],
        mean_entropy=float(responses.mean_entropy[0]),
        levels=responses.levels,
        patch=responses.patch,
        method=responses.method,
    )


def respond(classifier: Classifier, image: Images, levels: int, patch: int) -> ResponseView:
    """Return the feature response of one image (C, H, W) at chosen grey levels and patch size.

    Raises
    ------
    InputError
        If the image's shape, `levels` or `patch` is not accepted.
    """
    from telltale.evidence.response import feature_responses

    return response_view(feature_responses(classifier, batch_of(classifier, image), levels, patch))
