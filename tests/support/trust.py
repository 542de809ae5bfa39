"""A stored study of influence, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from telltale.studies.influence_trust.plan import Plan
from telltale.studies.influence_trust.results import SCHEMA, Origin, Retraining, StoredTrust

IMAGES = 50


def made_trust(scores: Mapping[str, float], fingerprint: str = "f") -> StoredTrust:
    """Return a study of 50 test images whose correlations spread by 0.1 around a score per method."""
    spread = np.linspace(-0.1, 0.1, IMAGES)
    rows = [
        {"method": method, "image_id": image, "correlation": score + float(spread[image])}
        for method, score in scores.items()
        for image in range(IMAGES)
    ]
    origin = Origin("digits", fingerprint, "c", 897, IMAGES, asdict(Plan()))
    retraining = Retraining(0.97, 0.94, 0.4, dict.fromkeys(scores, 0.02))
    return StoredTrust(pa.Table.from_pylist(rows, schema=SCHEMA), origin, retraining)
