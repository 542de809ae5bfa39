"""A case as one HTML file: pictures inside, no scripts, nothing loaded from anywhere, readable in light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from telltale.base.changes import amplified, perturbation, sensible_gain
from telltale.base.images import FloatImages
from telltale.cases import wording
from telltale.cases.pixels import read_png
from telltale.cases.record import CaseNumbers, CaseRecord, ImageNumbers, SavedCase, VerdictNumbers
from telltale.cases.report_chart import suspicion_svg
from telltale.cases.report_training import TrainingImages, map_html, training_html
from telltale.data.uploads import png_bytes
from telltale.detectors.fusion import FUSED
from telltale.scores import titles

GAINS = (1, 2, 5, 10, 20, 50)
PICTURE_SIDE = 256
STYLE = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_TONES = {"Adversarial": ("alarm", "▲"), "Looks natural": ("calm", "●"), "Probably wrong, not attacked": ("alarm", "◆")}
_UNKNOWN = ("soft", "?")
LEFT_OUT = (
    "<p class=soft>Left out: the model that computed this case was not where the report was written, or it keeps no "
    "training images.</p>\n"
)
NO_BREAK = "\u00a0"


def to_html(case: SavedCase, training: TrainingImages | None = None, link: str | None = None) -> str:
    """Return a case as a report.

    Everything that people or files brought in is escaped, and a policy in the file forbids scripts and that anything
    is loaded; the one link is followed only by a click.

    Parameters
    ----------
    case : SavedCase
    training : TrainingImages, optional
        From `telltale.cases.report_training.training_images`.
    link : str, optional
        Where the case opens, http or https.
    """
    record = case.record
    parts = [
        *_opening(record, link),
        _section("Pictures", _pictures(case)),
        _section("Who notices", _verdicts(record.numbers)),
        _section("Which training images decided", LEFT_OUT if training is None else training_html(training)),
        _section("Where they lie", "" if training is None else map_html(training)),
        _section("Along the layers", _along_the_layers(record.numbers)),
        _section("What it is read as", _classes(record.numbers)),
        _section("What the attack did", _attack(record)),
        _section("Where the numbers come from", _origin(record)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(record.title)}: Telltale case</title>\n"
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts).replace(' %', NO_BREAK + '%')}</main>\n</body>\n</html>\n"
    )


def _opening(record: CaseRecord, link: str | None) -> Iterator[str]:
    yield f"<h1>{escape(record.title)}</h1>\n<p class=lead>{escape(wording.sentence(record))}</p>\n"
    if record.tags:
        yield "<p>" + " ".join(f"<span class=tag>{escape(tag)}</span>" for tag in record.tags) + "</p>\n"
    if record.note:
        yield f"<div class=note>{escape(record.note)}</div>\n"
    if link is not None and urlsplit(link).scheme in ("http", "https"):
        yield f'<p><a href="{escape(link)}" rel="noreferrer noopener">Open this case in Telltale</a></p>\n'


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}</section>\n" if content else ""


def _pictures(case: SavedCase) -> str:
    numbers, natural = case.record.numbers, read_png(case.natural_png)
    shown = [_picture(natural, "Natural", _read_as(numbers.natural))]
    if case.attacked_png is not None and numbers.attacked is not None and numbers.attack is not None:
        attacked = read_png(case.attacked_png)
        gain = sensible_gain(numbers.attack.linf, GAINS)
        change = amplified(perturbation(natural, attacked), float(gain))
        name = "Attacked" if numbers.attack.success else "Best attempt"
        size = f"L∞ {titles.number(numbers.attack.linf)}, {numbers.attack.l0} pixels changed; grey is unchanged"
        shown.append(_picture(change, f"Change × {gain}", size))
        shown.append(_picture(attacked, name, _read_as(numbers.attacked)))
    return f"<div class=pictures>\n{''.join(shown)}</div>\n"


def _read_as(image: ImageNumbers) -> str:
    return f"read as {image.prediction}, {titles.percent(image.confidence)}"


def _picture(image: FloatImages, name: str, said: str) -> str:
    data = base64.b64encode(png_bytes(image, scale=max(1, PICTURE_SIDE // min(image.shape[1:])))).decode()
    words = escape(f"{name}: {said}")
    return f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>\n'


def _verdicts(numbers: CaseNumbers) -> str:
    images = [image for _, image in numbers.images()]
    rows = []
    if all(image.fused is not None for image in images):
        fused = [(wording.fused_words(image), image.fused.attack) for image in images if image.fused is not None]
        title = escape(wording.detector_title(FUSED))
        rows.append([f"<strong>{title}</strong>", *(_answer(words, verdict) for words, verdict in fused)])
    for verdicts in zip(*(image.verdicts for image in images), strict=False):
        title = escape(wording.detector_title(verdicts[0].detector))
        rows.append([title, *(_answer(titles.verdict_title(verdict.adversarial), verdict) for verdict in verdicts)])
    heads = ["Detector", *(f"{name.capitalize()} image" for name, _ in numbers.images())]
    return _table("Every detector's answer; higher scores mean more likely adversarial", heads, rows)


def _answer(words: str, verdict: VerdictNumbers) -> str:
    tone, sign = _TONES.get(words, _UNKNOWN)
    return f'<span class="{tone}">{sign} {escape(words)}</span><small>{escape(wording.reading_words(verdict))}</small>'


def _along_the_layers(numbers: CaseNumbers) -> str:
    chart = suspicion_svg(numbers)
    key = "● natural image" + ("" if numbers.attacked is None else ", ■ attacked image")
    return f"<p class=soft>Running suspicion of the trajectory detector. {key}</p>\n{chart}\n" if chart else ""


def _classes(numbers: CaseNumbers) -> str:
    shown = numbers.images()
    rows = [
        [cell for share in shares for cell in (escape(share.name), titles.percent(share.probability))]
        for shares in zip(*(image.top for _, image in shown), strict=False)
    ]
    heads = [head for name, _ in shown for head in (f"{name.capitalize()}: class", "probability")]
    return _table("The likeliest classes", heads, rows)


def _attack(record: CaseRecord) -> str:
    attack, settings = record.numbers.attack, record.settings
    if attack is None:
        return ""
    return _pairs(
        ("Attack", wording.attack_title(settings)),
        ("Outcome", "succeeded" if attack.success else "failed within its budget"),
        ("Settings", wording.settings_words(settings)),
        ("Aimed at", attack.target or "any other class"),
        ("L∞", titles.number(attack.linf)),
        ("L2", titles.number(attack.l2)),
        ("L0", f"{attack.l0} pixels"),
        ("Cost", f"{attack.gradients} gradients, {attack.queries} queries"),
    )


def _origin(record: CaseRecord) -> str:
    digests = [(f"SHA-256, {name} image", image.image_sha256) for name, image in record.numbers.images()]
    return _pairs(
        ("Model", record.settings.bundle),
        ("Model's content id", record.bundle_id),
        ("False alarms allowed", titles.percent(record.settings.alpha)),
        *digests,
        ("Saved", wording.moment(record.saved_at)),
        ("Case", record.id),
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are HTML already."""
    head = "".join(f"<th scope=col>{escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr><th scope=row>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>\n" for first, *rest in rows
    )
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(caption)}"><table>\n<caption>{escape(caption)}'
        f"</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def _pairs(*pairs: tuple[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in pairs)}</dl>\n"
