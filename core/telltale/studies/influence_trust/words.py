"""What a stored study of influence says, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from telltale.recipes import RECIPES
from telltale.scores.titles import percent
from telltale.studies.influence_trust.figures import MethodTrust, best_possible
from telltale.studies.influence_trust.methods import COSINE, HEAD, RANDOM, TITLES
from telltale.studies.influence_trust.results import StoredTrust, trust_command

# What a rank correlation is worth, from the lowest that deserves the word.
WORTH = (
    (0.6, "a good forecast"),
    (0.3, "a rough guide"),
    (0.1, "a weak hint"),
    (0.0, "hardly more than chance"),
)


def worth(trust: MethodTrust) -> str:
    """Say what a score is worth; nothing where its interval, widened by the noise of the subsets, holds 0."""
    if trust.low - 2.0 * trust.subset_error <= 0.0:
        return "no more than chance"
    return next(word for least, word in WORTH if trust.score >= least)


def sentences(found: StoredTrust, trusts: Sequence[MethodTrust]) -> tuple[str, ...]:
    """Say how far the influence through the head can be trusted, how others do, and what no method could pass.

    Parameters
    ----------
    found : StoredTrust
    trusts : sequence of MethodTrust
        Of `method_trusts`.
    """
    (head,) = (trust for trust in trusts if trust.method == HEAD)
    others = [trust for trust in trusts if trust.method != HEAD]
    return (
        f"As a forecast of what retraining would do, these influences score **{head.score:.2f}** "
        f"({_interval(head)}) on a scale from 0, chance, to 1: {worth(head)}.",
        _compared(head, others),
        *_noise(found),
    )


def unmeasured(name: str) -> str:
    """Say that nothing is stored about a bundle of this name, and what would measure it where a recipe has the name."""
    said = "How far these influences foretell what retraining would do has not been measured for this model"
    return f"{said}; `{trust_command(name)}` measures it." if name in RECIPES else f"{said}."


def how(found: StoredTrust) -> str:
    """Say what was retrained and compared."""
    origin, plan, retraining = found.origin, found.origin.plan, found.retraining
    return (
        f"Linear datamodeling score (LDS, Park et al. 2023): small networks ({plan['epochs']} epochs on images of "
        f"{plan['side']}×{plan['side']} pixels) were retrained on {plan['subsets']} random halves of "
        f"{origin.training_images:,} training images, {plan['repeats']} on each. For each of {origin.images} test "
        "images: the rank correlation between the sum of a half's influences and the log odds of the answer after "
        "learning from that half alone. Intervals are 95 % over test images; ± is one standard error that comes from "
        f"which halves were drawn. The explained network reads {percent(retraining.accuracy)} of these images "
        f"correctly, the retrained ones {percent(retraining.accuracy_of_halves)}. It is smaller than this model, whose "
        "own score may differ."
    )


def _compared(head: MethodTrust, others: Sequence[MethodTrust]) -> str:
    """Name the best of the other methods, and the controls."""
    best = max((trust for trust in others if trust.method not in (COSINE, RANDOM)), key=lambda trust: trust.score)
    verb = "do better" if head.high < best.low else "do worse" if best.high < head.low else "do about the same"
    controls = [f"{TITLES[trust.method]} {trust.score:.2f}" for trust in others if trust.method in (COSINE, RANDOM)]
    return f"The best of the other methods {verb}: {best.title}, {best.score:.2f} ({_interval(best)}). " + (
        f"{'; '.join(controls).capitalize()}." if controls else ""
    )


def _noise(found: StoredTrust) -> tuple[str, ...]:
    agreed, best = found.retraining.agreement, best_possible(found)
    if agreed is None or best is None:
        return ()
    return (
        f"Networks retrained on the same half agree with each other by a rank correlation of {agreed:.2f}, so that no "
        f"method could score more than about {best:.2f} here.",
    )


def _interval(trust: MethodTrust) -> str:
    return f"{trust.low:.2f} to {trust.high:.2f}, ± {trust.subset_error:.2f}"
