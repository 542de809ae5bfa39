"""Each detector's own arithmetic, recomputed by hand or by another library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from support.clouds import CLASSES, LAYERS, few, fresh, known, readings
from telltale.base.errors import InputError
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.feature_squeezing import FeatureSqueezingDetector
from telltale.detectors.idefender import IDefender
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.nnif import NnifDetector
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.squeezing import SQUEEZERS

# --- kNN score ---


@pytest.mark.parametrize("layer", [-1, 0, 1])
@pytest.mark.parametrize(("k", "used"), [(7, 7), (60, 60), (1000, 60)])
def test_knn_score_is_one_minus_scikit_learns_probability_of_the_predicted_class(layer, k, used) -> None:
    detector = KnnScoreDetector(layer=layer, processing="none", weighting="knn", k=k).fit(*few())
    oracle = KNeighborsClassifier(used, algorithm="kd_tree")  # k is at most half of the 120 training images
    oracle.fit(known().trace.activations[layer].astype(np.float64), known().labels)
    shares = oracle.predict_proba(fresh().trace.activations[layer].astype(np.float64))
    expected = 1.0 - shares[np.arange(len(fresh())), fresh().predictions]
    np.testing.assert_allclose(detector.score(fresh()), expected, atol=1e-12)
    assert detector.layer_name(fresh()) == LAYERS[layer]
    np.testing.assert_allclose(detector.votes(fresh()), shares, atol=1e-12)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"^layer must be an integer in \[-3, 2\], got 7\.$"):
        KnnScoreDetector(layer=7).fit(*few()).score(fresh())


# --- I-defender ---


def surprises(evidence: Evidence) -> np.ndarray:
    """-log p(H | predicted class) from scipy's normal density: one full Gaussian per class."""
    densities = known().densities
    points = (evidence.trace.hidden.astype(np.float64) - densities.mean) @ densities.axes.T
    normals = [multivariate_normal(m.means_[0], m.covariances_[0]) for m in densities.mixtures]
    return np.array([-normals[c].logpdf(p) for c, p in zip(evidence.predictions, points, strict=True)])


def test_idefenders_log_density_variant_is_minus_the_log_density_of_the_predicted_class() -> None:
    scores = IDefender(variant="log_density").fit(*few()).score(fresh())
    np.testing.assert_allclose(scores, surprises(fresh()), rtol=1e-9)


def test_class_quantile_rises_with_surprise_within_every_class_and_never_falls() -> None:
    scores, surprise = IDefender(variant="class_quantile").fit(*few()).score(fresh()), surprises(fresh())
    for c in range(CLASSES):
        rows = np.flatnonzero(fresh().predictions == c)
        ordered = scores[rows[np.argsort(surprise[rows])]]
        assert (np.diff(ordered) >= 0).all()
        beyond = ordered[ordered > 1]
        assert (np.diff(beyond) > 0).all()  # what lies beyond all natural images is still told apart


def test_class_quantile_is_the_place_among_natural_images_of_the_predicted_class() -> None:
    evidence, labels = few()
    scores = IDefender(variant="class_quantile").fit(evidence, labels).score(fresh())
    natural = ~labels.adversarial
    for score, surprise, c in zip(scores, surprises(fresh()), fresh().predictions, strict=True):
        own = surprises(evidence)[natural & (evidence.predictions == c)]
        if surprise > own.max():
            assert 1.0 < score < 2.0
        else:
            assert score == pytest.approx((own <= surprise).mean(), abs=1.0 / (len(own) - 1) + 1e-9)
    own_scores = IDefender(variant="class_quantile").fit(evidence, labels).score(evidence)[natural]
    assert ((own_scores >= 0) & (own_scores <= 1)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=20))
def test_quantiles_never_fall_whatever_the_natural_images(natural, values) -> None:
    detector = IDefender(variant="class_quantile")
    detector.restore({"natural_0": np.sort(np.array(natural))})
    evidence = _OnlySurprise(np.sort(np.array(values)))
    scores = detector.score(evidence)
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= -1) & (scores <= 2)).all()


class _OnlySurprise:
    """What I-defender asks of the evidence, for one class."""

    def __init__(self, surprise: np.ndarray) -> None:
        self.log_density = -surprise[:, None]
        self.predictions = np.zeros(len(surprise), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.predictions)


# --- NNIF ---


