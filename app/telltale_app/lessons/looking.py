"""Lesson: where the network looks."""

from __future__ import annotations

from telltale.kinds.response import MEAN_ENTROPY, ResponseView
from telltale.scores import metrics, table
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import cases
from telltale_app.lessons.lesson import Choice, Choices, Lesson, Question, Step

PLACE = 1
USEFUL_AUC = 0.8


def reference_auc(case: CaseAnalysis) -> float:
    """Return how well the mean entropy tells adversarial from natural test images, as the page says it."""
    scores, kinds = case.bundle.scores, (table.NATURAL, table.ADVERSARIAL)
    return metrics.auc(*(table.select_scores(scores, MEAN_ENTROPY, kind).values for kind in kinds))


def _entropies(case: CaseAnalysis) -> str:
    assert case.attacked is not None
    before, after = case.natural.view(ResponseView).mean_entropy, case.attacked.view(ResponseView).mean_entropy
    moved = "rose" if after > before else "fell" if after < before else "stayed"
    return f"The mean entropy {moved}: {before:.3f} bits before the attack, {after:.3f} after"


def _worth_choices(case: CaseAnalysis) -> Choices:
    value = reference_auc(case)
    useful = max(value, 1.0 - value) >= USEFUL_AUC
    said = "Here it gets {entropy_auc} of 1; 0.5 is guessing."
    return (
        Choice("A good deal: the two curves stand well apart", said, useful),
        Choice("Little by itself: the two curves overlap widely", said + " One witness is not enough.", not useful),
        Choice(
            "Everything: entropy is higher after every attack",
            "The curves show many attacked pictures below many natural ones. " + said,
        ),
    )


LESSON = Lesson(
    name="looking",
    title="Where the network looks",
    learns="Which pixels drive the network's features, how an attack changes that, and how far that helps to catch it.",
    minutes=5,
    facts={"entropies": _entropies, "entropy_auc": lambda case: f"{reference_auc(case):.2f}"},
    steps=(
        Step(
            title="What drives the network",
            text="The network's last features are sent back to the pixels. Strong colours mark the pixels that drove "
            "them when it read **{own}**.",
            look="*Feature response*: compare the coloured pixels with the shapes on the sign.",
            page="feature_responses",
            anchor="feature-response",
            case=cases.natural(PLACE),
            question=Question(
                "A pixel is strongly coloured. What does that say?",
                (
                    Choice(
                        "That the pixel is bright in the picture",
                        "A plain part can matter just as much: that *nothing* stands in its middle tells *give way* "
                        "from a warning.",
                    ),
                    Choice(
                        "That changing it would change the network's features much",
                        "Red for more, blue for less. It is a picture of what the features listen to.",
                        right=True,
                    ),
                    Choice(
                        "That the network reads it wrongly",
                        "The map holds no judgement. It shows what matters to the features, right or wrong.",
                    ),
                ),
            ),
        ),
        Step(
            title="The same after an attack",
            text="**{attack}** made the network read **{rival}**. All maps of a row share one colour scale, so that a "
            "stronger response looks stronger. {entropies}.",
            look="*Local entropy*: bright patches are busy ones, where many grey levels of the response lie side by "
            "side. The third map is the difference.",
            page="feature_responses",
            anchor="local-entropy",
            case=cases.attacked(PLACE),
        ),
        Step(
            title="Is that enough to catch it?",
            text="One pair of pictures proves nothing. The two curves show the mean entropy of all natural and of all "
            "adversarial test images; the markers are the picture that you look at.",
            look="*Mean entropy beside the reference*, at the end of the page.",
            page="feature_responses",
            anchor="mean-entropy",
            case=cases.attacked(PLACE),
            question=Question("What is the mean entropy worth as a witness on this model?", _worth_choices),
        ),
    ),
)
