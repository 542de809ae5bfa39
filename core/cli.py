"""The command line: every command prints one table, or one JSON object with ``--json``.

Exit status 0 means done, 2 that something handed in was wrong (one sentence on stderr), 1 a fault of Telltale's own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from core.attacks.base import RANDOM, AttackResult, AttackSpec, RandomTarget
from core.attacks.registry import ATTACKS, get_attack
from core.bundle import Bundle, find_bundle, list_bundles, load_bundle, verify_bundle
from core.bundle.summary import BundleSummary, folder_problems, summarise
from core.calibration import check_alpha
from core.cases.commands import cases
from core.errors import DamagedBundleError, InputError, TelltaleError
from core.images import image_sha256
from core.parameters import ParameterValue, validate_parameters
from core.reproduce.layout import distinct_notes
from core.reproduce.table import Cell
from core.time_left import TimeLeft
from core.uploads import load_image_file, png_bytes

Report: TypeAlias = Callable[[float, str], None]

BAD_INPUT = 2
FAULT = 1
INTERRUPTED = 130

LINE_SECONDS = 10.0
app = typer.Typer(
    help="Telltale: see, trace and catch adversarial images.", add_completion=False, rich_markup_mode=None
)
app.add_typer(cases, name="cases")

ImageArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="An image of exactly the bundle's size and mode.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A bundle's name or folder.")]
BundleOption = Annotated[str, typer.Option("--bundle", help="A bundle's name or folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
DataOption = Annotated[
    str | None, typer.Option("--data", help="digits, mnist, cifar10, ..., a folder or a hub id owner/name.")
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status.
    """
    if not sys.warnoptions:  # stderr is for the one sentence
        warnings.simplefilter("ignore")
    command = typer.main.get_command(app)
    try:
        status = command.main(
            args=list(arguments) if arguments is not None else None, prog_name="python -m core", standalone_mode=False
        )
    except TelltaleError as error:
        return _complain(str(error), BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("Interrupted.", INTERRUPTED)
    except OSError as error:
        return _complain(f"'{error.filename}' cannot be used: {error.strerror}.", BAD_INPUT)
    except Exception as error:
        # The argument parser's own errors are told by what they can do: its classes are not public in every version.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _complain(error.format_message(), BAD_INPUT)
        return _complain(f"Telltale failed: {type(error).__name__}: {error}", FAULT)
    return status if isinstance(status, int) else 0


@app.command()
def bundles(as_json: JsonOption = False) -> None:
    """List the bundles that are present."""
    rows = [summarise(name) for name in list_bundles()]
    table = Table("bundle", "title", "classes", "references", "test accuracy", "size", caption_justify="left")
    for row in rows:
        table.add_row(*_bundle_cells(row))
    problems = folder_problems()
    table.caption = "\n".join([remark for row in rows for remark in _bundle_remarks(row)] + list(problems)) or None
    _print({"bundles": [asdict(row) for row in rows], "problems": problems}, table, as_json)


@app.command()
def build(
    name: NameArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; precomputed/NAME by default.")] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="At most 10,000 training images as references, in half precision.")
    ] = False,
    work: Annotated[
        Path | None, typer.Option("--work", help="Where finished stages are kept, and stay for the next build.")
    ] = None,
) -> None:
    """Build a bundle: attack, trace, fit and calibrate everything around a trained classifier."""
    with _progress() as report:
        folder = _late("core.bundle.build", "build")(
            name, data=data, out=out, compact=compact, work=work, progress=report
        )
    Console().print(f"Built {folder}.", soft_wrap=True)


@app.command()
def train(
    name: NameArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="File of weights to write.")] = None,
) -> None:
    """Train a classifier; one that was stopped goes on after its last finished epoch."""
    with _progress() as report:
        file = _late("core.models.training", "train")(name, data=data, out=out, progress=report)
    Console().print(f"Trained {file}.", soft_wrap=True)


