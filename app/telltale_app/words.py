"""Numbers and verdicts in words, said the same way on every page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from telltale.analysis.results import SavedReading
from telltale.scores import titles
from telltale.scores.calibration import fewest_images
from telltale.scores.titles import kind_title, verdict_title
from telltale.scores.titles import listed as listed
from telltale.scores.titles import number as number
from telltale.scores.titles import threshold as threshold
from telltale.scores.titles import verdict_figures as verdict_figures
from telltale.scores.verdicts import Verdict

ADVERSARIAL = ":material/warning:"
NATURAL = ":material/check_circle:"
ERROR = ":material/rule:"
UNCALIBRATED = ":material/help:"

MAP_TITLES = {"umap": "UMAP", "pca": "PCA"}
NO_BREAK = "\u00a0"
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def percent(share: float) -> str:
    """Return a share as a percentage that no line break takes apart."""
    return titles.percent(share).replace(" %", f"{NO_BREAK}%")


def verdict_words(verdict: Verdict) -> tuple[str, str, Literal["orange", "blue", "gray"]]:
    """Return (words, icon, badge colour) of a verdict."""
    title = verdict_title(verdict.adversarial)
    if verdict.adversarial is None:
        return title, UNCALIBRATED, "gray"
    return (title, ADVERSARIAL, "orange") if verdict.adversarial else (title, NATURAL, "blue")


def fused_words(kind: str) -> tuple[str, str, Literal["orange", "blue", "gray", "violet"]]:
    """Return (words, icon, badge colour) of what the fused verdict takes an image for."""
    looks: dict[str, tuple[str, Literal["orange", "blue", "gray", "violet"]]] = {
        "error": (ERROR, "violet"),
        "uncalibrated": (UNCALIBRATED, "gray"),
        "adversarial": (ADVERSARIAL, "orange"),
        "natural": (NATURAL, "blue"),
    }
    return (kind_title(kind), *looks[kind])


def rarity(p_value: float) -> str:
    """Return a p-value as a count of natural images."""
    if p_value > 0.5:
        return "Most natural images look at least as suspicious."
    return f"About **1 in {round(1 / p_value):,}** natural images looks at least as suspicious."


def survival(reading: SavedReading) -> str:
    """Return in Markdown whether an attacked image is still adversarial after saving, and what it is read as."""
    read = f"read as **{reading.prediction.name}** ({percent(reading.prediction.confidence)})"
    if reading.adversarial:
        return f":material/warning: **{reading.file}: still adversarial**, {read}"
    return f":material/check_circle: **{reading.file}: no longer adversarial**, {read}"


def figure(value: float | None) -> str:
    """Return a figure of a paper's table with two decimals, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def raised(number: int | None) -> str:
    """Return the number of a note as superscript digits; nothing without one."""
    return "" if number is None else str(number).translate(SUPERSCRIPT)


def ended(text: str) -> str:
    """Return a note with a full stop at its end, unless it has one."""
    return text if text.endswith(".") else text + "."


def signed(value: float) -> str:
    """Return a difference with two decimals and its sign, which a difference that rounds to nothing does not have."""
    text = f"{abs(value):.2f}"
    sign = "±" if float(text) == 0.0 else "+" if value > 0 else "−"
    return sign + text


def seconds(value: float) -> str:
    """Return a duration as people say it."""
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 90:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min"


def headline(noticing: int, calibrated: int, alpha: float, attacked: bool) -> str:
    """Return the sentence above the verdicts: a count, with its false-alarm rate."""
    image = "the attacked image" if attacked else "this natural image"
    if calibrated == 0:
        return f"No detector is calibrated for this model, so none can judge {image}."
    verb = "notices" if noticing == 1 else "notice"
    return f"{noticing} of {calibrated} detectors {verb} {image}, at {percent(alpha)} false alarms."


def too_few(verdicts: Sequence[Verdict], alpha: float) -> str:
    """Say what would bring a verdict at a rate, where too few natural images are held out for it; empty elsewhere."""
    few = [v.n_calibration for v in verdicts if v.adversarial is None and v.p_value is not None]
    if not few:
        return ""
    return (
        f"A verdict at {percent(alpha)} takes {fewest_images(alpha)} held-out images that the model reads correctly; "
        f"here are {min(few)}. A build on more images would bring it, and a larger α needs fewer."
    )


def megabytes(size: int) -> str:
    """Return a size in bytes as people say it."""
    return f"{size / 1e6:.3g} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def aside(text: str) -> str:
    """Return Markdown of what is said beside the matter, smaller, as captions are."""
    return f":small[:gray[{text}]]"


def either(items: Sequence[str]) -> str:
    """Return items as "a, b or c"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " or " + items[-1]


def pixel_change(change: float, colour: bool) -> str:
    """Return a change of a pixel as its field writes it: "8/255" for colour images, "0.1" for grey ones."""
    if not colour:
        return f"{change:.3g}"
    levels = 255 * change
    return f"{levels:.0f}/255" if math.isclose(levels, round(levels), abs_tol=1e-4) else f"{levels:.1f}/255"
