"""What a classifier is made of, as JSON: enough to make it again around a file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telltale.base.errors import DamagedBundleError
from telltale.models.layers import Layer
from telltale.models.preprocess import BILINEAR, Interpolation, Side

SMALL_RESNET = "small_resnet"
EARLY_RESNET = "early_resnet"


@dataclass(frozen=True)
class ClassifierSpec:
    """A classifier without its weights. Mean and standard deviation of its input are kept with the weights.

    Attributes
    ----------
    factory : str
        Name of the registered function that makes the network; a reference to code where `code` is given.
    arguments : dict
        What it is called with; JSON.
    channels, height, width : int
        Shape of one image.
    classes : int
    layers : tuple of Layer or None
        What is traced; chosen anew where None.
    head : str or None
        As given to `wrap`.
    resize, crop : int or (int, int), optional
        See `Preprocess`.
    sha256 : str or None
        Of the weights (hexadecimal), which are compared with it when the classifier is made again.
    twin : ClassifierSpec or None
        Of `Classifier.twin`.
    code : str or None
        SHA-256 (hexadecimal) of the file with the code that `factory` leads to; see `telltale.models.code`.
    interpolation : {"bilinear", "bicubic"}
        See `Preprocess`.
    """

    factory: str
    arguments: dict[str, Any]
    channels: int
    height: int
    width: int
    classes: int
    layers: tuple[Layer, ...] | None = None
    head: str | None = None
    resize: Side | None = None
    crop: Side | None = None
    sha256: str | None = None
    twin: ClassifierSpec | None = None
    code: str | None = None
    interpolation: Interpolation = BILINEAR

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        layers = None if self.layers is None else [layer.to_json() for layer in self.layers]
        sides = {name: list(side) if isinstance(side, tuple) else side for name, side in self._sides().items()}
        raw = {**vars(self), "arguments": dict(self.arguments), "layers": layers, **sides}
        twin = raw.pop("twin")
        for name, usual in (("code", None), ("interpolation", BILINEAR)):  # what older versions do not know
            if raw[name] == usual:
                del raw[name]
        return raw if twin is None else raw | {"twin": twin.to_json()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ClassifierSpec:
        """Read `to_json`, or the fields by which older bundles describe a small residual network.

        Raises
        ------
        DamagedBundleError
            If it is neither.
        """
        try:
            if "factory" not in raw:
                return _of_older_bundle(**raw)
            layers = raw["layers"]
            found = None if layers is None else tuple(Layer.from_json(layer) for layer in layers)
            resize, crop = (tuple(side) if isinstance(side, list) else side for side in (raw["resize"], raw["crop"]))
            twin = None if raw.get("twin") is None else cls.from_json(raw["twin"])
            return cls(**{**raw, "layers": found, "resize": resize, "crop": crop, "twin": twin})
        except (TypeError, KeyError, ValueError) as error:
            raise DamagedBundleError(f"The bundle does not describe its network: {error}.") from error

    def _sides(self) -> dict[str, Side | None]:
        return {"resize": self.resize, "crop": self.crop}


def small_resnet_spec(
    channels: int, height: int, width: int, classes: int, base_width: int = 16, depth: int = 3
) -> ClassifierSpec:
    """Describe a `SmallResNet` for images of a shape; every block is a layer."""
    arguments = {"channels": channels, "classes": classes, "width": base_width, "depth": depth}
    blocks = [f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in range(1, depth + 1)]
    layers = (Layer("stem"), *(Layer(f"blocks.{block}", name=block) for block in blocks))
    return ClassifierSpec(SMALL_RESNET, arguments, channels, height, width, classes, layers)


def early_resnet_spec(
    channels: int, height: int, width: int, classes: int, base_width: int = 64, depth: int = 2
) -> ClassifierSpec:
    """Describe an `EarlyResNet` for images of a shape; every block is a layer, the whitened patches are none."""
    arguments = {"channels": channels, "classes": classes, "width": base_width, "depth": depth}
    counts = enumerate((1, 1, depth), start=1)
    parts = ((stage, ("entry", *(f"block{block}" for block in range(1, count + 1)))) for stage, count in counts)
    blocks = [f"stage{stage}_{part}" for stage, names in parts for part in names]
    layers = tuple(Layer(f"blocks.{block}", name=block) for block in blocks)
    return ClassifierSpec(EARLY_RESNET, arguments, channels, height, width, classes, layers)


def _of_older_bundle(**fields: int) -> ClassifierSpec:
    return small_resnet_spec(**fields)
