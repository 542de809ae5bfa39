"""A small stand-in for bundle and engine: plausible numbers, no model, no workers."""

# ruff: noqa: ARG002  # the arguments are those of the real engine, whether a stand-in needs them or not

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from telltale.analysis.class_neighbours import ClassNeighbours
from telltale.analysis.results import Analysis, FewClasses, LiveScores, Prediction, SavedReading, SweepPoint
from telltale.attacks.base import AttackResult
from telltale.base.errors import CancelledError, InputError
from telltale.base.images import image_sha256, round_to_8_bits
from telltale.data.image_set import ImageSet
from telltale.data.splits import Splits
from telltale.engine.jobs import JobStatus
from telltale.kinds.density import DensityView
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView
from telltale.kinds.response import ResponseView
from telltale.kinds.stability import StabilityView
from telltale.kinds.trajectory import TrajectoryView
from telltale.kinds.twin import TwinView
from telltale.scores.calibration import Calibration
from telltale.scores.verdicts import FusedVerdict, Verdict

CLASSES = tuple("0123456789")
WORDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LAYERS = ("conv1", "layer1", "layer2", "layer3", "hidden")
DETECTORS = ("knn_score", "trajectory", "idefender", "nnif", "feature_response")
THRESHOLD = 0.8
N, SIDE, K, M = 200, 8, 20, 20


def _images(shape: tuple[int, int, int], names: tuple[str, ...]) -> ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(N, dtype=np.int64) % 10
    pixels = rng.integers(0, 60, (N, *shape)).astype(np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 0, label % shape[1]] = 200
    return ImageSet("fake", pixels, labels, names)


def _splits() -> Splits:
    ids = np.arange(N, dtype=np.int64)
    return Splits(ids[:120], ids[120:140], ids[140:160], ids[160:])


def _scores(splits: Splits, labels: np.ndarray) -> pa.Table:
    rng = np.random.default_rng(1)
    rows = []
    for split in ("fit", "calibration", "test"):
        for image_id in getattr(splits, split):
            rows.append(_row(rng, int(image_id), split, "natural", "", labels[image_id], 0.0))
            for attack in ("pgd", "fgsm"):
                kind = "failed" if image_id % 7 == 0 else "adversarial"
                rows.append(_row(rng, int(image_id), split, kind, attack, labels[image_id], 1.0))
        rows.append(_row(rng, int(getattr(splits, split)[0]), split, "natural_error", "", 3, 0.4))
        rows.append(_row(rng, int(getattr(splits, split)[1]), split, "natural_error", "", 4, 0.4))
    return pa.Table.from_pylist(rows)


def _row(rng: np.random.Generator, image_id: int, split: str, kind: str, attack: str, label: int, shift: float) -> dict:
    return {
        "image_id": image_id,
        "split": split,
        "kind": kind,
        "attack": attack,
        "label": int(label),
        "prediction": int(label + (kind != "natural")) % 10,
        "confidence": 0.9,
        "linf": 0.1 * shift,
        "l2": 1.5 * shift,
        "l0": 30.0 * shift,
        "mean_entropy": float(rng.normal(2.0 - 0.3 * shift, 0.2)),
        "log_density": float(rng.normal(-20 * shift, 5)),
        **{f"score_{name}": float(rng.normal(shift, 0.5)) for name in DETECTORS},
    }