def nnif_row(evidence: Evidence, i: int, m: int, form: str) -> np.ndarray:
    """One image's features by sorting everything: helpful ranks and distances, harmful ranks and distances."""
    values = known().influence.values(evidence.trace.hidden[i : i + 1], evidence.predictions[i : i + 1])[0]
    best, worst = np.argsort(-values, kind="stable")[:m], np.argsort(values, kind="stable")[:m]
    count = len(known().labels)
    blocks = []
    for chosen in (best, worst):
        ranks, lengths = [], []
        for queries, points in zip(evidence.trace.activations, known().trace.activations, strict=True):
            distances = np.linalg.norm(points.astype(np.float64) - queries[i].astype(np.float64), axis=1)
            place = np.empty(count)
            place[np.argsort(distances)] = np.arange(count) / count
            ranks.append(place[chosen])
            lengths.append(distances[chosen])
        blocks += [np.array(ranks), np.array(lengths)]
    return np.concatenate([b.mean(1) if form == "mean" else b.ravel() for b in blocks])


@pytest.mark.parametrize(("form", "width"), [("mean", 4 * len(LAYERS)), ("list", 4 * len(LAYERS) * 10)])
def test_nnif_features_equal_a_computation_by_hand(form, width) -> None:
    features = NnifDetector(m=10, form=form).features(fresh())
    assert features.shape == (len(fresh()), width)
    for i in (0, 13, 25, 47):
        np.testing.assert_allclose(features[i], nnif_row(fresh(), i, 10, form), rtol=1e-5, atol=1e-6)


def test_nnif_can_read_the_logarithms_of_the_same_features() -> None:
    for i in (0, 13):
        logarithms = NnifDetector(m=10, scale="log").features(fresh())[i]
        np.testing.assert_allclose(np.exp(logarithms) - 1e-5, nnif_row(fresh(), i, 10, "mean"), rtol=1e-4, atol=1e-6)


def test_nnif_is_a_weighted_logistic_regression_on_weighted_standard_scores() -> None:
    evidence, labels = few()
    detector = NnifDetector(m=10, c=10.0).fit(evidence, labels)
    features, weights = detector.features(evidence), labels.balanced_weights()
    mean = (features * weights[:, None]).sum(0) / weights.sum()
    deviation = np.sqrt((weights[:, None] * (features - mean) ** 2).sum(0) / weights.sum())
    oracle = LogisticRegression(C=10.0, l1_ratio=0.0, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    oracle.fit((features - mean) / deviation, labels.adversarial, sample_weight=weights)
    expected = oracle.decision_function((detector.features(fresh()) - mean) / deviation)
    np.testing.assert_allclose(detector.score(fresh()), expected, rtol=1e-3, atol=1e-3)


# --- Feature response ---


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_direction_of_the_entropy_is_fitted(direction) -> None:
    evidence, labels = few()
    turned = Evidence(known(), evidence.trace, readings(5.0 + direction * evidence.readings["mean_entropy"]))
    detector = FeatureResponseDetector().fit(turned, labels)
    assert detector.direction_ == direction
    np.testing.assert_array_equal(detector.score(turned), direction * turned.readings["mean_entropy"])


def test_the_direction_weighs_attacks_equally_however_many_images_they_have() -> None:
    evidence, labels = few()
    # 70 images of one attack lie slightly higher than natural ones, 10 of another far lower: by images the direction
    # would be up, by attacks it is down.
    entropy = np.concatenate([np.arange(40.0), np.full(70, 24.5), np.full(10, -1.0)])
    attacks = np.array([""] * 40 + ["many"] * 70 + ["few"] * 10)
    changed = replace(labels, attacks=attacks)
    assert (
        FeatureResponseDetector().fit(Evidence(known(), evidence.trace, readings(entropy)), changed).direction_ == -1.0
    )
    single = replace(labels, attacks=np.where(labels.adversarial, "all", ""))
    assert FeatureResponseDetector().fit(Evidence(known(), evidence.trace, readings(entropy)), single).direction_ == 1.0


# --- feature squeezing ---


@pytest.mark.parametrize("bits", ["1", "4", "5"])
def test_feature_squeezing_is_the_largest_distance_or_how_far_it_lies_from_the_natural_median(bits) -> None:
    evidence, labels = few()
    squeezed = np.random.default_rng(0).random((len(evidence), len(SQUEEZERS)))
    distances = dict(zip(SQUEEZERS, squeezed.T, strict=True))
    evidence = Evidence(evidence.reference, evidence.trace, Readings({"squeezed": squeezed}))
    largest = np.maximum.reduce([distances[n] for n in (f"bits_{bits}", "median_2x2", "non_local_means")])
    one, both = (FeatureSqueezingDetector(bits=bits, tails=t).fit(evidence, labels) for t in ("upper", "both"))
    np.testing.assert_array_equal(one.score(evidence), largest)
    natural = largest[~labels.adversarial]
    place = np.array([np.mean((natural < v) + 0.5 * (natural == v)) for v in natural])
    np.testing.assert_allclose(both.score(evidence)[~labels.adversarial], np.abs(2 * place - 1), atol=1e-12)
