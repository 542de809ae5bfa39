"""Margins after small movements, against padded and cropped images and a forward pass of torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logit, softmax

from support.rereading import transformed_margins
from support.shipped import images_of, shipped
from support.tiny import small_classifier, tiny_classifier, tiny_images
from telltale.analysis.analyse import analyse_image
from telltale.analysis.observing import observe_images
from telltale.detectors.base import Detector
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.stability import StabilityDetector
from telltale.evidence.evidence import Evidence
from telltale.evidence.margins import log_odds, logit_margins
from telltale.evidence.stability import MIRROR, TRANSFORMS, margin_drops
from telltale.kinds.kind import Seen
from telltale.kinds.registry import KINDS
from telltale.kinds.stability import StabilityKind, StabilityView

# One more pixel on the side that is left behind, filled from the edge, and one less on the other.
PADDED_AND_CUT = {
    "up": (((0, 1), (0, 0)), (slice(1, None), slice(None))),
    "down": (((1, 0), (0, 0)), (slice(None, -1), slice(None))),
    "left": (((0, 0), (0, 1)), (slice(None), slice(1, None))),
    "right": (((0, 0), (1, 0)), (slice(None), slice(None, -1))),
}


def brute_force(name: str, image: np.ndarray) -> np.ndarray:
    """Transform one image (C, H, W)."""
    if name == "mirrored":
        return np.flip(image, axis=2).copy()
    pad, (rows, columns) = PADDED_AND_CUT[name]
    return np.pad(image, ((0, 0), *pad), mode="edge")[:, rows, columns].copy()


def margin(logits: np.ndarray, own: int) -> float:
    return float(logits[own]) - max(float(z) for c, z in enumerate(logits) if c != own)


# --- margins ---


def test_log_odds_are_those_of_the_softmax_and_go_on_where_it_is_one() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 7))
    classes = np.arange(50) % 7
    p = softmax(logits, axis=1)[np.arange(50), classes]
    np.testing.assert_allclose(log_odds(logits, classes), logit(p), atol=1e-9)
    certain = np.zeros((3, 4))
    certain[:, 0] = [50.0, 60.0, 5000.0]
    assert (softmax(certain, axis=1)[:, 0] == 1.0).all()
    np.testing.assert_allclose(log_odds(certain, np.zeros(3, np.int64)), certain[:, 0] - np.log(3), rtol=1e-12)


def test_margins_are_those_of_loops_over_classes() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (50, 5)).astype(np.float32)
    classes = np.arange(50) % 5
    expected = [margin(z, c) for z, c in zip(logits, classes, strict=True)]
    np.testing.assert_allclose(logit_margins(logits, classes), expected, rtol=1e-12)
    assert min(expected) < 0.0 < max(expected)
    two = logits[:, :2]
    np.testing.assert_allclose(logit_margins(two, classes % 2), log_odds(two, classes % 2), rtol=1e-12)


# --- transforms ---


@pytest.mark.parametrize("shape", [(3, 5, 6), (1, 1, 1), (1, 2, 7)])
def test_transforms_are_those_of_padding_and_cutting(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(2).random((2, *shape), dtype=np.float32)
    before = images.copy()
    assert set(TRANSFORMS) == {*PADDED_AND_CUT, "mirrored"}
    for name, transform in TRANSFORMS.items():
        expected = np.stack([brute_force(name, image) for image in images])
        np.testing.assert_array_equal(transform(images), expected)
    np.testing.assert_array_equal(images, before)


def test_margins_after_each_transform_are_those_of_separate_passes() -> None:
    classifier, images = tiny_classifier(), tiny_images(9)[0]
    classes = classifier.predict(images)
    found = transformed_margins(classifier, images, classes)
    assert found.shape == (len(images), len(TRANSFORMS)) and found.dtype == np.float64
    for row in (0, 4, len(images) - 1):
        for column, name in enumerate(TRANSFORMS):
            with torch.no_grad():
                logits = classifier(torch.from_numpy(brute_force(name, images[row])[None]))[0].numpy()
            assert found[row, column] == pytest.approx(margin(logits, classes[row]), abs=1e-4)
    assert found.std(1).min() > 1e-3


def test_an_image_has_the_same_margins_alone_and_among_others() -> None:
    classifier, images = tiny_classifier(), tiny_images(9)[0]
    classes = classifier.predict(images)
    together = transformed_margins(classifier, images, classes)
    alone = [transformed_margins(classifier, images[i : i + 1], classes[i : i + 1])[0] for i in range(len(images))]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_images_need_not_be_square_or_grey() -> None:
    torch.manual_seed(0)
    classifier = small_classifier(3, 12, 20, 4, base_width=4, depth=1)
    images = np.random.default_rng(3).random((3, 3, 12, 20), dtype=np.float32)
    found = transformed_margins(classifier, images, np.array([0, 1, 3]))
    with torch.no_grad():
        up = classifier(torch.from_numpy(brute_force("up", images[2])[None]))[0].numpy()
    assert found[2, list(TRANSFORMS).index("up")] == pytest.approx(margin(up, 3), abs=1e-4)


def test_what_is_lost_is_the_margin_less_the_mean_over_what_counts() -> None:
    draws = np.random.default_rng(4)
    margins, transformed, mirrored = draws.normal(size=6), draws.normal(size=(6, 5)), np.arange(6) % 2 == 0
    found = margin_drops(margins, transformed, mirrored)
    for i in range(6):
        counted = [v for t, v in enumerate(transformed[i]) if t != MIRROR or mirrored[i]]
        assert found[i] == pytest.approx(margins[i] - sum(counted) / len(counted))


# --- the kind of evidence ---


def view_with(detectors: dict[str, Detector], image: np.ndarray) -> StabilityView:
    """Return what the digits' network shows of one image where a bundle has these detectors."""
    observed = observe_images(shipped().classifier, image[None])
    evidence = Evidence(shipped().reference, observed.trace, observed.readings)
    return KINDS["stability"].view(Seen(evidence, FittedDetectors(detectors, None)))


