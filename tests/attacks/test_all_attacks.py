"""One contract, checked for every attack in the registry."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import telltale
from support.attack_cases import IMAGES, QUICK, attack_images, quick_result, quick_targeted_result
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import ATTACKS, AttackResult, draw_targets
from telltale.base.errors import CancelledError, InputError
from telltale.base.images import round_to_8_bits
from telltale.models.classifier import Classifier

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

every_attack = pytest.mark.parametrize("name", list(ATTACKS))
targeted_attacks = pytest.mark.parametrize("name", [name for name, spec in ATTACKS.items() if spec.targeted])
untargeted_attacks = pytest.mark.parametrize("name", [name for name, spec in ATTACKS.items() if not spec.targeted])
random_attacks = pytest.mark.parametrize(
    "name",
    [
        "pgd",
        "pgd_l2",
        "onepixel",
        "boundary",
        "lbfgs",
        "apgd_ce",
        "apgd_dlr",
        "square",
        "hopskipjump",
        "adaptive_square",
    ],
)


def brute_force_norm(norm: str, natural: np.ndarray, image: np.ndarray) -> float:
    differences = [
        abs(round(255 * float(b)) - round(255 * float(a))) for a, b in zip(natural.flat, image.flat, strict=True)
    ]
    if norm == "linf":
        return max(differences) / 255
    if norm == "l2":
        return sum(d * d for d in differences) ** 0.5 / 255
    return sum(bool((natural[:, i, j] != image[:, i, j]).any()) for i in range(32) for j in range(32))


def test_registry_begins_with_these_attacks_in_the_order_of_the_pages() -> None:
    order = "fgsm bim pgd pgd_l2 mifgsm deepfool cw onepixel gradient ead boundary lbfgs jsma"
    assert list(ATTACKS)[:13] == order.split()


def test_importing_the_registry_imports_neither_torch_nor_attack_libraries() -> None:
    code = (
        "import sys, telltale.attacks, telltale.attacks.registry;"
        "print([m for m in ('torch', 'torchattacks', 'foolbox', 'scipy.optimize', 'robustbench') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert printed.strip() == "[]"


# Links, saved cases and bundles carry these; what is added goes behind.
CARRIED: dict[str, dict[str, object]] = {
    "fgsm": {"eps": 0.1},
    "bim": {"eps": 0.1, "step": 0.01, "steps": 20},
    "pgd": {"eps": 0.1, "step": 0.01, "steps": 20, "random_start": True},
    "pgd_l2": {"eps": 2.5, "step": 0.3, "steps": 20, "random_start": True},
    "mifgsm": {"eps": 0.1, "step": 0.01, "steps": 20, "decay": 1.0},
    "deepfool": {"overshoot": 0.02, "steps": 50, "candidates": 5},
    "cw": {"confidence": 0.0, "lr": 1.0, "steps": 100, "binary_search_steps": 5, "c0": 1.0, "patience": 3},
    "onepixel": {"pixels": 5, "steps": 50, "popsize": 100},
    "gradient": {"steps": 100, "max_length": 10.0},
    "ead": {
        "beta": 0.01,
        "confidence": 0.0,
        "lr": 0.05,
        "steps": 100,
        "binary_search_steps": 5,
        "c0": 1.0,
        "decision": "EN",
    },
    "boundary": {"steps": 1000, "spherical_step": 0.2, "source_step": 0.02},
    "lbfgs": {"c0": 0.1, "steps": 50, "binary_search_steps": 5},
    "jsma": {"theta": 1.0, "gamma": 0.1},
    "adaptive": {"detector": "idefender", "weight": 0.5, "eps": 0.1, "step": 0.01, "steps": 40},
    "cw_opt": {
        "m": 50,
        "weight": 1.0,
        "confidence": 0.0,
        "lr": 0.01,
        "steps": 100,
        "binary_search_steps": 5,
        "c0": 0.1,
    },
    "graybox": {"alpha": 0.1, "eps": 0.1, "step": 0.02, "steps": 10, "keep": 0.95},
    "graybox_l2": {"alpha": 0.1, "eps": 2.5, "step": 0.5, "steps": 10, "keep": 0.95},
    "apgd_ce": {"eps": 0.1, "steps": 100, "restarts": 1},
    "apgd_dlr": {"eps": 0.1, "steps": 100, "candidates": 9},
    "square": {"eps": 0.1, "queries": 5000, "first_share": 0.8},
    "ddn": {"steps": 100, "radius": 1.0, "gamma": 0.05},
    "hopskipjump": {"steps": 20, "probes": 100},
    "adaptive_square": {"detector": "idefender", "eps": 0.1, "queries": 1000, "start": "image"},
}


@pytest.mark.parametrize("name", CARRIED)
def test_names_and_defaults_of_parameters_stay(name: str) -> None:
    declared = {parameter.name: parameter.default for parameter in ATTACKS[name].parameters}
    assert list(declared.items())[: len(CARRIED[name])] == list(CARRIED[name].items())
    assert all(type(declared[key]) is type(value) for key, value in CARRIED[name].items())


@every_attack
def test_settings_are_read_from_the_values_of_a_result(name: str) -> None:
    spec = ATTACKS[name]
    settings = spec.settings.read({}, name)
    assert settings == spec.settings()
    assert settings.values() == {parameter.name: parameter.default for parameter in spec.parameters}
    assert spec.settings.read(json.loads(json.dumps(settings.values())), name) == settings


def test_detectors_are_offered_to_the_adaptive_attack_in_the_order_of_the_pages() -> None:
    order = "idefender trajectory knn_score nnif feature_response dknn lid mahalanobis kernel_density feature_squeezing"
    order += " confidence stability multi_lid twin"
    assert ATTACKS["adaptive"].parameters[0].choices[:14] == tuple(order.split())


@pytest.mark.parametrize("name", ["apgd_ce", "apgd_dlr", "square", "adaptive_square"])
def test_bundles_lend_their_budget_to_attacks_that_they_do_not_know(name: str) -> None:
    for bundle, eps in (("digits", 0.1), ("cifar10", 8 / 255)):
        assert telltale.load_bundle(bundle).attack_parameters(name) == {"eps": eps}


@every_attack
def test_entry_describes_the_attack(name: str) -> None:
    spec = ATTACKS[name]
    assert spec.name == name
    assert spec.title and spec.paper and spec.summary.endswith(".")
    declared = {parameter.name: parameter for parameter in spec.parameters}
    assert len(declared) == len(spec.parameters)
    assert spec.budget is None or spec.budget in declared
    for parameter in spec.parameters:
        assert parameter.help.endswith(".")
        assert parameter.validate(parameter.default, name) == parameter.default
        assert parameter.choices or parameter.type == "bool" or (parameter.low is not None and parameter.high)


@every_attack
def test_images_are_in_range_and_on_the_8_bit_grid(name: str) -> None:
    result = quick_result(name)
    assert result.images.shape == result.natural.shape
    assert result.images.dtype == np.float32
    assert result.images.min() >= 0.0
    assert result.images.max() <= 1.0
    assert np.array_equal(round_to_8_bits(result.images), result.images)


@every_attack
def test_norms_equal_the_recomputed_ones(name: str) -> None:
    result = quick_result(name)
    for i in range(IMAGES):
        for norm in ("linf", "l2", "l0"):
            expected = brute_force_norm(norm, result.natural[i], result.images[i])
            assert getattr(result, norm)[i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [name for name, spec in ATTACKS.items() if spec.budget])
@pytest.mark.parametrize("share", [0.15, 0.37, 1.0])
def test_norm_stays_within_the_budget_after_rounding(name: str, share: float) -> None:
    spec = ATTACKS[name]
    settings = {parameter.name: parameter.default for parameter in spec.parameters} | dict(QUICK.get(name, {}))
    bound = float(settings[spec.budget]) * share
    bound = max(1, round(bound)) if spec.norm == "l0" else bound
    images = tiny_images(IMAGES)[0]
    result = attack_images(tiny_classifier(), images, name, settings | {spec.budget: bound})
    measured = getattr(result, spec.norm)
    assert (measured <= bound + 1e-12).all()
    # An attack that hides from a detector goes no farther than it must.
    assert measured.max() > 0.5 * bound or spec.name in ("adaptive", "adaptive_square")


@every_attack
def test_success_is_what_a_fresh_forward_pass_on_the_8_bit_image_says(name: str) -> None:
    result = quick_result(name)
    for i in range(IMAGES):
        with torch.no_grad():
            prediction = int(tiny_classifier()(torch.from_numpy(result.images[i : i + 1])).argmax())
        assert result.predictions[i] == prediction
        wanted = prediction == result.targets[i] if result.targets[i] >= 0 else prediction != result.labels[i]
        assert result.success[i] == (wanted and result.l0[i] > 0)
    assert result.success_rate == result.success.mean()


@every_attack
def test_most_images_are_fooled(name: str) -> None:
    assert quick_result(name).success.sum() >= (1 if name == "onepixel" else IMAGES - 1)


@every_attack
def test_images_are_never_black_or_constant(name: str) -> None:
    assert (np.ptp(quick_result(name).images.reshape(IMAGES, -1), axis=1) > 0.1).all()


@every_attack
def test_an_image_comes_out_the_same_alone_and_among_batch_mates(name: str) -> None:
    together = quick_result(name)
    alone = attack_images(tiny_classifier(), together.natural[2:3], name, QUICK.get(name))
    assert np.array_equal(alone.images[0], together.images[2])
    assert alone.queries[0] == together.queries[2]
    assert alone.gradients[0] == together.gradients[2]
    assert alone.targets[0] == together.targets[2]


@every_attack
def test_same_seed_gives_the_same_images(name: str) -> None:
    first = quick_result(name)
    again = attack_images(tiny_classifier(), first.natural[:2], name, QUICK.get(name), seed=0)
    assert np.array_equal(again.images, first.images[:2])


@random_attacks
def test_another_seed_gives_other_images(name: str) -> None:
    assert not np.array_equal(quick_result(name, seed=1).images, quick_result(name).images)


@every_attack
def test_cost_is_counted_per_image(name: str) -> None:
    result = quick_result(name)
    assert (result.queries >= 1).all()
    assert ((result.gradients > 0) == ATTACKS[name].needs_gradients).all()
    passes = 2 if name == "jsma" else 1  # backward passes for one forward pass
    assert (result.gradients <= passes * result.queries).all()
    assert result.seconds > 0


def fingerprint_of_model_and_generators() -> tuple[object, ...]:
    classifier = tiny_classifier()
    parameters = [(p.requires_grad, p.grad is None, p.detach().numpy().tobytes()) for p in classifier.parameters()]
    buffers = [b.numpy().tobytes() for b in classifier.buffers()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in classifier.modules()]
    modes = [m.training for m in classifier.modules()]
    generators = (torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes())  # noqa: NPY002
    return parameters, buffers, hooks, modes, generators, torch.is_grad_enabled()


class Cancelling:
    """Cancels at the given call."""

    def __init__(self, call: int) -> None:
        self.calls_left = call

    def __call__(self, _fraction: float) -> None:
        self.calls_left -= 1
        if self.calls_left == 0:
            raise CancelledError


@every_attack
def test_model_and_random_generators_are_left_as_they_were(name: str) -> None:
    before = fingerprint_of_model_and_generators()
    attack_images(tiny_classifier(), tiny_images(1)[0], name, QUICK.get(name), seed=5)
    assert fingerprint_of_model_and_generators() == before


@every_attack
def test_cancelling_ends_the_attack_and_leaves_the_model_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telltale.attacks.budget.SECONDS_BETWEEN_REPORTS", 0.0)
    before = fingerprint_of_model_and_generators()
    with pytest.raises(CancelledError):
        attack_images(tiny_classifier(), tiny_images(2)[0], name, QUICK.get(name), checkpoint=Cancelling(2))
    assert fingerprint_of_model_and_generators() == before


@every_attack
def test_progress_rises_from_nothing_to_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telltale.attacks.budget.SECONDS_BETWEEN_REPORTS", 0.0)
    fractions: list[float] = []
    images = tiny_images(2)[0]
    attack_images(tiny_classifier(), images, name, QUICK.get(name), checkpoint=fractions.append)
    assert fractions[0] < 0.5
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)


@targeted_attacks
def test_targeted_success_means_the_target_is_reached(name: str) -> None:
    result = quick_targeted_result(name)
    labels = tiny_images(IMAGES)[1]
    assert np.array_equal(result.targets, (labels + 1) % 10)
    fresh = tiny_classifier().predict(result.images)
    assert np.array_equal(result.success, fresh == result.targets)
    assert (np.ptp(result.images.reshape(IMAGES, -1), axis=1) > 0.1).all()


@targeted_attacks
def test_random_targets_are_those_that_are_drawn(name: str) -> None:
    images, labels = tiny_images(IMAGES)
    targets = draw_targets(images, labels, 10, seed=3)
    told, drawn = (
        attack_images(tiny_classifier(), images[:2], name, QUICK.get(name), seed=3, targets=asked)
        for asked in (targets[:2], "random")
    )
    assert np.array_equal(drawn.targets, targets[:2])
    assert np.array_equal(drawn.images, told.images)


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "pgd_l2", "mifgsm", "cw", "ead", "lbfgs", "apgd_ce", "ddn"])
def test_targeted_attacks_move_toward_the_target(name: str) -> None:
    result = quick_targeted_result(name)

    def target_probability(images: np.ndarray) -> np.ndarray:
        probabilities = tiny_classifier().trace(images).probabilities
        return probabilities[np.arange(IMAGES), result.targets]

    closer = target_probability(result.images) > target_probability(result.natural)
    assert closer.sum() >= IMAGES - 1
    assert name == "fgsm" or result.success.sum() >= IMAGES - 1


@untargeted_attacks
def test_targets_are_refused_where_the_attack_has_none(name: str) -> None:
    images, labels = tiny_images(1)
    with pytest.raises(InputError, match="cannot be aimed"):
        attack_images(tiny_classifier(), images, name, targets=(labels + 1) % 10)
    with pytest.raises(InputError, match="cannot be aimed"):
        attack_images(tiny_classifier(), images, name, targets="random")


@pytest.mark.parametrize("name", [name for name, spec in ATTACKS.items() if not spec.needs_detectors])
def test_colour_images_that_are_not_square_are_attacked(name: str) -> None:
    classifier, images = colour_problem()
    result = attack_images(classifier, images, name, QUICK.get(name))
    assert result.images.shape == images.shape
    assert result.success.all()
    assert np.array_equal(result.predictions, classifier.predict(result.images))
    assert ATTACKS[name].norm == "l0" or (result.images != result.natural).any((0, 2, 3)).all(), "every channel is used"


@functools.cache
def colour_problem() -> tuple[Classifier, np.ndarray]:
    """Return a linear classifier of five classes and two noisy pictures of 3 x 12 x 10 pixels."""
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(360, 5))
    generator = np.random.default_rng(3)
    with torch.no_grad():
        network[1].weight.copy_(torch.from_numpy(generator.normal(size=(5, 360))))
        network[1].bias.zero_()
    classifier = telltale.wrap(network, classes=5, size=(12, 10), channels=3)
    return classifier, round_to_8_bits(generator.uniform(0.3, 0.7, (2, 3, 12, 10)).astype(np.float32))


@every_attack
def test_every_parameter_refuses_what_it_does_not_accept(name: str) -> None:
    images = tiny_images(1)[0]
    for parameter in ATTACKS[name].parameters:
        bad: list[object] = ["no such value", None, [1]]
        if parameter.low is not None and parameter.high is not None:
            bad += [parameter.low - 1, parameter.high + 1, float("nan")]
        for value in bad:
            with pytest.raises(InputError, match=f"The '{parameter.name}' parameter of attack '{name}' must be"):
                attack_images(tiny_classifier(), images, name, {parameter.name: value})


@every_attack
def test_nothing_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = tiny_images(1)
    targets = (labels + 1) % 10 if ATTACKS[name].targeted else None
    attack_images(tiny_classifier(), images, name, QUICK.get(name), targets=targets)
    assert capsys.readouterr().out == ""


def test_result_records_what_was_asked() -> None:
    result = quick_result("pgd")
    assert isinstance(result, AttackResult)
    assert result.attack == "pgd"
    assert result.parameters == {"eps": 0.1, "step": 0.02, "steps": 10, "random_start": True}
    assert result.seed == 0
    assert np.array_equal(result.labels, tiny_images(IMAGES)[1])
    assert (result.targets == -1).all()
