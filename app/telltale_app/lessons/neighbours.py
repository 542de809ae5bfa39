"""Lesson: who the picture's neighbours are, and which training images helped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from telltale.analysis.results import Analysis
from telltale.figures.points import shared_ids
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView
from telltale_app import words
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import cases
from telltale_app.lessons.facts import natural, p_value
from telltale_app.lessons.lesson import Choice, Choices, Fact, Lesson, Question, Step

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Choose = Callable[[CaseAnalysis], Analysis]

PLACE = 3
DETECTOR = "nnif"
K = 8  # as many as the page shows at first
LAST = -1


def _attacked(case: CaseAnalysis) -> Analysis:
    assert case.attacked is not None
    return case.attacked


def near_of_class(analysis: Analysis, layer: int, label: int) -> int:
    """Return how many of the K nearest training images on one layer belong to a class."""
    return int((analysis.view(NeighboursView).labels[layer, :K] == label).sum())


def _near(choose: Choose, of: Choose) -> Fact:
    return lambda case: str(near_of_class(choose(case), LAST, of(case).prediction.label))


def _near_halfway(of: Choose) -> Fact:
    return lambda case: str(near_of_class(_attacked(case), _middle(case.bundle), of(case).prediction.label))


def _typical_rank(choose: Choose) -> Fact:
    """Return the fact of the middle one of the most helpful images' ranks among the neighbours, in percent."""
    return lambda case: words.percent(float(np.median(choose(case).view(InfluenceView).helpful_ranks[LAST, :K])))


def _overlap(choose: Choose) -> Fact:
    def fact(case: CaseAnalysis) -> str:
        analysis = choose(case)
        near = analysis.view(NeighboursView).ids[LAST, :K]
        return str(len(shared_ids(near, analysis.view(InfluenceView).helpful_ids[:K])))

    return fact


def _middle(bundle: Bundle) -> int:
    return len(bundle.layers) // 2


def _middle_layer(bundle: Bundle) -> dict[str, str]:
    return {"layer": bundle.layers[_middle(bundle)]}


def _last_layer(bundle: Bundle) -> dict[str, str]:
    return {"layer": bundle.layers[LAST]}


def _layer_choices(case: CaseAnalysis) -> Choices:
    own, rival = case.natural.prediction.label, _attacked(case).prediction.label
    old, new = (near_of_class(_attacked(case), LAST, label) for label in (own, rival))
    said = (
        "On {last_layer}, {near_attacked_own} of the {k} nearest are of class {own} and {near_attacked_rival} of class "
        "{rival}."
    )
    return (
        Choice("Mostly class {own}, as before the attack", said, old > new),
        Choice("Mostly class {rival}, the new answer", said, new > old),
        Choice("As many of one as of the other", said, old == new),
    )


LESSON = Lesson(
    name="neighbours",
    title="Who its neighbours are, and who helped",
    learns="Which training images lie nearest, which ones carry the answer, and what an attack does to both.",
    minutes=5,
    facts={
        "k": lambda _: str(K),
        "middle_layer": lambda case: case.bundle.layers[_middle(case.bundle)],
        "near_natural_own": _near(natural, natural),
        "near_attacked_own": _near(_attacked, natural),
        "near_attacked_rival": _near(_attacked, _attacked),
        "halfway_own": _near_halfway(natural),
        "halfway_rival": _near_halfway(_attacked),
        "overlap_natural": _overlap(natural),
        "rank_natural": _typical_rank(natural),
        "rank_attacked": _typical_rank(_attacked),
        "p_natural": lambda case: p_value(natural(case), DETECTOR),
        "p_attacked": lambda case: p_value(_attacked(case), DETECTOR),
    },
    steps=(
        Step(
            title="Neighbours of a natural picture",
            text="Every training image has left its trace on every layer. On the last one, **{near_natural_own}** of "
            "the {k} nearest training images are of class **{own}**, the network's answer.",
            look="*Nearest* and *Most helpful*: the two lists share {overlap_natural} of {k} pictures.",
            page="neighbours",
            case=cases.natural(PLACE),
            view=_last_layer,
            question=Question(
                "What makes a training image *helpful*?",
                (
                    Choice(
                        "It looks like the picture",
                        "That would make it near. Near and helpful are two things: compare the two lists.",
                    ),
                    Choice(
                        "Without it, the network's answer would have less support",
                        "Influence asks how much worse the answer would stand had the image not been learned "
                        "from; a harmful one is the opposite.",
                        right=True,
                    ),
                    Choice(
                        "The network reads it correctly",
                        "Most training images are read correctly, and hardly any of them matters for this picture.",
                    ),
                ),
            ),
        ),
        Step(
            title="Half way through the network",
            text="Now the picture has been attacked and is read as **{rival}**. Half way through the network, on "
            "{middle_layer}, {halfway_own} of the {k} nearest training images are of class **{own}** and "
            "{halfway_rival} of class **{rival}**.",
            look="*Nearest*: the control *Layer* above the lists stands at {middle_layer}.",
            page="neighbours",
            case=cases.attacked(PLACE),
            view=_middle_layer,
            question=Question("And on the last layer? Guess, then move *Layer* to {last_layer}.", _layer_choices),
        ),
        Step(
            title="Near is not the same as helpful",
            text="The nearest images resemble the picture in the network's eyes; the most helpful ones are those that "
            "its answer was learned from. Half of the {k} most helpful have at least {rank_natural} of all training "
            "images nearer to the natural picture than themselves; for the attacked one it is {rank_attacked}.",
            look="*Where they lie*: the map marks both versions, the nearest, the most helpful and the most harmful.",
            page="neighbours",
            anchor="where-they-lie",
            case=cases.attacked(PLACE),
            view=_last_layer,
            question=Question(
                "The NNIF detector reads both lists. What does it look at?",
                (
                    Choice(
                        "How many of the nearest images share the answer's class",
                        "That is what the kNN score counts. On {last_layer} {near_attacked_rival} of the {k} nearest "
                        "share it, although the answer is wrong.",
                    ),
                    Choice(
                        "Where the influential images stand among the neighbours, layer by layer",
                        "It has learned how these ranks look for natural and for attacked pictures. Its answers here: "
                        "natural {p_natural}, attacked {p_attacked}.",
                        right=True,
                    ),
                    Choice(
                        "Whether the helpful images have the right label",
                        "It takes the labels as they are. Wrong ones are looked for on the page *Misclassifications*.",
                    ),
                ),
            ),
        ),
    ),
)
