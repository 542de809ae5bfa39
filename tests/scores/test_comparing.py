"""Paired comparisons, macro figures and standings against loops over the same draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from telltale.base.errors import InputError
from telltale.scores.comparing import Difference, JointBootstrap, PairedComparison, compare
from telltale.scores.contests import NATURAL_ERRORS, contest
from telltale.scores.controls import with_controls
from telltale.scores.evaluation import evaluate_table
from telltale.scores.leaderboard import leaderboard
from telltale.scores.resampling import draw_apart, draw_together
from telltale.scores.standings import Standing, ahead_sentence, all_ahead, standing_sentences

N = 50
ATTACKS = {"fgsm": (0.3, range(N)), "pgd": (1.5, range(0, N, 2)), "natural_error": (0.8, range(N, N + 30))}


def made_scores(seed: int = 0) -> pa.Table:
    """Return rows of natural, attacked and misread images; `knn` shares its noise between versions, `nnif` less so."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 1, N + 30)
    rows = [row("natural", "", i, own[i], 0.0, rng) for i in range(N)]
    for attack, (strength, ids) in ATTACKS.items():
        kind = "natural_error" if attack == "natural_error" else "adversarial"
        rows += [row(kind, "" if kind != "adversarial" else attack, i, own[i], strength, rng) for i in ids]
    rows += [{**row("natural", "", 500 + i, rng.normal(), 0.0, rng), "split": "calibration"} for i in range(99)]
    return pa.Table.from_pylist(rows)


def row(kind: str, attack: str, image: int, own: float, strength: float, rng: np.random.Generator) -> dict[str, object]:
    return {
        "image_id": image,
        "split": "test",
        "kind": kind,
        "attack": attack,
        "confidence": float(1 / (1 + np.exp(-3 + strength + rng.normal()))),
        "linf": 0.1,
        "l2": 1.0,
        "score_knn": round(float(own + strength), 1),  # tied
        "score_nnif": float(0.5 * own + rng.normal() + strength),
        "score_fused": float(own + rng.normal(0, 0.3) + 1.2 * strength),
    }


def column(scores: pa.Table, name: str, kind: str, attack: str = "") -> tuple[np.ndarray, np.ndarray]:
    rows = [r for r in scores.to_pylist() if (r["split"], r["kind"], r["attack"]) == ("test", kind, attack)]
    return np.array([r[name] for r in rows], dtype=np.float64), np.array([r["image_id"] for r in rows])


def figures(natural: np.ndarray, images: np.ndarray, rate: float = 0.05) -> tuple[float, float]:
    """Return scikit-learn's AUC, and the best rate that its curve holds at a rate of false positives."""
    labels = np.r_[np.zeros(len(natural)), np.ones(len(images))]
    fpr, tpr, _ = sklearn_roc_curve(labels, np.r_[natural, images], drop_intermediate=False)
    return float(roc_auc_score(labels, np.r_[natural, images])), float(tpr[fpr <= rate].max())


def looped(scores: pa.Table, name: str, attacks: Sequence[str], resamples: int, rate: float = 0.05) -> np.ndarray:
    """Return the mean AUC and rate over attacks of every resample, drawn and repeated image by image."""
    natural, ids = column(scores, name, "natural")
    groups = [column(scores, name, "adversarial", attack) for attack in attacks]
    draw = draw_together(ids, [group for _, group in groups], 0, resamples)
    found = []
    for b in range(resamples):
        clean = np.repeat(natural, draw.natural[:, b])
        each = [
            figures(clean, np.repeat(values, drawn[:, b]), rate)
            for (values, _), drawn in zip(groups, draw.groups, strict=True)
        ]
        found.append(np.mean(each, axis=0))
    return np.array(found)


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_a_paired_comparison_is_that_of_loops_with_the_same_draws(attack) -> None:
    scores = made_scores()
    found = compare(contest(scores, "fused", attack), contest(scores, "knn", attack), 0, 60)
    differences = looped(scores, "score_fused", [attack], 60) - looped(scores, "score_knn", [attack], 60)
    values = [
        np.subtract(
            *(
                figures(column(scores, name, "natural")[0], column(scores, name, "adversarial", attack)[0])[place]
                for name in ("score_fused", "score_knn")
            )
        )
        for place in (0, 1)
    ]
    for place, difference in enumerate((found.auc, found.tpr)):
        assert difference.value == pytest.approx(values[place], abs=1e-12)
        low, high = np.percentile(differences[:, place], [2.5, 97.5])
        assert (difference.low, difference.high) == pytest.approx((low, high), abs=1e-12)


def test_natural_errors_are_drawn_apart() -> None:
    scores = made_scores()
    found = compare(contest(scores, "fused", NATURAL_ERRORS), contest(scores, "knn", NATURAL_ERRORS), 0, 60)
    draw = draw_apart(N, 30, 0, 60)
    differences = []
    for b in range(60):
        both = [
            figures(
                np.repeat(column(scores, name, "natural")[0], draw.natural[:, b]),
                np.repeat(column(scores, name, "natural_error")[0], draw.groups[0][:, b]),
            )[0]
            for name in ("score_fused", "score_knn")
        ]
        differences.append(both[0] - both[1])
    assert (found.auc.low, found.auc.high) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])), abs=1e-12)


