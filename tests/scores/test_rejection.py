"""Success after rejection against loops over images, and against closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from telltale.base.errors import DamagedBundleError, InputError
from telltale.scores.rejection import ADAPTIVE, NONE, SCHEMA, WORST, success_after_rejection

ATTACKS = (("fgsm", NONE), ("pgd", NONE), ("adaptive", ADAPTIVE))
BUDGETS = (0, 2, 8)
IMAGES = 40


def rows(attacks=ATTACKS, seed=0) -> list[dict]:
    """Attacks on forty images in shuffled order, some of which succeed and some of which are rejected."""
    generator = np.random.default_rng(seed)
    made = [
        {
            "attack": attack,
            "knowledge": knowledge,
            "eps": eps,
            "image_id": int(image),
            "wrong": bool(generator.random() < eps / 10),
            "score_fused": 0.0,
            "p_value": float(generator.integers(1, 101)) / 100,
        }
        for eps in reversed(BUDGETS)
        for attack, knowledge in attacks
        for image in range(100, 100 + IMAGES)
    ]
    # Attacks stay in order of appearance; images do not.
    blocks = [made[start : start + IMAGES] for start in range(0, len(made), IMAGES)]
    return [block[place] for block in blocks for place in generator.permutation(IMAGES)]


def table_of(made: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(made, schema=SCHEMA)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.5])
def test_rates_and_worst_cases_are_those_of_loops_over_images(alpha) -> None:
    made = rows()
    members = {
        ("fgsm", NONE): {"fgsm"},
        ("pgd", NONE): {"pgd"},
        ("adaptive", ADAPTIVE): {"adaptive"},
        (WORST, NONE): {"fgsm", "pgd"},
        (WORST, ADAPTIVE): {"fgsm", "pgd", "adaptive"},
    }
    found = success_after_rejection(table_of(made), alpha)
    assert [(s.attack, s.knowledge, s.eps) for s in found] == [(*key, eps) for key in members for eps in BUDGETS]
    for success in found:
        before = after = 0
        for image in range(100, 100 + IMAGES):
            tried = [
                row
                for row in made
                if (row["image_id"], row["eps"]) == (image, success.eps)
                and row["attack"] in members[success.attack, success.knowledge]
            ]
            before += any(row["wrong"] for row in tried)
            # Wrong and unrejected by one and the same attack: one that is rejected and one that fails are no success.
            after += any(row["wrong"] and not row["p_value"] <= alpha for row in tried)
        assert (success.before.count, success.after.count) == (before, after), success
        assert success.before.total == success.after.total == IMAGES
        for rate in (success.before, success.after):
            exact = binomtest(rate.count, rate.total).proportion_ci(0.95, "exact")
            assert rate.interval == pytest.approx(tuple(exact), abs=1e-9)


def test_an_attack_that_fails_or_is_rejected_is_no_success() -> None:
    outcomes = [(True, 0.05), (True, 0.06), (False, 0.06), (False, 0.01)]  # p = alpha is rejected
    made = [
        {"attack": "pgd", "knowledge": NONE, "eps": 8, "image_id": i, "wrong": w, "score_fused": 0.0, "p_value": p}
        for i, (w, p) in enumerate(outcomes)
    ]
    (found,) = success_after_rejection(table_of(made), 0.05)
    assert (found.before.share, found.after.share) == (0.5, 0.25)
    assert found.title == "PGD, zero-knowledge"
    assert found.to_json()["after"]["total"] == 4


def test_more_rejection_never_helps_an_attacker() -> None:
    table = table_of(rows(seed=3))
    shares = [[s.after.share for s in success_after_rejection(table, alpha)] for alpha in (0.01, 0.05, 0.1, 0.9)]
    assert all(a >= b for less, more in pairwise(shares) for a, b in zip(less, more, strict=True))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda made: made[1:], "same images"),
        (lambda made: [*made, made[0]], "same images"),
        (lambda made: [row for row in made if (row["attack"], row["eps"]) != ("pgd", 2)], "same budgets"),
        (lambda made: [made[0] | {"p_value": float("nan")}, *made[1:]], "p-values"),
        (lambda made: [row | {"knowledge": "some"} for row in made], "other than none, adaptive"),
    ],
)
def test_a_table_of_which_nothing_could_be_said_is_refused(spoil, said) -> None:
    with pytest.raises(DamagedBundleError, match=said):
        success_after_rejection(table_of(spoil(rows())), 0.05)


def test_a_missing_column_and_a_bad_alpha_are_refused() -> None:
    table = table_of(rows())
    with pytest.raises(DamagedBundleError, match="lacks wrong"):
        success_after_rejection(table.drop_columns(["wrong"]), 0.05)
    with pytest.raises(InputError, match="between 0 and 1"):
        success_after_rejection(table, 1.0)
