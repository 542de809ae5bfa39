"""Real tasks on real workers with the shipped bundle: the numbers of many people at once are those of one alone."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.shipped import correct_test_ids, images_of, shipped
from telltale.analysis.analyse import analyse_image, attack_image, live_scores, sweep
from telltale.analysis.class_neighbours import class_neighbours
from telltale.analysis.survival import survival
from telltale.base.errors import CancelledError, InputError
from telltale.base.progress import silent
from telltale.engine import Engine
from telltale.engine.cache import fingerprint
from telltale.engine.settings import Settings
from telltale.kinds.response import respond
from telltale.model_errors.changed_answers import changed_answers
from telltale.model_errors.corrections import REMOVED
from telltale.model_errors.reasons import explain_errors
from telltale.model_errors.refitting import refit
from telltale.model_errors.suspicious import suspicious_images

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ALPHA = 0.05
PATIENCE = 60.0
PEOPLE = 8
IMAGES_EACH = 6
PGD = {"eps": 0.1, "step": 0.01, "steps": 20, "random_start": True}


def wait_for(condition: Any, seconds: float = PATIENCE) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "gave up waiting"
        time.sleep(0.005)
    return time.monotonic() - start


def digest(result: Any) -> str:
    """Return a digest of every number of a result but the times it took."""
    if hasattr(result, "timings_ms"):
        result = dataclasses.replace(result, timings_ms={})
    if hasattr(result, "seconds"):
        result = dataclasses.replace(result, seconds=0.0)
    return fingerprint(result)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Two workers, and no cache: every answer is computed."""
    engine = Engine(Settings(workers=2, bundle="digits", cache_bytes=0))
    engine.start()
    wait_for(engine.ready)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return images_of(correct_test_ids(PEOPLE * IMAGES_EACH))


def test_every_task_answers_what_the_same_call_gives_in_process(engine: Engine, images: np.ndarray) -> None:
    loaded, image, seed = shipped(), images[0], 3
    alone = attack_image(loaded, image, "pgd", PGD, seed)
    other = alone.images[0]
    ids = correct_test_ids(3)
    corrected = {"ids": np.sort(loaded.reference.ids[:2]), "new_labels": np.array([REMOVED, REMOVED])}
    asked = {
        "analyse": (dict(image=image, alpha=ALPHA), analyse_image(loaded, image, ALPHA)),
        "attack": (dict(image=image, attack="pgd", parameters=PGD, seed=seed, target=None), alone),
        "respond": (dict(image=other, levels=16, patch=5), respond(loaded.classifier, other, 16, 5)),
        "sweep": (dict(natural=image, attacked=other, strengths=(0.0, 1.0)), sweep(loaded, image, other, (0.0, 1.0))),
        "explain_errors": ({}, explain_errors(loaded, lambda *_: None)),
        "suspicious_images": ({}, suspicious_images(loaded.reference, lambda *_: None)),
        "refit": (corrected | {"image": other}, refit(loaded, **corrected, image=other, checkpoint=silent)),
        "changed_answers": (corrected, changed_answers(loaded, **corrected, checkpoint=silent)),
        "survive": (dict(attacked=other, label=0, target=-1), survival(loaded, other, 0)),
        "class_neighbours": (
            dict(ids=(int(ids[0]), int(ids[1])), attacks=("", "fgsm")),
            class_neighbours(loaded, ids[:2].tolist(), ("", "fgsm"), silent),
        ),
        "live": (dict(attack="fgsm", parameters={}, seed=0, ids=ids), live_scores(loaded, "fgsm", {}, 0, ids)),
    }
    jobs = {task: engine.submit(task, bundle="digits", **arguments) for task, (arguments, _) in asked.items()}
    for task, (_, expected) in asked.items():
        assert digest(jobs[task].result(PATIENCE)) == digest(expected), task


