"""Choosing the detectors' settings and fitting them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.files import load_arrays, load_json, load_one_array, save_arrays, save_json, whole
from telltale.base.parameters import ParameterValue
from telltale.base.processes import Processes, Work
from telltale.base.progress import Progress, counted
from telltale.building.versions import Versions, labels_of
from telltale.bundle.bundle import REFERENCE_FILE
from telltale.bundle.fitted import ReferenceFiles, detector_file, save_detectors
from telltale.detectors.base import Detector, Labels, macro_auc
from telltale.detectors.fusion import FUSED, Fusion
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.registry import DETECTORS, get_detector
from telltale.evidence.evidence import Evidence
from telltale.evidence.margins import logit_margins
from telltale.evidence.readings import Readings
from telltale.models.trace import Trace

COMPANIONS = "companions"


@dataclass(frozen=True)
class Selected:
    """A fitted detector and how its settings were chosen.

    Attributes
    ----------
    detector : Detector
    selected_by : str
        In words, with the figure.
    """

    detector: Detector
    selected_by: str


@dataclass(frozen=True)
class Examples:
    """What detectors are fitted on: natural images of the fit split, as they are and shifted, and attacks on them.

    Attributes
    ----------
    trace : Trace of n images
    readings : Readings of the n images
    labels : Labels
    error_trace : Trace of m misclassified natural images of the same split
    error_readings : Readings of the m images
    """

    trace: Trace
    readings: Readings
    labels: Labels
    error_trace: Trace
    error_readings: Readings

    @classmethod
    def of(cls, versions: Sequence[Versions], shifted: Versions | None = None) -> Examples:
        """Join the versions of one split: its natural images, the attacks on them, and perhaps the same images shifted.

        Shifted images count as natural: a detector that takes noise or compression for an attack is wrong. Those that
        are misread for it are left out.
        """
        (natural,) = (v for v in versions if not v.attack)
        errors = natural.take(np.flatnonzero(~natural.success))
        kept = [v.succeeded() for v in (*versions, *([] if shifted is None else [shifted]))]
        return cls(
            Trace.concatenate([v.trace for v in kept]),
            Readings.concatenate([v.readings for v in kept]),
            labels_of(kept),
            errors.trace,
            errors.readings,
        )


@dataclass(frozen=True)
class _DetectorJob:
    name: str
    reference: ReferenceFiles
    examples: Examples
    macro_attacks: tuple[str, ...]


def choose_detectors(
    reference: ReferenceFiles,
    examples: Examples,
    macro_attacks: tuple[str, ...],
    processes: Processes,
    progress: Progress,
    beside: Work[Any] | None = None,
    wanted: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Choose every registered detector's settings on the fit split and fit it there.

    Without attacked images nothing can be compared: detectors that need none are fitted with their defaults, and
    nothing fuses them.

    Parameters
    ----------
    reference : ReferenceFiles
        Its folder receives the detectors; those that are there already are not fitted again.
    examples : Examples
        With or without attacked images.
    macro_attacks : tuple of str
        Attacks over whose held-out macro-AUC settings are compared.
    processes : Processes
    progress : callable
    wanted : sequence of str
        Detectors that are fitted; all where empty.
    beside : Work, optional
        Done as soon as processes have nothing else to do: one detector takes longer than all others.

    Returns
    -------
    dict of str to dict
        ``{"parameters", "selected_by"}`` per detector, ``{"owner", "parameters"}`` per companion under `COMPANIONS`,
        and ``{"selected_by", "errors"}`` of the fusion, where there is one.
    """
    attacked = bool(examples.labels.adversarial.any())
    known = readable(reference, wanted, attacked)
    files = {name: reference.folder / f"{name}.json" for name in known}
    # Neighbours on every layer take longest.
    names = sorted(known, key=lambda name: name != KnnScoreDetector.name)
    jobs = [_DetectorJob(name, reference, examples, macro_attacks) for name in names if not files[name].exists()]
    choosing = Work(_choose, jobs, counted(progress, "Choosing the settings of the detectors", len(jobs)))
    processes.run(choosing, *([] if beside is None else [beside]))
    chosen = {name: load_json(file) for name, file in files.items()}
    beside_them = [chosen[name].pop(COMPANIONS) for name in known]
    companions = {name: entry for found in beside_them for name, entry in found.items()}
    fused = {FUSED: _fuse(known, reference.folder, examples, macro_attacks)} if attacked else {}
    return chosen | {COMPANIONS: companions} | fused


def readable(reference: ReferenceFiles, wanted: Sequence[str] = (), attacked: bool = True) -> tuple[str, ...]:
    """Return the detectors, all or those that are wanted, that find all the evidence that they read.

    Parameters
    ----------
    reference : ReferenceFiles
    wanted : sequence of str
    attacked : bool
        Whether there are attacked images to learn from.

    Raises
    ------
    InputError
        If a wanted one is not known, or none is left.
    """
    missing = {kind for kind, _ in reference.missing}
    asked = {name: get_detector(name) for name in wanted} or DETECTORS
    short = lacking_detectors(reference)
    found = tuple(
        name
        for name, kind in DETECTORS.items()
        if name in asked and name not in short and not missing & set(kind.reads)
    )
    if not found:
        reasons = [short[name] for name in asked if name in short]
        raise InputError(" ".join(["No detector finds the evidence that it reads in this reference set.", *reasons]))
    return found if attacked else tuple(name for name in found if not DETECTORS[name].needs_attacks)