def test_its_view_is_the_margins_and_without_a_detector_only_shifts_count() -> None:
    classifier, image = shipped().classifier, images_of(shipped().bundle.splits.test[:1])[0]
    view = view_with({}, image)
    logits = classifier.trace(image[None]).logits[0]
    own = int(logits.argmax())
    assert view.margin == pytest.approx(margin(logits, own), abs=1e-5)
    assert list(view.margins) == list(TRANSFORMS)
    for name, value in view.margins.items():
        moved = classifier.trace(brute_force(name, image)[None]).logits[0]
        assert value == pytest.approx(margin(moved, own), abs=1e-4)
    assert view.counted == tuple(name for name in TRANSFORMS if name != "mirrored")
    assert view.drop == pytest.approx(view.margin - np.mean([view.margins[name] for name in view.counted]))


def test_a_fitted_detector_says_whether_mirroring_counts_and_gives_the_same_drop() -> None:
    image = images_of(shipped().bundle.splits.test[:1])[0]
    own = int(shipped().classifier.predict(image[None])[0])
    for share in (0.5, 0.95):
        surviving = np.where(np.arange(10) == own, share, 1.0 - share)
        detector = StabilityDetector().restore({"natural": np.zeros(1), "surviving": surviving})
        view = view_with({"stability": detector}, image)
        assert ("mirrored" in view.counted) == (share > 0.9)
        observed = observe_images(shipped().classifier, image[None])
        (score,) = detector.score(Evidence(shipped().reference, observed.trace, observed.readings))
        assert view.drop == pytest.approx(score, abs=1e-12)


def test_a_bundle_that_was_built_before_it_shows_it() -> None:
    image = images_of(shipped().bundle.splits.test[:1])[0]
    analysis = analyse_image(shipped(), image)
    assert analysis.view(StabilityView).margins == pytest.approx(view_with({}, image).margins, abs=1e-6)
    assert analysis.timings_ms["stability"] > 0.0


def test_it_needs_nothing_of_the_training_images() -> None:
    kind = KINDS["stability"]
    assert isinstance(kind, StabilityKind)
    assert kind.needs == () and kind.readings == ("transformed_margins",)