def joint(scores: pa.Table, n_resamples: int = 1000) -> JointBootstrap:
    rows = [r for r in with_controls(scores).to_pylist() if r["split"] == "test"]
    groups = {
        name: pa.Table.from_pylist([r for r in rows if name in (r["attack"], r["kind"]) and r["kind"] != "natural"])
        for name in ATTACKS
    }
    return JointBootstrap(pa.Table.from_pylist([r for r in rows if r["kind"] == "natural"]), groups, 0, n_resamples)


def test_the_joint_bootstrap_gives_the_comparisons_of_single_contests() -> None:
    scores = made_scores()
    together = joint(scores)
    assert together.paired == ("fgsm", "pgd")
    for attack in ATTACKS:
        named = NATURAL_ERRORS if attack == "natural_error" else attack
        for other in ("nnif", "low_confidence"):
            one = together.compare("fused", other, attack)
            alone = compare(contest(scores, "fused", named), contest(scores, other, named))
            assert (one.auc, one.tpr) == (alone.auc, alone.tpr)


def test_macro_figures_resample_images_jointly_over_attacks() -> None:
    scores = made_scores()
    found = joint(scores, 60).macro("fused", ["fgsm", "pgd"])
    resampled = looped(scores, "score_fused", ["fgsm", "pgd"], 60)
    sides = [("natural",), ("adversarial", "fgsm"), ("adversarial", "pgd")]
    natural, fgsm, pgd = (column(scores, "score_fused", *which)[0] for which in sides)
    means = np.mean([figures(natural, fgsm), figures(natural, pgd)], axis=0)
    ends = np.percentile(resampled, [2.5, 97.5], axis=0)
    wanted = [means[0], ends[0, 0], ends[1, 0], means[1], ends[0, 1], ends[1, 1]]
    assert (found.auc, found.auc_low, found.auc_high, found.tpr, found.tpr_low, found.tpr_high) == pytest.approx(
        wanted, abs=1e-12
    )
    assert (found.tpr_at_fpr[0.05], *found.tpr_intervals[0.05]) == pytest.approx(wanted[3:], abs=1e-12)
    for rate in (0.01, 0.1):
        again = looped(scores, "score_fused", ["fgsm", "pgd"], 60, rate)
        assert found.tpr_at_fpr[rate] == pytest.approx(np.mean([figures(natural, x, rate)[1] for x in (fgsm, pgd)]))
        assert found.tpr_intervals[rate] == pytest.approx(tuple(np.percentile(again[:, 1], [2.5, 97.5])), abs=1e-12)
    together = joint(scores, 60).compare_macro("fused", "knn", ["fgsm", "pgd"])
    both = resampled - looped(scores, "score_knn", ["fgsm", "pgd"], 60)
    assert (together.auc.low, together.auc.high) == pytest.approx(tuple(np.percentile(both[:, 0], [2.5, 97.5])))


def test_the_interval_of_a_difference_has_the_width_that_delong_says() -> None:
    rng = np.random.default_rng(1)
    rows = [row("natural", "", i, rng.normal(), 0.0, rng) for i in range(400)]
    rows += [row("adversarial", "fgsm", i, rng.normal(), 0.7, rng) for i in range(400)]
    scores = pa.Table.from_pylist(rows)
    found = compare(contest(scores, "fused", "fgsm"), contest(scores, "nnif", "fgsm"))
    # DeLong, DeLong & Clarke-Pearson (1988): variance from each image's share of pairs won; these images are paired.
    placed = []
    for name in ("score_fused", "score_nnif"):
        clean, attacked = column(scores, name, "natural")[0], column(scores, name, "adversarial", "fgsm")[0]
        won = (attacked[:, None] > clean).astype(float)
        placed.append(won.mean(axis=1) + won.mean(axis=0))
    error = np.std(placed[0] - placed[1], ddof=1) / 20.0
    assert found.auc.high - found.auc.low == pytest.approx(2 * stats.norm.ppf(0.975) * error, rel=0.1)


def test_only_the_same_images_can_be_compared() -> None:
    one, other = made_scores(), made_scores().slice(1)
    with pytest.raises(InputError, match="same images"):
        compare(contest(one, "fused", "fgsm"), contest(other, "knn", "fgsm"))
    with pytest.raises(InputError, match="same images"):
        compare(contest(one, "fused", "fgsm"), contest(one, "knn", "pgd"))


def test_outcomes_say_better_only_where_the_interval_leaves_zero_out() -> None:
    assert Difference(0.1, 0.01, 0.2).outcome == "better"
    assert Difference(0.1, 0.0, 0.2).outcome == "equal"
    assert Difference(-0.1, -0.2, -0.01).outcome == "worse"
    scores = made_scores()
    assert compare(contest(scores, "knn", "pgd"), contest(scores, "knn", "pgd")).auc == Difference(0.0, 0.0, 0.0)


