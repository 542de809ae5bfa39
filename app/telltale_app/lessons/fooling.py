"""Lesson: why a picture fools a network."""

from __future__ import annotations

from telltale.analysis.reading import first_lasting_change
from telltale.analysis.results import SweepPoint
from telltale_app import engine_client
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import cases
from telltale_app.lessons.lesson import Choice, Choices, Lesson, Question, Step
from telltale_app.panels import few_classes
from telltale_app.panels.trajectory import STRENGTHS, sweep_words

HALF, WHOLE = 0.5, 1.0


def _sweep(case: CaseAnalysis) -> list[SweepPoint]:
    assert case.attacked is not None
    return list(engine_client.sweep(case.case.bundle, case.image, case.attacked.image, STRENGTHS))


def _turning(case: CaseAnalysis) -> str:
    return sweep_words(_sweep(case))


def _few(case: CaseAnalysis) -> str:
    return few_classes.sentence(engine_client.few_classes(case.case.bundle, case.image), case.bundle.class_names)


def _turning_choices(case: CaseAnalysis) -> Choices:
    first = first_lasting_change([point.prediction.label for point in _sweep(case)])
    strength = STRENGTHS[-1] + 1 if first is None else STRENGTHS[first]
    return (
        Choice(
            "With half of the change or less",
            "{turning} A step in the right direction counts, not a large one.",
            strength <= HALF,
        ),
        Choice("With more than half, up to all of it", "{turning}", HALF < strength <= WHOLE),
        Choice("Only with more than all of it", "{turning}", strength > WHOLE),
    )


LESSON = Lesson(
    name="fooling",
    title="Why a picture fools a network",
    learns="A small change changes the answer if it points in the right direction, and size is not what counts.",
    minutes=5,
    facts={"turning": _turning, "few": _few},
    steps=(
        Step(
            title="A picture that the network reads well",
            text="This network reads road signs. They were drawn for it, not photographed. It takes this picture for "
            "**{own}** and gives that answer {own_confidence}. Nothing has been done to the picture.",
            look="part 3, *See what changed*: the picture and the bars of the likeliest classes below it.",
            page="workbench",
            anchor="what-changed",
            case=cases.story,
        ),
        Step(
            title="The same picture after an attack",
            text="**{attack}** was allowed to change each pixel a little, and changed none by more than {levels}. You "
            "would still read the picture as before. The network now reads **{rival}**, with {rival_confidence}.",
            look="part 3 again: the change is drawn amplified, grey means unchanged.",
            page="workbench",
            anchor="what-changed",
            case=cases.story_attacked,
            question=Question(
                "How did the attack know which pixels to make brighter and which darker?",
                (
                    Choice(
                        "It tried random changes until one worked",
                        "Random changes of the same size point in no direction in particular and hardly "
                        "move the answer.",
                    ),
                    Choice(
                        "It asked the network's gradient which way each pixel lowers the right answer",
                        "The gradient says for each pixel which way is worse for the right class. Many pixels "
                        "that each push a little add up to a large push.",
                        right=True,
                    ),
                    Choice(
                        "It drew a faint *{rival}* over the picture",
                        "Look at the amplified change: you will hardly recognise *{rival}* in it. It was made for the "
                        "network, not for the eye.",
                    ),
                ),
            ),
        ),
        Step(
            title="How much of the change is needed?",
            text="At × 0 you see the natural picture, at × 1 the attacked one. In between lies the same change at part "
            "of its strength.",
            look="*How strong must it be?*, far down the page: move the slider and watch what the picture is read as.",
            page="trajectories",
            anchor="how-strong",
            case=cases.story_attacked,
            question=Question("When does the answer change for good?", _turning_choices),
        ),
        Step(
            title="Does anybody notice?",
            text="The network itself is sure of its wrong answer. The detectors look at what happens inside it: "
            "**{noticing}** notice the attacked picture, {noticing_natural} the natural one. All of them together "
            "say: **{fused}**.",
            look="part 4, *See who notices*: one row per detector, a dot for the natural picture, a diamond for the "
            "attacked one.",
            page="workbench",
            anchor="who-notices",
            case=cases.story_attacked,
            question=Question(
                "The network gives its wrong answer {rival_confidence}. What is that figure worth as a warning?",
                (
                    Choice(
                        "A high figure means that the answer is safe",
                        "The attack raised exactly this figure. It says how far the network leans, not whether it "
                        "has been pushed.",
                    ),
                    Choice(
                        "Little: the attack pushes this very figure",
                        "That is why detectors look elsewhere: at the path, the neighbours, the hidden state. The "
                        "next lessons show each of them.",
                        right=True,
                    ),
                ),
            ),
        ),
        Step(
            title="Fewer classes to be mistaken for",
            text="Among many classes a wrong one is never far. Now the network may answer with few of them only, and "
            "the attack looks for the smallest change that turns one into another. {few}",
            look="*With few classes to be mistaken for*, near the end of the page: can you see the change?",
            page="feature_responses",
            anchor=few_classes.ANCHOR,
            case=cases.story,
            view=lambda _: {few_classes.KEY: True},
        ),
    ),
)
