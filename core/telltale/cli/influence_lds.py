"""The command that retrains small networks on halves of the images and counts what influence had foretold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from telltale.base.errors import InputError
from telltale.cli.options import DataOption, JsonOption
from telltale.cli.output import check_writable, print_record, progress

if TYPE_CHECKING:
    from telltale.studies.influence_trust.figures import MethodTrust
    from telltale.studies.influence_trust.results import StoredTrust


def influence_lds(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A recipe.")] = "digits",
    stored: Annotated[bool, typer.Option("--stored", help="Print the stored scores; compute nothing.")] = False,
    data: DataOption = None,
    subsets: Annotated[int, typer.Option("--subsets", help="Random halves of the training images.")] = 60,
    repeats: Annotated[int, typer.Option("--repeats", help="Networks retrained on each half.")] = 2,
    images: Annotated[int, typer.Option("--images", help="Test images whose answers are compared.")] = 150,
    networks: Annotated[int, typer.Option("--networks", help="Networks that TRAK averages over.")] = 10,
    projection: Annotated[int, typer.Option("--projection", help="Dimensions of TRAK's random projection.")] = 512,
    epochs: Annotated[int, typer.Option("--epochs", help="Of every training.")] = 12,
    width: Annotated[int, typer.Option("--width", help="Base width of the small network.")] = 8,
    side: Annotated[int, typer.Option("--side", help="Images are averaged down to this side.")] = 8,
    training_images: Annotated[
        int, typer.Option("--training-images", help="At most so many, drawn from the training split.")
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Seeds everything that is drawn.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file; among the stored ones by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Retrain small networks on halves of the images: how far did influence foretell their answers? Takes minutes."""
    from telltale.studies.influence_trust.figures import best_possible, method_trusts
    from telltale.studies.influence_trust.results import stored_at

    check_writable(out, "--out")
    if stored:
        found = _stored(name)
    else:
        from telltale.studies.influence_trust.measure import measure_influence_trust
        from telltale.studies.influence_trust.plan import Plan

        plan = Plan(
            subsets=subsets,
            repeats=repeats,
            images=images,
            networks=networks,
            projection=projection,
            epochs=epochs,
            checkpoints=min(epochs, Plan.checkpoints),
            base_width=width,
            side=side,
            training_images=training_images,
            seed=seed,
        )
        with progress() as report:
            found = measure_influence_trust(name, plan, out or stored_at(name), report, data=data)
    trusts = method_trusts(found)
    record = {
        "origin": vars(found.origin),
        "retraining": vars(found.retraining),
        "best_possible": best_possible(found),
        "methods": [trust.to_json() for trust in trusts],
    }
    print_record(record, _table(trusts, best_possible(found)), as_json)


def _stored(name: str) -> StoredTrust:
    from telltale.studies.influence_trust.results import stored_trust

    found = stored_trust(name)
    if found is None:
        raise InputError(f"Nothing is stored about influence on '{name}'; leave out --stored.")
    return found


def _table(trusts: Sequence[MethodTrust], best: float | None) -> Table:
    title = "Linear datamodeling score" + ("" if best is None else f"; at most about {best:.2f} is possible here")
    table = Table("attribution", "score", "95 % over test images", "± from the subsets", title=title)
    for trust in trusts:
        interval = f"{trust.low:.3f} to {trust.high:.3f}"
        table.add_row(trust.title, f"{trust.score:.3f}", interval, f"{trust.subset_error:.3f}")
    return table
