"""One contract, checked for every detector in the registry on made-up clouds."""

from __future__ import annotations

import functools
import inspect
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from support.clouds import CLASSES, FIT, FRESH, WIDTHS, known, problem
from telltale.base.errors import InputError, NotFittedError
from telltale.base.settings import Settings, parameter
from telltale.building.fitting import select
from telltale.detectors import registry
from telltale.detectors.base import Detector, Labels, macro_auc
from telltale.detectors.fusion import FUSED
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale_app import catalogue

NAMES = tuple(registry.DETECTORS)
SETTINGS = {"trajectory": {"epochs": 50}}  # enough for clouds
FLOOR = 0.9  # of the AUC on separable clouds


def make(name: str) -> Detector:
    return registry.get_detector(name)(**SETTINGS.get(name, {}))


@functools.cache
def fitted(name: str, separable: bool = True) -> Detector:
    return make(name).fit(*problem(separable)[0])


@functools.cache
def fresh_scores(name: str) -> np.ndarray:
    return fitted(name).score(problem()[1][0])


def test_the_registry_holds_at_least_these_detectors() -> None:
    published = {"feature_response", "knn_score", "trajectory", "idefender", "nnif"}
    baselines = {
        "feature_squeezing",
        "dknn",
        "lid",
        "mahalanobis",
        "kernel_density",
        "confidence",
        "stability",
        "multi_lid",
        "twin",
    }
    assert set(NAMES) >= published | baselines
    assert all(kind.name == name for name, kind in registry.DETECTORS.items())


def test_importing_the_registry_does_not_import_torch() -> None:
    code = "import sys, telltale.detectors.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[2])


def test_a_detector_that_does_not_exist_is_named_beside_those_that_do() -> None:
    with pytest.raises(InputError, match=r"^There is no detector 'oracle'; there are .*knn_score.*\.$"):
        registry.get_detector("oracle")


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name) -> None:
    kind = registry.DETECTORS[name]
    for text in (kind.name, kind.title, kind.paper, kind.summary, inspect.getdoc(kind)):
        assert text and text == text.strip()
    assert re.search(r"\(20\d\d\)", kind.paper)
    assert kind.summary.endswith(".")
    assert all(parameter.help.endswith(".") for parameter in kind.settings.parameters())
    assert repr(kind()).startswith(f"{kind.__name__}(")


# Bundles carry these; what is added goes behind.
CARRIED = {
    "knn_score": {"layer": -1, "processing": "pca_whiten", "weighting": "dwknn", "k": 1000, "tails": "upper"},
    "trajectory": {"architecture": "lstm", "pivot": "medoid", "distance": "cosine", "epochs": 500, "seed": 0},
    "idefender": {"variant": "log_density", "tails": "upper"},
    "nnif": {"m": 50, "form": "mean", "scale": "linear", "c": 1.0},
    "feature_response": {"tails": "upper"},
    "feature_squeezing": {"bits": "5", "tails": "upper"},
    "dknn": {"k": 75},
    "lid": {"k": 20, "seed": 0, "c": 1.0},
    "mahalanobis": {"step": 0.0, "c": 1.0},
    "kernel_density": {"bandwidth": 0.2},
    "confidence": {"scale": "log_odds", "tails": "both"},
    "stability": {"tails": "upper", "keep": 0.9},
    "multi_lid": {"k": 20, "seed": 0},
    "twin": {},
}


@pytest.mark.parametrize("name", CARRIED)
def test_names_and_defaults_of_settings_stay(name) -> None:
    values = registry.DETECTORS[name]().settings.values()
    assert list(values.items())[: len(CARRIED[name])] == list(CARRIED[name].items())
    assert all(type(values[key]) is type(value) for key, value in CARRIED[name].items())


def test_settings_belong_to_one_detector_alone() -> None:
    kind = registry.DETECTORS["lid"]
    detector = kind(k="30")
    assert (detector.settings.k, kind().settings.k, kind.settings.k) == (30, 20, 20)
    assert repr(detector) == "LidDetector(k=30, seed=0, c=1.0)"