class FakeBundle:
    """What the pages read of a bundle."""

    def __init__(self, with_data: bool = True, colour: bool = False, side: int = 32) -> None:
        self.name, self.id = "cifar10" if colour else "digits", "f" * 64
        self.seed, self.macro_attacks, self.unfinished = 0, ("pgd", "fgsm"), False
        self.labelled, self.label_problem, self.training_problem = True, None, None
        self.own, self.trained_on, self.alone = False, True, False
        self.drawn, self.story = False, None
        self.missing_detectors: dict[str, str] = {}
        self.image_shape = (3, side, side) if colour else (1, SIDE, SIDE)
        self.class_names, self.layers = WORDS if colour else CLASSES, LAYERS
        images = _images(self.image_shape, self.class_names)
        rng = np.random.default_rng(2)
        self.image_set = images if with_data else None
        self.data_problem = None if with_data else f"The images of '{self.name}' are not on this machine: none."
        self.splits = _splits()
        self.scores = _scores(self.splits, images.labels)
        self.maps = {name: rng.normal(size=(len(LAYERS), 120, 2)).astype(np.float32) for name in ("umap", "pca")}
        self.density_map = SimpleNamespace(
            points=rng.normal(size=(120, 2)).astype(np.float32),
            labels=images.labels[:120],
            means=rng.normal(size=(10, 2)),
            covariances=np.stack([np.eye(2)] * 10),
        )
        self.training_labels = images.labels[:120]
        self.manifest = SimpleNamespace(
            title="Fake pictures",
            seed=self.seed,
            data=SimpleNamespace(source="fake", fingerprint="a" * 64, n=N),
            files={},
            accuracies={"train": 1.0, "test": 0.975},
            attacks=({"name": "pgd", "parameters": {"eps": 0.1, "random_start": True}},),
            detectors={"knn_score": {"parameters": {"k": 5}, "selected_by": "EER accuracy on fit"}},
            versions={"numpy": "2"},
            notes={
                "keep_rates": {"0.95": 0.943, "0.99": 0.986},
                "mixtures": {"components": 1, "covariance": "diag", "dimensions": 32},
                "head": {"damping": 0.01, "agreement": 0.997},
                "macro_attacks": list(self.macro_attacks),
                "training_images": 300,
            },
        )

        self.notes = self.manifest.notes

    def require_images(self) -> ImageSet:
        """Return the images, or say that there are none."""
        if self.image_set is None:
            raise InputError(str(self.data_problem))
        return self.image_set

    def calibration(self, detector: str) -> Calibration:
        """Return the calibration on the natural images of the split that is held out for it."""
        rows = self.scores.to_pandas().query("split == 'calibration' and kind == 'natural'")
        return Calibration.of(rows[f"score_{detector}"].to_numpy())

    def attack_parameters(self, attack: str) -> dict[str, Any]:
        """Return the parameters behind the stored scores of one attack."""
        return next((entry["parameters"] for entry in self.manifest.attacks if entry["name"] == attack), {})


def predict(image: np.ndarray) -> Prediction:
    """Read a class off the brightest row, so that an attack can change it."""
    label = int(image[0].mean(axis=1).argmax()) % 10
    probabilities = np.full(10, 0.01)
    probabilities[label] = 0.91
    return Prediction(label, CLASSES[label], 0.91, probabilities)


def respond(image: np.ndarray, levels: int = 256, patch: int = 3) -> ResponseView:
    """Return a response view whose numbers depend on the image."""
    response = (image[0] - 0.5).astype(np.float32)
    inner = image.shape[1] - patch + 1
    entropy = np.abs(response[:inner, :inner]) * 3
    grey = np.rint(image[0] * 255).astype(np.uint8)
    return ResponseView(response, grey, entropy, float(entropy.mean()), levels, patch, "guided backprop")


def stability(image: np.ndarray) -> StabilityView:
    """Return a lead that shrinks when the image moves, the more so the brighter it is; mirroring does not count."""
    drop = 8.0 * float(image.max())
    margins = {"up": 6.0 - drop, "down": 6.0 - drop, "left": 6.0 - drop, "right": 6.0 - drop, "mirrored": -4.0}
    return StabilityView(6.0, margins, ("up", "down", "left", "right"), drop)


def second_opinion(image: np.ndarray) -> TwinView:
    """Return a second network that doubts the class the more, the brighter the image is."""
    first = predict(image)
    doubt = float(np.clip(image.max(), 0.05, 0.95))
    twin = np.full(10, doubt / 9)
    twin[first.label] = 1.0 - doubt
    return TwinView(np.asarray(first.probabilities, dtype=np.float64), twin, -float(np.log(1.0 - doubt)))


def trajectory(image: np.ndarray) -> TrajectoryView:
    """Return a path that ends at the predicted class."""
    label = predict(image).label
    table = np.ones((len(LAYERS), 10), np.float32)
    table[:, label] = np.linspace(1.2, 0.2, len(LAYERS))
    views = {(p, "l2"): table for p in ("centroid", "medoid")}
    views |= {(p, "cosine"): 1 - table for p in ("centroid", "medoid")}
    return TrajectoryView(LAYERS, views, "centroid", "l2", np.linspace(0.1, 0.7, len(LAYERS)))


