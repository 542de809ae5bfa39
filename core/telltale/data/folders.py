"""What kind of data set a folder is: tables of images, folders of image files, or the table that names some."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from telltale.base.errors import InputError
from telltale.data.class_folders import list_folder
from telltale.data.index_files import SUFFIXES, list_index, read_index
from telltale.data.listing import Listing
from telltale.data.parquet_files import holds_images, list_tables, parquet_files
from telltale.data.tables import Columns
from telltale.data.walking import File, Walk


def list_folder_or_tables(walk: Walk, source: str, columns: Columns, configurations: Sequence[str]) -> Listing:
    """List the images of a folder.

    Parameters
    ----------
    walk : Walk
    source : str
        As messages call it.
    columns : pair of sequences of str
        Columns of images and of labels to prefer.
    configurations : sequence of str
        Folders of tables of which one, where it is there, alone is meant.

    Raises
    ------
    InputError
        If it holds no data set, or it cannot be told what its files mean.
    """
    tables = parquet_files(walk)
    of_images = [file for file in tables if holds_images(file.path)]
    if of_images:
        return list_tables(walk, of_images, source, columns, configurations)
    indexes = [file for file in walk.files if not file.inside(0) and file.path.suffix.lower() in SUFFIXES]
    if not any(file.has_image_suffix for file in walk.files):
        if len(indexes) == 1:
            return list_index(read_index(indexes[0].path), source)
        if tables:
            return list_tables(walk, tables, source, columns, configurations)
    listing = list_folder(walk, source)
    if listing.count == 0:
        raise _nothing(source)
    if len(listing.class_folders) < 2:
        _check_no_index(indexes, source)
    return listing


def _check_no_index(indexes: Sequence[File], source: str) -> None:
    """Refuse images without classes beside a table that gives them some."""
    for file in indexes:
        names_labels = False
        with contextlib.suppress(InputError):  # a table of something else may be of any kind
            names_labels = read_index(file.path).is_one
        if names_labels:
            raise InputError(
                f"'{source}' holds images and the table '{file.name}', which may name their labels; "
                f"name the table itself: '{source.rstrip('/')}/{file.name}'."
            )


def _nothing(source: str) -> InputError:
    return InputError(
        f"The folder '{source}' holds no readable data set: parquet files, one folder of images per class, images, or "
        "a CSV of paths and labels."
    )
