"""The black-box experiment of Zheng & Hong (2018): FGSM made on model E, shown to model F and its I-defender."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch

from telltale.attacks.transfer import transfer_images
from telltale.base.places import cache_folder
from telltale.base.progress import Progress, part
from telltale.data.image_set import ImageSet
from telltale.data.splits import Splits, SplitSizes
from telltale.detectors.base import Labels
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace
from telltale.scores.metrics import auc
from telltale.studies.tables import hidden_states, mnist_models
from telltale.studies.tables.hidden_states import VARIANTS, Judge, Known, StateForm, fit_states
from telltale.studies.tables.mnist_models import LINEAR_STATE, STATE, trained

EPSILONS = (0.1, 0.15, 0.2, 0.25, 0.3)
SIZES = SplitSizes(fit=2000, calibration=3000, test=10_000)
FORMS = tuple(
    StateForm(layer, unit, dimensions)
    for layer in (STATE, LINEAR_STATE)
    for unit in (False, True)
    for dimensions in (128, 512)
)
SEED = 0
AT_ONCE = 200

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shown:
    """What model F makes of natural images and of their attacked versions.

    Attributes
    ----------
    labels : array of int64, shape (n,)
        True classes.
    natural : Trace of the n images
    attacked : mapping of float to Trace
        By ε; of all n images, also of those that F had got wrong and of those that F still gets right.
    """

    labels: Ids
    natural: Trace
    attacked: Mapping[float, Trace]

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which natural images F gets right, shape (n,)."""
        return np.asarray(self.natural.predictions == self.labels)

    def fooled(self, eps: float) -> npt.NDArray[np.bool_]:
        """Which images F gets right in their natural version and wrong in the attacked one, shape (n,)."""
        return np.asarray(self.correct & (self.attacked[eps].predictions != self.labels))


@dataclass(frozen=True)
class Chosen:
    """The I-defender that did best on validation images.

    Attributes
    ----------
    judge : Judge
    variant : str
    quality : float
        Mean AUC over all ε on the validation images.
    """

    judge: Judge
    variant: str
    quality: float


