"""Evaluation from scratch: images are attacked, traced and scored again, no stored score is read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from telltale.analysis.opened import LoadedBundle
from telltale.base.errors import InputError
from telltale.base.processes import Processes
from telltale.base.progress import Progress, part
from telltale.building.attacking import attack_splits, chosen_ids
from telltale.building.collecting import Collector
from telltale.building.fitting import Examples, choose_detectors, readable
from telltale.building.scoring import score_versions
from telltale.building.versions import Versions
from telltale.bundle.bundle import REFERENCE_FILE, SPLITS_FILE, WEIGHTS_FILE
from telltale.bundle.fitted import FittedFiles, ReferenceFiles
from telltale.bundle.manifest import Manifest
from telltale.data.image_set import ImageSet
from telltale.recipes import AttackPlan
from telltale.scores.evaluation import Evaluation, evaluate_table


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
    settings = {name: detector.settings.values() for name, detector in loaded.detectors.items()}
    fitted = FittedFiles.of(reference_files(loaded, loaded.bundle.folder), settings)
    with TemporaryDirectory() as kept, Processes() as processes:
        work = _Work.of(loaded, Path(kept), processes)
        versions = work.observe({"test": plans or stored_plans(loaded.bundle.manifest)}, part(progress, 0.0, 0.85))
        return work.evaluate(versions, fitted, part(progress, 0.85, 1.0), calibration=loaded.bundle.scores)


def evaluate_unseen(loaded: LoadedBundle, seen: Sequence[str], progress: Progress) -> Evaluation:
    """Fit all detectors and their fusion anew to some attacks alone, and judge them by every attack of the bundle.

    Parameters
    ----------
    loaded : LoadedBundle
    seen : sequence of str
        Names of the attacks that detectors are shown, with the manifest's parameters.
    progress : callable
        Told the fraction done and what is being done.

    Returns
    -------
    Evaluation
        `Evaluation.macro_auc` is over the attacks that were not shown.

    Raises
    ------
    InputError
        If the bundle knows no such attack, all are shown, or the data set is not on this machine.
    """
    plans = stored_plans(loaded.bundle.manifest)
    known = [plan.name for plan in plans]
    for name in seen:
        if name not in known:
            raise InputError(f"Bundle '{loaded.bundle.name}' holds no attack '{name}'; it holds {', '.join(known)}.")
    unseen = [name for name in known if name not in seen]
    if not seen or not unseen:
        raise InputError("Name at least one attack that detectors are shown, and leave at least one out.")
    shown = [plan for plan in plans if plan.name in seen]
    with TemporaryDirectory() as kept, Processes() as processes:
        work = _Work.of(loaded, Path(kept), processes)
        versions = work.observe({"fit": shown, "test": plans}, part(progress, 0.0, 0.5))
        fitted = work.fit([v for v in versions if v.split == "fit"], tuple(seen), part(progress, 0.5, 0.85))
        judged = [v for v in versions if v.split == "test"]
        return work.evaluate(judged, fitted, part(progress, 0.85, 1.0), unseen)


def stored_plans(manifest: Manifest) -> list[AttackPlan]:
    """Return the attacks behind a bundle, with as many images as they were run on."""
    return [
        AttackPlan(e["name"], e["fit"]["images"], e["test"]["images"], e["parameters"], e.get("random_target", False))
        for e in manifest.attacks
    ]


@dataclass(frozen=True)
class _Work:
    """A bundle's network and images, and a folder that is removed in the end."""

    loaded: LoadedBundle
    image_set: ImageSet
    folder: Path
    processes: Processes

    @classmethod
    def of(cls, loaded: LoadedBundle, folder: Path, processes: Processes) -> _Work:
        return cls(loaded, loaded.bundle.require_images(), folder, processes)

    def observe(self, plans: Mapping[str, Sequence[AttackPlan]], progress: Progress) -> list[Versions]:
        """Trace the natural images of every split named, attack the correctly classified ones, and trace these."""
        loaded, bundle = self.loaded, self.loaded.bundle
        weights, collect = bundle.path(WEIGHTS_FILE), self._collector()
        splits = [(split, getattr(bundle.splits, split)) for split in plans]
        natural = collect.natural(splits, part(progress, 0.0, 0.12))
        correct = {versions.split: versions.ids[versions.success] for versions in natural}
        wanted = [(split, plan) for split, chosen in plans.items() for plan in chosen]
        seed, own = bundle.manifest.seed, bundle.own
        settings = {name: detector.settings.values() for name, detector in loaded.detectors.items()}
        found = attack_splits(
            loaded.classifier,
            weights,
            self.image_set,
            [
                (plan, chosen_ids(self.image_set.labels, correct[split], getattr(plan, split), seed, own))
                for split, plan in wanted
            ],
            seed,
            self.folder / "attacks",
            self.processes,
            part(progress, 0.12, 0.94),
            FittedFiles.of(reference_files(loaded, bundle.folder), settings),
        )
        groups = [(split, images) for (split, _), images in zip(wanted, found, strict=True)]
        return [*natural, *collect.attacked(groups, part(progress, 0.94, 1.0))]

    def _collector(self) -> Collector:
        weights = self.loaded.bundle.path(WEIGHTS_FILE)
        return Collector(self.loaded.classifier, weights, self.image_set, self.folder / "observed", self.processes)

    def fit(self, versions: Sequence[Versions], attacks: tuple[str, ...], progress: Progress) -> FittedFiles:
        """Choose and fit every detector on these versions and on shifted ones, beside a copy of the reference set."""
        files = reference_files(self.loaded, self.folder / "model")
        files.folder.mkdir()
        for name in (SPLITS_FILE, REFERENCE_FILE):
            shutil.copyfile(self.loaded.bundle.path(name), files.folder / name)
        (natural,) = (v for v in versions if not v.attack)
        correct = natural.ids[natural.success]
        shifted = self._collector().shifted(correct, self.loaded.bundle.manifest.seed, part(progress, 0.0, 0.1))
        examples, choosing = Examples.of(versions, shifted), part(progress, 0.1, 1.0)
        chosen = choose_detectors(files, examples, attacks, self.processes, choosing)
        return FittedFiles.of(files, {name: chosen[name]["parameters"] for name in readable(files)})

    def evaluate(
        self,
        versions: Sequence[Versions],
        fitted: FittedFiles,
        progress: Progress,
        macro_attacks: Sequence[str] | None = None,
        calibration: pa.Table | None = None,
    ) -> Evaluation:
        """Score test versions and evaluate the scores; `calibration` holds those of the calibration split."""
        table = score_versions(versions, fitted, self.folder / "scores", self.processes, progress)
        manifest = self.loaded.bundle.manifest
        macro = macro_attacks or manifest.notes["macro_attacks"]
        return evaluate_table(table, self.loaded.bundle.name, macro, manifest.seed, calibration=calibration)


def reference_files(loaded: LoadedBundle, folder: Path) -> ReferenceFiles:
    """Return where to find a bundle's reference set in a folder, its own or a copy."""
    missing = tuple(loaded.reference.missing.items())
    return ReferenceFiles(folder, loaded.bundle.layers, len(loaded.bundle.class_names), missing)
