"""The whole path for one image on the shipped bundle: documented shapes, brute-force agreement, exact repetition."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from support.shipped import correct_test_ids, images_of, shipped
from telltale.analysis.analyse import analyse_image, attack_image, live_scores, sweep
from telltale.analysis.results import Analysis
from telltale.base.errors import CancelledError, InputError
from telltale.base.images import image_sha256, round_to_8_bits
from telltale.engine.cache import fingerprint
from telltale.evidence.neighbours import Neighbours
from telltale.evidence.placing import PLACED_BETWEEN, place_on_map
from telltale.evidence.trajectory import DISTANCES, PIVOTS
from telltale.kinds.density import DensityView
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView
from telltale.kinds.response import ResponseView, respond
from telltale.kinds.trajectory import TrajectoryView
from telltale.scores.calibration import fewest_images
from telltale.scores.verdicts import Verdict

ALPHA = 0.05
C = 10


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return images_of(correct_test_ids(3))[1]


@pytest.fixture(scope="module")
def natural(image: np.ndarray) -> Analysis:
    return analyse_image(shipped(), image, ALPHA)


@pytest.fixture(scope="module")
def attacked(image: np.ndarray) -> Analysis:
    result = attack_image(shipped(), image, "pgd")
    assert result.success[0]
    return analyse_image(shipped(), result.images[0], ALPHA)


def test_every_stop_is_told_before_it_begins_and_any_of_them_can_end_the_work(
    image: np.ndarray, natural: Analysis
) -> None:
    told: list[tuple[float, str]] = []
    watched = analyse_image(shipped(), image, ALPHA, lambda fraction, words: told.append((fraction, words)))
    assert timeless(watched) == timeless(natural)
    fractions = [fraction for fraction, _ in told]
    assert fractions[0] == 0.0 and fractions == sorted(set(fractions)) and fractions[-1] == (len(told) - 1) / len(told)
    assert told[0][1] == "reading the layers" and told[-1][1] == "asking the detectors"
    assert {"feature response", "feature squeezing", "neighbours"} <= {words for _, words in told}
    for place in range(len(told)):
        heard: list[str] = []

        def stop(_: float, words: str, place: int = place, heard: list[str] = heard) -> None:
            heard.append(words)
            if len(heard) > place:
                raise CancelledError("enough")

        with pytest.raises(CancelledError):
            analyse_image(shipped(), image, ALPHA, stop)
        assert len(heard) == place + 1


@pytest.fixture(params=["natural", "attacked"])
def analysis(request: pytest.FixtureRequest) -> Analysis:
    return request.getfixturevalue(request.param)


def timeless(value: Analysis) -> str:
    """Return a digest of every number of an analysis but the times it took."""
    return fingerprint(dataclasses.replace(value, timings_ms={}))


def shapes(analysis: Analysis) -> Iterator[tuple[str, Any, tuple[int, ...], type]]:
    """Yield every array of an analysis with the shape and dtype that its documentation promises."""
    reference = shipped().reference
    n_layers, height, width = len(reference.layers), 32, 32
    f4, f8, i8, u1 = np.float32, np.float64, np.int64, np.uint8
    yield "image", analysis.image, (1, height, width), f4
    yield "probabilities", analysis.prediction.probabilities, (C,), f8
    response = analysis.view(ResponseView)
    yield "response", response.response, (height, width), f4
    yield "grey", response.grey, (height, width), u1
    side = height - response.patch + 1
    yield "entropy", response.entropy, (side, side), f4
    for pivot in PIVOTS:
        for distance in DISTANCES:
            yield f"{pivot} {distance}", analysis.view(TrajectoryView).distances[pivot, distance], (n_layers, C), f4
    yield "suspicion", analysis.view(TrajectoryView).suspicion, (n_layers,), f8
    near = analysis.view(NeighboursView)
    k = near.ids.shape[1]
    yield "ids", near.ids, (n_layers, k), i8
    yield "labels", near.labels, (n_layers, k), i8
    yield "distances", near.distances, (n_layers, k), f4
    yield "votes", near.votes, (C,), f8
    yield "score_ids", near.score_ids, (near.score_k,), i8
    for name in ("umap", "pca"):
        yield name, near.positions[name], (n_layers, 2), f4
    influence = analysis.view(InfluenceView)
    m = len(influence.helpful_ids)
    for side_name in ("helpful", "harmful"):
        for part, shape, dtype in (
            ("ids", (m,), i8),
            ("labels", (m,), i8),
            ("values", (m,), f8),
            ("ranks", (n_layers, m), f4),
            ("distances", (n_layers, m), f4),
        ):
            yield f"{side_name}_{part}", getattr(influence, f"{side_name}_{part}"), shape, dtype
    yield "log_density", analysis.view(DensityView).log_density, (C,), f8
    for keep in (0.95, 0.99):
        yield f"TH {keep}", analysis.view(DensityView).thresholds[keep], (C,), f8
    yield "position", analysis.view(DensityView).position, (2,), f4


def test_every_array_has_its_documented_shape_and_dtype(analysis: Analysis) -> None:
    seen = 0
    for name, array, shape, dtype in shapes(analysis):
        assert array.shape == shape, name
        assert array.dtype == dtype, name
        assert np.isfinite(array).all(), name
        seen += 1
    assert seen == 31
    assert analysis.bundle == "digits" and analysis.bundle_id == shipped().bundle.id
    assert analysis.image_sha256 == image_sha256(analysis.image)


def test_parts_agree_with_each_other(analysis: Analysis) -> None:
    prediction, near = analysis.prediction, analysis.view(NeighboursView)
    assert prediction.label == prediction.probabilities.argmax()
    assert prediction.confidence == prediction.probabilities[prediction.label]
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert prediction.name == shipped().bundle.class_names[prediction.label]
    assert near.votes.sum() == pytest.approx(1, abs=1e-12) and near.votes.min() >= 0
    assert analysis.verdict("knn_score").score == pytest.approx(1 - near.votes[prediction.label], abs=1e-12)
    assert analysis.view(ResponseView).mean_entropy == pytest.approx(
        analysis.view(ResponseView).entropy.astype(float).mean(), abs=1e-9
    )
    assert analysis.view(TrajectoryView).suspicion.min() >= 0 and analysis.view(TrajectoryView).suspicion.max() <= 1  # type: ignore[union-attr]
    stops = dict(analysis.timings_ms)
    assert stops.pop("total") >= sum(stops.values()) > 0


def test_neighbours_are_those_of_a_brute_force_search(analysis: Analysis) -> None:
    reference, near = shipped().reference, analysis.view(NeighboursView)
    trace = shipped().classifier.trace(analysis.image[None])
    for row, (query, points) in enumerate(zip(trace.activations, reference.trace.activations, strict=True)):
        distances = cdist(query.astype(np.float64), points.astype(np.float64))[0]
        order = np.lexsort((np.arange(len(distances)), distances))[: near.ids.shape[1]]
        np.testing.assert_array_equal(near.ids[row], reference.ids[order])
        np.testing.assert_array_equal(near.labels[row], reference.labels[order])
        np.testing.assert_allclose(near.distances[row], distances[order], rtol=1e-5, atol=1e-6)


def test_influence_is_that_of_the_formula_written_out(analysis: Analysis) -> None:
    """-grad L_test . H^-1 . grad of the mean training loss, with a Hessian summed image by image."""
    reference, influence = shipped().reference, analysis.view(InfluenceView)
    weights, damping = reference.head.weights, reference.head.damping
    features = np.c_[reference.trace.hidden.astype(np.float64), np.ones(len(reference.labels))]
    logits = features @ weights.T
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    n, size = len(features), weights.size
    # H = 1/N sum (diag p - p p') (x) f f' + damping, as one product of (N, C d) factors.
    own = np.einsum("nc,nd->cnd", np.sqrt(p), features)
    mean = np.einsum("nc,nd->ncd", p, features).reshape(n, size)
    hessian = damping * np.eye(size) - mean.T @ mean / n
    width = features.shape[1]
    for c in range(C):
        hessian[c * width : (c + 1) * width, c * width : (c + 1) * width] += own[c].T @ own[c] / n
    train = np.einsum("nc,nd->ncd", p - np.eye(C)[reference.labels], features).reshape(n, size)
    hidden = np.r_[shipped().classifier.trace(analysis.image[None]).hidden[0].astype(np.float64), 1.0]
    q = np.exp(weights @ hidden - (weights @ hidden).max())
    test = np.outer(q / q.sum() - np.eye(C)[analysis.prediction.label], hidden).ravel()
    values = train @ np.linalg.solve(hessian, test) / n
    m = len(influence.helpful_ids)
    scale = np.abs(values).max()
    for ids, told, order in (
        (influence.helpful_ids, influence.helpful_values, np.argsort(-values, kind="stable")[:m]),
        (influence.harmful_ids, influence.harmful_values, np.argsort(values, kind="stable")[:m]),
    ):
        np.testing.assert_allclose(told, values[order], rtol=1e-6, atol=1e-9 * scale)
        by_id = dict(zip(reference.ids.tolist(), values, strict=True))
        np.testing.assert_allclose([by_id[i] for i in ids.tolist()], told, rtol=1e-6, atol=1e-9 * scale)
        assert len(set(ids.tolist())) == m
    assert influence.n_train == len(reference.ids)


def test_influential_images_lie_where_it_is_said(analysis: Analysis) -> None:
    reference, influence = shipped().reference, analysis.view(InfluenceView)
    trace = shipped().classifier.trace(analysis.image[None])
    rows = np.searchsorted(reference.ids, influence.helpful_ids)
    np.testing.assert_array_equal(reference.ids[rows], influence.helpful_ids)
    np.testing.assert_array_equal(reference.labels[rows], influence.helpful_labels)
    for layer, (query, points) in enumerate(zip(trace.activations, reference.trace.activations, strict=True)):
        distances = np.linalg.norm(points - query, axis=1)
        np.testing.assert_allclose(influence.helpful_distances[layer], distances[rows], rtol=1e-5)
        nearer = (distances[None, :] < distances[rows][:, None]).sum(1)
        np.testing.assert_allclose(influence.helpful_ranks[layer], nearer / len(points), atol=1e-7)


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.25, 0.9])
def test_verdicts_follow_from_score_and_calibration(attacked: Analysis, alpha: float) -> None:
    again = analyse_image(shipped(), attacked.image, alpha)
    assert [verdict.detector for verdict in again.verdicts] == list(shipped().detectors)
    for verdict in again.verdicts:
        calibration = shipped().calibrations[verdict.detector]
        assert calibration is not None and verdict.p_value is not None and verdict.threshold is not None
        at_least = int((calibration.scores >= verdict.score).sum())
        assert verdict.p_value == (1 + at_least) / (len(calibration.scores) + 1)
        reached = verdict.score >= verdict.threshold
        assert reached is (verdict.p_value <= alpha)
        assert verdict.adversarial is (reached if verdict.n_calibration >= fewest_images(alpha) else None)
        assert (verdict.alpha, verdict.n_calibration) == (alpha, len(calibration.scores))
        assert verdict.score == attacked.verdict(verdict.detector).score, "the score knows nothing of alpha"


def test_a_detector_without_calibration_gives_a_score_and_no_answer(natural: Analysis) -> None:
    loaded = dataclasses.replace(shipped(), calibrations={**shipped().calibrations, "nnif": None})
    found = analyse_image(loaded, natural.image, ALPHA).verdict("nnif")
    assert found == Verdict("nnif", natural.verdict("nnif").score, None, None, None, ALPHA, 0)


def test_an_attack_is_noticed_by_most_detectors(attacked: Analysis) -> None:
    assert sum(bool(verdict.adversarial) for verdict in attacked.verdicts) >= 3


def test_an_image_off_the_grid_is_rounded_first(image: np.ndarray, natural: Analysis) -> None:
    noise = np.random.default_rng(0).uniform(-0.4 / 255, 0.4 / 255, image.shape)
    off_grid = np.clip(image + noise, 0, 1).astype(np.float32)
    assert not np.array_equal(off_grid, image)
    found = analyse_image(shipped(), off_grid, ALPHA)
    np.testing.assert_array_equal(found.image, image)
    assert timeless(found) == timeless(natural)


def test_the_same_image_gives_the_same_bits_whatever_came_between(natural: Analysis, attacked: Analysis) -> None:
    for other in images_of(correct_test_ids(4)):
        analyse_image(shipped(), other, 0.2)
    respond(shipped().classifier, attacked.image, 16, 5)
    assert timeless(analyse_image(shipped(), natural.image, ALPHA)) == timeless(natural)
    assert timeless(analyse_image(shipped(), attacked.image, ALPHA)) == timeless(attacked)
    assert timeless(natural) != timeless(attacked)


def test_an_image_of_the_training_set_is_its_own_nearest_neighbour() -> None:
    loaded = shipped()
    row = 17
    found = analyse_image(loaded, images_of([loaded.reference.ids[row]])[0], ALPHA)
    last = found.view(NeighboursView)
    assert last.ids[-1, 0] == loaded.reference.ids[row]
    np.testing.assert_allclose(last.distances[:, 0], 0, atol=1e-4)
    for name, place in last.positions.items():
        np.testing.assert_allclose(place, loaded.bundle.maps[name][:, row], atol=0.2, err_msg=name)


def test_placing_on_a_map_weighs_neighbours_by_nearness() -> None:
    coordinates = np.array([[[0, 0], [3, 0], [0, 9], [100, 100]]], dtype=np.float32)
    rows = np.array([[0, 1, 2]])
    weighed = place_on_map([Neighbours(rows, np.array([[1.0, 2.0, 4.0]]))], coordinates)
    np.testing.assert_allclose(weighed, [[1.5 / 1.75, 2.25 / 1.75]], rtol=1e-6)
    exact = place_on_map([Neighbours(rows, np.array([[0.0, 0.0, 4.0]]))], coordinates)
    np.testing.assert_allclose(exact, [[1.5, 0.0]])
    many = np.concatenate([np.zeros((1, PLACED_BETWEEN, 2)), np.full((1, 5, 2), 1e6)], axis=1).astype(np.float32)
    order = np.arange(PLACED_BETWEEN + 5)[None]
    np.testing.assert_array_equal(place_on_map([Neighbours(order, np.ones(order.shape))], many), [[0.0, 0.0]])


def test_a_sweep_begins_and_ends_at_the_two_analyses(natural: Analysis, attacked: Analysis) -> None:
    strengths = (0.0, 0.5, 1.0, 2.0)
    points = sweep(shipped(), natural.image, attacked.image, strengths)
    assert tuple(point.strength for point in points) == strengths
    for point, end in ((points[0], natural), (points[2], attacked)):
        assert fingerprint(point.prediction) == fingerprint(end.prediction)
        assert fingerprint(point.view(TrajectoryView)) == fingerprint(end.view(TrajectoryView))
    assert points[0].linf == 0
    assert points[2].linf == pytest.approx(np.abs(attacked.image - natural.image).max())
    halfway = round_to_8_bits(natural.image + np.float32(0.5) * (attacked.image - natural.image))
    assert fingerprint(points[1].view(TrajectoryView)) == fingerprint(
        analyse_image(shipped(), halfway, ALPHA).view(TrajectoryView)
    )


def test_respond_at_the_analysis_own_settings_is_the_analysis_response(natural: Analysis) -> None:
    own = natural.view(ResponseView)
    assert fingerprint(respond(shipped().classifier, natural.image, own.levels, own.patch)) == fingerprint(own)
    coarse = respond(shipped().classifier, natural.image, 8, 7)
    assert coarse.entropy.shape == (26, 26) and coarse.grey.max() < 8
    np.testing.assert_array_equal(coarse.response, own.response)


def test_live_scores_are_those_of_analysing_one_by_one() -> None:
    loaded = shipped()
    wrong = np.setdiff1d(loaded.bundle.splits.test, correct_test_ids(10_000))[:2]
    ids = np.concatenate([wrong, correct_test_ids(3)])
    found = live_scores(loaded, "fgsm", None, 0, ids)
    np.testing.assert_array_equal(found.ids, correct_test_ids(3))
    assert found.skipped == len(wrong)
    for row, image in enumerate(images_of(found.ids)):
        result = attack_image(loaded, image, "fgsm")
        assert bool(result.success[0]) == bool(found.success[row])
        for scores, version in ((found.natural, image), (found.attacked, result.images[0])):
            analysis = analyse_image(loaded, version, ALPHA)
            for name in loaded.detectors:
                # In a batch, rounding may move one grey level of the response, which the entropy then counts, or one
                # training image past another, which the logarithm of a small rank enlarges.
                tolerance = {"feature_response": 0.05, "nnif": 2e-3}.get(name, 1e-4)
                assert scores[name][row] == pytest.approx(analysis.verdict(name).score, rel=1e-5, abs=tolerance), name


def test_live_scores_of_misread_images_only_are_empty() -> None:
    wrong = np.setdiff1d(shipped().bundle.splits.test, correct_test_ids(10_000))[:1]
    found = live_scores(shipped(), "pgd", None, 0, wrong)
    assert len(found.ids) == len(found.success) == 0 and found.skipped == 1
    assert set(found.natural) == {*shipped().detectors, "fused"}


GREY = np.full((1, 32, 32), 0.5, dtype=np.float32)
SPIKE = GREY.copy()
SPIKE[0, 3, 3] = np.nan
BAD_IMAGES = {
    "two images": np.stack([GREY, GREY]),
    "three channels": np.repeat(GREY, 3, axis=0),
    "too small": GREY[:, :31],
    "without channel": GREY[0],
    "nothing": np.empty((0, 32, 32), dtype=np.float32),
    "not a number": SPIKE,
    "too bright": GREY + 1,
    "too dark": GREY - 1,
    "0 to 255": (GREY * 255).astype(np.uint8),
    "words": "seven",
    "none": None,
    "ragged": [[0.1, 0.2], [0.3]],
    "objects": np.full((1, 32, 32), None),
}


def one_sentence(error: pytest.ExceptionInfo[InputError]) -> None:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 250, text


@pytest.mark.parametrize("name", list(BAD_IMAGES))
def test_a_bad_image_is_refused_in_one_sentence(name: str) -> None:
    image: Any = BAD_IMAGES[name]
    for call in (
        lambda: analyse_image(shipped(), image),
        lambda: attack_image(shipped(), image, "fgsm"),
        lambda: respond(shipped().classifier, image, 256, 3),
        lambda: sweep(shipped(), GREY, image, (0.0,)),
    ):
        with pytest.raises(InputError) as error:
            call()
        one_sentence(error)


@pytest.mark.parametrize(
    "call",
    [
        lambda: analyse_image(shipped(), GREY, 0.0),
        lambda: analyse_image(shipped(), GREY, 1.0),
        lambda: analyse_image(shipped(), GREY, float("nan")),
        lambda: respond(shipped().classifier, GREY, 1, 3),
        lambda: respond(shipped().classifier, GREY, 256, 4),
        lambda: sweep(shipped(), GREY, GREY, ()),
        lambda: sweep(shipped(), GREY, GREY, (0.0, 4.1)),
        lambda: sweep(shipped(), GREY, GREY, (float("nan"),)),
        lambda: attack_image(shipped(), GREY, "nonsense"),
        lambda: attack_image(shipped(), GREY, "fgsm", {"eps": 2}),
        lambda: attack_image(shipped(), GREY, "fgsm", target=10),
        lambda: attack_image(shipped(), GREY, "fgsm", target=2.5),  # type: ignore[arg-type]
        lambda: attack_image(shipped(), GREY, "fgsm", seed=1.5),  # type: ignore[arg-type]
        lambda: live_scores(shipped(), "fgsm", None, 0, np.array([], dtype=np.int64)),
        lambda: live_scores(shipped(), "fgsm", None, 0, np.array([-1])),
        lambda: live_scores(shipped(), "fgsm", None, 0, np.array([10**6])),
        lambda: live_scores(shipped(), "fgsm", None, 0, np.array([1.5])),
        lambda: live_scores(shipped(), "nonsense", None, 0, shipped().bundle.splits.test[:1]),
    ],
)
def test_a_bad_argument_is_refused_in_one_sentence(call: Any) -> None:
    with pytest.raises(InputError) as error:
        call()
    one_sentence(error)
