"""How results display themselves in a notebook: exact pictures, escaped text, tables that any theme can colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from telltale.analysis.results import Analysis, Comparison
from telltale.attacks.base import AttackResult
from telltale.base import changes, display
from telltale.building.inspecting.inspection import Inspection
from telltale.building.inspecting.wording import FACTS, WAYS, facts_of, remarks_of, title_of, ways_of
from telltale.bundle import Bundle
from telltale.bundle.own_data import CUT
from telltale.data.uploads import png_address, png_bytes
from telltale.scores.evaluation import Evaluation
from telltale.scores.titles import attack_title, detector_title, kind_title, number, percent, verdict_title
from telltale.scores.verdicts import Verdict

SIDE = 160
GAINS = (1, 2, 5, 10, 20, 50)
MOST_IMAGES = 8


@display.html_of.register
def analysis_html(analysis: Analysis) -> str:
    """Return one image, what it is read as, and every detector's verdict."""
    return _framed(_reading("Image", analysis), _verdicts([("", analysis)]))


@display.html_of.register
def comparison_html(comparison: Comparison) -> str:
    """Return a natural and an attacked image with their change between them, and both images' verdicts."""
    pair = (("natural", comparison.natural), ("attacked", comparison.attacked))
    first, last = (_reading(name.capitalize(), analysis) for name, analysis in pair)
    change = _change(comparison.natural.image, comparison.attacked.image)
    return _framed(first, change, last, _verdicts(pair))


@display.html_of.register
def attack_html(result: AttackResult) -> str:
    """Return the attacked images, each beside its natural version and the change, with what it cost."""
    rows = []
    for index in range(min(len(result.images), MOST_IMAGES)):
        before, after = int(result.labels[index]), int(result.predictions[index])
        rows += [
            _picture(result.natural[index], f"natural image {index}, class {before}"),
            _change(result.natural[index], result.images[index]),
            _picture(result.images[index], f"attacked image {index}, class {after}"),
            _table(
                ("", "value"),
                (
                    ("outcome", "success" if result.success[index] else "failed within its budget"),
                    ("L∞", number(float(result.linf[index]))),
                    ("L2", number(float(result.l2[index]))),
                    ("gradients", f"{int(result.gradients[index]):,}"),
                    ("queries", f"{int(result.queries[index]):,}"),
                ),
                attack_title(result.attack),
            ),
        ]
    left_out = len(result.images) - MOST_IMAGES
    note = f"<p>{left_out} more images are not shown.</p>" if left_out > 0 else ""
    return _framed(*rows) + note


@display.html_of.register
def evaluation_html(evaluation: Evaluation) -> str:
    """Return the AUC of every detector and control against every attack, with 95 % intervals."""
    measured = (*evaluation.rows, *evaluation.controls)
    opponents = list(dict.fromkeys(row.attack for row in measured))
    found = {(row.detector, row.attack): _with_interval(row.auc, row.auc_low, row.auc_high) for row in measured}
    rows = [
        (
            detector_title(name),
            *(found.get((name, opponent), "–") for opponent in opponents),
            "–" if macro is None else _with_interval(macro.auc, macro.auc_low, macro.auc_high),
        )
        for name, macro in evaluation.macro.items()
    ]
    heads = ("detector", *(attack_title(name).replace("_", " ") for name in opponents), "macro-AUC")
    return _framed(_table(heads, rows, f"AUC on the test images of “{evaluation.bundle}”"))


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} – {high:.3f})"


@display.html_of.register
def bundle_html(bundle: Bundle) -> str:
    """Return what a bundle is: data, accuracy, layers, detectors, attacks."""
    manifest = bundle.manifest
    channels, height, width = bundle.image_shape
    accuracy = manifest.accuracies.get("test")
    rows = (
        ("name", bundle.name),
        ("images", f"{width} × {height}, {'grey' if channels == 1 else 'colour'}, {len(bundle.class_names):,} classes"),
        ("accuracy on test images", "unknown" if accuracy is None else percent(accuracy)),
        ("training images as references" if bundle.trained_on else "references", f"{len(bundle.splits.train):,}"),
        ("layers", ", ".join(bundle.layers)),
        ("detectors", ", ".join(detector_title(name) for name in manifest.detectors)),
        ("attacks", ", ".join(attack_title(entry["name"]) for entry in manifest.attacks)),
        ("id", bundle.id),
        *((("cut", str(manifest.notes[CUT])),) if CUT in manifest.notes else ()),
    )
    return _framed(_table(("", "value"), rows, manifest.title))


@display.html_of.register
def inspection_html(inspection: Inspection) -> str:
    """Return what was found out about somebody's network, and what they should look at."""
    record = inspection.to_json()
    title = f"{inspection.name}: {title_of(record)}"
    ways = [_table(WAYS, ways_of(inspection.accuracies), title)] if inspection.accuracies else []
    facts = _table(FACTS, facts_of(record).items(), "" if ways else title)
    said = "".join(f"<p>{escape(remark)}</p>" for remark in remarks_of(record))
    return _framed(*ways, facts) + said


def _reading(title: str, analysis: Analysis) -> str:
    prediction = analysis.prediction
    said = f"{title}: read as {prediction.name} ({percent(prediction.confidence)})"
    return _picture(analysis.image, said)


def _change(natural: npt.NDArray[np.float32], attacked: npt.NDArray[np.float32]) -> str:
    change = changes.perturbation(natural, attacked)
    gain = changes.sensible_gain(float(np.abs(change).max()), GAINS)
    return _picture(changes.amplified(change, float(gain)), f"Change, shown × {gain}")


def _verdicts(shown: Sequence[tuple[str, Analysis]]) -> str:
    heads = ["detector"]
    for name, _ in shown:
        heads += [f"{name} verdict".strip(), f"{name} p-value".strip(), f"{name} score".strip()]
    first = shown[0][1]
    rows = [
        [detector_title(verdict.detector)]
        + [cell for _, analysis in shown for cell in _cells(analysis.verdict(verdict.detector))]
        for verdict in first.verdicts
    ]
    if first.fused is not None:
        fused = [cell for _, analysis in shown for cell in _fused_cells(analysis)]
        rows.insert(0, [detector_title(first.fused.attack.detector), *fused])
    alpha = first.verdicts[0].alpha
    return _table(heads, rows, f"Verdicts at {percent(alpha)} false alarms, by “{first.bundle}”")


def _cells(verdict: Verdict) -> tuple[str, str, str]:
    p_value = "–" if verdict.p_value is None else f"{verdict.p_value:.3f}"
    return verdict_title(verdict.adversarial), p_value, number(verdict.score)


def _fused_cells(analysis: Analysis) -> tuple[str, str, str]:
    if analysis.fused is None:
        return "–", "–", "–"
    return (kind_title(analysis.fused.kind), *_cells(analysis.fused.attack)[1:])


def _picture(image: npt.NDArray[np.float32], said: str) -> str:
    scale = max(1, SIDE // max(image.shape[1:]))
    address = png_address(png_bytes(np.asarray(image, dtype=np.float32), scale))
    # Smoothed by the browser, a change of one grey level would no longer be where it is.
    return (
        f'<figure style="margin: 0; max-width: {SIDE}px"><img src="{address}" '
        f'alt="{escape(said)}" style="image-rendering: pixelated"/><figcaption>{escape(said)}</figcaption></figure>'
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    head = "".join(f'<th scope="col" style="text-align: left">{escape(name)}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<table><caption style="text-align: left">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _framed(*parts: str) -> str:
    return f'<div style="display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start">{"".join(parts)}</div>'
