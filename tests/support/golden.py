"""What golden files hold of an analysis, an attack and a bundle, computed now; and how JSON values are compared."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import telltale
from telltale.analysis.kept import load
from telltale.analysis.results import Analysis
from telltale.base.images import FloatImages, image_sha256, to_bytes

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ATTACKS = ("fgsm", "pgd", "deepfool")
TOLERANCE = 1e-6
TOP = 10
TERMINAL = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
Said = Callable[..., str]  # what a command prints, by its arguments


def golden(name: str) -> Any:
    """Return a golden file of JSON."""
    data = (GOLDEN / name).read_bytes()
    return json.loads(gzip.decompress(data) if name.endswith(".gz") else data)


def plain(value: Any) -> Any:
    """Return arrays, tuples and numpy's numbers as JSON holds them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def differing(expected: Any, found: Any, where: str = "", scale: float = 1.0) -> Iterator[str]:
    """Yield every place where two JSON values differ: floats beyond the tolerance, all else at all.

    The floats of a list are compared on the scale of its largest, so that what is small everywhere is compared too.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if set(expected) != set(found):
            yield f"{where}: {sorted(set(expected) ^ set(found))} are not in both"
        for key in expected.keys() & found.keys():
            yield from differing(expected[key], found[key], f"{where}.{key}", 1.0)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{where}: {len(found)} items instead of {len(expected)}"
        floats = [abs(item) for item in expected if isinstance(item, float)]
        largest = max(floats, default=1.0) or 1.0
        for number, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from differing(one, other, f"{where}[{number}]", largest)
    elif isinstance(expected, float) and isinstance(found, int | float) and not isinstance(found, bool):
        if not math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE * scale):
            yield f"{where}: {found!r} instead of {expected!r}"
    elif type(expected) is not type(found) or expected != found:
        yield f"{where}: {found!r} instead of {expected!r}"


def same(expected: Any, found: Any) -> None:
    """Fail with every difference, or pass."""
    assert list(differing(expected, plain(found))) == []


def bundle_numbers(name: str) -> dict[str, Any]:
    """Return what a bundle is known by."""
    bundle = telltale.load_bundle(name)
    return {"bundle_id": bundle.id, "layers": list(bundle.layers)}


def analysis_numbers(image: FloatImages, bundle: str) -> dict[str, Any]:
    """Return everything that an analysis of an image (C, H, W) says, but for the thresholds."""
    result = telltale.analyse(image, bundle=bundle)
    evidence: Mapping[str, Any] = result.evidence
    near, influence, fused = evidence["neighbours"], evidence["influence"], result.fused
    path, density = evidence["trajectory"], evidence["density"]
    assert fused is not None

    def per_layer(array: Iterable[Any]) -> dict[str, Any]:
        return dict(zip(near.layers, array, strict=True))

    return {
        "image_sha256": result.image_sha256,
        "logits": load(bundle).classifier.trace(image[None]).logits[0],
        "prediction": {
            "label": result.prediction.label,
            "name": result.prediction.name,
            "confidence": result.prediction.confidence,
            "probabilities": result.prediction.probabilities,
        },
        "mean_entropy": evidence["response"].mean_entropy,
        "verdicts": {found.detector: _verdict(found) for found in result.verdicts},
        "fused": {
            "kind": fused.kind,
            "attack": _verdict(fused.attack),
            "error": None if fused.error is None else _verdict(fused.error),
            "contributions": dict(fused.contributions),
        },
        "trajectory": {
            "pivot": path.pivot,
            "distance": path.distance,
            "centroid_l2": per_layer(path.distances["centroid", "l2"]),
            "suspicion": path.suspicion,
        },
        "neighbours": {
            "ids": per_layer(near.ids[:, :TOP]),
            "distances": per_layer(near.distances[:, :TOP]),
            "votes": near.votes,
            "score_ids": near.score_ids[:TOP],
            "positions": {name: per_layer(place) for name, place in near.positions.items()},
        },
        "influence": {
            "helpful_ids": influence.helpful_ids[:TOP],
            "helpful_values": influence.helpful_values[:TOP],
            "harmful_ids": influence.harmful_ids[:TOP],
            "harmful_values": influence.harmful_values[:TOP],
        },
        "density": {"log_density": density.log_density, "position": density.position},
    }


def calibration_numbers(result: Analysis) -> dict[str, Any]:
    """Return every threshold, which is the same for all images of a bundle."""
    assert result.fused is not None
    every = [*result.verdicts, result.fused.attack, *filter(None, [result.fused.error])]
    return {found.detector: {"threshold": found.threshold, "n_calibration": found.n_calibration} for found in every}


def attack_numbers(image: FloatImages, bundle: str, attack: str) -> dict[str, Any]:
    """Return what an attack with seed 0 and the bundle's settings does to an image (C, H, W)."""
    found = telltale.attack(image, bundle=bundle, attack=attack, seed=0)
    return {
        "parameters": dict(found.parameters),
        "pixels_sha256": hashlib.sha256(to_bytes(found.images[0]).tobytes()).hexdigest(),
        "image_sha256": image_sha256(found.images[0]),
        "success": found.success[0],
        "prediction": found.predictions[0],
        "linf": found.linf[0],
        "l2": found.l2[0],
        "l0": int(found.l0[0]),
        "gradients": found.gradients[0],
        "queries": found.queries[0],
    }


def _verdict(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("score", "p_value", "adversarial")}
