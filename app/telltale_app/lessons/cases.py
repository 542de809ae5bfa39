"""Which image a step shows: a rule over the bundle's stored scores, never a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from telltale.base.parameters import validate_parameters
from telltale.scores.table import fooled_test_ids
from telltale_app import catalogue
from telltale_app.case import DEFAULT_ALPHA, Case, opening_case

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Rule = Callable[["Bundle"], Case]
BUDGET = ("eps", "step")  # parameters that the default attack and the one that knows a detector share


def natural(place: int) -> Rule:
    """Return the rule for an image that no detector finds odd, although the default attack fools the model on it.

    Parameters
    ----------
    place : int
        Place among such images, the most usual first, so that lessons show different pictures.
    """

    def rule(bundle: Bundle) -> Case:
        ids = fooled_test_ids(bundle.scores, catalogue.DEFAULT_ATTACK)
        return Case(bundle.name, f"test-{ids[place % len(ids)]}")

    return rule


def attacked(place: int, alpha: float = DEFAULT_ALPHA) -> Rule:
    """Return the rule for the same image under the default attack, set as behind the stored scores."""

    def rule(bundle: Bundle) -> Case:
        usual = bundle.attack_parameters(catalogue.DEFAULT_ATTACK)
        return replace(_with(natural(place)(bundle), catalogue.DEFAULT_ATTACK, usual), alpha=alpha)

    return rule


def story(bundle: Bundle) -> Case:
    """Return the example on which the model opens, before its attack."""
    return replace(opening_case(bundle), attack=None, parameters=(), seed=0)


def story_attacked(bundle: Bundle) -> Case:
    """Return the example on which the model opens."""
    return opening_case(bundle)


def aimed_at(place: int, detector: str) -> Rule:
    """Return the rule for the same image under an attack that knows one detector, with the default attack's budget."""

    def rule(bundle: Bundle) -> Case:
        usual = bundle.attack_parameters(catalogue.DEFAULT_ATTACK)
        budget = {name: usual[name] for name in BUDGET if name in usual}
        return _with(natural(place)(bundle), "adaptive", {"detector": detector, **budget})

    return rule


def _with(case: Case, attack: str, given: Mapping[str, object]) -> Case:
    spec = catalogue.attacks()[attack]
    values = validate_parameters(spec.parameters, given, spec.title)
    return replace(case, attack=attack, parameters=tuple(values.items()))
