"""A case's report as the browser is given it: asked of the engine when somebody downloads it, outside of any page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import telltale.engine
from telltale.base.errors import TelltaleError
from telltale.cases.pixels import read_png
from telltale.cases.report import to_html
from telltale.cases.report_training import training_images
from telltale_app import cases, catalogue

if TYPE_CHECKING:
    from telltale.cases.record import SavedCase
    from telltale.cases.report_training import TrainingImages

PATIENCE_SECONDS = 60.0


def report_of(saved: SavedCase, start: str) -> bytes:
    """Return the report of a case.

    Parameters
    ----------
    saved : SavedCase
    start : str
        Address of the pages, to which the case is added; where it is none, the report has no link back.
    """
    return to_html(saved, _training(saved), _link(saved, start)).encode()


def _training(saved: SavedCase) -> TrainingImages | None:
    """Return the training images behind a case's answer; None where its model is not here or does not answer."""
    record = saved.record
    try:
        bundle = catalogue.bundle(record.settings.bundle)
        if bundle.id != record.bundle_id:
            return None
        job = telltale.engine.get_engine().submit(
            "analyse", bundle=bundle.name, image=read_png(saved.judged_png), alpha=record.settings.alpha
        )
        return training_images(bundle, record, job.result(PATIENCE_SECONDS))
    except (TelltaleError, TimeoutError):
        return None


def _link(saved: SavedCase, start: str) -> str | None:
    try:
        query = cases.to_case(saved).to_query()
    except TelltaleError:
        return None
    return f"{start.partition('?')[0]}?{urlencode(query)}"
