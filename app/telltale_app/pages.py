"""The pages, in the order and under the headings in which they are offered. Adding one: its file, and its entry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    heading : str
        Under which it is offered; "" for none.
    file : str
        In `app_pages`.
    title, icon, help : str
        As people see it.
    path : str
        Its part of the address; "" for the page that opens first.
    """

    heading: str
    file: str
    title: str
    icon: str
    path: str
    help: str


PAGES = (
    Page(
        "",
        "workbench.py",
        "Workbench",
        ":material/science:",
        "",
        "Pick an image, attack it, and see which detectors notice.",
    ),
    Page(
        "",
        "lessons.py",
        "Lessons",
        ":material/school:",
        "lessons",
        "Learn it in six walks over these pages, five minutes each.",
    ),
    Page(
        "Library",
        "cases.py",
        "Cases",
        ":material/bookmarks:",
        "cases",
        "What was saved with a note: find, open, compare, export and import it.",
    ),
    Page(
        "Evidence",
        "feature_responses.py",
        "Feature responses",
        ":material/visibility:",
        "feature-responses",
        "Where the network looked, before and after the attack.",
    ),
    Page(
        "Evidence",
        "trajectories.py",
        "Trajectories",
        ":material/timeline:",
        "trajectories",
        "The layer at which the image's path leaves its class.",
    ),
    Page(
        "Evidence",
        "neighbours.py",
        "Neighbours & influence",
        ":material/hub:",
        "neighbours",
        "The training images that decided: the nearest, the most helpful, the most harmful.",
    ),
    Page(
        "Evidence",
        "hidden_state_density.py",
        "Hidden-state density",
        ":material/bubble_chart:",
        "hidden-state-density",
        "How usual the hidden state is for each class.",
    ),
    Page(
        "Judgement",
        "detectors.py",
        "Detectors & ROC",
        ":material/monitoring:",
        "detectors",
        "How well each detector does, at which false-alarm rate; run it live on fresh images.",
    ),
    Page(
        "Judgement",
        "misclassifications.py",
        "Misclassifications",
        ":material/rule:",
        "misclassifications",
        "What the model gets wrong by itself, why, and which training labels are probably wrong.",
    ),
    Page(
        "Judgement",
        "versus.py",
        "Two models",
        ":material/compare:",
        "two-models",
        "Two models on the same images: where they disagree, and whose attack fools whom.",
    ),
    Page(
        "Judgement",
        "paper_tables.py",
        "Paper tables",
        ":material/table_chart:",
        "paper-tables",
        "The papers' published figures beside those computed here, each with the ROC curve behind it.",
    ),
    Page(
        "Judgement",
        "evaluation.py",
        "Evaluation checklist",
        ":material/checklist:",
        "evaluation",
        "What an evaluation of detectors should contain, what was done here, and what fails.",
    ),
    Page(
        "Judgement",
        "about.py",
        "About",
        ":material/info:",
        "about",
        "What the model was built from, its limits, and the papers.",
    ),
)
