"""Attacks that aim at detectors: the suspicions they follow, and what they reach."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit

import telltale.attacks
from support.attack_cases import attack_images
from support.in_order import InOrder
from support.shipped import correct_test_ids, shipped
from support.tiny import tiny_classifier, tiny_images
from support.tiny_defence import FITTED_ON, fitted, tiny_defence, tiny_evidence, tiny_reference
from telltale.attacks.methods.graybox import equation_6
from telltale.base.errors import InputError
from telltale.base.images import to_floats
from telltale.building.attacking import attack_splits
from telltale.bundle.bundle import WEIGHTS_FILE, Bundle
from telltale.bundle.fitted import FittedFiles, ReferenceFiles
from telltale.detectors.base import Detector, Labels
from telltale.detectors.boosted_trees import BoostedTrees, Boosting
from telltale.detectors.confidence import SCALES, SIDES, ConfidenceDetector
from telltale.detectors.defence import Defence
from telltale.detectors.dknn import DknnDetector
from telltale.detectors.feature_squeezing import FeatureSqueezingDetector
from telltale.detectors.idefender import CLASS_QUANTILE, LOG_DENSITY, IDefender
from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.lid import LidDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.multi_lid import MultiLidDetector
from telltale.detectors.nnif import NnifDetector
from telltale.detectors.registry import DETECTORS, SUSPICIONS, suspicion_of
from telltale.detectors.stability import StabilityDetector
from telltale.detectors.suspicions import soft_votes
from telltale.detectors.suspicions.density import MixtureDensities
from telltale.detectors.suspicions.feature_response import soft_entropy
from telltale.detectors.suspicions.nnif import _even_ranks
from telltale.detectors.suspicions.soft_trees import _SoftTrees, differentiable_trees
from telltale.detectors.suspicions.suspicion import view
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import BOTH, TAILS, outwardness, position
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.evidence.density import class_thresholds
from telltale.evidence.guided import guided_network
from telltale.evidence.neighbours import PROCESSINGS, WEIGHTINGS
from telltale.evidence.response import local_entropy
from telltale.recipes import AttackPlan

COUNT = 8
QUICK = {"steps": 10, "step": 0.02}


@functools.cache
def fresh_images() -> np.ndarray:
    """Return images on which no detector was fitted."""
    return tiny_images(FITTED_ON + COUNT)[0][FITTED_ON:]


@functools.cache
def looked_at() -> np.ndarray:
    """Return natural images and the same after PGD, so that scores of both kinds are compared."""
    attacked = attack_images(tiny_classifier(), fresh_images(), "pgd", {"steps": 5}, batch_size=COUNT).images
    return np.concatenate([fresh_images(), attacked])


def suspicions(detector: Detector, images: np.ndarray) -> np.ndarray:
    found = suspicion_of(tiny_classifier(), tiny_reference(), detector)(torch.from_numpy(images))
    return found.detach().numpy()


EXACT = [
    *(IDefender(variant=v, tails=t) for v in (LOG_DENSITY, CLASS_QUANTILE) for t in TAILS),
    *(
        TrajectoryDetector(epochs=1, architecture=a, pivot=p, distance=d)
        for a, p, d in (("lstm", "medoid", "cosine"), ("lstm", "centroid", "l2"), ("mlp", "centroid", "cosine"))
    ),
    *(NnifDetector(m=8, form=f, scale=s) for f in ("mean", "list") for s in ("linear", "log")),
    LidDetector(),
    MultiLidDetector(),
    MahalanobisDetector(),
    MahalanobisDetector(step=0.01),
    KernelDensityDetector(),
    *(FeatureSqueezingDetector(bits="4", tails=t) for t in TAILS),
    *(ConfidenceDetector(scale=s, tails=t) for s in SCALES for t in SIDES),
    *(StabilityDetector(tails=t, keep=k) for t in TAILS for k in (0.0, 0.9)),
]


@pytest.mark.parametrize("detector", EXACT, ids=repr)
def test_suspicion_is_the_detectors_score(detector: Detector) -> None:
    scores = fitted(detector).score(tiny_evidence(looked_at()))
    assert scores.std() > 1e-3
    np.testing.assert_allclose(suspicions(detector, looked_at()), scores, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("processing", PROCESSINGS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_vote_with_a_sharp_edge_is_the_knn_score(
    processing: str, weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soft_votes, "SOFTNESS", 1e-9)
    detector = fitted(KnnScoreDetector(layer=-2, k=15, processing=processing, weighting=weighting))
    found = expit(suspicions(detector, looked_at()))
    # The edge passes through the k-th neighbour, which therefore counts one half.
    share = detector.score(tiny_evidence(looked_at()))
    assert np.abs(found - share).max() < 0.5 / 14.5
    assert np.corrcoef(found, share)[0, 1] > 0.99


def test_unanimous_votes_are_as_far_out_as_the_detector_says() -> None:
    detector = fitted(KnnScoreDetector(k=15, processing="none", tails=BOTH))
    scores, found = detector.score(tiny_evidence(looked_at())), suspicions(detector, looked_at())
    assert np.corrcoef(scores, found)[0, 1] > 0.8


def test_votes_with_sharp_edges_are_dknns_on_every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_votes, "SOFTNESS", 1e-9)
    found = suspicions(fitted(DknnDetector(k=15)), looked_at())
    evidence = tiny_evidence(looked_at())
    votes = [evidence.votes(layer, "none", "knn", 15) for layer in evidence.reference.layers]
    agreeing = np.stack([v[np.arange(len(evidence)), evidence.predictions] for v in votes])
    some = (agreeing > 0.0).all(0)
    assert some.sum() > COUNT
    assert np.corrcoef(-np.log(agreeing[:, some]).sum(0), found[some])[0, 1] > 0.97


def test_soft_entropy_is_the_entropy_where_grey_levels_are_far_apart() -> None:
    grey = 20 * np.random.default_rng(0).integers(0, 4, (3, 9, 11)).astype(np.uint8)
    expected = local_entropy(grey).mean((1, 2))
    found = soft_entropy(torch.from_numpy(grey).double()).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_response_that_can_be_differentiated_is_the_same_response() -> None:
    images = torch.from_numpy(fresh_images())
    network = guided_network(tiny_classifier())
    activation = tiny_classifier().stage(images)
    found = network.pull_back(images, activation).detach().numpy()
    expected = network.backpropagate(fresh_images())
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_places_among_natural_values_are_the_detectors() -> None:
    natural = np.sort(np.r_[np.random.default_rng(1).normal(size=30).round(1), 0.5, 0.5])
    values = np.r_[np.linspace(-4.0, 4.0, 101), natural]
    for known in (natural, np.full(3, 0.7)):
        scale = NaturalValues(known)
        np.testing.assert_allclose(scale.position(torch.from_numpy(values)), position(known, values), atol=1e-12)
        np.testing.assert_allclose(scale.outwardness(torch.from_numpy(values)), outwardness(known, values), atol=1e-12)


def in_double_precision(detector: Detector) -> Detector:
    detector = copy.deepcopy(detector)
    if isinstance(detector, TrajectoryDetector):
        detector.network_.double()
    return detector


# NNIF's ranks, feature squeezing's squeezers and Multi-LID's trees are steps, which have no slope to compare with.
STEPS = ("nnif", "feature_squeezing", "multi_lid")


@pytest.mark.parametrize("name", [name for name in SUSPICIONS if name not in STEPS])
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    classifier = copy.deepcopy(tiny_classifier()).double()
    detector = in_double_precision(tiny_defence().detectors[name])
    suspicion = suspicion_of(classifier, tiny_reference(), detector)
    images = torch.from_numpy(fresh_images()[:3]).double().clamp(0.1, 0.9).requires_grad_()
    (gradients,) = torch.autograd.grad(suspicion(images).sum(), images)
    direction = torch.from_numpy(np.random.default_rng(2).normal(size=images.shape))
    small = 1e-7 * direction
    with torch.no_grad():
        start = images.detach()
    difference = (suspicion(start + small) - suspicion(start - small)).detach() / 2e-7
    slopes = (gradients * direction).flatten(1).sum(1)
    assert slopes.abs().min() > 1e-6
    np.testing.assert_allclose(slopes.numpy(), difference.numpy(), rtol=1e-3, atol=1e-5)


def test_soft_trees_are_the_trees_where_edges_are_sharp_and_have_the_slopes_of_soft_ones() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(300, 3))
    attacked = features[:, 0] * features[:, 1] > 0.1
    labels = Labels(attacked, np.where(attacked, "pgd", ""), np.arange(300))
    trees = BoostedTrees.fit(features, labels, Boosting(trees=8, leaves=5, fewest=5))
    seen = torch.from_numpy(rng.normal(size=(40, 3)))
    np.testing.assert_allclose(_SoftTrees(trees, 1e-9).log_odds(seen).numpy(), trees.log_odds(seen.numpy()), atol=1e-9)
    soft, moved = _SoftTrees(trees, 0.3), torch.from_numpy(rng.normal(size=(40, 3)))
    assert torch.autograd.gradcheck(soft.log_odds, (seen.clone().requires_grad_(),))
    given = seen.clone().requires_grad_()
    answers = differentiable_trees(trees, 0.3)(given)
    np.testing.assert_array_equal(answers.detach().numpy(), trees.log_odds(seen.numpy()))
    (slopes,) = torch.autograd.grad(answers.sum(), given)
    difference = (soft.log_odds(seen + 1e-6 * moved) - soft.log_odds(seen - 1e-6 * moved)) / 2e-6
    np.testing.assert_allclose((slopes * moved).sum(1).numpy(), difference.numpy(), rtol=1e-5, atol=1e-8)


def adaptive(detector: str, weight: float) -> telltale.attacks.AttackResult:
    settings = QUICK | {"detector": detector, "weight": weight}
    return attack_images(tiny_classifier(), fresh_images(), "adaptive", settings, batch_size=COUNT)


def mean_score(detector: str, result: telltale.attacks.AttackResult) -> float:
    return float(tiny_defence().detectors[detector].score(tiny_evidence(result.images[result.success])).mean())


def test_without_weight_it_succeeds_where_pgd_does_and_ignores_the_detector() -> None:
    settings = QUICK | {"random_start": False, "eps": 0.06}
    plain = attack_images(tiny_classifier(), fresh_images(), "pgd", settings, batch_size=COUNT)
    results = [
        attack_images(
            tiny_classifier(),
            fresh_images(),
            "adaptive",
            QUICK | {"eps": 0.06, "detector": detector, "weight": 0.0},
            batch_size=COUNT,
        )
        for detector in ("idefender", "nnif")
    ]
    np.testing.assert_array_equal(results[0].images, results[1].images)
    np.testing.assert_array_equal(results[0].success, plain.success)
    assert (results[0].queries == QUICK["steps"] + 1).all()


@pytest.mark.parametrize("name", list(SUSPICIONS))
def test_weight_lowers_the_mean_score_of_successful_images(name: str) -> None:
    plain, hidden = adaptive(name, 0.0), adaptive(name, 0.5)
    assert plain.success.all() and hidden.success.all()
    natural = tiny_defence().detectors[name].score(tiny_evidence(fresh_images()))
    assert mean_score(name, hidden) < mean_score(name, plain) - 0.2 * natural.std()


def test_more_weight_hides_better() -> None:
    means = [mean_score("idefender", adaptive("idefender", weight)) for weight in (0.0, 0.25, 0.5, 1.0)]
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.1 * means[0]


def test_suspicions_are_those_of_registered_detectors() -> None:
    assert set(SUSPICIONS) <= set(DETECTORS)


def test_a_detector_is_needed_and_must_be_there() -> None:
    images = fresh_images()[:1]
    with pytest.raises(InputError, match="'adaptive' aims at detectors"):
        telltale.attacks.attack_images(tiny_classifier(), images, "adaptive")
    bare = Defence(tiny_classifier(), tiny_reference(), {})
    with pytest.raises(InputError, match="no fitted detector 'idefender' to aim at; there are none"):
        telltale.attacks.attack_images(tiny_classifier(), images, "adaptive", defence=bare)


def test_a_detector_without_slopes_says_so() -> None:
    class Unknown(IDefender):
        name = "unknown"

    with pytest.raises(InputError, match="'unknown' cannot be aimed at"):
        suspicion_of(tiny_classifier(), tiny_reference(), Unknown())


@pytest.mark.parametrize(("name", "cost"), [("adaptive", {"steps": 5}), ("adaptive_square", {"queries": 10})])
def test_an_evaluation_afresh_aims_at_the_bundles_own_detectors(
    name: str, cost: dict[str, int], tmp_path: Path
) -> None:
    loaded, ids = shipped(), correct_test_ids(2)
    bundle, settings = loaded.bundle, cost | {"detector": "idefender"}
    (found,) = attack_splits(
        loaded.classifier,
        bundle.path(WEIGHTS_FILE),
        bundle.image_set,
        [(AttackPlan(name, 0, 2, settings), ids)],
        0,
        tmp_path,
        InOrder(),
        lambda *_: None,
        FittedFiles.of(
            ReferenceFiles(bundle.folder, bundle.layers, 10),
            {"idefender": loaded.detectors["idefender"].settings.values()},
        ),
    )
    images = bundle.image_set.images(ids)
    expected = telltale.attacks.attack_images(
        loaded.classifier, images, name, settings, batch_size=2, defence=loaded.defence
    )
    np.testing.assert_array_equal(to_floats(found.pixels), expected.images)


def test_a_bundle_lends_parameters_to_attacks_that_it_has_none_of() -> None:
    stored = [{"name": "pgd", "parameters": {"eps": 0.03, "step": 0.008, "steps": 7, "random_start": True}}]
    bundle = SimpleNamespace(manifest=SimpleNamespace(attacks=stored))
    lent = {"eps": 0.03, "step": 0.008, "steps": 7}
    assert Bundle.attack_parameters(bundle, "adaptive") == lent
    assert Bundle.attack_parameters(bundle, "graybox") == lent
    assert Bundle.attack_parameters(bundle, "pgd") == stored[0]["parameters"]
    assert Bundle.attack_parameters(bundle, "fgsm") == {}


# --- Eq. 6 of I-defender ---


def test_equation_6_class_by_class() -> None:
    draws = np.random.default_rng(3)
    logits, log_density = draws.normal(size=(200, 4)), draws.normal(-10.0, 3.0, size=(200, 4))
    labels, thresholds = draws.integers(0, 4, 200), draws.normal(-10.0, 1.0, size=4)
    expected, rejections = [], 0
    for z, density, s in zip(logits, log_density, labels, strict=True):
        others = [k for k in range(4) if k != s]
        reject = float(np.prod([density[k] < thresholds[k] for k in others]))
        rejections += int(reject)
        expected.append(np.log(np.exp(z).sum()) - z[s] + 0.3 * reject * max(density[k] for k in others))
    assert 10 < rejections < 190
    arrays = (torch.from_numpy(a) for a in (logits, log_density, labels, thresholds))
    np.testing.assert_allclose(equation_6(*arrays, 0.3).numpy(), expected, atol=1e-10)


def test_densities_of_diagonal_mixtures_are_scikit_learns() -> None:
    from telltale.evidence.density import ClassDensities, MixtureSettings

    known = tiny_reference()
    fitted_ = ClassDensities.fit(known.trace.hidden, known.labels, 10, MixtureSettings(2, "diag", 5), seed=0)
    found = MixtureDensities(fitted_).log_density(torch.from_numpy(known.trace.hidden[:20])).numpy()
    np.testing.assert_allclose(found, fitted_.log_density(known.trace.hidden[:20]), atol=1e-9)


@pytest.mark.parametrize("name", ["graybox", "graybox_l2"])
def test_alpha_moves_hidden_states_to_where_the_other_class_is_dense(name: str) -> None:
    surprises = []
    for alpha in (0.0, 1.0):
        result = attack_images(tiny_classifier(), fresh_images(), name, {"alpha": alpha}, batch_size=COUNT)
        assert result.success.all()
        surprises.append(mean_score("idefender", result))
    assert surprises[1] < 0.2 * surprises[0]


def test_thresholds_are_those_of_the_attackers_own_images() -> None:
    known = tiny_reference()
    log_density = known.densities.log_density(known.trace.hidden)
    expected = class_thresholds(log_density, known.trace.predictions, 0.9)
    np.testing.assert_array_equal(tiny_defence().thresholds(0.9), expected)


# --- Eqs. 2 and 3 of NNIF's white-box attack ---


def pull(originals: np.ndarray, images: np.ndarray, m: int) -> np.ndarray:
    """Sum the L1 distances to the hidden states of the images most helpful to the originals, one by one."""
    known, trace = tiny_reference(), tiny_classifier().trace(originals)
    values = known.influence.values(trace.hidden, trace.predictions)
    hidden = tiny_classifier().trace(images).hidden
    return np.array(
        [
            sum(np.abs(h - known.trace.hidden[i]).sum() for i in np.argsort(-row)[:m])
            for h, row in zip(hidden, values, strict=True)
        ]
    )


def cw_opt(weight: float, m: int) -> telltale.attacks.AttackResult:
    settings = {"weight": weight, "m": m, "steps": 40, "lr": 0.1, "binary_search_steps": 2, "c0": 1.0}
    return attack_images(tiny_classifier(), fresh_images(), "cw_opt", settings, batch_size=COUNT)


def test_equation_3_is_the_sum_of_l1_distances_to_the_originals_helpful_images() -> None:
    from telltale.attacks.base import AttackProblem
    from telltale.attacks.budget import metered
    from telltale.attacks.methods.cw_opt import _helpful_states, _terms

    originals, images = fresh_images(), looked_at()[COUNT:]
    with metered(tiny_classifier(), COUNT) as meter:
        meter.begin(0, COUNT)
        labels = torch.from_numpy(tiny_classifier().predict(originals))
        start = torch.from_numpy(originals)
        problem = AttackProblem(meter, start, labels, None, tuple(range(COUNT)), tiny_defence())
        _, found = _terms(problem, _helpful_states(problem, 7), torch.from_numpy(images))
    np.testing.assert_allclose(found.numpy(), pull(originals, images, 7), rtol=1e-4)


def test_the_pull_holds_attacked_images_near_what_decided_about_the_original() -> None:
    free, held = cw_opt(0.0, 1), cw_opt(0.3, 1)
    both = free.success & held.success
    assert free.success.all() and both.sum() >= COUNT // 2
    near, far = (pull(r.natural[both], r.images[both], 1).mean() for r in (held, free))
    assert near < far


def test_as_the_paper_writes_it_the_pull_outweighs_the_change_of_class() -> None:
    assert cw_opt(1.0, 50).success_rate < 0.5 < cw_opt(0.0, 50).success_rate


def test_one_pass_gives_what_detectors_read() -> None:
    seen, trace = view(tiny_classifier(), torch.from_numpy(fresh_images())), tiny_classifier().trace(fresh_images())
    np.testing.assert_allclose(seen.logits.detach().numpy(), trace.logits, atol=1e-5)
    for found, expected in zip(seen.activations, trace.activations, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_ranks_rise_evenly_between_quantiles_of_all_distances() -> None:
    draws = np.random.default_rng(4)
    others = draws.gamma(3.0, size=(2, 1000))
    distances = np.quantile(others, np.linspace(0.02, 0.98, 40), axis=1).T.copy()
    found = _even_ranks(torch.from_numpy(distances), torch.from_numpy(others)).numpy()
    np.testing.assert_allclose(found, np.broadcast_to(np.linspace(0.02, 0.98, 40), found.shape), atol=0.01)
