"""From a known network and a folder of classes to a file: a new head, and perhaps the last blocks with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from telltale.base.errors import InputError
from telltale.base.origin import code_sha256
from telltale.base.progress import Progress, part
from telltale.building.fine_tuning.blocks import BlockTraining, last_parameters
from telltale.building.fine_tuning.features import find_features
from telltale.building.fine_tuning.head_fit import FittedHead, fit_new_head
from telltale.building.fine_tuning.learning import LearningImages, check_training_folder, learning_images
from telltale.building.inspecting.inspect import Stated, wrap_model
from telltale.building.inspecting.pictures import read_pictures
from telltale.data.image_set import ImageSet
from telltale.data.sources import lasting_source, load_image_set
from telltale.models.classifier import Classifier, arrays_sha256
from telltale.models.fine_tuned import Learned, write_fine_tuned
from telltale.models.new_heads import replaced_head
from telltale.models.references import FoundModel
from telltale.models.training import Checkpoint
from telltale.models.weights import in_fast_layout
from telltale.models.wrapping import wrap

SAMPLE = 20  # pictures whose size says which the network takes, where nothing else does
EPOCHS = 6
SEED = 0
AT_ONCE = 64


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network.

    Attributes
    ----------
    file : Path
    learned : Learned
    classes : int
    penalty : float
        Of the head that was fitted: lambda of its L2 penalty.
    copies : int
        Of every training image, that it was fitted to.
    head_loss, head_accuracy : float
        Of validation images, with that head alone: mean cross-entropy in nats, and the share that is read correctly.
    epoch : int
        After which the last blocks were best on validation; 0 where the head alone is.
    loss : float
        Of validation images with what was kept.
    test_images : int
    test_accuracy : float
    """

    file: Path
    learned: Learned
    classes: int
    penalty: float
    copies: int
    head_loss: float
    head_accuracy: float
    epoch: int
    loss: float
    test_images: int
    test_accuracy: float


def fine_tune(
    model: FoundModel,
    data: str,
    file: Path,
    stated: Stated | None = None,
    *,
    blocks: int = 0,
    epochs: int = EPOCHS,
    progress: Progress,
) -> Tuned:
    """Replace a network's final linear layer by one for a folder's classes, and let it learn them.

    The head is fitted on cached features. With blocks, the last of them learn then for some epochs, and the epoch is
    kept that reads validation images with the least loss, the head alone among them. What was stopped goes on after its
    last pass or epoch.

    Parameters
    ----------
    model : FoundModel
    data : str
        What `telltale.data.sources.load_image_set` takes, with labels; see `LearningImages`.
    file : Path
        ``.safetensors``, which `telltale.models.references.find_model` reads.
    stated : Stated, optional
        What the model itself does not say: size, preprocessing, which output are the logits.
    blocks : int
        How many of the last blocks learn beside the head.
    epochs : int
        Of the blocks.
    progress : callable
        Told the fraction done and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the network has no linear head or fewer blocks, or the images cannot be learned from.
    """
    progress(0.0, "Looking at the network")
    known = _wrapped(model, stated or Stated(), data)
    if blocks:
        last_parameters(known, blocks)  # too many are refused before anything is computed
    check_training_folder(data)
    image_set = _read(known, data, part(progress, 0.0, 0.05))
    images = learning_images(image_set, data)
    work = _Work(file, [image_set.fingerprint, arrays_sha256(known.arrays()), *_drawn(images)])
    end = 0.45 if blocks else 0.9
    found = find_features(
        known,
        image_set,
        images.training,
        images.validation,
        work.checkpoint("features"),
        part(progress, 0.05, end),
    )
    labels, names = image_set.labels, image_set.class_names
    told = part(progress, end, end + 0.05)
    fitted = fit_new_head(found, labels[images.training], labels[images.validation], len(names), told)
    classifier = _with_head(known, fitted, names)
    kept = (fitted.loss, fitted.accuracy, 0)
    if blocks:
        checkpoint = work.checkpoint("blocks", blocks, epochs, fitted.head.damping, fitted.copies)
        kept = _train_blocks(classifier, image_set, images, blocks, epochs, checkpoint, part(progress, 0.5, 0.95))
    loss, accuracy, epoch = kept
    progress(0.95, "Measuring the accuracy")
    learned = Learned(
        model.reference,
        lasting_source(data),
        image_set.fingerprint,
        len(images.training),
        blocks if epoch else 0,
        len(images.validation),
        accuracy,
    )
    write_fine_tuned(file, classifier, learned)
    tuned = Tuned(
        file,
        learned,
        len(names),
        fitted.head.damping,
        fitted.copies,
        fitted.loss,
        fitted.accuracy,
        epoch,
        loss,
        len(images.test),
        _accuracy(classifier, image_set, images),
    )
    work.clear()
    progress(1.0, "Done")
    return tuned


