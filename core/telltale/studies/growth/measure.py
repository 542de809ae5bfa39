"""How cost and memory grow with the number of training images, up to the size of ImageNet, on generated features."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.files import open_array, save_array
from telltale.base.progress import Progress
from telltale.evidence.approximate import ApproximateIndex, Recall
from telltale.evidence.by_size import APPROXIMATE_FROM, describe_index, influence_kind, make_distances, make_index
from telltale.evidence.influence import SoftmaxHead
from telltale.evidence.most_influential import Influence
from telltale.evidence.neighbours import NeighbourIndex
from telltale.evidence.ranks import ranks_and_distances
from telltale.evidence.sparse_influence import SparseInfluence
from telltale.evidence.sparse_tables import SparseTables
from telltale.studies.growth.generated import GeneratedFeatures

Floats = npt.NDArray[np.float32]

NEIGHBOURS, INFLUENTIAL = 1000, 50
QUERIES, WARM_UP = 20, 3
QUERY_SEED = 10**9
BLOCK_WIDTHS = (32, 32, 32, 64, 64, 128, 128)  # of the CIFAR-10 network
RECALL_FILE = "recall.json"
INDEX_FILE = "index.faiss"


@dataclass(frozen=True)
class Scale:
    """One size to measure: N references of C classes with the pooled activations of one or more layers."""

    references: int
    classes: int
    widths: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size of the features on disk."""
        return 4 * self.references * sum(self.widths)


SCALES = (
    *(Scale(count, 10, BLOCK_WIDTHS) for count in (1_000, 2_000, 5_000, 10_000, 20_000, 49_000)),
    Scale(50_000, 100, (512,)),
    Scale(200_000, 100, (512,)),
    Scale(1_280_000, 1_000, (512,)),
)


@dataclass(frozen=True)
class Growth:
    """What was measured at one size. Times are medians over generated images that are not references.

    Attributes
    ----------
    references, classes, layers, width : int
        Of the reference set; `width` is the hidden state's.
    index, influence : str
        How neighbours and influence were found.
    recall : float
        Share of the true nearest images found, k = min(1000, N / 2).
    neighbours_ms, influence_ms, ranks_ms, total_ms, total_p95_ms : float
        One image: k neighbours on the last layer, the 50 most helpful and 50 most harmful images, their ranks and
        distances on all layers, and the three together.
    build_s, open_s : float
        Everything computed once for the set; everything before the first image in a process that finds it stored.
    build_peak_gb, peak_gb, held_gb, mapped_gb, disk_gb : float
        Peak resident memory of the process that builds and of the one that answers, both with the pages of mapped
        files; of the latter at the end, its own memory and pages of files, which the system can take back; features
        and everything built on disk. In GB of 10^9 bytes.
    """

    references: int
    classes: int
    layers: int
    width: int
    index: str
    influence: str
    recall: float
    neighbours_ms: float
    influence_ms: float
    ranks_ms: float
    total_ms: float
    total_p95_ms: float
    build_s: float
    open_s: float
    build_peak_gb: float
    peak_gb: float
    held_gb: float
    mapped_gb: float
    disk_gb: float

    def to_json(self) -> dict[str, Any]:
        """Return the stable JSON object of ``telltale growth --json``."""
        return asdict(self)


def measure_growth(scales: Sequence[Scale], folder: Path | None, progress: Progress) -> list[Growth]:
    """Measure each size in processes of its own.

    Parameters
    ----------
    scales : sequence of Scale
    folder : Path, optional
        Where features are written for a while; the system's temporary folder where left out.
    progress : callable
        Told the fraction done and what is being done.

    Raises
    ------
    InputError
        If the folder does not exist or has too little room.
    """
    _check_room(scales, folder)
    total = sum(scale.bytes for scale in scales)
    done, found = 0, []
    for scale in scales:
        name = f"{scale.references:,} references"
        with tempfile.TemporaryDirectory(dir=folder, prefix="telltale-growth-") as place:
            progress(done / total, f"{name}: building")
            built = _in_own_process(_build, scale, Path(place))
            progress((done + 0.9 * scale.bytes) / total, f"{name}: measuring")
            served = _in_own_process(_serve, scale, Path(place))
        found.append(Growth(**_describe(scale), **built, **served))
        done += scale.bytes
    progress(1.0, "Done")
    return found


def to_csv(measured: Sequence[Growth]) -> str:
    """Return one line per size under a line of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Growth)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(growth.to_json() for growth in measured)
    return text.getvalue()


def _check_room(scales: Sequence[Scale], folder: Path | None) -> None:
    place = Path(tempfile.gettempdir()) if folder is None else folder
    if not place.is_dir():
        raise InputError(f"There is no folder '{place}'.")
    needed = 3 * max(scale.bytes for scale in scales)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InputError(f"'{place}' has {free / 1e9:.1f} GB free; the features need up to {needed / 1e9:.1f} GB.")


def _in_own_process(work: Callable[[Scale, Path], dict[str, Any]], scale: Scale, folder: Path) -> dict[str, Any]:
    """Run in a fresh process, whose peak memory is then that of this work alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, scale, folder).result()


