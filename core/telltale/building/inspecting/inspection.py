"""What was found out about a network and its images, as one record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from telltale.base.display import Displayed
from telltale.building.inspecting.cost import Estimate
from telltale.building.inspecting.mistakes import Accuracy
from telltale.building.inspecting.wording import plain_text
from telltale.models.class_names import ClassMap
from telltale.models.classifier import Classifier
from telltale.models.references import FoundModel


@dataclass(frozen=True, repr=False)
class Inspection(Displayed):
    """A network, looked at on some images; printed, or as the last line of a notebook's cell, it says what was found.

    Attributes
    ----------
    name : str
        Of the bundle that it may become.
    model : FoundModel
    classifier : Classifier
    source : str or None
        Of the images; None where there are none.
    images : int
        How many were read.
    split : str or None
        Of the data, from which they were read; None where the data have no splits.
    classes : ClassMap
    classes_held : dict of str to (int, int)
        Images of every class of the data, and how many of them are in no split that the data hold out themselves.
    damaged : tuple of str
        Files that cannot be read.
    accuracies : tuple of Accuracy
        The stated preprocessing first; none where the images have no labels.
    layers : tuple of (str, int)
        Traced layers in the order in which they run, and their widths.
    rectifiers : int
        How many the guided pass guides.
    not_guided : tuple of str
        Other activation functions among the network's modules, which it passes as they are.
    largest_gradient : float
        Of the largest logit with respect to a pixel.
    estimate : Estimate or None
        Of a build; None where it was not asked for.
    warnings : tuple of str
        Sentences about what is probably wrong, the gravest first.
    trained_on : bool or None
        Whether the network has learned from the data; None where nobody says.
    """

    name: str
    model: FoundModel
    classifier: Classifier
    source: str | None
    images: int
    split: str | None
    classes: ClassMap
    classes_held: dict[str, tuple[int, int]]
    damaged: tuple[str, ...]
    accuracies: tuple[Accuracy, ...]
    layers: tuple[tuple[str, int], ...]
    rectifiers: int
    not_guided: tuple[str, ...]
    largest_gradient: float
    estimate: Estimate | None
    warnings: tuple[str, ...]
    trained_on: bool | None = None

    def __repr__(self) -> str:
        return plain_text(self.to_json(), self.accuracies)

    def class_name(self, output: int) -> str:
        """Return what an output is called."""
        names = self.classifier.class_names
        return str(output) if names is None else names[output]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        head = self.classifier.head
        preprocess = self.classifier.preprocess
        return {
            "name": self.name,
            "model": self.model.reference,
            "arguments": self.model.arguments,
            "code_sha256": self.model.code,
            "weights": None if self.model.weights is None else str(self.model.weights),
            "weights_sha256": self.model.weights_sha256,
            "remarks": list(self.model.remarks),
            "input_shape": list(self.classifier.input_shape),
            "preprocess": asdict(preprocess),
            "data": self.source,
            "trained_on": self.trained_on,
            "images": self.images,
            "split": self.split,
            "damaged": list(self.damaged),
            "accuracies": [asdict(accuracy) for accuracy in self.accuracies],
            "classes": {folder: [output, self.class_name(output)] for folder, output in self.classes.outputs.items()},
            "unmatched": list(self.classes.unmatched),
            "ambiguous": {folder: list(outputs) for folder, outputs in self.classes.ambiguous.items()},
            "outputs": self.classifier.classes,
            "layers": [[name, width] for name, width in self.layers],
            "head": None if head is None else list(head.weights.shape),
            "head_problem": self.classifier.head_problem,
            "largest_gradient": self.largest_gradient,
            "rectifiers": self.rectifiers,
            "not_guided": list(self.not_guided),
            "estimate": None if self.estimate is None else asdict(self.estimate),
            "warnings": list(self.warnings),
        }
