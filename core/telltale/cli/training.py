"""The command that trains: a recipe's classifier, or a known network for the classes of somebody's own folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telltale.base.errors import InputError
from telltale.base.terminal import plain_console
from telltale.cli.model_options import (
    ArgumentsOption,
    HeadOption,
    MeanOption,
    ResizeOption,
    SizeOption,
    StdOption,
    WeightsOption,
    read_arguments,
    read_side,
    stated_preprocess,
)
from telltale.cli.options import DataOption, NameArgument
from telltale.cli.output import check_writable, pairs_table, progress

if TYPE_CHECKING:
    from telltale.building.fine_tuning.tune import Tuned

SUFFIX = ".safetensors"


def train(
    name: NameArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="File of weights to write.")] = None,
    corrections: Annotated[
        Path | None, typer.Option("--corrections", metavar="FILE", help="Training images to remove or relabel first.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Fine-tune this network, as inspect takes it.")
    ] = None,
    blocks: Annotated[
        int | None, typer.Option("--blocks", min=0, help="Of --from: last blocks that learn as well.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Of --blocks.")] = None,
    weights: WeightsOption = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    arguments: ArgumentsOption = None,
    head: HeadOption = None,
) -> None:
    """Train a classifier; one that was stopped goes on after its last finished epoch.

    With --from, a network that is there learns the classes of --data's folders.
    """
    only_from = {
        "--blocks": blocks,
        "--epochs": epochs,
        "--weights": weights,
        "--size": size,
        "--resize": resize,
        "--mean": mean,
        "--std": std,
        "--arguments": arguments,
        "--head": head,
    }
    if model is None:
        stray = [option for option, value in only_from.items() if value is not None]
        if stray:
            raise InputError(f"{stray[0]} goes with --from, which names the network to fine-tune.")
        _train_recipe(name, data, out, corrections)
        return
    if corrections is not None:
        raise InputError(
            "--corrections are for a recipe; with --from, name what 'telltale corrections folders' writes by --data."
        )
    if data is None:
        raise InputError("--from needs --data: a folder with one folder of pictures per class.")
    file = out or Path(f"{name}{SUFFIX}")
    _check_file(name, file)
    given, side = read_arguments(arguments), read_side(size, "--size")
    stated_preprocess(side, resize, mean, std, None)  # what cannot be read is refused before any code runs
    with progress() as report:
        from telltale.building.fine_tuning.tune import EPOCHS, fine_tune
        from telltale.building.inspecting.inspect import Stated
        from telltale.models.references import find_model

        found = find_model(model, weights, given)
        stated = Stated(side, stated_preprocess(side, resize, mean, std, found.preprocess), head=head)
        tuned = fine_tune(found, data, file, stated, blocks=blocks or 0, epochs=epochs or EPOCHS, progress=report)
    plain_console().print(pairs_table(_figures(tuned, blocks or 0, epochs or EPOCHS)))
    after = f"telltale inspect {name} --model {shlex.quote(str(tuned.file))} --data {shlex.quote(data)}"
    sys.stdout.write(f"Wrote {tuned.file}. Next: {after}\n")


def _check_file(name: str, file: Path) -> None:
    from telltale.bundle.manifest import check_name

    check_name(name)
    check_writable(file, "--out")
    if file.suffix != SUFFIX:
        raise InputError(f"--out must end in {SUFFIX}. Got '{file}' instead.")


def _figures(tuned: Tuned, blocks: int, epochs: int) -> dict[str, Any]:
    """Return what was learned, in words."""
    learned = tuned.learned
    copies = "as they are" if tuned.copies == 1 else "as they are and mirrored"
    figures = {
        "classes": tuned.classes,
        "training images": f"{learned.training_images:,}, {copies}",
        "penalty of the head": tuned.penalty,
        "validation, the head alone": _judged(learned.validation_images, tuned.head_accuracy, tuned.head_loss),
    }
    if tuned.epoch:
        judged = _judged(learned.validation_images, learned.validation_accuracy, tuned.loss)
        figures["validation, with blocks"] = f"{judged}, after epoch {tuned.epoch} of {epochs}, the best of them"
    elif blocks:
        figures["validation, with blocks"] = f"in no epoch of {epochs} better, so the head alone is kept"
    figures["test"] = f"{tuned.test_accuracy:.1%} of {tuned.test_images:,}"
    return figures


def _judged(images: int, accuracy: float, loss: float) -> str:
    return f"{accuracy:.1%} of {images:,}, loss {loss:.3f}"


def _train_recipe(name: str, data: str | None, out: Path | None, corrections: Path | None) -> None:
    if corrections is not None and out is None:
        raise InputError("Name a file for the corrected network with --out, so that it takes no other one's place.")
    check_writable(out if corrections is not None else None, "--out")
    with progress() as report:
        if corrections is not None and out is not None:
            from telltale.model_errors.retraining import retrain

            file = retrain(name, corrections, data=data, out=out, progress=report)
        else:
            from telltale.models.training import train as train_weights

            file = train_weights(name, data=data, out=out, progress=report)
    plain_console().print(f"Trained {file}.", soft_wrap=True)
