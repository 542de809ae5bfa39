"""Lesson: breaking a detector by knowing it."""

from __future__ import annotations

from collections.abc import Callable

from telltale.analysis.results import Analysis
from telltale.kinds.density import DensityView
from telltale_app import catalogue, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import cases
from telltale_app.lessons.facts import natural, p_value
from telltale_app.lessons.lesson import Choice, Choices, Fact, Lesson, Question, Step

PLACE = 5
DETECTOR = "idefender"


def _attacked(case: CaseAnalysis) -> Analysis:
    assert case.attacked is not None
    return case.attacked


def _answer(choose: Callable[[CaseAnalysis], Analysis]) -> Fact:
    def fact(case: CaseAnalysis) -> str:
        analysis = choose(case)
        said = words.verdict_words(analysis.verdict(DETECTOR))[0].lower()
        return f"{said} ({p_value(analysis, DETECTOR)})"

    return fact


def _others(case: CaseAnalysis) -> str:
    rest = [v for v in _attacked(case).verdicts if v.detector != DETECTOR and v.adversarial is not None]
    return f"{sum(bool(v.adversarial) for v in rest)} of the {len(rest)} others"


def _density(case: CaseAnalysis) -> str:
    analysis = _attacked(case)
    return f"{float(analysis.view(DensityView).log_density[analysis.prediction.label]):.1f}"


def _noticed_choices(case: CaseAnalysis) -> Choices:
    noticed = bool(_attacked(case).verdict(DETECTOR).adversarial)
    said = "{detector} says: {answer}. Before the attack it said: {answer_natural}."
    return (
        Choice("Yes, as before", said, noticed),
        Choice("No, the picture slips through", said + " The attack asked for exactly that.", not noticed),
    )


LESSON = Lesson(
    name="adaptive",
    title="Breaking a detector by knowing it",
    learns="A detector that catches known attacks can fail against one that was made for it. Judge it by that one.",
    minutes=5,
    facts={
        "detector": lambda _: catalogue.detector_title(DETECTOR),
        "answer_natural": _answer(natural),
        "answer": _answer(_attacked),
        "others": _others,
        "density": _density,
    },
    steps=(
        Step(
            title="An attack that does not know the detector",
            text="**{attack}** turns **{own}** into **{rival}**. It pays no heed to detectors. **{detector}** looks at "
            "how usual the hidden state is; its answer here: **{answer}**.",
            look="part 4, *See who notices*: the row of {detector}, and how many others notice.",
            page="workbench",
            anchor="who-notices",
            case=cases.attacked(PLACE),
        ),
        Step(
            title="An attack that knows it",
            text="**{attack}** has the same budget: no pixel changes by more than {levels}. As soon as the answer is "
            "wrong, it also lowers the suspicion of **{detector}**. The network reads **{rival}**.",
            look="*Attack it*: the detector that is aimed at, and under *More settings* the weight between fooling and "
            "hiding. Then the row of {detector}.",
            page="workbench",
            anchor="attack-it",
            case=cases.aimed_at(PLACE, DETECTOR),
            question=Question("Does {detector} still notice?", _noticed_choices),
        ),
        Step(
            title="How it hides",
            text="The log density of the hidden state under class {rival} is now {density}. The attack looked for a "
            "wrong answer *and* a hidden state that natural pictures of that class have.",
            look="*Density for each class*: the attacked marker against the threshold of class {rival}.",
            page="hidden_state_density",
            anchor="class-densities",
            case=cases.aimed_at(PLACE, DETECTOR),
        ),
        Step(
            title="What the others say",
            text="Only {detector} was aimed at. **{others}** notice this picture, and all together say: **{fused}**.",
            look="part 4 once more. Then aim at another detector: choose it in *Attack it* and press **Attack**.",
            page="workbench",
            anchor="who-notices",
            case=cases.aimed_at(PLACE, DETECTOR),
            question=Question(
                "What follows for somebody who wants to rely on a detector?",
                (
                    Choice(
                        "Several detectors together cannot be broken",
                        "They were not aimed at here. Nobody has shown that an attack on all of them must fail.",
                    ),
                    Choice(
                        "Its figures against known attacks are an upper limit",
                        "An attacker who knows the detector does at least as well, so it must be judged by an "
                        "attack that was made for it.",
                        right=True,
                    ),
                    Choice(
                        "Detectors are useless",
                        "Each makes the attacker's task harder and stops those who do not know it. It just must not be "
                        "trusted beyond what was tried.",
                    ),
                ),
            ),
        ),
    ),
)
