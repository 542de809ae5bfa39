"""Evaluation from scratch: the test images are attacked, traced and scored again, nothing stored is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from core.bundle.attacking import attack_splits
from core.bundle.bundle import WEIGHTS_FILE
from core.bundle.collecting import Collector
from core.bundle.fitted import FittedFiles, ReferenceFiles
from core.bundle.manifest import Manifest
from core.bundle.model import LoadedBundle
from core.bundle.processes import Processes, part
from core.bundle.scoring import score_versions
from core.errors import InputError
from core.evaluation import Evaluation, evaluate_table
from core.models.training import Progress
from core.recipes import AttackPlan


def evaluate_fresh(loaded: LoadedBundle, progress: Progress, plans: Sequence[AttackPlan] = ()) -> Evaluation:
    """Attack and score a bundle's test images now.

    Parameters
    ----------
    loaded : LoadedBundle
    progress : callable
        Told the fraction done and what is being done.
    plans : sequence of AttackPlan
        Attacks to run on the first `AttackPlan.test` correctly classified images; those of the manifest with their
        parameters where left out.

    Raises
    ------
    InputError
        If the data set is not on this machine.
    """
    bundle = loaded.bundle
    image_set, manifest = bundle.image_set, bundle.manifest
    if image_set is None:
        raise InputError(bundle.data_problem or "The data set of this bundle is not on this machine.")
    settings = {name: dict(detector.settings) for name, detector in loaded.detectors.items()}
    reference = ReferenceFiles(bundle.folder, bundle.layers, len(bundle.class_names))
    fitted = FittedFiles.of(reference, settings)
    with TemporaryDirectory() as kept, Processes() as processes:
        folder = Path(kept)
        weights = bundle.path(WEIGHTS_FILE)
        collect = Collector(loaded.classifier, weights, image_set, folder / "observed", processes)
        (natural,) = collect.natural([("test", bundle.splits.test)], part(progress, 0.0, 0.1))
        correct = bundle.splits.test[natural.success]
        wanted = [(plan, correct[: plan.test]) for plan in plans or _stored_plans(manifest)]
        found = attack_splits(
            loaded.classifier,
            weights,
            image_set,
            wanted,
            manifest.seed,
            folder / "attacks",
            processes,
            part(progress, 0.1, 0.8),
            fitted,
        )
        attacked = collect.attacked([("test", images) for images in found], part(progress, 0.8, 0.85))
        versions = [natural, *attacked]
        table = score_versions(versions, fitted, folder / "scores", processes, part(progress, 0.85, 1.0))
    return evaluate_table(table, bundle.name, manifest.notes["macro_attacks"], manifest.seed)


def _stored_plans(manifest: Manifest) -> list[AttackPlan]:
    return [
        AttackPlan(e["name"], 0, e["test"]["images"], e["parameters"], e.get("random_target", False))
        for e in manifest.attacks
    ]