def analyse(image: np.ndarray, alpha: float, scores: dict[str, float]) -> Analysis:
    """Return a whole analysis."""
    rng = np.random.default_rng(3)
    ids = np.stack([rng.permutation(120)[:K] for _ in LAYERS]).astype(np.int64)
    prediction = predict(image)
    helpful = np.concatenate([ids[-1, :4], np.setdiff1d(np.arange(120), ids[-1])[: M - 4]]).astype(np.int64)
    harmful = np.setdiff1d(np.arange(120), np.concatenate([ids[-1], helpful]))[:M].astype(np.int64)
    verdicts = tuple(
        Verdict(name, score, 0.01 if score >= THRESHOLD else 0.4, THRESHOLD, score >= THRESHOLD, alpha, 20)
        for name, score in scores.items()
    )
    uncalibrated = (*verdicts[:-1], Verdict(verdicts[-1].detector, verdicts[-1].score, None, None, None, alpha, 0))
    ranks = rng.random((len(LAYERS), M)).astype(np.float32)
    views = (
        respond(image),
        stability(image),
        second_opinion(image),
        trajectory(image),
        NeighboursView(
            LAYERS,
            ids,
            ids % 10,
            np.sort(rng.random((len(LAYERS), K))).astype(np.float32),
            np.eye(10)[prediction.label],
            "hidden",
            "none",
            "rank",
            K,
            ids[-1],
            {name: rng.normal(size=(len(LAYERS), 2)).astype(np.float32) for name in ("umap", "pca")},
        ),
        InfluenceView(
            helpful,
            harmful,
            helpful % 10,
            harmful % 10,
            np.linspace(1, 0.1, M),
            -np.linspace(1, 0.1, M),
            ranks,
            ranks,
            ranks,
            ranks,
            "exact, Cholesky",
            120,
        ),
        DensityView(
            np.linspace(-40, -2, 10), {0.95: np.full(10, -25.0), 0.99: np.full(10, -30.0)}, np.zeros(2, np.float32)
        ),
    )
    return Analysis(
        "digits",
        "f" * 64,
        image_sha256(image),
        image,
        prediction,
        {view.kind: view for view in views},
        uncalibrated,
        fuse(scores, alpha),
        {"total": 40.0},
    )


def line(natural: np.ndarray, attacked: np.ndarray, strengths: tuple[float, ...]) -> list[np.ndarray]:
    """Return the images at these strengths of a change."""
    return [round_to_8_bits(np.clip(natural + np.float32(s) * (attacked - natural), 0, 1)) for s in strengths]


def fuse(scores: dict[str, float], alpha: float) -> FusedVerdict:
    """Return the mean score as the fused one; an image in between is probably wrong."""
    score = float(np.mean(list(scores.values())))
    flagged = score >= THRESHOLD
    attack = Verdict("fused", score, 0.01 if flagged else 0.4, THRESHOLD, flagged, alpha, 20)
    wrong = not flagged and score >= THRESHOLD / 2
    error = Verdict("error_score", score, 0.02 if wrong else 0.6, THRESHOLD / 2, wrong, alpha, 20)
    kind = "adversarial" if flagged else "error" if wrong else "natural"
    return FusedVerdict(kind, attack, error, {name: score - 0.5 for name in scores})


def attack(
    image: np.ndarray, name: str, parameters: dict[str, Any], seed: int, target: int | str | None
) -> AttackResult:
    """Brighten another row; with a budget of zero nothing changes and the attack fails."""
    before = predict(image).label
    after = image.copy()
    if float(parameters.get("eps", 1.0)) > 0:
        after[0, before % SIDE] = 0.0
        after[0, (before + 1) % SIDE] = 1.0
    after = round_to_8_bits(after)
    change = np.abs(after - image)
    prediction = predict(after).label
    return AttackResult(
        name,
        parameters,
        seed,
        image[None],
        after[None],
        np.array([before]),
        np.array([target if isinstance(target, int) else -1]),
        np.array([prediction]),
        np.array([prediction != before]),
        np.array([float(change.max())]),
        np.array([float(np.sqrt((change**2).sum()))]),
        np.array([float((change > 0).sum())]),
        np.array([20]),
        np.array([21]),
        0.25,
    )


