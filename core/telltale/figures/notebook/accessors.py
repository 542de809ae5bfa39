"""``result.figures``: every figure of the pages by one call, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import plotly.graph_objects as go

from telltale.analysis.results import Analysis, Comparison
from telltale.base import display
from telltale.base.errors import InputError
from telltale.bundle import Bundle
from telltale.bundle.bundle import opened_bundle
from telltale.figures import palette
from telltale.figures.results import density, neighbours, responses, scores, stability, trajectory, twin, verdicts
from telltale.figures.results.responses import Found
from telltale.figures.results.shown import ALONE, Shown
from telltale.figures.results.trajectory import Variant
from telltale.kinds.response import ResponseView
from telltale.kinds.trajectory import TrajectoryView
from telltale.scores import contests
from telltale.scores.controls import controls_in
from telltale.scores.evaluation import Evaluation
from telltale.scores.table import scored_detectors

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_LISTED = 8
Compared = Literal["detectors", "attacks"]


class ScoreFigures:
    """ROC curves and score densities of stored or freshly computed test scores.

    Parameters
    ----------
    table : pyarrow Table
        With the columns of `Bundle.scores`.
    shown : Shown
        Images to be marked, judged by the same detectors.
    """

    def __init__(self, table: pa.Table, shown: Shown = ()) -> None:
        self._table = table
        self._shown = shown

    def roc(
        self,
        detector: str | None = None,
        against: str = contests.EVERY_ATTACK,
        compare: Compared = "detectors",
        logarithmic: bool = False,
    ) -> go.Figure:
        """Return ROC curves, with the operating point and the image on that of `detector` against `against`.

        Parameters
        ----------
        detector : str, optional
            Registry name or ``"fused"``; the first one with scores where None.
        against : str
            An attack, ``"all attacks"`` or ``"natural errors"``.
        compare : {"detectors", "attacks"}
            Whether the curves are those of every detector and control against `against`, or of `detector` against
            everything.
        logarithmic : bool
            Whether the false-positive axis is logarithmic.

        Raises
        ------
        InputError
            If there are no scores of that name.
        """
        _checked(compare, ("detectors", "attacks"), "comparison")
        chosen = self._contest(detector, against)
        if compare == "detectors":
            names = (*scored_detectors(self._table), *controls_in(self._table))
            rivals = [contests.contest(self._table, name, against) for name in names]
        else:
            against_each = contests.opponents(self._table)
            rivals = [contests.contest(self._table, chosen.detector, name) for name in against_each]
        rivals = [item for item in rivals if item.possible]
        return scores.roc_curves(rivals, scores.areas_of(rivals), chosen, self._shown, logarithmic)

    def scores(self, detector: str | None = None, against: str = contests.EVERY_ATTACK) -> go.Figure:
        """Return the densities of the natural and the adversarial scores; arguments and errors as in `roc`."""
        return scores.score_densities(self._contest(detector, against), self._shown)

    def rates(self, detector: str | None = None, against: str = contests.EVERY_ATTACK) -> go.Figure:
        """Return catches and false alarms against the threshold; arguments and errors as in `roc`."""
        return scores.rates_against_threshold(self._contest(detector, against), self._shown)

    def _contest(self, detector: str | None, against: str) -> contests.Contest:
        scored = scored_detectors(self._table)
        name = _checked(scored[0] if detector is None else detector, scored, "scored detector")
        opponent = _checked(against, contests.opponents(self._table), "opponent")
        found = contests.contest(self._table, name, opponent)
        if not found.possible:
            raise InputError(f"There are no test scores of '{name}' against '{opponent}'.")
        return found


class BundleFigures(ScoreFigures):
    """Figures of a model and its detectors, before any image is looked at.

    Parameters
    ----------
    bundle : Bundle
    shown : Shown
        Images to be marked on the curves.
    """

    def __init__(self, bundle: Bundle, shown: Shown = ()) -> None:
        super().__init__(bundle.scores, shown)
        self._bundle = bundle

    def embedding(self, layer: str | None = None, method: str | None = None) -> go.Figure:
        """Return the training images on one layer's map.

        Parameters
        ----------
        layer : str, optional
            One of ``bundle.layers``; the last where None.
        method : str, optional
            One of ``bundle.maps``; the first where None.

        Raises
        ------
        InputError
            If there is no such layer or map.
        """
        return neighbours.layer_map(self._bundle, self._method(method), self._layer(layer))

    def density_map(self) -> go.Figure:
        """Return the training images' hidden states in two dimensions with one outline per class."""
        return density.class_map(self._bundle)

    def _layer(self, layer: str | None) -> int:
        layers = self._bundle.layers
        return layers.index(_checked(layers[-1] if layer is None else layer, layers, "layer"))

    def _method(self, method: str | None) -> str:
        known = [name for name in neighbours.MAPS if name in self._bundle.maps]
        return _checked(known[0] if method is None else method, known, "map")


