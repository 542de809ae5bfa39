"""What every detector's evidence about one image costs, in multiples of one forward pass of the classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from telltale.analysis.opened import LoadedBundle
from telltale.base.images import to_floats
from telltale.base.progress import Progress, silent
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.evidence.evidence import Evidence
from telltale.evidence.mahalanobis_step import stepping
from telltale.evidence.readings import Readings
from telltale.models.trace import Trace
from telltale.scores.controls import CONTROLS

Image = npt.NDArray[np.float32]
P = ParamSpec("P")
Result = TypeVar("Result")
Now = Callable[[], float]

REPEATS = 15
TEST_IMAGES, RANDOM_PIXELS = "test images", "random pixels"


@dataclass(frozen=True)
class Costs:
    """What is done for one image besides its classification, as ratios to one forward pass.

    Attributes
    ----------
    forward_ms : float
        Median time of one forward pass of one image that looks at no layer, in milliseconds.
    trace : float
        The pass that also keeps the activations, which every detector may read.
    kinds : mapping of str to float
        What each kind of evidence measures on the pixels; only those that measure any.
    detectors : mapping of str to float
        What each detector needs beyond the trace: what the kinds that it reads measure on the pixels, and its own
        scoring with what it looks up in the reference set. The fused verdict needs everything once.
    repeats : int
        How often everything was measured in turn; each figure is the median of the ratios.
    pictures : str
        What was looked at.
    """

    forward_ms: float
    trace: float
    kinds: Mapping[str, float]
    detectors: Mapping[str, float]
    repeats: int
    pictures: str

    def of(self, name: str) -> float | None:
        """Return the cost of a detector, of the fused verdict or its score of errors, or of a control, which has none.

        None for what was not measured.
        """
        return 0.0 if name in CONTROLS else self.detectors.get(FUSED if name == ERROR_SCORE else name)

    def said_of(self, name: str) -> str:
        """Return a cost as tables show it."""
        cost = self.of(name)
        return "" if cost is None else f"{cost:.{2 if cost < 10.0 else 1 if cost < 100.0 else 0}f}"

    def sentence(self) -> str:
        """Say what the costs are."""
        return (
            "cost: what one image needs beyond its classification, in forward passes of the classifier "
            f"({self.forward_ms:.2f} ms each); medians over {self.repeats} repetitions on {self.pictures}. Keeping the "
            f"activations makes the one pass that all share {self.trace:.1f} of them."
        )

    def to_json(self) -> dict[str, object]:
        """Return the costs as JSON holds them."""
        return dict(vars(self))


@dataclass(frozen=True)
class Round:
    """Seconds that every part has taken in one repetition.

    Attributes
    ----------
    forward, trace : float
    kinds : mapping of str to float
        Measuring on the pixels, by kind of evidence.
    scoring : mapping of str to float
        By detector; of the fused verdict that of all detectors together.
    """

    forward: float
    trace: float
    kinds: Mapping[str, float]
    scoring: Mapping[str, float]


def measure_costs(
    loaded: LoadedBundle, repeats: int = REPEATS, progress: Progress = silent, now: Now = time.perf_counter
) -> Costs:
    """Measure a forward pass and everything else in turn, one image after the other.

    Parameters
    ----------
    loaded : LoadedBundle
    repeats : int
        Besides one that is not counted. Each looks at another test image, or at random pixels where the data set is
        not on this machine.
    progress : callable
        Told the fraction done and what is being done.
    now : callable
        Returns the time in seconds.
    """
    images, pictures = _images(loaded, repeats + 1)
    rounds = []
    for done, image in enumerate(images):
        progress(done / len(images), "Measuring costs")
        rounds.append(_round(loaded, image[None], now))
    return costs_of(rounds[1:], _reads(loaded), pictures)


def costs_of(rounds: Sequence[Round], reads: Mapping[str, Sequence[str]], pictures: str) -> Costs:
    """Add up what was timed, and divide by the forward pass of the same repetition.

    Parameters
    ----------
    rounds : sequence of Round
    reads : mapping of str to sequence of str
        Kinds of evidence by detector.
    pictures : str
        What was looked at.
    """

    def ratio(seconds: Callable[[Round], float]) -> float:
        return float(np.median([seconds(one) / one.forward for one in rounds]))

    def of_kind(kind: str) -> float:
        return ratio(lambda one: one.kinds[kind])

    def of_detector(name: str) -> float:
        return ratio(lambda one: one.scoring[name] + sum(one.kinds.get(kind, 0.0) for kind in reads[name]))

    return Costs(
        forward_ms=1000.0 * float(np.median([one.forward for one in rounds])),
        trace=ratio(lambda one: one.trace),
        kinds={kind: of_kind(kind) for kind in rounds[0].kinds},
        detectors={name: of_detector(name) for name in rounds[0].scoring},
        repeats=len(rounds),
        pictures=pictures,
    )


def _round(loaded: LoadedBundle, image: Image, now: Now) -> Round:
    classifier = loaded.classifier
    forward, _ = _timed(now, classifier.logits_of, image)
    tracing, trace = _timed(now, classifier.trace, image)
    kinds, readings = {}, {}
    for kind in loaded.available:
        if kind.readings:
            kinds[kind.name], seen = _timed(now, kind.observe, classifier, image, trace)
            readings[kind.name] = seen.readings
    scoring = {}
    for name, read in _reads(loaded).items():
        evidence = _evidence(loaded, image, trace, [readings.get(kind, {}) for kind in read])
        scoring[name] = _timed(now, _score, loaded, name, evidence)[0]
    return Round(forward, tracing, kinds, scoring)


def _score(loaded: LoadedBundle, name: str, evidence: Evidence) -> None:
    if name == FUSED:
        loaded.fitted.score_all(evidence)
    else:
        loaded.detectors[name].score(evidence)


def _evidence(
    loaded: LoadedBundle, image: Image, trace: Trace, readings: Sequence[Mapping[str, npt.NDArray[np.float64]]]
) -> Evidence:
    """Return evidence of which nothing is computed yet but the readings."""
    known = Readings({name: values for one in readings for name, values in one.items()})
    return Evidence(loaded.reference, trace, known, stepping(loaded.classifier, image))


def _reads(loaded: LoadedBundle) -> dict[str, tuple[str, ...]]:
    reads = {name: detector.reads for name, detector in loaded.detectors.items()}
    if loaded.fitted.fusion is None:
        return reads
    return {**reads, FUSED: tuple(dict.fromkeys(kind for kinds in reads.values() for kind in kinds))}


def _images(loaded: LoadedBundle, count: int) -> tuple[Image, str]:
    bundle = loaded.bundle
    if bundle.image_set is not None:
        test = bundle.splits.test
        return bundle.image_set.images(test[np.arange(count) % len(test)]), TEST_IMAGES
    shape = (count, *loaded.classifier.input_shape)
    return to_floats(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)), RANDOM_PIXELS


def _timed(now: Now, work: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> tuple[float, Result]:
    start = now()
    result = work(*arguments, **named)
    return now() - start, result
