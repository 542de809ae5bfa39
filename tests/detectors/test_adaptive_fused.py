"""The adaptive attack on the fused verdict and on several detectors, with orthogonal steps and restarts."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import telltale.attacks
from support.tiny import tiny_classifier, tiny_images
from support.tiny_defence import FITTED_ON, tiny_defence, tiny_evidence, tiny_reference
from telltale.attacks.methods.adaptive import orthogonal_direction
from telltale.attacks.registry import ATTACKS
from telltale.base.errors import InputError
from telltale.base.parameters import validate_parameters
from telltale.detectors.base import Labels
from telltale.detectors.boosted_trees import BoostedTrees, Boosting
from telltale.detectors.defence import Defence
from telltale.detectors.fusion import ATTACK, FUSED, Fusion, Grown, normal_score
from telltale.detectors.suspicions.fused import FusedSuspicion, subset
from telltale.detectors.suspicions.tails import NaturalDeviates, NaturalValues
from telltale.detectors.tails import tail_surprises
from telltale.evidence.margins import logit_margins

COUNT = 8
SMOOTH = ("idefender", "trajectory", "lid", "mahalanobis", "kernel_density", "confidence", "stability", "twin")


@functools.cache
def fresh_images() -> np.ndarray:
    """Return images on which no detector was fitted."""
    return tiny_images(FITTED_ON + COUNT)[0][FITTED_ON:]


@functools.cache
def plain() -> telltale.attacks.AttackResult:
    return telltale.attacks.attack_images(
        tiny_classifier(), fresh_images(), "pgd", {"steps": 10, "step": 0.02}, batch_size=COUNT
    )


def scored(defence: Defence, images: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return every detector's scores and the logit margins."""
    evidence = tiny_evidence(images)
    scores = {name: detector.score(evidence) for name, detector in defence.detectors.items()}
    return scores, logit_margins(evidence.trace.logits, evidence.predictions)


@functools.cache
def fused_defence(with_trees: bool = True) -> Defence:
    """Return the tiny detectors with a fusion on their scores, half of it trees."""
    bare = tiny_defence()
    natural, margins = scored(bare, tiny_images(FITTED_ON)[0])
    members = tuple(bare.detectors)
    sums = Fusion(
        members,
        tuple(np.sort(natural[name]) for name in members),
        {ATTACK: np.r_[np.linspace(0.1, 0.5, len(members)), -2.0]},
        np.sort(margins),
    )
    if not with_trees:
        return Defence(bare.classifier, bare.reference, bare.detectors, sums)
    attacked, attacked_margins = scored(bare, plain().images)
    features = np.vstack(
        [np.hstack([sums.surprises(s), sums.tails(m)]) for s, m in ((natural, margins), (attacked, attacked_margins))]
    )
    adversarial = np.arange(len(features)) >= FITTED_ON
    labels = Labels(adversarial, np.where(adversarial, "pgd", ""), np.arange(len(features)))
    monotone = [1] * len(members) + [0, 0]
    trees = BoostedTrees.fit(features, labels, Boosting(trees=8, leaves=4, fewest=4), monotone)
    grown = Grown(trees, 0.5, trees.contributions(features[:FITTED_ON]).mean(0))
    fusion = Fusion(members, sums.natural, sums.weights, sums.margins, grown)
    return Defence(bare.classifier, bare.reference, bare.detectors, fusion)


def fused_score(images: np.ndarray) -> np.ndarray:
    defence = fused_defence()
    assert defence.fusion is not None
    return defence.fusion.combine(*scored(defence, images)).attack


def attacked(given: dict[str, Any], defence: Defence, seed: int = 0) -> telltale.attacks.AttackResult:
    given = {"steps": 10, "step": 0.02} | given
    return telltale.attacks.attack_images(
        tiny_classifier(), fresh_images(), "adaptive", given, batch_size=COUNT, defence=defence, seed=seed
    )


def test_the_fused_suspicion_is_the_fused_score() -> None:
    images = np.concatenate([fresh_images(), plain().images])
    found = fused_defence().suspicion(FUSED)(torch.from_numpy(images)).detach().numpy()
    # A score that is equal to a natural one but for rounding moves by one place among 40.
    near = np.abs(found - fused_score(images)) < 1e-6
    assert near.mean() > 0.8
    np.testing.assert_allclose(found, fused_score(images), atol=0.3)


