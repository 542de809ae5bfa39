"""What a lesson is made of. A lesson only declares: the pages, the analysis and the bar above them do the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telltale_app.analyses import CaseAnalysis
from telltale_app.case import Case

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Fact = Callable[[CaseAnalysis], str]
Facts = Mapping[str, Fact]
View = Mapping[str, str | bool]
WORKBENCH = "workbench"


@dataclass(frozen=True)
class Choice:
    """One answer to a question.

    Attributes
    ----------
    text : str
        What the answer says.
    feedback : str
        Why it is right or wrong.
    right : bool
    """

    text: str
    feedback: str
    right: bool = False


Choices = tuple[Choice, ...]


@dataclass(frozen=True)
class Question:
    """A question with one right answer.

    Attributes
    ----------
    text : str
    choices : tuple of Choice, or function from the running analysis to one
        A function where which answer is right must be read from the analysis.
    """

    text: str
    choices: Choices | Callable[[CaseAnalysis], Choices]

    def choices_for(self, case: CaseAnalysis) -> Choices:
        """Return the answers on offer for the running analysis."""
        return self.choices(case) if callable(self.choices) else self.choices


def _unchanged(_: Bundle) -> View:
    return {}


@dataclass(frozen=True)
class Step:
    """One step: a real page, the case that it shows and what to see there.

    Every text may name facts in braces, such as ``{own}``: they are filled in from the running analysis.

    Attributes
    ----------
    title, text, look : str
        Markdown. `look` says where on the page to look.
    page : str
        Name of a script in ``app/telltale_app/app_pages``, without ending.
    case : function from a bundle to a Case
        A rule, so that no image is named that another build would not show the same way.
    question : Question or None
    view : function from a bundle to a mapping
        Values of the page's own controls, by their key.
    anchor : str
        Anchor of the heading there, to which the bar links; empty where it stands right below the bar.
    """

    title: str
    text: str
    look: str
    page: str
    case: Callable[[Bundle], Case]
    question: Question | None = None
    view: Callable[[Bundle], View] = _unchanged
    anchor: str = ""

    @property
    def script(self) -> str:
        """The page's script, as Streamlit names it."""
        return f"app_pages/{self.page}.py"

    @property
    def url_path(self) -> str:
        """The page's address below the app's own."""
        return "" if self.page == WORKBENCH else self.page.replace("_", "-")


@dataclass(frozen=True)
class Lesson:
    """A few steps that teach one thing.

    Attributes
    ----------
    name : str
        How links call it.
    title : str
    learns : str
        What one knows afterwards, in one sentence.
    minutes : int
    steps : tuple of Step
    facts : mapping of str to function from the running analysis to text
        Facts of this lesson's own, besides those that all lessons share.
    """

    name: str
    title: str
    learns: str
    minutes: int
    steps: tuple[Step, ...]
    facts: Facts = field(default_factory=dict)

    @property
    def questions(self) -> int:
        """How many questions it asks."""
        return sum(step.question is not None for step in self.steps)