def lacking_detectors(reference: ReferenceFiles) -> dict[str, str]:
    """Return the detectors for which the reference images are too few, each with a sentence.

    Those that miss a whole kind of evidence are not among them: the kind says what it lacks.
    """
    labels = load_one_array(reference.folder / REFERENCE_FILE, "labels")
    missing = {kind for kind, _ in reference.missing}
    problems = {name: kind.lacks(labels) for name, kind in DETECTORS.items() if not missing & set(kind.reads)}
    return {name: problem for name, problem in problems.items() if problem is not None}


def _fuse(known: Sequence[str], folder: Path, examples: Examples, macro_attacks: tuple[str, ...]) -> dict[str, Any]:
    """Fit the fusion to the detectors' held-out scores and write it beside them."""
    kept = {name: load_arrays(folder / _held_out_file(name)) for name in known}
    scores, errors = ({name: arrays[key] for name, arrays in kept.items()} for key in ("held_out", "errors"))
    margins = tuple(logit_margins(t.logits, t.predictions) for t in (examples.trace, examples.error_trace))
    fusion, selected_by = Fusion.fit(scores, examples.labels, errors, macro_attacks, (margins[0], margins[1]))
    with whole(folder / detector_file(FUSED)) as partial:
        save_arrays(partial, fusion.arrays())
    return {"selected_by": selected_by, "errors": len(examples.error_trace)}


def _held_out_file(name: str) -> str:
    return f"{name}-held-out.safetensors"


def _choose(job: _DetectorJob) -> None:
    examples, folder = job.examples, job.reference.folder
    evidence = Evidence(job.reference.read(), examples.trace, examples.readings)
    if not examples.labels.adversarial.any():
        _keep_defaults(job, evidence)
        return
    selected = select(get_detector(job.name), evidence, examples.labels, job.macro_attacks)
    detector = selected.detector
    errors = Evidence(evidence.reference, examples.error_trace, examples.error_readings)
    held_out = held_out_scores(detector, evidence, examples.labels)
    with whole(folder / _held_out_file(job.name)) as partial:
        save_arrays(partial, {"held_out": held_out, "errors": detector.score(errors)})
    entry: dict[str, object] = {"parameters": detector.settings.values(), "selected_by": selected.selected_by}
    save_detectors(folder, {job.name: detector})
    companions = detector.companions(evidence, examples.labels)
    save_detectors(folder, companions)
    entry[COMPANIONS] = {
        name: {"owner": job.name, "parameters": companion.settings.values()} for name, companion in companions.items()
    }
    with whole(folder / f"{job.name}.json") as partial:
        save_json(partial, entry)


def _keep_defaults(job: _DetectorJob, evidence: Evidence) -> None:
    """Fit a detector that needs no attacked images as it is declared."""
    folder = job.reference.folder
    detector = get_detector(job.name)().fit(evidence, job.examples.labels)
    save_detectors(folder, {job.name: detector})
    with whole(folder / f"{job.name}.json") as partial:
        entry = {"parameters": detector.settings.values(), "selected_by": "no attacked images to choose by"}
        save_json(partial, {**entry, COMPANIONS: {}})


def select(kind: type[Detector], evidence: Evidence, labels: Labels, macro_attacks: tuple[str, ...]) -> Selected:
    """Compare a detector's candidate settings by grouped cross-validation, then fit the best on everything."""
    candidates = kind.candidates(evidence)
    if len(candidates) == 1:
        return Selected(kind(**candidates[0]).fit(evidence, labels), "no settings to choose")
    folds = list(labels.folds())[: kind.selection_folds]
    parts = [(evidence.take(a), labels.take(a), evidence.take(b), labels.take(b)) for a, b in folds]
    watched = np.isin(labels.attacks, ["", *macro_attacks])

    def quality(settings: dict[str, ParameterValue]) -> float:
        found = []
        for (fit, fit_labels, held_out, held_labels), (_, rows) in zip(parts, folds, strict=True):
            scores = kind(**settings).fit(fit, fit_labels).score(held_out)
            keep = np.flatnonzero(watched[rows])
            found.append(macro_auc(scores[keep], held_labels.take(keep)))
        return float(np.mean(found))

    qualities = [quality(dict(settings)) for settings in candidates]
    best = int(np.argmax(qualities))
    detector = kind(**candidates[best]).fit(evidence, labels)
    where = "one image-grouped fold" if len(folds) == 1 else f"{len(folds)} image-grouped folds"
    how = f"best of {len(candidates)} settings: macro-AUC {qualities[best]:.4f} on {where} of the fit split"
    return Selected(detector, how)


def held_out_scores(detector: Detector, evidence: Evidence, labels: Labels) -> npt.NDArray[np.float64]:
    """Score every image by a detector of the same settings that was fitted without that image, shape (n,)."""
    scores = np.empty(len(labels))
    for fit, held_out in labels.folds():
        fitted = type(detector)(**detector.settings.values()).fit(evidence.take(fit), labels.take(fit))
        scores[held_out] = fitted.score(evidence.take(held_out))
    return scores