def _describe(scale: Scale) -> dict[str, Any]:
    return {
        "references": scale.references,
        "classes": scale.classes,
        "layers": len(scale.widths),
        "width": scale.widths[-1],
        "influence": influence_kind(scale.classes * (scale.widths[-1] + 1), scale.references).method,
    }


def _layers(scale: Scale) -> list[GeneratedFeatures]:
    return [GeneratedFeatures.make(scale.classes, width, seed) for seed, width in enumerate(scale.widths)]


def _build(scale: Scale, folder: Path) -> dict[str, Any]:
    layers = _layers(scale)
    for i, layer in enumerate(layers):
        labels = layer.write(folder / f"layer{i}.npy", scale.references, seed=0)
    save_array(folder / "labels.npy", labels)
    start = time.perf_counter()
    hidden = open_array(folder / f"layer{len(layers) - 1}.npy")
    if scale.references >= APPROXIMATE_FROM:
        queries, _ = layers[-1].draw(64, QUERY_SEED + 1)
        index = ApproximateIndex.train(hidden, queries=queries)
        index.save(folder / INDEX_FILE)
        (folder / RECALL_FILE).write_text(json.dumps(asdict(index.recall)))
    if _is_sparse(scale):
        for name, array in SparseTables.build(layers[-1].head(), hidden, labels).to_arrays().items():
            save_array(folder / f"table.{name}.npy", array)
    return {"build_s": time.perf_counter() - start, "build_peak_gb": _memory()["VmHWM"]}


def _serve(scale: Scale, folder: Path) -> dict[str, Any]:
    layers = _layers(scale)
    queries = [layer.draw(WARM_UP + QUERIES, QUERY_SEED)[0] for layer in layers]
    start = time.perf_counter()
    points = [open_array(folder / f"layer{i}.npy") for i in range(len(layers))]
    index = _open_index(scale, folder, points[-1])
    influence = _open_influence(scale, folder, layers[-1].head(), points[-1])
    distances = [make_distances(layer) for layer in points]
    opened = time.perf_counter() - start
    predictions = layers[-1].head().probabilities(queries[-1]).argmax(1)
    times = []
    for i in range(WARM_UP + QUERIES):
        one = slice(i, i + 1)
        begun = time.perf_counter()
        index.search(queries[-1][one], min(NEIGHBOURS, scale.references // 2))
        searched = time.perf_counter()
        top = influence.top(queries[-1][one], predictions[one], INFLUENTIAL)
        solved = time.perf_counter()
        rows = np.hstack([top.helpful, top.harmful])
        for layer, to_all in zip(queries, distances, strict=True):
            ranks_and_distances(layer[one], to_all, rows)
        times.append((searched - begun, solved - searched, time.perf_counter() - solved))
    measured = 1e3 * np.array(times[WARM_UP:])
    memory = _memory()
    described = describe_index(index)
    return {
        "index": described["method"],
        "recall": described["recall"],
        **dict(zip(("neighbours_ms", "influence_ms", "ranks_ms"), np.median(measured, axis=0).tolist(), strict=True)),
        "total_ms": float(np.median(measured.sum(1))),
        "total_p95_ms": float(np.percentile(measured.sum(1), 95)),
        "open_s": opened,
        "peak_gb": memory["VmHWM"],
        "held_gb": memory["RssAnon"],
        "mapped_gb": memory["RssFile"],
        "disk_gb": sum(file.stat().st_size for file in folder.iterdir()) / 1e9,
    }


def _open_index(scale: Scale, folder: Path, points: Floats) -> NeighbourIndex:
    if scale.references < APPROXIMATE_FROM:
        return make_index(points, "none")
    recall = Recall(**json.loads((folder / RECALL_FILE).read_text()))
    return ApproximateIndex.open(folder / INDEX_FILE, points, "none", recall)


def _open_influence(scale: Scale, folder: Path, head: SoftmaxHead, hidden: Floats) -> Influence:
    labels = np.asarray(open_array(folder / "labels.npy"))
    if not _is_sparse(scale):
        return influence_kind(head.weights.size, len(hidden))(head, hidden, labels)
    files = sorted(folder.glob("table.*.npy"))
    tables = SparseTables.from_arrays(
        {f.name.removeprefix("table.").removesuffix(".npy"): open_array(f) for f in files}
    )
    return SparseInfluence(head, hidden, labels, tables)


def _is_sparse(scale: Scale) -> bool:
    return influence_kind(scale.classes * (scale.widths[-1] + 1), scale.references) is SparseInfluence


def _memory() -> dict[str, float]:
    """Memory of this process in GB, by the kernel's names; not a number where the kernel does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    known = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    names = ("VmHWM", "RssAnon", "RssFile")
    return {name: int(known[name].split()[0]) * 1024 / 1e9 if name in known else float("nan") for name in names}
