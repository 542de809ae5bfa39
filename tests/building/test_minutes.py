"""A build cut to minutes: what is cut fits, more minutes never give less, every class keeps references."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telltale.base.errors import InputError
from telltale.building.inspecting.cost import Counts, Measured
from telltale.building.inspecting.minutes import EACH, LEAST, cut_to
from telltale.data.rows import Rows
from telltale.data.splits import Splits, SplitSizes
from telltale.recipes import AttackPlan

NAMES = ("fgsm", "pgd", "deepfool", "cw")
seconds = st.floats(1e-5, 20.0)


@st.composite
def builds(draw: st.DrawFn) -> tuple[Counts, int, Measured]:
    sizes = SplitSizes(*(draw(st.integers(0, 1000)) for _ in range(3)))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    attacks = tuple(AttackPlan(name, draw(st.integers(0, 400)), draw(st.integers(0, 500))) for name in names)
    references = draw(st.integers(1, 20_000))
    full = Counts(references, sizes, attacks, draw(st.integers(0, 50_000)))
    attacked = {name: draw(seconds) for name in names}
    measured = Measured(draw(seconds), draw(seconds), attacked, 0, 10, draw(st.floats(0.0, 0.01)))
    return full, draw(st.integers(1, references)), measured


def slow_sum(counts: Counts, measured: Measured, processes: int) -> float:
    """Minutes of a build, image by image, and reading, which no process shares."""
    total = counts.references * measured.trace
    total += (2 * counts.sizes.fit + counts.sizes.calibration + counts.sizes.test) * measured.observe
    for attack in counts.attacks:
        for asked, there in ((attack.fit, counts.sizes.fit), (attack.test, counts.sizes.test)):
            total += min(asked, there) * (measured.observe + measured.attacks[attack.name])
    return (total / processes + counts.pictures * measured.read) / 60.0


@settings(max_examples=200, deadline=None)
@given(builds(), st.floats(0.01, 300.0), st.floats(1.0, 5.0), st.integers(1, 8))
def test_what_is_cut_fits_and_more_minutes_never_give_less(build, minutes, more, processes) -> None:
    full, least, measured = build
    try:
        cut = cut_to(minutes, full, least, measured, processes)
    except InputError as error:
        needed = float(str(error).split("at least ")[1].rstrip("."))
        assert needed > minutes
        assert cut_to(needed, full, least, measured, processes).counts.references >= least
        return
    assert cut.minutes <= minutes
    assert cut.minutes == pytest.approx(slow_sum(cut.counts, measured, processes))
    wider = cut_to(minutes * more, full, least, measured, processes)
    kept, there = ({attack.name for attack in found.counts.attacks} for found in (cut, wider))
    assert kept <= there  # for one attack more the images may become fewer: attacks go last
    pairs = [(cut.counts, full), (wider.counts, full), *([(cut.counts, wider.counts)] if kept == there else [])]
    for few, many in pairs:
        assert few.minutes(measured, processes) <= many.minutes(measured, processes)
        assert few.references <= many.references and few.attacked <= many.attacked
        assert all(getattr(few.sizes, name) <= getattr(many.sizes, name) for name in vars(LEAST))
    assert cut.counts.references >= least
    assert all(getattr(cut.counts.sizes, n) >= min(getattr(LEAST, n), getattr(full.sizes, n)) for n in vars(LEAST))
    assert (cut.sentence is None) == (cut.counts == full)
    # With just what it takes, the same comes out.
    assert cut_to(max(cut.minutes, 1e-9), full, least, measured, processes).minutes == cut.minutes


@settings(max_examples=200, deadline=None)
@given(builds(), builds())
def test_an_estimate_grows_with_every_number_of_images(one, other) -> None:
    (few, _, measured), (more, _, _) = one, other
    sizes = SplitSizes(*(max(getattr(few.sizes, name), getattr(more.sizes, name)) for name in vars(LEAST)))
    many = Counts(max(few.references, more.references), sizes, few.attacks, few.pictures)
    assert few.minutes(measured, 2) <= many.minutes(measured, 2) <= many.minutes(measured, 1)
    assert replace(few, attacks=few.attacks[1:]).minutes(measured, 2) <= few.minutes(measured, 2) * (1 + 1e-12)


def test_what_is_left_is_filled_up_where_an_attack_is_left_out() -> None:
    slow = replace(MEASURED, attacks={"fgsm": 0.05, "deepfool": 9e9})
    found = cut_to(60, FULL, 50, slow, processes=1)
    assert found.counts == replace(FULL, attacks=FULL.attacks[:1])
    assert found.sentence == (
        "To be read, observed and attacked within 60 minutes it takes 900 of 1,800 attacked images, and leaves out the "
        "attack deepfool; fitting, maps and scores come on top."
    )


ATTACKS = tuple(AttackPlan(name, 400, 500) for name in ("fgsm", "deepfool"))
FULL = Counts(8000, SplitSizes(400, 600, 1000), ATTACKS)
MEASURED = Measured(trace=0.01, observe=0.1, attacks={"fgsm": 0.05, "deepfool": 0.9}, memory=0, images=10)


@pytest.mark.parametrize(
    ("minutes", "sentence"),
    [
        (60, None),
        (
            10,
            "To be read, observed and attacked within 10 minutes it takes 3,.* of 8,000 reference images, .* of 400 "
            "images to fit to, .* of 600 to calibrate with, .* of 1,000 to test on, .* of 1,800 attacked images; .*",
        ),
        (0.7, ".* within 0.7 minutes it takes 161 of 8,000 .*, and leaves out the attack deepfool; fitting.*"),
        (0.6, ".*, 0 of 1,800 attacked images, and leaves out the attacks fgsm, deepfool; fitting.*"),
    ],
)
def test_one_sentence_says_what_was_cut(minutes, sentence) -> None:
    found = cut_to(minutes, FULL, 50, MEASURED, processes=1).sentence
    if sentence is None:
        assert found is None
    else:
        assert found is not None and re.fullmatch(sentence, found), found


def test_too_few_minutes_say_how_many_are_needed() -> None:
    # 300 natural passes of a tenth of a second and 50 of a hundredth are half a minute.
    with pytest.raises(InputError, match=r"^0\.2 minutes are too few .* images take at least 0\.6\.$"):
        cut_to(0.2, FULL, 50, MEASURED, processes=1)
    for wrong in (0, -1, float("nan"), float("inf"), True, "5"):
        with pytest.raises(InputError, match="minutes must be a number above 0"):
            cut_to(wrong, FULL, 50, MEASURED)


def test_planted_costs_are_found_again_one_by_one() -> None:
    """A build of which only one part costs anything takes what that part costs, and nothing else."""
    counts = Counts(1000, SplitSizes(100, 50, 30), (AttackPlan("fgsm", 40, 500),), pictures=2000)
    free = Measured(0.0, 0.0, {"fgsm": 0.0}, 0, 10)
    expected = {
        "read": (replace(free, read=0.3), 2000 * 0.3),  # one process reads them
        "trace": (replace(free, trace=0.3), 1000 * 0.3 / 4),
        "observe": (replace(free, observe=0.3), (180 + 100 + 40 + 30) * 0.3 / 4),
        "attack": (replace(free, attacks={"fgsm": 0.3}), (40 + 30) * 0.3 / 4),
    }
    assert counts.minutes(free, 4) == 0.0
    for name, (measured, taken) in expected.items():
        assert counts.minutes(measured, 4) == pytest.approx(taken / 60.0), name


def test_reading_is_paid_for_whatever_is_cut() -> None:
    slow = replace(MEASURED, read=0.3)  # 20,000 pictures take 100 minutes
    full = replace(FULL, pictures=20_000)
    with pytest.raises(InputError, match=r"^60 minutes are too few"):
        cut_to(60, full, 50, slow, processes=1)
    cut = cut_to(110, full, 50, slow, processes=1)
    assert cut.counts == replace(cut_to(10, FULL, 50, MEASURED, processes=1).counts, pictures=20_000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=8), st.integers(0, 100), st.integers(0, 3))
def test_every_class_keeps_its_references(members, spare, seed) -> None:
    labels = np.repeat(np.arange(len(members)), members)
    rng = np.random.default_rng(seed)
    held_out = min(len(labels) - 1, 6)
    splits = Splits.draw(labels, SplitSizes(held_out // 3, held_out // 3, held_out // 3), seed)
    train = np.bincount(labels[splits.train], minlength=len(members))
    least = int(np.minimum(train, EACH).sum())
    wanted = min(len(splits.train), least + spare)
    thin = splits.thinned(labels, wanted, SplitSizes(1, 1, 1), int(rng.integers(9)), EACH)
    assert len(thin.train) == wanted and np.isin(thin.train, splits.train).all()
    kept = np.bincount(labels[thin.train], minlength=len(members))
    assert (kept >= np.minimum(train, EACH)).all()
    assert [len(thin.fit), len(thin.test)] == [min(1, len(splits.fit)), min(1, len(splits.test))]


def test_rows_are_copied_when_they_are_sent_and_not_before() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 4)).astype(np.uint8)
    rows = Rows(pixels, np.array([7, 2, 5])).part(1, 9)
    sent = pickle.loads(pickle.dumps(rows))
    np.testing.assert_array_equal(sent.taken(), pixels[[2, 5]])
    assert len(rows) == len(sent) == 2 and rows.pixels is pixels and sent.pixels.nbytes == 2 * 48
    assert replace(rows, ids=rows.ids[:0]).taken().shape == (0, 3, 4, 4)