@dataclass
class FakeJob:
    """A job that is done at once, or runs until it is cancelled."""

    work: Callable[[], Any]
    id: str
    seconds: float = 0.0
    cancelled: bool = False
    started: float = field(default_factory=time.monotonic)

    def status(self) -> JobStatus:
        if self.cancelled:
            return JobStatus("cancelled")
        if time.monotonic() - self.started < self.seconds:
            return JobStatus("running", None, 0.4, 3.0, "step 8 of 20")
        return JobStatus("done", fraction=1.0)

    def result(self, timeout: float | None = None) -> Any:
        if self.cancelled:
            raise CancelledError("The work was cancelled.")
        return self.work()

    def cancel(self) -> None:
        self.cancelled = True


class FakeEngine:
    """Answers every task of docs/design.md in this process."""

    def __init__(self) -> None:
        self.submitted: list[tuple[str, dict[str, Any]]] = []
        self.problem: str | None = None
        self.seconds = 0.0

    def submit(self, task: str, /, *, owner: object = None, **arguments: Any) -> FakeJob:
        if self.problem is not None:
            raise InputError(self.problem)
        self.submitted.append((task, arguments))
        return FakeJob(lambda: getattr(self, f"_{task}")(**arguments), f"{task}-{len(self.submitted)}", self.seconds)

    def ready(self) -> bool:
        return True

    def scores_of(self, image: np.ndarray) -> dict[str, float]:
        """Attacked images hold a full white row, which most detectors notice."""
        return {name: (1.5 if image.max() == 1.0 and name != "nnif" else 0.1) for name in DETECTORS}

    def _analyse(self, bundle: str, image: np.ndarray, alpha: float) -> Analysis:
        return analyse(image, alpha, self.scores_of(image))

    def _attack(
        self, bundle: str, image: np.ndarray, attack: str, parameters: dict, seed: int, target: int | str | None
    ) -> Any:
        return globals()["attack"](image, attack, parameters, seed, target)

    def _class_neighbours(self, bundle: str, ids: tuple[int, ...], attacks: tuple[str, ...]) -> ClassNeighbours:
        images = _images((1, SIDE, SIDE), CLASSES).images(np.asarray(ids))
        seen = [
            attack(image, name, {}, 0, None).images[0] if name else image
            for image, name in zip(images, attacks, strict=True)
        ]
        predictions = np.array([predict(image).label for image in seen])
        near = np.where(predictions == 9, -1, predictions)
        return ClassNeighbours("hidden", np.stack(seen), predictions, near, np.where(near < 0, np.nan, 0.5 + near))

    def _respond(self, bundle: str, image: np.ndarray, levels: int, patch: int) -> ResponseView:
        return respond(image, levels, patch)

    def _few_classes(self, bundle: str, image: np.ndarray) -> Any:
        own = predict(image).label
        order = (own, *(label for label in range(10) if label != own))
        sizes = {2: 0.5, 3: 0.4, 10: 0.2}
        return tuple(
            FewClasses(
                order[:count], np.clip(image + size, 0, 1), order[1], True, 10 * size, size, (8 * size, 12 * size), 5
            )
            for count, size in sizes.items()
        )

    def _sweep(self, bundle: str, natural: np.ndarray, attacked: np.ndarray, strengths: tuple[float, ...]) -> Any:
        return tuple(
            SweepPoint(s, 0.1 * s, predict(image), {"trajectory": trajectory(image)})
            for s, image in zip(strengths, line(natural, attacked, strengths), strict=True)
        )

    def _verdicts_along(
        self, bundle: str, natural: np.ndarray, attacked: np.ndarray, strengths: tuple[float, ...]
    ) -> tuple[FusedVerdict, ...]:
        return tuple(fuse(self.scores_of(image), 0.05) for image in line(natural, attacked, strengths))

    def _survive(self, bundle: str, attacked: np.ndarray, label: int, target: int) -> tuple[SavedReading, ...]:
        lost = predict(np.zeros_like(attacked))
        return (
            SavedReading("PNG", 90, 0.0, predict(attacked), True),
            SavedReading("JPEG 90", 300, 9 / 255, lost, False),
        )

    def _live(self, bundle: str, attack: str, parameters: dict, seed: int, ids: np.ndarray) -> Any:
        rng = np.random.default_rng(int(ids[0]))
        return LiveScores(
            ids,
            {name: rng.normal(0, 0.5, len(ids)) for name in DETECTORS},
            {name: rng.normal(1, 0.5, len(ids)) for name in DETECTORS},
            np.arange(len(ids)) % 4 != 3,
            0,
        )
