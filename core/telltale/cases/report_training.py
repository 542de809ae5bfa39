"""The training images of a report: what is nearest to the image that a case is about, and what decided on it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from telltale.cases.report_map import METHODS, map_svg
from telltale.data.thumbnails import thumbnail
from telltale.figures.results.neighbours import listed_ids
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView
from telltale.scores import titles

if TYPE_CHECKING:
    from telltale.analysis.results import Analysis
    from telltale.bundle import Bundle
    from telltale.cases.record import CaseRecord

SHOWN = 8
TITLES = {
    "nearest": ("Nearest", "closest to this image on {layer}"),
    "helpful": ("Most helpful", "without them the predicted class would lose support"),
    "harmful": ("Most harmful", "without them the predicted class would gain support"),
}
SIGNS = {"nearest": "●", "helpful": "▲", "harmful": "▼"}


@dataclass(frozen=True)
class TrainingImage:
    """One training image of a list.

    Attributes
    ----------
    image_id : int
    class_name : str
    distance : float
        Euclidean, of pooled activations on the last layer.
    png : bytes or None
        None where the images are not on this machine.
    """

    image_id: int
    class_name: str
    distance: float
    png: bytes | None


@dataclass(frozen=True)
class TrainingImages:
    """What a report says of the training images.

    Attributes
    ----------
    image : {"natural", "attacked"}
        Whose they are.
    layer : str
    lists : mapping of str to tuple of TrainingImage
        "nearest", and where influence is known "helpful" and "harmful".
    map : str
        SVG of all training images with these marked; empty where there is no map.
    """

    image: str
    layer: str
    lists: Mapping[str, tuple[TrainingImage, ...]]
    map: str


def training_images(bundle: Bundle, record: CaseRecord, analysis: Analysis) -> TrainingImages | None:
    """Return the training images behind a case's answer.

    Parameters
    ----------
    bundle : Bundle
        Of the case.
    record : CaseRecord
    analysis : Analysis
        Of the image that the case is about: the attacked one, where there is one.

    Returns
    -------
    TrainingImages or None
        None where the bundle keeps no training images, is another build than the one that computed the case's numbers,
        or the analysis is of another image: the report would show the evidence of something else.
    """
    near = analysis.find(NeighboursView)
    same = bundle.id == record.bundle_id and analysis.image_sha256 == record.numbers.judged.image_sha256
    if near is None or not same:
        return None
    ids = listed_ids(analysis, -1, SHOWN)
    influence = analysis.find(InfluenceView)
    distances = {"nearest": near.distances[-1]}
    labels = {"nearest": near.labels[-1]}
    if influence is not None:
        distances |= {"helpful": influence.helpful_distances[-1], "harmful": influence.harmful_distances[-1]}
        labels |= {"helpful": influence.helpful_labels, "harmful": influence.harmful_labels}
    lists = {
        kind: tuple(
            TrainingImage(
                int(image_id),
                bundle.class_names[int(labels[kind][place])],
                float(distances[kind][place]),
                _png(bundle, int(image_id)),
            )
            for place, image_id in enumerate(listed)
        )
        for kind, listed in ids.items()
    }
    name = record.numbers.images()[-1][0]
    method = next((name for name in METHODS if name in bundle.maps), None)
    drawn = "" if method is None else map_svg(bundle, method, name, analysis, ids)
    return TrainingImages(name, near.layers[-1], lists, drawn)


def _png(bundle: Bundle, image_id: int) -> bytes | None:
    return None if bundle.image_set is None else thumbnail(np.asarray(bundle.image_set.pixels[image_id]))


def training_html(found: TrainingImages) -> str:
    """Return the lists as HTML: pictures with class, id and distance; words alone where there are no pictures."""
    return "".join(_list(found, kind) for kind in found.lists)


def map_html(found: TrainingImages) -> str:
    """Return the map with what its marks are; empty where there is none."""
    if not found.map:
        return ""
    key = ", ".join(f"{SIGNS[kind]} {TITLES[kind][0].lower()}" for kind in found.lists)
    return (
        f"<p class=soft>★ {found.image} image, {key}; all other points are training images. Distances on a flattened "
        f"map are only a hint.</p>\n{found.map}\n"
    )


def _list(found: TrainingImages, kind: str) -> str:
    title, meaning = TITLES[kind]
    said = escape(f"{meaning.format(layer=found.layer)}; d is the Euclidean distance on {found.layer}")
    items = "".join(_item(image, title) for image in found.lists[kind])
    return f"<h3>{SIGNS[kind]} {title}</h3>\n<p class=soft>{said}</p>\n<ul class=training>\n{items}</ul>\n"


def _item(image: TrainingImage, title: str) -> str:
    name = escape(image.class_name)
    words = f"<strong>{name}</strong><br>no. {image.image_id}<br>d = {titles.number(image.distance)}"
    if image.png is None:
        return f"<li>{words}</li>\n"
    data = base64.b64encode(image.png).decode()
    alt = f"{title}: training image {image.image_id}, class {name}"
    return f'<li><img alt="{alt}" src="data:image/png;base64,{data}">{words}</li>\n'