@dataclass(frozen=True)
class BlackBox:
    """Models E and F on one data set, with everything that is fitted to them.

    Attributes
    ----------
    image_set : ImageSet
    folder : Path
        Where weights and mixtures are kept.
    images : int or None
        Largest number of images attacked per split.
    progress : callable
    sizes : SplitSizes
    forms : sequence of StateForm
        Hidden states that compete.
    """

    image_set: ImageSet
    folder: Path
    images: int | None
    progress: Progress
    sizes: SplitSizes = SIZES
    forms: Sequence[StateForm] = FORMS
    _known: dict[StateForm, dict[str, float]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def on(cls, image_set: ImageSet, images: int | None, progress: Progress) -> BlackBox:
        """Keep what is trained where other data or other code never meet it."""
        seen = [image_set.fingerprint, image_set.own_test, astuple(SIZES), torch.__version__, _code(mnist_models)]
        key = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
        return cls(image_set, cache_folder() / "reproduce" / f"black-box-{key}", images, progress)

    @cached_property
    def splits(self) -> Splits:
        """Training, validation (fit), calibration and test images."""
        return Splits.draw_within(self.image_set.labels, self.sizes, SEED, self.image_set.own_test)

    @cached_property
    def substitute(self) -> Classifier:
        """Model E, the attacker's; trained on the same images, as in the paper."""
        return self._model("E", part(self.progress, 0.0, 0.05))

    @cached_property
    def classifier(self) -> Classifier:
        """Model F, the one that is attacked."""
        return self._model("F", part(self.progress, 0.05, 0.3))

    @cached_property
    def judges(self) -> tuple[Judge, ...]:
        """One I-defender per form of the hidden state."""
        calibration, classes = self._trace("calibration"), len(self.image_set.class_names)
        found = []
        for done, form in enumerate(self.forms):
            self.progress(0.35 + 0.4 * done / len(self.forms), f"Fitting mixtures to {form.label}")
            file = self.folder / f"states-{_code(hidden_states)[:8]}" / f"{form.label}.safetensors"
            model = fit_states(form, lambda: self._training, lambda: self._held_out, classes, SEED, file)
            found.append(Judge.of(model, calibration))
        return tuple(found)

    @cached_property
    def chosen(self) -> Chosen:
        """The form and variant with the best mean AUC on the validation images."""
        return self._best(self.judges)

    @cached_property
    def after_relu(self) -> Chosen:
        """The best among the forms that take the input of the last linear layer as it is."""
        return self._best(
            [judge for judge in self.judges if judge.model.form.layer == STATE and not judge.model.form.unit]
        )

    @cached_property
    def validation(self) -> Shown:
        """Attacked validation images: they choose, and are never reported."""
        return self.show("fit", EPSILONS)

    def show(self, split: str, epsilons: Sequence[float]) -> Shown:
        """Attack images of a split on E with FGSM, whatever F says of them, and show them to F on the 8-bit grid."""
        ids = getattr(self.splits, split)[: self.images]
        images, labels = self.image_set.images(ids), self.image_set.labels[ids]
        attacked = {}
        for done, eps in enumerate(epsilons):
            self.progress(0.75 + 0.2 * done / len(epsilons), f"Attacking {split} images with FGSM, ε = {eps:g}")
            made = transfer_images(
                self.substitute, self.classifier, images, "fgsm", {"eps": eps}, labels, seed=SEED, batch_size=AT_ONCE
            )
            attacked[eps] = self.classifier.trace(made.images)
        return Shown(np.array(labels), self.classifier.trace(images), attacked)

    def _model(self, model: mnist_models.ModelName, progress: Progress) -> Classifier:
        shape, classes = self.image_set.pixels.shape[1:], len(self.image_set.class_names)
        ids = self.splits.train
        pixels, labels = self.image_set.pixels[ids], self.image_set.labels[ids]
        return trained(model, shape, classes, pixels, labels, SEED, self.folder / f"{model}.safetensors", progress)

    @cached_property
    def _training(self) -> Known:
        return self._trace("train"), self.image_set.labels[self.splits.train]

    @cached_property
    def _held_out(self) -> Known:
        return self._trace("fit"), self.image_set.labels[self.splits.fit]

    def _trace(self, split: str) -> Trace:
        return self.classifier.trace(self.image_set.images(getattr(self.splits, split)))

    def _best(self, judges: Sequence[Judge]) -> Chosen:
        found = [
            Chosen(judge, variant, quality) for judge in judges for variant, quality in self._qualities(judge).items()
        ]
        return max(found, key=lambda one: one.quality)

    def _qualities(self, judge: Judge) -> dict[str, float]:
        if judge.model.form not in self._known:
            self._known[judge.model.form] = quality(judge, self.validation)
        return self._known[judge.model.form]


def quality(judge: Judge, shown: Shown) -> dict[str, float]:
    """Return the mean AUC over all ε by variant, natural images that F gets right against those that fool it."""
    natural = judge.scores(shown.natural)
    found: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for eps, trace in shown.attacked.items():
        fooled = shown.fooled(eps)
        if fooled.any():
            attacked = judge.scores(trace)
            for variant, values in found.items():
                values.append(auc(natural[variant][shown.correct], attacked[variant][fooled]))
    return {variant: float(np.mean(values)) if values else 0.5 for variant, values in found.items()}


def _code(module: ModuleType) -> str:
    return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()


def labels_of(natural: Ids, attacked: Ids) -> Labels:
    """Return what is known about natural images followed by attacked ones, given the images' numbers."""
    adversarial = np.repeat([False, True], [len(natural), len(attacked)])
    return Labels(adversarial, np.where(adversarial, "fgsm", ""), np.concatenate([natural, attacked]))
