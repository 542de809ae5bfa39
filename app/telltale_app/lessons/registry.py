"""Every lesson, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Mapping

from telltale_app.lessons import adaptive, departing, fooling, looking, neighbours, threshold
from telltale_app.lessons.lesson import Lesson

LESSONS: Mapping[str, Lesson] = {
    module.LESSON.name: module.LESSON for module in (fooling, looking, departing, neighbours, threshold, adaptive)
}


def number_of(lesson: Lesson) -> int:
    """Return a lesson's place in the order, from 1."""
    return list(LESSONS).index(lesson.name) + 1