def test_many_people_at_once_get_the_numbers_of_one_alone(engine: Engine, images: np.ndarray) -> None:
    loaded = shipped()
    alone = [digest(analyse_image(loaded, image, ALPHA)) for image in images]
    fooled = [digest(attack_image(loaded, images[p], "pgd", PGD, p)) for p in range(PEOPLE)]
    answered = [digest(respond(loaded.classifier, images[p], 32, 5)) for p in range(PEOPLE)]
    faults: list[str] = []
    together = threading.Barrier(PEOPLE)

    def session(person: int) -> None:
        own = [("analyse", person * IMAGES_EACH + i) for i in range(IMAGES_EACH)] + [("attack", 0), ("respond", 0)]
        together.wait()
        for which in np.random.default_rng(person).permutation(len(own)):
            task, row = own[which]
            if task == "analyse":
                job = engine.submit("analyse", bundle="digits", image=images[row], alpha=ALPHA)
                expected = alone[row]
            elif task == "attack":
                arguments = dict(image=images[person], attack="pgd", parameters=PGD, seed=person, target=None)
                job, expected = engine.submit("attack", bundle="digits", **arguments), fooled[person]
            else:
                job = engine.submit("respond", bundle="digits", image=images[person], levels=32, patch=5)
                expected = answered[person]
            try:
                if digest(job.result(PATIENCE)) != expected:
                    faults.append(f"{person}: {task} {row} differs")
            except BaseException as error:
                faults.append(f"{person}: {task} {row}: {error!r}")
                raise

    people = [threading.Thread(target=session, args=(person,)) for person in range(PEOPLE)]
    for person in people:
        person.start()
    for person in people:
        person.join(4 * PATIENCE)
    assert not faults
    assert len(set(alone)) == len(images)


LONG = {"boundary": {"steps": 100_000}, "ead": {"steps": 10_000, "binary_search_steps": 20}}


@pytest.mark.parametrize("attack", ["boundary", "ead"])
def test_a_long_attack_ends_within_two_seconds_of_its_cancelling(
    engine: Engine, images: np.ndarray, attack: str
) -> None:
    wait_for(lambda: engine.status()["running"] == 0)
    arguments = dict(image=images[1], attack=attack, parameters=LONG[attack], seed=9, target=None)
    job = engine.submit("attack", bundle="digits", **arguments)
    wait_for(lambda: job.status().state == "running")
    time.sleep(0.5)
    assert job.status().state == "running", "too short to be worth cancelling"
    before = sorted(engine.worker_pids())
    job.cancel()
    assert job.status().state == "cancelled"
    with pytest.raises(CancelledError):
        job.result(1)
    assert wait_for(lambda: engine.status()["running"] == 0, 2.0) <= 2.0
    assert sorted(engine.worker_pids()) == before, "it ended by itself; nothing had to be killed"


@pytest.mark.parametrize("attack", ["deepfool", "fgsm"])
def test_attacks_without_progress_of_their_own_can_be_cancelled_too(
    engine: Engine, images: np.ndarray, attack: str
) -> None:
    # One image is over too soon to be caught, so many are attacked in one task.
    wait_for(lambda: engine.status()["running"] == 0)
    ids = correct_test_ids(300)
    job = engine.submit("live", bundle="digits", attack=attack, parameters={}, seed=11, ids=ids)
    wait_for(lambda: job.status().state == "running")
    job.cancel()
    assert wait_for(lambda: engine.status()["running"] == 0, 2.0) <= 2.0
    with pytest.raises(CancelledError):
        job.result(1)


def test_scoring_many_images_can_be_cancelled(engine: Engine) -> None:
    wait_for(lambda: engine.status()["running"] == 0)
    ids = correct_test_ids(300)
    job = engine.submit("live", bundle="digits", attack="fgsm", parameters={}, seed=12, ids=ids)
    wait_for(lambda: job.status().message == "scoring")
    job.cancel()
    assert wait_for(lambda: engine.status()["running"] == 0, 2.0) <= 2.0


def test_a_refusal_reaches_the_asker_as_its_sentence(engine: Engine, images: np.ndarray) -> None:
    job = engine.submit("analyse", bundle="digits", image=images[0] + 1, alpha=ALPHA)
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        job.result(PATIENCE)
    unknown = engine.submit("analyse", bundle="nowhere", image=images[0], alpha=ALPHA)
    with pytest.raises(InputError, match="nowhere"):
        unknown.result(PATIENCE)


CLIENT = """
import sys
import numpy as np
import telltale.engine
from telltale.bundle import load_bundle
engine = telltale.engine.get_engine()
image = np.zeros((1, 32, 32), dtype=np.float32)
analysis = engine.submit("analyse", bundle="digits", image=image, alpha=0.05).result(120)
attack = engine.submit("attack", bundle="digits", image=image, attack="fgsm", parameters={}, seed=0).result(120)
assert {v.detector for v in analysis.verdicts} == set(load_bundle("digits").manifest.detectors)
assert attack.images.shape == (1, 1, 32, 32)
heavy = {"torch", "captum", "torchattacks", "foolbox", "sklearn", "umap"} & set(sys.modules)
assert not {"torch", "captum", "torchattacks", "foolbox"} & heavy, heavy
engine.close()
print("light")
"""


def test_the_asking_process_never_imports_torch() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CLIENT], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "light\n"