def test_the_sum_over_some_is_fishers() -> None:
    defence = fused_defence()
    assert defence.fusion is not None
    scores, _ = scored(defence, fresh_images())
    found = defence.suspicion("lid+confidence")(torch.from_numpy(fresh_images())).detach().numpy()
    places = [defence.fusion.members.index(name) for name in ("lid", "confidence")]
    np.testing.assert_allclose(found, defence.fusion.surprises(scores)[:, places].sum(1), atol=0.1)


def test_smooth_deviates_are_normal_scores_but_for_their_steps() -> None:
    natural = np.sort(np.random.default_rng(0).gamma(2.0, size=400))
    values = np.linspace(-2.0, 20.0, 301)
    found = NaturalDeviates(natural)(torch.from_numpy(values)).numpy()
    expected = normal_score(natural, values)
    # One place among 400 is up to a third of a standard deviation wide where scores are rare.
    assert np.abs(found - expected).max() < 0.35
    assert (np.diff(found) > 0.0).all()
    tails = NaturalValues(natural).tail_surprises(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(tails, tail_surprises(natural, values), atol=1e-9)


def test_its_slope_is_that_of_finite_differences() -> None:
    defence = fused_defence(with_trees=False)
    assert defence.fusion is not None
    classifier = copy.deepcopy(tiny_classifier()).double()
    if classifier.twin is not None:
        classifier.twin.double()
    detectors = copy.deepcopy(dict(defence.detectors))
    detectors["trajectory"].network_.double()
    double = Defence(classifier, tiny_reference(), detectors, defence.fusion)
    members = {name: double.suspicion(name) for name in SMOOTH}
    found = FusedSuspicion(classifier, tiny_reference(), detectors, members, subset(defence.fusion, SMOOTH))
    images = torch.from_numpy(fresh_images()[:3]).double().clamp(0.1, 0.9).requires_grad_()
    (gradients,) = torch.autograd.grad(found.smooth(images).sum(), images)
    (exact,) = torch.autograd.grad(found(images).sum(), images)
    torch.testing.assert_close(exact, gradients)
    direction = torch.from_numpy(np.random.default_rng(2).normal(size=images.shape))
    with torch.no_grad():
        start, small = images.detach(), 1e-7 * direction
    difference = (found.smooth(start + small) - found.smooth(start - small)).detach() / 2e-7
    slopes = (gradients * direction).flatten(1).sum(1)
    assert slopes.abs().min() > 1e-4
    np.testing.assert_allclose(slopes.numpy(), difference.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["knn_score", "dknn", "feature_response", "nnif", "feature_squeezing", "multi_lid"])
def test_members_without_exact_slopes_have_one_all_the_same(name: str) -> None:
    images = torch.from_numpy(fresh_images()).requires_grad_()
    suspicion = fused_defence().suspicion(f"{name}+idefender")
    alone = fused_defence().suspicion("lid+idefender")
    (with_it,) = torch.autograd.grad(suspicion(images).sum(), images)
    (without,) = torch.autograd.grad(alone(images).sum(), images)
    assert torch.isfinite(with_it).all() and not torch.allclose(with_it, without)


def test_orthogonal_steps_leave_the_other_aim_as_it_is() -> None:
    draws = torch.Generator().manual_seed(0)
    loss, suspicion = (torch.randn(6, 3, 8, 8, generator=draws) for _ in range(2))
    reached = torch.arange(6) % 2 == 0
    found = orthogonal_direction(loss, suspicion, reached)
    towards_loss, towards_suspicion = ((found * other).flatten(1).sum(1) for other in (loss, suspicion))
    assert towards_suspicion[~reached].abs().max() < 1e-3 < towards_loss[~reached].min()
    assert towards_loss[reached].abs().max() < 1e-3 < -towards_suspicion[reached].max()
    torch.testing.assert_close(found.abs().mean((1, 2, 3)), torch.ones(6))
    unknown = orthogonal_direction(loss, torch.zeros_like(loss), reached)
    torch.testing.assert_close(unknown[1], loss[1] / loss[1].abs().mean())


@pytest.mark.parametrize("aims", ["weighted", "orthogonal"])
def test_restarts_never_make_it_worse(aims: str) -> None:
    given = {"aims": aims, "detector": "mahalanobis", "steps": 5}
    one, three = (attacked(given | {"restarts": runs}, fused_defence()) for runs in (1, 3))
    score = fused_defence().detectors["mahalanobis"].score
    assert (three.success >= one.success).all()
    both = one.success
    first, best = (score(tiny_evidence(result.images[both])) for result in (one, three))
    assert (best <= first + 1e-4).all() and (best < first - 1e-4).any()
    again = attacked(given | {"restarts": 3}, fused_defence())
    np.testing.assert_array_equal(three.images, again.images)
    assert (three.queries == 3 * 6 * 2).all()


def test_each_in_turn_keeps_the_better_of_both_on_every_image() -> None:
    given = {"detector": "mahalanobis", "steps": 5, "restarts": 2}
    weighted, orthogonal, both = (
        attacked(given | {"aims": aims}, fused_defence()) for aims in ("weighted", "orthogonal", "each in turn")
    )
    score = fused_defence().detectors["mahalanobis"].score

    def hidden(result: telltale.attacks.AttackResult) -> npt.NDArray[np.float64]:
        return np.where(result.success, score(tiny_evidence(result.images)), np.inf)

    np.testing.assert_array_equal(both.success, weighted.success | orthogonal.success)
    np.testing.assert_allclose(hidden(both), np.minimum(hidden(weighted), hidden(orthogonal)), rtol=1e-6, atol=1e-4)
    assert (hidden(weighted) != hidden(orthogonal)).any()
    assert (both.queries == weighted.queries + orthogonal.queries).all()
    nothing_to_hide = attacked(given | {"aims": "each in turn", "weight": 0.0}, fused_defence())
    assert (nothing_to_hide.queries == 2 * 6).all()


def test_settings_that_came_later_go_unmentioned_at_their_defaults() -> None:
    spec = ATTACKS["adaptive"]
    values = validate_parameters(spec.parameters, {"restarts": 1}, spec.title)
    assert list(values) == ["detector", "weight", "eps", "step", "steps"]
    values = validate_parameters(spec.parameters, {"restarts": "2"}, spec.title)
    assert values["restarts"] == 2


class _Brightness:
    """A detector that anybody can evade: bright images are suspicious."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3)).double()


@pytest.mark.parametrize("aims", ["weighted", "orthogonal"])
def test_the_attack_works_at_all(aims: str) -> None:
    undefended = attacked({"weight": 0.0, "aims": aims}, fused_defence())
    assert undefended.success_rate >= 0.95
    broken = Defence(tiny_classifier(), tiny_reference(), {}, None, {"idefender": _Brightness()})
    hidden = attacked({"aims": aims, "weight": 0.8, "steps": 40}, broken)
    assert hidden.success.all()
    assert (hidden.images.mean((1, 2, 3)) < fresh_images().mean((1, 2, 3))).all()


@pytest.mark.parametrize("aims", ["weighted", "orthogonal"])
def test_the_fused_verdict_is_evaded_more_often_than_by_pgd(aims: str) -> None:
    given = {"detector": FUSED, "aims": aims, "steps": 20, "step": 0.01}
    hidden = attacked(given, fused_defence())
    threshold = float(np.quantile(fused_score(tiny_images(FITTED_ON)[0]), 0.95))
    seen, unseen = ((result.success & (fused_score(result.images) <= threshold)).mean() for result in (plain(), hidden))
    assert hidden.success.all() and unseen > seen
    assert fused_score(hidden.images).mean() < fused_score(plain().images).mean() - 1.0


def test_what_cannot_be_aimed_at_is_said_in_one_sentence() -> None:
    with pytest.raises(InputError, match=r"'detector' parameter of attack 'adaptive' must be one of .* or several"):
        attacked({"detector": "lid+nobody"}, fused_defence())
    with pytest.raises(InputError, match="must be one of"):
        attacked({"detector": "lid+lid"}, fused_defence())
    with pytest.raises(InputError, match="There is no fused verdict here"):
        attacked({"detector": FUSED}, tiny_defence())
    with pytest.raises(InputError, match="no member fused to aim at together with others"):
        attacked({"detector": "lid+fused"}, fused_defence())
