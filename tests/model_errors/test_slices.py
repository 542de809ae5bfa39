"""Failure slices: against all conjunctions one by one, other libraries' tests, data without slices, planted ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom, binomtest, fisher_exact

from telltale.base.errors import InputError
from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors import slices as slices_module
from telltale.model_errors.evaluated import Evaluated
from telltale.model_errors.slices import LEVEL, FailureSlices, find_slices, half_of
from telltale.model_errors.slices_conditions import MOST_CODES, conditions_on, name_of, together
from telltale.model_errors.slices_features import (
    AGREEMENT,
    BRIGHTNESS,
    CONFIDENCE,
    READ_AS,
    SHARPNESS,
    TRUE_CLASS,
    CodeFeature,
    Feature,
    NumberFeature,
    departure_feature,
    features_of_answers,
)
from telltale.model_errors.slices_images import image_statistics
from telltale.model_errors.slices_search import Limits, search

CLASSES = ("cat", "dog", "frog", "ship")


def drawn(seed: int, count: int = 1000) -> tuple[Evaluated, list[Feature], np.random.Generator]:
    """Images of four classes, all read correctly, with five numbers that have nothing to do with anything."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, len(CLASSES), count)
    images = Evaluated(
        np.arange(count) + 500, labels, labels.copy(), np.full(count, "test"), draws.uniform(0.3, 1, count)
    )
    numbers = [NumberFeature(name, draws.normal(size=count)) for name in (AGREEMENT, BRIGHTNESS, SHARPNESS)]
    return images, numbers, draws


def failing(images: Evaluated, numbers: list[Feature], wrong: np.ndarray) -> FailureSlices:
    """Search with errors where it is said; they are read as the next class."""
    images = Evaluated(**{**vars(images), "predictions": (images.labels + wrong) % len(CLASSES)})
    by_class = [f for f in features_of_answers(images, CLASSES) if f.name != READ_AS]  # classes read follow from errors
    return find_slices(images, [*by_class, *numbers])


@pytest.mark.parametrize("seed", range(5))
def test_the_best_group_is_that_of_trying_all(seed: int) -> None:
    draws = np.random.default_rng(seed)
    holds = draws.random((9, 400)) < 0.5
    allowed = ~np.eye(9, dtype=bool)
    allowed[0, 1] = allowed[1, 0] = False
    planted = holds[[0, 4, 7]].all(0) if seed % 2 else holds[[2, 5]].all(0)
    wrong = draws.random(400) < np.where(planted, 0.8, 0.08)
    limits = Limits(images=15, errors=4, beam=200)
    rated = {}
    for size in (1, 2, 3):
        for rule in combinations(range(9), size):
            inside = [i for i in range(400) if all(holds[c, i] for c in rule)]
            errors = sum(bool(wrong[i]) for i in inside)
            if {0, 1} <= set(rule) or len(inside) < 15 or errors < 4:
                continue
            rated[rule] = len(inside) ** 0.5 * (errors / len(inside) - sum(map(bool, wrong)) / 400)
    found = search(holds, allowed, wrong, limits)
    assert found.rules[0] == max(rated, key=lambda rule: rated[rule]) == ((0, 4, 7) if seed % 2 else (2, 5))
    assert not any({0, 1} <= set(rule) for rule in found.rules)
    for rule in found.rules:
        shorter = [part for size in range(1, len(rule)) for part in combinations(rule, size) if part in rated]
        assert all(rated[rule] > rated[part] for part in shorter if len(part) == len(rule) - 1)


def test_groups_that_share_most_images_or_errors_are_one() -> None:
    draws = np.random.default_rng(1)
    base = draws.random(600) < 0.3
    nearly = base ^ (draws.random(600) < 0.02)
    other = ~base & (draws.random(600) < 0.15)
    wrong = draws.random(600) < np.where(base, 0.95, np.where(other, 0.7, 0.01))
    wide = base | (~wrong & (draws.random(600) < 0.52))  # twice as many images, the same errors
    assert 2 * base.sum() < wide.sum() and (wide & wrong).sum() == (base & wrong).sum()
    holds = np.array([base, nearly, other, wide])
    found = search(holds, ~np.eye(4, dtype=bool), wrong, Limits(conditions=1))
    assert [rule for rule in found.rules if rule != (2,)] in ([(0,)], [(1,)]) and (2,) in found.rules
    masks = [holds[list(rule)].all(0) for rule in found.rules]
    for a, b in combinations(masks, 2):
        for first, second in ((a, b), (a & wrong, b & wrong)):
            assert len(set(np.flatnonzero(first)) & set(np.flatnonzero(second))) <= 0.5 * (first | second).sum()
    everything = search(holds, ~np.eye(4, dtype=bool), wrong, Limits(conditions=1, overlap=1.0))
    assert len(everything.rules) == 4


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="as many columns as images"):
        search(np.ones((2, 5), dtype=bool), np.ones((2, 2), dtype=bool), np.ones(4, dtype=bool))


