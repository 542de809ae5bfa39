"""Data sets of the Hugging Face hub, and what was downloaded of them before."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from telltale.base.errors import InputError
from telltale.data.listing import Listing
from telltale.data.split_names import OWN_SPLITS
from telltale.data.tables import Columns, Table, listed_rows, stated_classes

# Data sets of the `datasets` library, which ships no types.
HubData: TypeAlias = Any
ROWS_AT_ONCE = 100


@dataclass(frozen=True)
class HubSplits:
    """The splits of a data set of the hub, found but not decoded."""

    name: str
    source: str
    asked: tuple[str, str | None]
    columns: Columns
    splits: dict[str, HubData]

    def state(self) -> list[object]:
        """Return what tells their content from any other's."""
        return [*self.asked, [[name, split._fingerprint, len(split)] for name, split in self.splits.items()]]

    def listing(self) -> Listing:
        """List their rows; splits other than train, validation and test only where there are no others."""
        tables = [
            Table(
                name,
                name if name in OWN_SPLITS else None,
                split.features.to_dict(),
                partial(_rows, split),
                len(split),
                paths_lead=True,
            )
            for name, split in self.splits.items()
        ]
        return Listing(
            self.name,
            self.source,
            listed_rows(tables, self.columns, self.source),
            sum(table.count for table in tables),
            class_names=stated_classes(tables, self.columns, self.source),
            named=False,
        )


def find(source: str, hub_id: str, configuration: str | None, columns: Columns, download: bool) -> HubSplits:
    """Find a data set of the hub.

    Parameters
    ----------
    source : str
        As messages call it.
    hub_id : str
    configuration : str, optional
    columns : pair of sequences of str
        Columns of images and of labels to prefer.
    download : bool
        Whether the hub may be asked.

    Raises
    ------
    InputError
        If the hub cannot be reached, has no such data set, or must not be asked and nothing was downloaded before.
    """
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    datasets.utils.logging.set_verbosity_error()
    datasets.utils.logging.disable_progress_bar()
    try:
        with _access(download):
            splits = datasets.load_dataset(hub_id, configuration)
    except Exception as error:
        # The library lets errors of its HTTP client, of parquet and of its own through; all mean the same here.
        if not download:
            raise InputError(f"The data set '{source}' was not downloaded before.") from error
        raise InputError(
            f"The data set '{source}' could not be fetched: the hub cannot be reached or has no such data set."
        ) from error
    own = {name: splits[name] for name in OWN_SPLITS if name in splits}
    return HubSplits(hub_id.rpartition("/")[2], source, (hub_id, configuration), columns, own or dict(splits))


def _rows(split: HubData, image: str, label: str) -> Iterator[tuple[Any, Any]]:
    import datasets

    try:
        as_stored = split.select_columns([image, label]).cast_column(image, datasets.Image(decode=False))
    except Exception as error:  # the library's and those of the tables below it
        raise InputError(f"The column '{image}' holds no images that can be read.") from error
    for batch in as_stored.iter(ROWS_AT_ONCE):
        yield from zip(batch[image], batch[label], strict=True)


@contextmanager
def _access(allowed: bool) -> Iterator[None]:
    """Forbid the network to the hub's clients for a while; they offer no per-call switch."""
    import datasets
    import huggingface_hub.constants as hub

    before = (datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE)
    if not allowed:
        datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before
