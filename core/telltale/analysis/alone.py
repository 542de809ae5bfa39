"""One image and a network alone: everything that needs no reference image and no bundle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import observe_images
from telltale.analysis.results import Analysis, Prediction, Unavailable
from telltale.attacks.attack import attack_images
from telltale.attacks.base import AttackResult, RandomTarget
from telltale.base.clock import Clock
from telltale.base.images import image_sha256
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.registry import DETECTORS
from telltale.evidence.evidence import Evidence
from telltale.evidence.reference import Reference
from telltale.kinds.kind import Seen
from telltale.kinds.registry import KINDS
from telltale.models.batch import batch_of
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace
from telltale.scores.calibration import check_alpha, uncalibrated_verdict

Image = npt.NDArray[np.float32]

NEED_REFERENCES = (
    "Only the network is at hand: telltale.build on images like those that it will judge would bring this, and "
    "p-values."
)


def analyse_alone(classifier: Classifier, image: Image, alpha: float = 0.05) -> Analysis:
    """Run one image through what a network alone allows: responses, squeezing, stability, scores without p-values.

    Parameters
    ----------
    classifier : Classifier
    image : array of float32, shape (C, H, W), in [0, 1]
        Rounded to 8 bits first.
    alpha : float
        In (0, 1); no verdict is given at it.

    Returns
    -------
    Analysis
        Of no bundle: its name and id are empty. Other evidence is `Unavailable`, with what would bring it.

    Raises
    ------
    InputError
        If the image or alpha is not accepted.
    """
    check_alpha(alpha)
    clock = Clock()
    batch = batch_of(classifier, image)
    present = [name for name, kind in KINDS.items() if kind.alone]
    observed = observe_images(classifier, batch, clock=clock, kinds=present)
    evidence = Evidence(_nothing(observed.trace), observed.trace, observed.readings)
    detectors = {name: found for name, kind in DETECTORS.items() if (found := kind.alone(classifier.classes))}
    fitted = FittedDetectors(detectors, None)
    views: dict[str, object] = {name: Unavailable(NEED_REFERENCES) for name in KINDS}
    for name in present:
        with clock.timed(name):
            views[name] = KINDS[name].view(Seen(evidence, fitted, None, observed.details.get(name)))
    with clock.timed("verdicts"):
        scores = {name: float(detector.score(evidence)[0]) for name, detector in detectors.items()}
    return Analysis(
        bundle="",
        bundle_id="",
        image_sha256=image_sha256(batch[0]),
        image=batch[0],
        prediction=_prediction(classifier, observed.trace),
        evidence=views,
        verdicts=tuple(uncalibrated_verdict(name, score, alpha) for name, score in scores.items()),
        fused=None,
        timings_ms=clock.report(),
    )


def attack_alone(
    classifier: Classifier,
    image: Image,
    attack: str,
    parameters: Mapping[str, object] | None = None,
    seed: int = 0,
    target: int | RandomTarget | None = None,
) -> AttackResult:
    """Attack one image (C, H, W) of a network alone; see `telltale.attacks.attack_images`.

    Raises
    ------
    InputError
        If an argument is not accepted, or the attack aims at detectors, of which there are none.
    """
    targets = target if target is None or isinstance(target, str) else np.array([target])
    return attack_images(classifier, batch_of(classifier, image), attack, parameters, targets=targets, seed=seed)


def _nothing(trace: Trace) -> Reference:
    """Return a reference set of no image, for what reads only the image itself."""
    none = np.empty(0, dtype=np.int64)
    missing = {name: NEED_REFERENCES for name, kind in KINDS.items() if not kind.alone}
    return Reference(none, none, trace.logits.shape[1], trace.take(none), {}, missing)


def _prediction(classifier: Classifier, trace: Trace) -> Prediction:
    label, probabilities = int(trace.predictions[0]), trace.probabilities[0]
    name = str(label) if classifier.class_names is None else classifier.class_names[label]
    return Prediction(label, name, float(probabilities[label]), probabilities)