class CaseFigures(BundleFigures):
    """Figures of one analysed image, or of a natural image beside its attacked version.

    Where two images are compared, `which` names one of ``"natural"``, ``"attacked"`` and, for maps, ``"difference"``;
    left out, the last of them is drawn.

    Parameters
    ----------
    bundle : Bundle
        The one that analysed the images.
    shown : Shown
    """

    def __init__(self, bundle: Bundle, shown: Shown) -> None:
        super().__init__(bundle, shown)
        self._names = tuple(name for name, _ in shown)

    def classes(self, which: str | None = None) -> go.Figure:
        """Return the likeliest classes of one image."""
        name = self._which(which, self._names)
        return verdicts.top_classes(dict(self._shown)[name], self._bundle.class_names, palette.IMAGE_COLOURS[name])

    def verdicts(self) -> go.Figure:
        """Return every detector's p-value, the fused verdict on top."""
        return verdicts.verdict_rows(self._shown)

    def response(self, which: str | None = None, locked: bool = True) -> go.Figure:
        """Return a feature response; `locked` keeps one colour scale for both images and their difference."""
        return self._drawn(which, responses.response_maps(self._responses(), locked))

    def entropy(self, which: str | None = None) -> go.Figure:
        """Return a map of the local entropy of the feature response."""
        return self._drawn(which, responses.entropy_maps(self._responses()))

    def mean_entropy(self) -> go.Figure:
        """Return the mean entropy beside the distributions over test images."""
        return responses.mean_entropy(self._table, self._responses())

    def trajectory(self, which: str | None = None, pivot: str | None = None, distance: str | None = None) -> go.Figure:
        """Return the distance to the image's class and to its rival over the layers.

        Parameters
        ----------
        which : str, optional
        pivot : {"centroid", "medoid"}, optional
        distance : {"l2", "cosine"}, optional
            The variant that the trajectory detector uses where left out.

        Raises
        ------
        InputError
            If there is no such image or variant.
        """
        variant = self._variant(pivot, distance)
        return self._drawn(which, trajectory.pivot_distances(self._shown, self._bundle.class_names, variant))

    def path(self, pivot: str | None = None, distance: str | None = None) -> go.Figure:
        """Return the distance to one class against that to its rival, layer by layer; see `trajectory`."""
        return trajectory.path(self._shown, self._bundle.class_names, self._variant(pivot, distance))

    def suspicion(self) -> go.Figure:
        """Return the LSTM's running suspicion over the layers."""
        return trajectory.suspicion(self._shown)

    def neighbours(
        self,
        layer: str | None = None,
        k: int = DEFAULT_LISTED,
        method: str | None = None,
        which: str | None = None,
    ) -> go.Figure:
        """Return a layer's map with the k nearest, most helpful and most harmful training images, and the image.

        Parameters
        ----------
        layer, method : str, optional
            As in `embedding`.
        k : int
            At least 1.
        which : str, optional
            Whose training images are marked.

        Raises
        ------
        InputError
            If there is no such layer, map or image, or k is below 1.
        """
        if k < 1:
            raise InputError(f"k must be an integer of at least 1, got {k}.")
        row, name = self._layer(layer), self._method(method)
        ids = neighbours.listed_ids(dict(self._shown)[self._which(which, self._names)], row, k)
        base = neighbours.layer_map(self._bundle, name, row)
        return neighbours.marked_map(base, self._bundle, self._shown, ids, name, row)

    def votes(self, layer: str | None = None, k: int = DEFAULT_LISTED) -> go.Figure:
        """Return the neighbours' votes: behind the kNN score, or of the k nearest on one layer.

        Parameters
        ----------
        layer : str, optional
            By name; where None, the kNN detector's own weighted votes.
        k : int
            How many of the nearest images of `layer` have one vote each; at least 1.

        Raises
        ------
        InputError
            If there is no such layer, or k is below 1.
        """
        names = self._bundle.class_names
        if layer is None:
            return neighbours.votes(self._shown, names)
        if k < 1:
            raise InputError(f"k must be an integer of at least 1, got {k}.")
        shares = neighbours.layer_votes(self._shown, len(names), self._layer(layer), k)
        return neighbours.vote_bars(shares, names)

    def stability(self) -> go.Figure:
        """Return the predicted class's margin as the image is, moved by one pixel, and mirrored."""
        return stability.transformed_margins(self._shown)

    def second_opinion(self) -> go.Figure:
        """Return the probabilities by the classifier and by its twin."""
        return twin.opinions(self._shown, self._bundle.class_names)

    def density(self) -> go.Figure:
        """Return the log density of the hidden state per class, against every class's thresholds."""
        return density.class_densities(self._shown, self._bundle.class_names)

    def density_map(self) -> go.Figure:
        """Return the class map of the hidden states with the image marked."""
        return density.marked_class_map(density.class_map(self._bundle), self._bundle, self._shown)

    def _responses(self) -> Found:
        return [(name, analysis.view(ResponseView)) for name, analysis in self._shown]

    def _variant(self, pivot: str | None, distance: str | None) -> Variant:
        view = self._shown[0][1].view(TrajectoryView)
        known = view.distances
        return (
            _checked(pivot or view.pivot, sorted({p for p, _ in known}), "pivot"),
            _checked(distance or view.distance, sorted({d for _, d in known}), "distance"),
        )

    def _drawn(self, which: str | None, figures: Mapping[str, go.Figure]) -> go.Figure:
        return figures[self._which(which, tuple(figures))]

    def _which(self, which: str | None, names: Sequence[str]) -> str:
        return _checked(self._names[-1] if which is None else which, names, "image")


@display.figures_of.register
def figures_of(analysis: Analysis) -> CaseFigures:
    """Return the figures of one image.

    Raises
    ------
    InputError
        If the bundle that analysed it is not at hand.
    """
    return CaseFigures(opened_bundle(analysis.bundle, analysis.bundle_id), ((ALONE, analysis),))


@display.figures_of.register
def figures_of_both(comparison: Comparison) -> CaseFigures:
    """Return the figures of a natural image beside its attacked version.

    Raises
    ------
    InputError
        If the bundle that analysed them is not at hand.
    """
    natural = comparison.natural
    shown = (("natural", natural), ("attacked", comparison.attacked))
    return CaseFigures(opened_bundle(natural.bundle, natural.bundle_id), shown)


@display.figures_of.register
def _(evaluation: Evaluation) -> ScoreFigures:
    return ScoreFigures(evaluation.scores)


@display.figures_of.register
def _(bundle: Bundle) -> BundleFigures:
    return BundleFigures(bundle)


def _checked(value: str, known: Sequence[str], what: str) -> str:
    if value not in known:
        raise InputError(f"There is no {what} '{value}'; there are {', '.join(known)}.")
    return value