def test_every_row_links_to_a_page_that_exists() -> None:
    pages = {name: catalogue.detector_page(name) for name in [*registry.DETECTORS, FUSED]}
    app = Path(catalogue.__file__).parent
    assert all((app / page).is_file() and words for page, words in pages.values())
    shown = {"neighbours": ["knn_score", "dknn", "nnif"], "hidden_state_density": ["idefender"]}
    shown |= {"feature_responses": ["feature_response", "stability", "twin"], "trajectories": ["trajectory"]}
    for page, names in shown.items():
        assert all(pages[name][0] == f"app_pages/{page}.py" for name in names)
    assert pages["nnif"][1] == "Influence"
    assert {pages[name] for name in ("lid", "mahalanobis", "confidence", FUSED)} == {
        ("app_pages/detectors.py", "Detectors")
    }


@pytest.mark.parametrize("name", NAMES)
def test_before_fitting_it_neither_scores_nor_saves(name) -> None:
    with pytest.raises(NotFittedError, match=rf"^{name} must be fitted before it can score\.$"):
        make(name).score(problem()[0][0])
    with pytest.raises(NotFittedError, match=rf"^{name} must be fitted before it can be saved\.$"):
        make(name).arrays()


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_finite_and_one_per_image(name) -> None:
    scores = fresh_scores(name)
    assert scores.shape == (3 * FRESH,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_separable_clouds_are_told_apart_and_higher_means_adversarial(name) -> None:
    labels = problem()[1][1]
    assert roc_auc_score(labels.adversarial, fresh_scores(name)) >= FLOOR


@pytest.mark.parametrize("name", NAMES)
def test_identical_clouds_cannot_be_told_apart(name) -> None:
    evidence, labels = problem(separable=False)[1]
    auc = roc_auc_score(labels.adversarial, fitted(name, separable=False).score(evidence))
    assert auc == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_one_image_scores_as_in_a_batch(name) -> None:
    evidence = problem()[1][0]
    for i in (0, 7, FRESH, 2 * FRESH + 3):
        rows = slice(i, i + 1)
        alone = Evidence(known(), evidence.trace.take(rows), evidence.readings.take(rows))
        assert fitted(name).score(alone)[0] == pytest.approx(fresh_scores(name)[i], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_images_does_not_matter(name) -> None:
    evidence = problem()[1][0]
    order = np.random.default_rng(0).permutation(len(evidence))
    shuffled = Evidence(known(), evidence.trace.take(order), evidence.readings.take(order))
    np.testing.assert_allclose(fitted(name).score(shuffled), fresh_scores(name)[order], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_arrays_bring_the_same_scores_back(name) -> None:
    arrays = fitted(name).arrays()
    assert all(isinstance(values, np.ndarray) and values.dtype == np.float64 for values in arrays.values())
    restored = make(name).restore({key: values.copy() for key, values in arrays.items()})
    np.testing.assert_array_equal(restored.score(problem()[1][0]), fresh_scores(name))
    again = restored.arrays()
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[key], arrays[key]) for key in arrays)


@pytest.mark.parametrize("name", NAMES)
def test_fitting_twice_gives_the_same_detector(name) -> None:
    np.random.seed(123)  # noqa: NPY002 - a global state that must not matter
    again = make(name).fit(*problem()[0])
    np.testing.assert_array_equal(again.score(problem()[1][0]), fresh_scores(name))


@pytest.mark.parametrize("name", NAMES)
def test_fitting_leaves_the_global_random_states_alone(name) -> None:
    import torch

    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.RandomState(5).rand(), torch.rand(1, generator=torch.Generator().manual_seed(5)).item()
    registry.get_detector(name)(**({"epochs": 1} if name == "trajectory" else {})).fit(*problem()[0])
    assert (np.random.rand(), torch.rand(1).item()) == expected  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_one_kind_or_another_length_are_refused(name) -> None:
    evidence, labels = problem()[0]
    natural = replace(labels, adversarial=np.zeros(len(labels), dtype=bool))
    needed = "natural and adversarial" if registry.DETECTORS[name].needs_attacks else "natural"
    with pytest.raises(InputError, match=rf"^{name} needs {needed} images to fit\.$"):
        make(name).fit(evidence, replace(labels, adversarial=~natural.adversarial))
    if registry.DETECTORS[name].needs_attacks:
        with pytest.raises(InputError, match=rf"^{name} needs natural and adversarial images to fit\.$"):
            make(name).fit(evidence, natural)
    else:
        assert np.isfinite(make(name).fit(evidence, natural).score(evidence)).all()
    with pytest.raises(InputError, match=rf"^Expected {3 * FIT} labels, got 5\.$"):
        make(name).fit(evidence, labels.take(np.arange(5)))
    for field in ("attacks", "groups"):
        short = replace(labels, **{field: getattr(labels, field)[:5]})
        with pytest.raises(InputError, match=rf"^Expected {3 * FIT} labels, got 5\.$"):
            make(name).fit(evidence, short)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_is_unknown_or_out_of_range_is_refused(name) -> None:
    kind = registry.DETECTORS[name]
    with pytest.raises(InputError, match=rf"^{name} has no parameter 'colour'; it accepts .*\.$"):
        kind(colour="red")
    for declared in kind.settings.parameters():
        wrong = "nonsense" if declared.type == "choice" else declared.high + 1
        with pytest.raises(InputError, match=rf"^The '{declared.name}' parameter of {name} must be .*instead\.$"):
            kind(**{declared.name: wrong})


def test_evidence_of_another_shape_or_not_finite_never_reaches_a_detector() -> None:
    trace = problem()[1][0].trace
    with pytest.raises(InputError, match=rf"^Expected last of shape \({len(trace)}, {WIDTHS[-1]}\), got "):
        Evidence(
            known(),
            replace(trace, activations=(*trace.activations[:2], trace.activations[0])),
            Readings(),
        )
    with pytest.raises(InputError, match=r"^Activations and logits must be finite\.$"):
        Evidence(known(), replace(trace, logits=np.full_like(trace.logits, np.nan)), Readings())


@pytest.mark.parametrize("name", NAMES)
def test_every_candidate_setting_is_accepted(name) -> None:
    kind = registry.DETECTORS[name]
    candidates = kind.candidates(problem()[0][0])
    assert candidates
    assert len({repr(kind(**settings)) for settings in candidates}) == len(candidates)


@dataclass(frozen=True)
class LoudestSettings(Settings):
    """Which way to look."""

    sign: str = parameter("plus", choices=("plus", "minus"), help="Direction.")


class LoudestLogit(Detector):
    """A detector of the test's own."""

    name = "loudest_logit"
    title = "Loudest logit"
    paper = "Nobody (2000), Nothing"
    summary = "Asks how loud the loudest logit is."
    settings = LoudestSettings()

    @classmethod
    def candidates(cls, evidence):  # noqa: ARG003
        return [{"sign": "plus"}, {"sign": "minus"}]

    def _fit(self, evidence, labels) -> None:  # noqa: ARG002
        self.offset_ = float(evidence.trace.logits.mean())

    def _score(self, evidence):
        value = evidence.trace.logits.max(1) - self.offset_
        return value if self.settings.sign == "plus" else -value

    def _arrays(self):
        return {"offset": np.array([self.offset_])}

    def _restore(self, arrays) -> None:
        self.offset_ = float(arrays["offset"][0])


def test_one_registry_line_adds_a_detector_everywhere(monkeypatch) -> None:
    monkeypatch.setattr(registry, "DETECTORS", {})
    monkeypatch.setitem(registry.DETECTORS, LoudestLogit.name, LoudestLogit)  # the one line
    (evidence, labels), (fresh, fresh_labels) = problem()
    detector = select(registry.get_detector("loudest_logit"), evidence, labels, ("fgsm", "pgd")).detector
    # Attacked images lie farther from every centre, so their loudest logit is quieter.
    assert detector.settings.values() == {"sign": "minus"}
    assert roc_auc_score(fresh_labels.adversarial, detector.score(fresh)) > 0.8
    restored = registry.get_detector("loudest_logit")(**detector.settings.values()).restore(detector.arrays())
    np.testing.assert_array_equal(restored.score(fresh), detector.score(fresh))
    assert catalogue.detector_title("loudest_logit") == "Loudest logit"
    assert catalogue.detector_summary("loudest_logit") == LoudestLogit.summary


def test_settings_are_chosen_by_held_out_auc_over_the_watched_attacks_alone() -> None:
    evidence, labels = problem()[0]
    # "odd" images have the loudest logits of all; whether they are watched decides the sign.
    attacks = labels.attacks.copy()
    loud = np.argsort(-evidence.trace.logits.max(1))
    loud = loud[labels.adversarial[loud]][:20]
    attacks[loud] = "odd"
    changed = replace(labels, attacks=attacks)
    assert select(LoudestLogit, evidence, changed, ("fgsm", "pgd")).detector.settings.values() == {"sign": "minus"}
    chosen = select(LoudestLogit, evidence, changed, ("odd",))
    assert chosen.detector.settings.values() == {"sign": "plus" if _auc(evidence, changed, "odd") > 0.5 else "minus"}
    assert chosen.selected_by.startswith("best of 2 settings: macro-AUC 0.")
    assert "5 image-grouped folds" in chosen.selected_by


def _auc(evidence: Evidence, labels: Labels, attack: str) -> float:
    rows = (labels.attacks == attack) | ~labels.adversarial
    return roc_auc_score(labels.adversarial[rows], evidence.trace.logits.max(1)[rows])


def test_macro_auc_is_the_unweighted_mean_over_attacks() -> None:
    labels = Labels(np.array([0, 0, 1, 1, 1, 1], dtype=bool), np.array(["", "", "a", "b", "b", "b"]), np.arange(6))
    scores = np.array([0.0, 1.0, 2.0, -1.0, -1.0, 0.5])
    assert macro_auc(scores, labels) == pytest.approx((1.0 + (0.0 + 0.0 + 0.5) / 3) / 2)


@pytest.mark.parametrize("adversarial", [True, False])
def test_macro_auc_needs_both_kinds(adversarial) -> None:
    labels = Labels(np.full(3, adversarial), np.full(3, "a" if adversarial else ""), np.arange(3))
    with pytest.raises(InputError, match=r"^Settings are compared on natural and adversarial images, but one .*\.$"):
        macro_auc(np.arange(3.0), labels)


def test_folds_never_split_an_image_and_hold_each_out_once() -> None:
    groups = np.random.default_rng(0).integers(0, 23, 90)
    labels = Labels(np.arange(90) % 2 == 0, np.array(["a", ""] * 45), groups)
    held = []
    for train, held_out in labels.folds():
        assert not set(labels.groups[train]) & set(labels.groups[held_out])
        assert len(train) + len(held_out) == len(labels)
        held.extend(held_out)
    assert sorted(held) == list(range(len(labels)))


def test_one_image_cannot_be_folded() -> None:
    labels = Labels(np.array([False, True]), np.array(["", "a"]), np.array([4, 4]))
    with pytest.raises(InputError, match=r"^Cross-validation needs at least 2 different images, got 1\.$"):
        list(labels.folds())


def test_sampling_weights_give_natural_images_half_and_attacks_shares_by_the_roots_of_their_numbers() -> None:
    attacks = np.array([""] * 3 + ["a"] * 9 + ["b"] * 4 + ["c"])
    weights = Labels(attacks != "", attacks, np.arange(17)).balanced_weights()
    total = weights.sum()
    assert weights.mean() == pytest.approx(1.0)
    assert weights[attacks == ""].sum() / total == pytest.approx(1 / 2)
    for attack, root in (("a", 3), ("b", 2), ("c", 1)):
        assert weights[attacks == attack].sum() / total == pytest.approx(root / 12)
        assert len(set(weights[attacks == attack])) == 1


def test_no_warning_reaches_people() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in NAMES:
            detector = registry.get_detector(name)(**({"epochs": 2} if name == "trajectory" else {}))
            detector.fit(*problem()[0]).score(problem()[1][0])


def test_the_clouds_have_the_classes_that_the_reference_knows() -> None:
    assert set(problem()[1][0].predictions) == set(range(CLASSES))


@pytest.mark.parametrize("name", NAMES)
def test_no_images_have_no_scores(name: str) -> None:
    detector = registry.get_detector(name)(**({"epochs": 2} if name == "trajectory" else {})).fit(*problem()[0])
    assert detector.score(problem()[1][0].take(slice(0, 0))).shape == (0,)