@dataclass(frozen=True)
class _Work:
    """What an unfinished fine-tuning keeps beside the file that it will write."""

    file: Path
    known: list[object]

    def checkpoint(self, stage: str, *chosen: object) -> Checkpoint:
        """Return where a stage keeps what it has finished."""
        code = code_sha256("building/fine_tuning", "models", "evidence")
        choices = json.dumps([stage, *chosen, *self.known, torch.__version__, code])
        return Checkpoint(self.file, hashlib.sha256(choices.encode()).hexdigest()[:16])

    def clear(self) -> None:
        """Forget what was kept: everything is finished."""
        self.checkpoint("").remove()


def _wrapped(model: FoundModel, stated: Stated, data: str) -> Classifier:
    sized = stated.size or stated.preprocess or model.preprocess or model.size
    classifier = wrap_model(model, stated, None if sized else read_pictures(data, SAMPLE), named=False)
    if classifier.plan.linear is None:
        raise InputError(f"'{model.reference}' has no head that could be replaced. {classifier.head_problem}")
    return in_fast_layout(classifier)


def _read(known: Classifier, data: str, progress: Progress) -> ImageSet:
    progress(0.0, f"Reading {data}")
    return load_image_set(data, sizing=known.preprocess.sizing(known.input_shape[0]), progress=progress)


def _drawn(images: LearningImages) -> list[object]:
    return [hashlib.sha256(ids.tobytes()).hexdigest() for ids in (images.training, images.validation)]


def _with_head(known: Classifier, fitted: FittedHead, names: tuple[str, ...]) -> Classifier:
    path = known.plan.linear
    assert path is not None
    network = replaced_head(known.network, path, len(names))
    linear = network.get_submodule(path)
    assert isinstance(linear, torch.nn.Linear)
    weights = torch.from_numpy(fitted.head.weights.astype(np.float32))
    with torch.no_grad():
        linear.weight.copy_(weights[:, :-1])
        linear.bias.copy_(weights[:, -1])
    channels, *size = known.input_shape
    classifier = wrap(
        network,
        classes=list(names),
        size=(size[0], size[1]),
        preprocess=known.preprocess,
        head=known.plan.chosen_head,
        channels=channels,
    )
    return in_fast_layout(classifier)


def _train_blocks(
    classifier: Classifier,
    image_set: ImageSet,
    images: LearningImages,
    blocks: int,
    epochs: int,
    checkpoint: Checkpoint,
    progress: Progress,
) -> tuple[float, float, int]:
    """Return loss and accuracy on validation, and the epoch that has them."""
    run = BlockTraining(classifier, image_set, images.training, images.validation, blocks, epochs, SEED)
    count = len(images.training)
    for epoch in range(checkpoint.resume(run), epochs):
        words = f"Training the last blocks, epoch {epoch + 1} of {epochs}; best on validation {run.accuracy:.1%}"
        run.epoch(lambda done, epoch=epoch, words=words: progress((epoch + done / count) / epochs, words))  # type: ignore[misc]
        checkpoint.keep(run, epoch + 1)
    run.finish()
    return run.loss, run.accuracy, run.best_epoch


def _accuracy(classifier: Classifier, image_set: ImageSet, images: LearningImages) -> float:
    right = 0
    for start in range(0, len(images.test), AT_ONCE):
        ids = images.test[start : start + AT_ONCE]
        right += int((classifier.logits_of(image_set.images(ids)).argmax(1) == image_set.labels[ids]).sum())
    return right / len(images.test)
