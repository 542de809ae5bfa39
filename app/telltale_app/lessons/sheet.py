"""A lesson as one HTML file to print: its texts, pictures and questions, and on a last page the answers.

Nothing in it runs, and nothing is loaded from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from telltale.base.changes import amplified, perturbation, sensible_gain
from telltale.base.images import FloatImages
from telltale.data.uploads import png_address, png_bytes
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons.facts import filled
from telltale_app.lessons.lesson import Choice, Lesson, Step
from telltale_app.lessons.registry import number_of
from telltale_app.lessons.sheet_style import STYLE

GAINS = (1, 2, 5, 10, 20, 50)
LETTERS = "ABCDEFGH"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
ICON = re.compile(r":material/\w+:\s*")
STRONG, EMPHASIS = re.compile(r"\*\*(.+?)\*\*"), re.compile(r"\*(.+?)\*")


def lesson_sheet(lesson: Lesson, cases: Sequence[CaseAnalysis]) -> str:
    """Return a lesson as HTML.

    Parameters
    ----------
    lesson : Lesson
    cases : sequence of CaseAnalysis
        What each step shows, in their order.
    """
    title = f"Lesson {number_of(lesson)}: {lesson.title}"
    steps = list(zip(lesson.steps, cases, strict=True))
    parts = [
        f"<h1>{escape(title)}</h1>\n<p class=lead>{_words(lesson.learns)}</p>\n",
        *("".join(_step(lesson, number, step, case)) for number, (step, case) in enumerate(steps, 1)),
        "<section class=answers>\n<h1>Answers</h1>\n",
        *("".join(_answers(lesson, number, step, case)) for number, (step, case) in enumerate(steps, 1)),
        "</section>\n",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _step(lesson: Lesson, number: int, step: Step, case: CaseAnalysis) -> Iterator[str]:
    said = [filled(text, case, lesson.facts) for text in (step.text, step.look)]
    yield f"<section>\n<h2>{number}. {_words(step.title)}</h2>\n<p>{_words(said[0])}</p>\n"
    yield f"<div class=pictures>{''.join(_pictures(case))}</div>\n"
    yield f"<p><strong>Look at</strong> {_words(said[1])}</p>\n"
    if step.question is not None:
        asked = filled(step.question.text, case, lesson.facts)
        offered = "".join(f"<li>{_words(text)}</li>\n" for text in _texts(lesson, step, case))
        yield f"<p class=question>{_words(asked)}</p>\n<ol type=A>\n{offered}</ol>\n"
    yield "</section>\n"


def _answers(lesson: Lesson, number: int, step: Step, case: CaseAnalysis) -> Iterator[str]:
    if step.question is None:
        return
    yield f"<h2>{number}. {_words(step.title)}</h2>\n<dl>\n"
    for letter, choice, text in zip(LETTERS, _choices(step, case), _texts(lesson, step, case), strict=False):
        mark = "✓ right" if choice.right else "not quite"
        yield f"<dt>{letter}, {mark}: {_words(text)}</dt>\n"
        yield f"<dd>{_words(filled(choice.feedback, case, lesson.facts))}</dd>\n"
    yield "</dl>\n"


def _choices(step: Step, case: CaseAnalysis) -> Sequence[Choice]:
    return () if step.question is None else step.question.choices_for(case)


def _texts(lesson: Lesson, step: Step, case: CaseAnalysis) -> list[str]:
    return [filled(choice.text, case, lesson.facts) for choice in _choices(step, case)]


def _pictures(case: CaseAnalysis) -> Iterator[str]:
    natural = f"Natural: read as {case.natural.prediction.name}"
    yield _figure(case.image, natural)
    if case.attack is None or case.attacked is None:
        return
    gain = sensible_gain(float(case.attack.linf[0]), GAINS)
    change = amplified(perturbation(case.image, case.attack.images[0]), gain)
    yield _figure(change, f"What changed, × {gain}; grey is unchanged")
    yield _figure(case.attack.images[0], f"Attacked: read as {case.attacked.prediction.name}")


def _figure(image: FloatImages, said: str) -> str:
    words = escape(said)
    address = png_address(png_bytes(image))
    return f'<figure><img alt="{words}" src="{address}"><figcaption>{words}</figcaption></figure>'


def _words(markdown: str) -> str:
    """Return a text of a lesson as HTML: escaped first, then with what is strong or emphasised in it."""
    text = escape(ICON.sub("", markdown))
    return EMPHASIS.sub(r"<em>\1</em>", STRONG.sub(r"<strong>\1</strong>", text))