def test_standings_name_the_best_control_and_the_best_detector() -> None:
    found = evaluate_table(made_scores(), "made", ["fgsm", "pgd"], 0)
    assert [standing.attack for standing in found.standings] == ["fgsm", "pgd", "natural_error", "macro"]
    for standing in found.standings[:3]:
        for beside, rows in ((standing.control, found.controls), (standing.detector, found.rows)):
            area = {r.detector: r.auc for r in rows if r.attack == standing.attack and r.detector != "fused"}
            assert beside is not None and beside.second == max(area, key=area.__getitem__)
            fused = next(r.auc for r in found.rows if (r.detector, r.attack) == ("fused", standing.attack))
            assert beside.auc.value == pytest.approx(fused - area[beside.second])
    without = evaluate_table(made_scores().drop_columns(["score_fused"]), "made", None, 0)
    assert without.standings == () and standing_sentences(()) == ()


def pair(second: str, attack: str, low: float, high: float, first: str = "fused") -> PairedComparison:
    difference = Difference((low + high) / 2, low, high)
    return PairedComparison(first, second, attack, difference, difference)


def test_sentences_hide_nothing_that_beats_or_equals_the_verdict() -> None:
    won, lost, open_ = (0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1)
    found = standing_sentences(
        [
            Standing("deepfool", pair("low_confidence", "deepfool", *lost), pair("nnif", "deepfool", *lost)),
            Standing("cw", pair("low_confidence", "cw", *lost), pair("nnif", "cw", *open_)),
            Standing("pgd", pair("high_confidence", "pgd", *open_), pair("lid", "pgd", *won)),
            Standing(
                "natural_error",
                pair("low_confidence", "natural_error", *lost, "error_score"),
                pair("knn_score", "natural_error", *won, "error_score"),
            ),
            Standing("macro", pair("energy", "macro", *won), None),
        ]
    )
    errors = "natural errors (the fusion's own score of them)"
    assert found == (
        f"Low softmax confidence alone does better than the fused verdict on DeepFool, C&W-L2 and {errors}.",
        "High softmax confidence alone cannot be told apart from the fused verdict on PGD.",
        "The fused verdict does better than the best control on the macro mean.",
        "NNIF alone does better than the fused verdict on DeepFool.",
        "NNIF alone cannot be told apart from the fused verdict on C&W-L2.",
        f"The fused verdict does better than the best single detector on PGD and {errors}.",
    )


def test_all_that_is_ahead_of_the_verdict_is_listed_with_its_difference() -> None:
    names = {"score_fused": "score_nnif", "score_nnif": "score_fused"}  # the weakest stands for the verdict
    scores = made_scores()
    scores = scores.rename_columns([names.get(name, name) for name in scores.column_names])
    together, others = joint(scores, 60), ("knn", "nnif", "low_confidence", "high_confidence", "random")
    wanted = []
    for attack in ATTACKS:
        pairs = [together.compare("fused", name, attack) for name in others]
        # scikit-learn's areas say who is ahead
        areas = {name: area(scores, name, attack) for name in ("fused", *others)}
        leading = sorted((name for name in others if areas[name] > areas["fused"]), key=lambda name: -areas[name])
        wanted += [next(pair for pair in pairs if pair.second == name) for name in leading]
    found = all_ahead(together, ("knn", "nnif", "fused"), others[2:], (), False)
    assert found == tuple(wanted) and len(found) >= 2
    beaten = sum(pair.auc.high < 0 for pair in found)
    assert ahead_sentence(found).startswith(f"In {beaten} of these {len(found)} pairs")
    assert all_ahead(together, ("knn", "nnif"), others[2:], (), False) == ()
    assert "larger AUC than the fused verdict on any" in ahead_sentence(())
    macro = all_ahead(together, ("knn", "nnif", "fused"), others[2:], ("fgsm", "pgd"), False)
    means = {name: (area(scores, name, "fgsm") + area(scores, name, "pgd")) / 2 for name in ("fused", *others)}
    leading = sorted((name for name in others if means[name] > means["fused"]), key=lambda name: -means[name])
    assert [pair.second for pair in macro if pair.attack == "macro"] == leading
    assert macro[len(macro) - len(found) :] == found
    whole = evaluate_table(scores, "made", None, 0)
    names = ("knn", "nnif", "fused")
    assert leaderboard(whole).ahead == all_ahead(whole.joint, names, others[2:], whole.macro_attacks, False)


def area(scores: pa.Table, name: str, attack: str) -> float:
    """Return scikit-learn's AUC of a detector or control."""
    rows = [r for r in with_controls(scores).to_pylist() if r["split"] == "test"]
    key = f"control_{name}" if f"control_{name}" in rows[0] else f"score_{name}"
    sides = [[r[key] for r in rows if r["kind"] == "natural"]]
    sides.append([r[key] for r in rows if attack in (r["attack"], r["kind"])])
    return float(roc_auc_score(np.repeat([0, 1], [len(side) for side in sides]), np.concatenate(sides)))