def test_figures_are_those_of_the_half_that_was_not_searched() -> None:
    images, numbers, draws = drawn(3, 3000)
    dark = numbers[1].values < np.quantile(numbers[1].values, 0.25)
    wrong = draws.random(3000) < np.where(dark & (images.labels == 2), 0.6, 0.05)
    found = failing(images, numbers, wrong)
    searched = half_of(wrong, 0)
    assert abs(int((searched & wrong).sum()) * 2 - wrong.sum()) <= 1 and abs(int(searched.sum()) * 2 - 3000) <= 2
    rest = ~searched
    assert found.overall.count == (wrong & rest).sum() and found.overall.total == rest.sum()
    assert found.slices and found.tried > 100
    uncorrected = []
    for group in found.slices:
        inside = np.isin(images.ids, group.ids) & rest
        errors, total = int((inside & wrong).sum()), int(inside.sum())
        assert (group.errors.count, group.errors.total) == (errors, total)
        assert group.share == pytest.approx(errors / (wrong & rest).sum())
        exact = binomtest(errors, total).proportion_ci(1 - LEVEL / found.counted, method="exact")
        assert (group.low, group.high) == pytest.approx((exact.low, exact.high))
        outside = rest & ~inside
        table = [[errors, total - errors], [int((outside & wrong).sum()), int((outside & ~wrong).sum())]]
        uncorrected.append(fisher_exact(table, alternative="greater").pvalue)
    corrected = [group.p_value for group in found.slices]
    smallest = int(np.argmin(uncorrected))
    assert corrected[smallest] == pytest.approx(min(1.0, uncorrected[smallest] * found.counted))
    assert all(raw <= p <= min(1.0, raw * found.counted) + 1e-12 for raw, p in zip(uncorrected, corrected, strict=True))
    assert found.slices[0].name == "Dark images of class frog"


def test_holms_correction_is_that_of_going_down_the_list() -> None:
    raw = [0.04, 0.001, 0.03, 0.5, 0.011]
    corrected = slices_module._holm(raw)
    running = 0.0
    for place, index in enumerate(sorted(range(5), key=lambda i: raw[i])):
        running = max(running, min(1.0, (5 - place) * raw[index]))
        assert corrected[index] == pytest.approx(running)
    assert slices_module._holm([]) == []


def test_where_there_is_no_slice_none_is_reported_more_often_than_the_level_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = 150

    def reported(seed: int) -> bool:
        images, numbers, draws = drawn(seed, 800)
        return bool(failing(images, numbers, draws.random(800) < 0.12).slices)

    honest = sum(reported(seed) for seed in range(trials))
    assert honest <= binom.ppf(0.999, trials, LEVEL)
    inner = slices_module._count
    monkeypatch.setattr(slices_module, "_count", lambda images, groups, rest: inner(images, groups, ~rest))
    fooled = sum(reported(seed) for seed in range(20))
    assert fooled > 10, "counted where it was searched, chance looks like a slice"


def test_intervals_hold_the_true_rates_of_all_groups_at_once() -> None:
    trials, missed = 60, 0
    for seed in range(trials):
        images, numbers, draws = drawn(1000 + seed, 1200)
        rates = np.where(numbers[0].values < -0.5, 0.3, 0.08)
        found = failing(images, numbers, draws.random(1200) < rates)
        true = [rates[np.isin(images.ids, group.ids)].mean() for group in found.slices]
        missed += any(not g.low <= rate <= g.high for g, rate in zip(found.slices, true, strict=True))
    assert missed <= binom.ppf(0.999, trials, LEVEL)


@pytest.mark.parametrize("seed", range(8))
def test_planted_slices_are_found_again(seed: int) -> None:
    images, numbers, draws = drawn(2000 + seed, 4000)
    label, chosen = int(draws.integers(len(CLASSES))), numbers[int(draws.integers(len(numbers)))]
    cut = float(np.quantile(chosen.values, 0.25 if seed % 2 else 0.75))
    planted = (images.labels == label) & ((chosen.values <= cut) if seed % 2 else (chosen.values > cut))
    found = failing(images, numbers, draws.random(4000) < np.where(planted, 0.45, 0.06))
    assert found.slices
    ids = images.ids[planted]
    shared = [len(np.intersect1d(ids, g.ids)) / len(np.union1d(ids, g.ids)) for g in found.slices]
    best = found.slices[int(np.argmax(shared))]
    assert max(shared) > 0.8 and best is found.slices[0]
    assert CLASSES[label] in best.name and best.low > found.overall.share
    assert best.errors.share == pytest.approx(0.45, abs=0.12)