@app.command()
def verify(name: NameArgument, as_json: JsonOption = False) -> None:
    """Compare every file of a bundle with the checksums it was built with."""
    reports = verify_bundle(find_bundle(name))
    bad = [report for report in reports if report.state != "ok"]
    table = Table("file", "state")
    for report in reports:
        table.add_row(report.file, report.state)
    _print({"bundle": name, "ok": not bad, "files": [asdict(report) for report in reports]}, table, as_json)
    if bad:
        listed = ", ".join(f"{report.file} ({report.state})" for report in bad)
        raise DamagedBundleError(f"The bundle '{name}' is not as it was built: {listed}.")


@app.command()
def attack(
    image: ImageArgument,
    bundle: BundleOption = "digits",
    attack: Annotated[str, typer.Option("--attack", help=f"One of {', '.join(ATTACKS)}.")] = "pgd",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the attack; repeatable.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Class to reach, by name or index, or random.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seeds every random choice.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="PNG file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack one image; the result is on the 8-bit grid and every figure is measured on it."""
    _check_out(out)
    spec = get_attack(attack)
    opened = load_bundle(bundle)
    parameters = _attack_values(spec, settings or [], opened)
    target_label = _parse_target(target, spec, opened)
    natural = load_image_file(image, opened.image_shape)
    with _quiet_stdout():
        result: AttackResult = _late("core", "attack")(
            natural, bundle=bundle, attack=attack, parameters=parameters, seed=seed, target=target_label
        )
    if out is not None:
        _write_whole(out, png_bytes(result.images[0]))
    record = _attack_record(result, opened, out)
    _print(record, _pairs(record), as_json)


@app.command()
def analyse(
    image: ImageArgument,
    bundle: BundleOption = "digits",
    alpha: Annotated[float, typer.Option("--alpha", help="False-positive rate, between 0 and 1.")] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Take one image through trace, evidence, scores and verdicts."""
    check_alpha(alpha)
    natural = load_image_file(image, load_bundle(bundle).image_shape)
    with _quiet_stdout():
        record = _late("core", "analyse")(natural, bundle=bundle, alpha=alpha).to_json()
    prediction = record["prediction"]
    table = Table("detector", "score", "p-value", "threshold", f"adversarial at {alpha:g}")
    table.title = f"{prediction['label']} ({prediction['confidence']:.1%})"
    for verdict in [*record["verdicts"], *filter(None, [record["fused"]])]:
        keys = ("detector", "score", "p_value", "threshold", "adversarial")
        table.add_row(*(_text(verdict[key]) for key in keys))
    _print(record, table, as_json)


@app.command()
def evaluate(
    name: NameArgument,
    fresh: Annotated[bool, typer.Option("--fresh", help="Recompute every score instead of reading them.")] = False,
    attack: Annotated[str | None, typer.Option("--attack", help="With --fresh: this attack only.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of --attack; repeatable.")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=1, help="How many images --attack is run on.")] = 500,
    seen: Annotated[
        list[str] | None,
        typer.Option("--seen", metavar="ATTACK", help="Fit the detectors anew to this attack alone; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report every detector against every attack on the test images."""
    from core.evaluation import evaluate_stored

    if (attack or settings) and not (fresh and attack):
        raise InputError("--attack needs --fresh, and --set needs --attack.")
    if fresh or seen:
        options: dict[str, Any] = {"seen": seen or ()}
        if attack is not None:
            values = _attack_values(get_attack(attack), settings or [], load_bundle(name))
            options |= {"attack": attack, "parameters": values, "images": images}
        with _progress() as report:
            evaluation = _late("core", "evaluate")(name, fresh=fresh, progress=report, **options)
    else:
        evaluation = evaluate_stored(load_bundle(name))
    widest = max((len(row.detector) for row in evaluation.rows), default=0)
    table = Table(
        Column("detector", min_width=widest), "attack", "AUC", "95 % interval", "EER accuracy", "TPR at 5 % FPR"
    )
    for row in evaluation.rows:
        interval = f"{row.auc_low:.3f} to {row.auc_high:.3f}"
        figures = (row.auc, interval, row.eer_accuracy, row.tpr_at_fpr[0.05])
        table.add_row(row.detector, row.attack, *(_text(figure) for figure in figures))
    for detector, value in evaluation.macro_auc.items():
        table.add_row(detector, "macro", _text(value), "", "", "")
    _print(evaluation.to_json(), table, as_json)


@app.command()
def bench(
    name: NameArgument,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the comparisons with other libraries.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure an analysis and its stops on this machine, and the same work done by other libraries."""
    load_bundle(name)
    with _progress() as report:
        record = _late("core.benchmark", "bench")(name, compare=not quick, progress=report).to_json()
    rows = record["comparisons"]
    _print(record, _pairs({key: value for key, value in record.items() if key != "comparisons"}), as_json)
    if rows and not as_json:
        _print({}, _comparison_table(rows), as_json)


@app.command("label-errors")
def label_errors(
    name: NameArgument,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the list to print.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the training images whose label is probably wrong, the most suspicious first."""
    bundle = load_bundle(name)
    with _progress() as report:
        reference = _late("core.bundle.model", "load_reference")(bundle)
        found = _late("core.model_errors.suspicious", "suspicious_images")(reference, report)
    rows = list(found.records(count))
    table = Table("rank", "image", "label", "neighbours say", "suspicion", "self-influence", "disagreement")
    for row in rows:
        named = (bundle.class_names[int(row[key])] for key in ("label", "neighbour_label"))
        figures = (_text(row[key]) for key in ("suspicion", "self_influence", "disagreement"))
        table.add_row(str(row["rank"]), str(row["image_id"]), *named, *figures)
    record = {"bundle": name, "ranked": len(found), "k": found.k, "method": found.method, "images": rows}
    _print(record, table, as_json)


@app.command("planted-errors")
def planted_errors(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="digits, mnist, cifar10 or another recipe.")],
    data: DataOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many labels are flipped.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Seeds the choice of images and labels.")] = 0,
    head_only: Annotated[
        bool, typer.Option("--head-only", help="Keep the recipe's network; only its softmax head learns anew.")
    ] = False,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Other than the recipe's.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Base width other than the recipe's.")] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="Where the network is kept; training goes on from there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Flip training labels on purpose, learn from them, and count how many the list of label errors finds."""
    with _progress() as report:
        found = _late("core.model_errors.planted", "plant_errors")(
            name,
            report,
            data=data,
            count=count,
            seed=seed,
            head_only=head_only,
            epochs=epochs,
            width=width,
            work=work,
        )
    record = found.to_json()
    _print(record, _pairs({key: value for key, value in record.items() if key != "ranks"}), as_json)


@app.command()
def growth(
    up_to: Annotated[int, typer.Option("--up-to", help="Leave out sizes of more training images.")] = 1_280_000,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Chart to write.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where generated features lie for a while; up to 8 GB.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how evidence grows from 1,000 to 1,280,000 training images, on generated features."""
    from core.growth import SCALES, measure_growth, to_csv

    _check_writable(out, "--out")
    _check_writable(svg, "--svg")
    scales = [scale for scale in SCALES if scale.references <= up_to]
    if not scales:
        raise InputError(f"--up-to must be at least {min(scale.references for scale in SCALES)}; got {up_to}.")
    with _progress() as report:
        measured = measure_growth(scales, folder, report)
    rows = [growth.to_json() for growth in measured]
    if out is not None:
        _write_whole(out, to_csv(measured).encode(), "--out")
    if svg is not None:
        _write_whole(svg, _late("core.growth_chart", "growth_svg")(measured).encode(), "--svg")
    table = Table("references", "classes", "one image, ms", "peak, GB", "recall", "neighbours", "influence")
    for row in rows:
        keys = ("references", "classes", "total_ms", "peak_gb", "recall", "index", "influence")
        table.add_row(*(_text(row[key]) for key in keys))
    _print({"growth": rows}, table, as_json)


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="Table of a paper; 'all' lists them.")],
    data: Annotated[str | None, typer.Option("--data", help="Folder or hub id of the images.")] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Print the stored full run instead of computing.")] = False,
    images: Annotated[
        int | None, typer.Option("--images", min=20, help="At most so many images per split and attack: quick, rough.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Store what was computed as the full run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compute a table of the papers again and put the published figures beside it."""
    from core.reproduce.registry import TABLES, get_table
    from core.reproduce.results import load_results, save_results

    if name == "all":
        overview = [{"name": table.name, "title": table.title, "paper": table.paper} for table in TABLES.values()]
        listing = Table("table", "title", "paper")
        for row in overview:
            listing.add_row(*row.values())
        _print({"tables": overview}, listing, as_json)
        return
    table = get_table(name)
    if stored:
        cells = load_results(name)
    else:
        with _progress() as report:
            cells = _late("core.reproduce.lab", "compute")(table, data, images, report)
        if save:
            save_results(name, cells)
    shown, notes = _cell_table(cells)
    record = {
        "table": name,
        "title": table.title,
        "paper": table.paper,
        "unit": table.unit,
        "setting": table.setting,
        "cells": [cell.to_json() for cell in cells],
    }
    _print(record, shown, as_json)
    if not as_json:
        remarks = [f"{table.title}: {table.paper}, {table.unit}. {table.setting}", *notes]
        sys.stdout.write("\n".join(remarks) + "\n")


def _cell_table(cells: Sequence[Cell]) -> tuple[Table, list[str]]:
    """Lay out a paper's table, one line per figure, with its notes numbered below."""
    notes = distinct_notes(cells)
    shown = Table("row", "column", "paper", "ours", "95 % interval", "difference", "n", "note")
    for cell in cells:
        interval = "" if cell.low is None else f"{cell.low:.1f} to {cell.high:.1f}"
        figures = ("" if value is None else f"{value:.2f}" for value in (cell.paper, cell.ours))
        difference = "" if cell.difference is None else f"{cell.difference:+.2f}"
        note = str(notes.index(cell.note) + 1) if cell.note else ""
        shown.add_row(cell.row, cell.column, *figures, interval, difference, str(cell.n), note)
    return shown, [f"{number}  {note}" for number, note in enumerate(notes, start=1)]


def _comparison_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("work", "against", "ours, ms", "theirs, ms", "ratio", "checked")
    for row in rows:
        table.add_row(*(_text(row[key]) for key in ("work", "against", "ours_ms", "theirs_ms", "ratio", "equal")))
    return table


def _late(module: str, name: str) -> Callable[..., Any]:
    """Return a function of a module that is imported only now: it brings torch, which most commands never need."""
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _complain(message: str, status: int) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    return status


def _bundle_cells(row: BundleSummary) -> tuple[str, ...]:
    kept = "-" if row.references is None else f"{row.references:,} of {row.training_images:,}"
    size = "-" if row.size_bytes is None else f"{row.size_bytes / 1e6:.1f} MB"
    return (row.name, _text(row.title), _text(row.classes), kept, _text(row.accuracy), size)


def _bundle_remarks(row: BundleSummary) -> list[str]:
    command = [] if row.images_command is None else [f"'{row.images_command}' brings the images."]
    return [f"{row.name}: {remark}" for remark in [*filter(None, [row.problem]), *row.lacks, *command]]


def _attack_values(spec: AttackSpec, settings: Sequence[str], bundle: Bundle) -> dict[str, ParameterValue]:
    """Return the parameters of an attack: those given, else those behind the bundle's scores, else the defaults."""
    given = _parse_settings(settings)
    validate_parameters(spec.parameters, given, f"attack '{spec.name}'")
    values = {**bundle.attack_parameters(spec.name), **given}
    return validate_parameters(spec.parameters, values, f"attack '{spec.name}'")


def _parse_settings(settings: Sequence[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise InputError(f"--set takes NAME=VALUE; got '{setting}'.")
        if name in parsed:
            raise InputError(f"--set gives '{name}' twice.")
        parsed[name] = value
    return parsed


def _parse_target(target: str | None, spec: AttackSpec, bundle: Bundle) -> int | RandomTarget | None:
    if target is None:
        return None
    if not spec.targeted:
        raise InputError(f"The attack '{spec.name}' cannot aim at a class; leave --target out.")
    names = bundle.class_names
    if target in names:
        return names.index(target)
    if target.isdecimal() and int(target) < len(names):
        return int(target)
    if target == RANDOM:
        return RANDOM
    accepted = f"{', '.join(names)}, an index below {len(names)}, or {RANDOM}"
    raise InputError(f"--target must be one of {accepted}; got '{target}'.")


def _attack_record(result: AttackResult, bundle: Bundle, out: Path | None) -> dict[str, object]:
    names, target = bundle.class_names, int(result.targets[0])
    parameters: Mapping[str, ParameterValue] = result.parameters
    return {
        "attack": result.attack,
        "bundle": bundle.name,
        "parameters": dict(parameters),
        "seed": result.seed,
        "target": names[target] if target >= 0 else None,
        "success": bool(result.success[0]),
        "label": names[int(result.labels[0])],
        "prediction": names[int(result.predictions[0])],
        "linf": float(result.linf[0]),
        "l2": float(result.l2[0]),
        "l0": int(result.l0[0]),
        "gradients": int(result.gradients[0]),
        "queries": int(result.queries[0]),
        "seconds": float(result.seconds),
        "out": None if out is None else str(out),
        "image_sha256": image_sha256(result.images[0]),
    }


def _check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written before anything is computed for it."""
    if out is None:
        return
    if out.suffix.lower() != ".png":
        raise InputError(f"--out must name a .png file, because only PNG keeps every pixel; got '{out}'.")
    _check_writable(out, "--out")


def _check_writable(path: Path | None, option: str) -> None:
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{option} '{path}' is a folder.")
    if not path.parent.is_dir():
        raise InputError(f"{option} '{path}' cannot be written: there is no folder '{path.parent}'.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{option} '{path}' cannot be written: the folder '{path.parent}' is read-only.")


def _write_whole(path: Path, data: bytes, option: str = "--out") -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(f".telltale-{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{option} '{path}' cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _print(record: Mapping[str, object], table: Table, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_plain(record), allow_nan=False) + "\n")
    else:
        Console().print(table)


def _plain(value: Any) -> Any:
    """Replace numbers that JSON cannot hold (NaN, infinity) by null, everywhere inside."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pairs(record: Mapping[str, object]) -> Table:
    table = Table("what", "value")
    for key, value in record.items():
        if isinstance(value, Mapping):
            table.add_row(key, ", ".join(f"{name}={_text(item)}" for name, item in value.items()))
        else:
            table.add_row(key, _text(value))
    return table


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Drop what libraries print, so that stdout holds the answer and nothing else."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


@contextlib.contextmanager
def _progress() -> Iterator[Report]:
    """Show progress on stderr, a bar in a terminal and now and then a line elsewhere.

    Yields ``report(fraction, message)``. Nothing is shown before the first report, nor a line before anything is done,
    so that refused input leaves one sentence and nothing else.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task("Starting", total=1.0, left="")
    time_left = TimeLeft()
    said_at = -LINE_SECONDS

    def report(fraction: float, message: str) -> None:
        nonlocal said_at
        left = time_left.words(fraction, message)
        bar.start()
        bar.update(task, completed=fraction, description=message, left=left)
        due = fraction >= 1.0 or (fraction > 0.0 and time.monotonic() - said_at >= LINE_SECONDS)
        if due and not console.is_terminal:
            said_at = time.monotonic()
            line = ", ".join(part for part in (message, left) if part)
            console.print(f"{fraction:4.0%} {line}", highlight=False, soft_wrap=True)

    with _quiet_stdout():
        try:
            yield report
        finally:
            bar.stop()
