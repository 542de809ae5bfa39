"""Lesson: how the path departs."""

from __future__ import annotations

from telltale.figures.points import evenly
from telltale.kinds.trajectory import TrajectoryView
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import cases
from telltale_app.lessons.facts import natural, p_value
from telltale_app.lessons.lesson import Choice, Choices, Lesson, Question, Step
from telltale_app.panels.trajectory import departure_words

PLACE = 2
MOST_CHOICES = 4
DETECTOR = "trajectory"


def _departure(case: CaseAnalysis) -> str | None:
    own = case.natural.view(TrajectoryView)
    return departure_words(case, (own.pivot, own.distance))[1]


def _layer_choices(case: CaseAnalysis) -> Choices:
    right, layers = _departure(case), case.bundle.layers
    others = [name for name in layers if name != right]
    offered = {*(others[i] for i in evenly(len(others), MOST_CHOICES - 1)), right}
    named = tuple(Choice(f"From {name} on", "{departure}", name == right) for name in layers if name in offered)
    return (*named, Choice("Nowhere: it never ends nearer to the new class", "{departure}", right is None))


def _p_attacked(case: CaseAnalysis) -> str:
    assert case.attacked is not None
    return p_value(case.attacked, DETECTOR)


LESSON = Lesson(
    name="departing",
    title="How the path departs",
    learns="A picture takes a path through the layers, and an attacked one changes sides on the way.",
    minutes=5,
    facts={"p_natural": lambda case: p_value(natural(case), DETECTOR), "p_attacked": _p_attacked},
    steps=(
        Step(
            title="A path through the layers",
            text="After each of the {layers} layers we ask how near the picture is to the centre of each class. This "
            "natural picture is read as **{own}**.",
            look="the first chart: the line of class {own} against the band of all other classes.",
            page="trajectories",
            anchor="natural-image",
            case=cases.natural(PLACE),
            question=Question(
                "Why does the line of class {own} not stand clear of the band from the very first layer?",
                (
                    Choice(
                        "The first layers see edges and colours, which signs of all classes have",
                        "Classes part only as the layers put these together.",
                        right=True,
                    ),
                    Choice(
                        "The picture is a poor view of {own}",
                        "The network gives it {own_confidence}, and other pictures show the same course.",
                    ),
                ),
            ),
        ),
        Step(
            title="The attacked picture changes sides",
            text="Both paths start from almost the same picture and end in two classes: **{own}** and **{rival}**. In "
            "between, the attacked one has left its class.",
            look="the *attacked* chart, where the two lines cross for the last time.",
            page="trajectories",
            anchor="attacked-image",
            case=cases.attacked(PLACE),
            question=Question("Where does the attacked path leave class {own} for good?", _layer_choices),
        ),
        Step(
            title="A detector that reads paths",
            text="A path that changes sides is unusual. The trajectory detector has learned "
            "what usual paths look like. Its answers: natural {p_natural}, attacked {p_attacked}. A small p means that "
            "hardly any natural picture looks as suspicious.",
            look="the running suspicion, beside the path: how it changes from layer to layer.",
            page="trajectories",
            anchor="running-suspicion",
            case=cases.attacked(PLACE),
            question=Question(
                "Why is a crossing path worth more than the last layer alone?",
                (
                    Choice(
                        "The attacker aimed at the end, so the end looks as it should; the way there does not",
                        "What was not aimed at is where traces remain, unless the attacker knows the detector. "
                        "The last lesson does exactly that.",
                        right=True,
                    ),
                    Choice(
                        "The last layer holds no information about the class",
                        "It holds the most: the answer is read from it. That is why the attack bends it.",
                    ),
                    Choice(
                        "Paths of natural pictures never cross",
                        "Some do. That is why the detector has a rate of false alarms.",
                    ),
                ),
            ),
        ),
    ),
)