@pytest.mark.parametrize(("count", "wrong"), [(300, 0), (300, 300), (6, 2), (1, 1)])
def test_nothing_to_find_is_no_fault(count: int, wrong: int) -> None:
    images, numbers, _ = drawn(0, count)
    found = failing(images, numbers, np.arange(count) < wrong)
    assert found.slices == () and found.overall.total == count - half_of(np.arange(count) < wrong, 0).sum()
    assert found.to_json()["slices"] == []


def parts(features: Sequence[Feature], *wanted: str) -> list:
    conditions = conditions_on(
        features, np.ones(len(getattr(features[0], "values", getattr(features[0], "codes", ()))), bool)
    )
    return [next(c for c in conditions if c.words == words) for words in wanted]


def test_groups_are_named_in_words() -> None:
    images, numbers, _ = drawn(5)
    layers = departure_feature(np.arange(1000) % 3 - 1, ("stem", "head"))
    features = [*features_of_answers(images, CLASSES), *numbers, layers]
    assert name_of(parts(features, "dark", "read as cat", "low neighbour agreement")) == (
        "Dark images read as cat, low neighbour agreement"
    )
    assert name_of(parts(features, "never departing")) == "Images, never departing"
    assert name_of(parts(features, "of class ship", "departing at head", "rather blurred")) == (
        "Rather blurred images of class ship, departing at head"
    )
    assert name_of(parts(features, "sharp", "bright")) in ("Sharp, bright images", "Bright, sharp images")


def test_numbers_are_cut_at_quarters_of_what_is_searched_and_unknown_ones_meet_nothing() -> None:
    values = np.concatenate([np.arange(100.0), np.full(20, 1e9), [np.nan]])
    looked_at = np.arange(121) < 100
    found = conditions_on([NumberFeature(CONFIDENCE, values)], looked_at)
    assert [int(c.holds[:100].sum()) for c in found] == [25, 50, 50, 25]
    assert not any(c.holds[-1] for c in found) and [bool(c.holds[110]) for c in found] == [False, False, True, True]
    assert found[0].detail == "confidence at most 24.8" and found[3].detail == "confidence above 74.2"
    assert conditions_on([NumberFeature(CONFIDENCE, np.full(121, np.nan))], looked_at) == []


def test_of_very_many_classes_the_most_frequent_are_looked_at() -> None:
    codes = np.repeat(np.arange(200), np.arange(200) + 1)
    feature = CodeFeature(TRUE_CLASS, codes, {c: f"of class {c}" for c in range(200)}, "class")
    found = conditions_on([feature], np.ones(len(codes), bool))
    assert [c.words for c in found] == [f"of class {c}" for c in range(200 - MOST_CODES, 200)]


def test_no_group_is_an_error_by_definition() -> None:
    images, _, _ = drawn(6)
    read, true, sure = (conditions_on([f], np.ones(1000, bool))[0] for f in features_of_answers(images, CLASSES))
    assert not together(read, true) and not together(true, read) and not together(sure, sure)
    assert together(read, sure) and together(true, sure)
    assert departure_feature(np.array([NO_LAYER, 1]), ("stem", "head")).words[NO_LAYER] == "never departing"


def test_brightness_is_pillows_grey_and_sharpness_that_of_a_loop() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), dtype=np.uint8)
    images = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    brightness, sharpness = image_statistics(images)
    for i, picture in enumerate(pixels):
        grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=float) / 255
        assert brightness[i] == pytest.approx(grey.mean(), abs=1 / 255)
        exact = picture @ np.array([0.299, 0.587, 0.114]) / 255
        edges = []
        for y in range(9):
            for x in range(7):
                around = [(max(y - 1, 0), x), (min(y + 1, 8), x), (y, max(x - 1, 0)), (y, min(x + 1, 6))]
                edges.append(sum(exact[place] for place in around) - 4 * exact[y, x])
        assert sharpness[i] == pytest.approx(np.var(edges), rel=1e-5)
    smooth = np.cumsum(np.ones((1, 1, 8, 8), dtype=np.float32), axis=2) / 8
    assert image_statistics(smooth)[1][0] < image_statistics(smooth[:, :, ::-1] * (np.arange(8) % 2))[1][0]
    assert image_statistics(smooth)[0][0] == pytest.approx(smooth.mean())
