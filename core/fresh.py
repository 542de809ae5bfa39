"""Evaluation from scratch: the test images are attacked, traced and scored again, nothing stored is read."""

from __future__ import annotations

import numpy as np

from core.attacks.attack import attack_images
from core.bundle.model import LoadedBundle
from core.bundle.scoring import Versions, score_table
from core.errors import InputError
from core.evaluation import Evaluation, evaluate_table
from core.images import FloatImages


def evaluate_fresh(loaded: LoadedBundle) -> Evaluation:
    """Attack and score a bundle's test images now, with the attacks and parameters of its manifest.

    Parameters
    ----------
    loaded : LoadedBundle

    Raises
    ------
    InputError
        If the data set is not on this machine.
    """
    bundle = loaded.bundle
    image_set = bundle.image_set
    if image_set is None:
        raise InputError(bundle.data_problem or "The data set of this bundle is not on this machine.")
    ids = bundle.splits.test
    versions = [_natural(loaded, ids, image_set.images(ids), image_set.labels[ids])]
    correct = ids[versions[0].success]
    for entry in bundle.manifest.attacks:
        chosen = correct[: entry["test"]["images"]]
        images, labels = image_set.images(chosen), image_set.labels[chosen]
        result = attack_images(
            loaded.classifier, images, entry["name"], entry["parameters"], labels=labels, seed=bundle.manifest.seed
        )
        evidence = loaded.evidence(result.images)[0]
        norms = result.linf, result.l2, result.l0
        versions.append(Versions("test", entry["name"], chosen, labels, evidence, result.success, *norms))
    table = score_table(versions, loaded.detectors)
    return evaluate_table(table, bundle.name, bundle.manifest.notes["macro_attacks"], bundle.manifest.seed)


def _natural(
    loaded: LoadedBundle, ids: np.typing.NDArray[np.int64], images: FloatImages, labels: np.typing.NDArray[np.int64]
) -> Versions:
    evidence, zeros = loaded.evidence(images)[0], np.zeros(len(ids))
    return Versions("test", "", ids, labels, evidence, evidence.predictions == labels, zeros, zeros, zeros)
