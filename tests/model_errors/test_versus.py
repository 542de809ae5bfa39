"""Two models side by side: answers counted one by one, attacks and departures done again by hand, the command."""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch

from support.direct_engine import DirectEngine
from support.second_bundle import NAME, write_second
from support.shipped import shipped
from telltale.analysis.opened import LoadedBundle
from telltale.attacks import attack_images
from telltale.base.errors import InputError
from telltale.base.progress import silent
from telltale.bundle import load_bundle
from telltale.cli import main
from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.versus import BOTH, NEITHER, ONLY_FIRST, ONLY_SECOND, check_comparable, two_answers
from telltale.model_errors.versus_attacks import Transfers, laid_on_others, transfers

FGSM = {"eps": 0.1}
COUNT, SEED = 24, 5


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """A second bundle that reads 30 images as the next class and the first one's errors correctly."""
    images = evaluated_images(load_bundle("digits").scores)
    changed = {int(i): int(label + 1) % 10 for i, label in zip(images.ids[5:35], images.labels[5:35], strict=True)}
    errors = images.errors()
    changed |= {int(i): int(label) for i, label in zip(errors.ids[:4], errors.labels[:4], strict=True)}
    write_second(tmp_path, changed)
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path))
    return changed


def test_answers_are_those_of_both_tables_of_scores(second: dict[int, int]) -> None:
    found = two_answers(load_bundle("digits"), load_bundle(NAME), silent)
    images = evaluated_images(load_bundle("digits").scores)
    assert sorted(found.ids) == sorted(images.ids) and found.new_to_both
    counts = dict.fromkeys((BOTH, ONLY_FIRST, ONLY_SECOND, NEITHER), 0)
    matrix, differing = np.zeros((10, 10), dtype=int), set()
    for image_id, label, read in zip(images.ids, images.labels, images.predictions, strict=True):
        other = second.get(int(image_id), int(read))
        first_right, second_right = read == label, other == label
        who = BOTH if first_right and second_right else ONLY_FIRST if first_right else ONLY_SECOND
        counts[who if first_right or second_right else NEITHER] += 1
        matrix[read, other] += 1
        if read != other:
            differing.add(int(image_id))
    assert {name: int(mask.sum()) for name, mask in found.right.items()} == counts
    np.testing.assert_array_equal(found.confusion(10), matrix)
    assert set(found.ids[found.differ].tolist()) == differing
    fewer, total = sorted((counts[ONLY_FIRST], counts[ONLY_SECOND]))[0], counts[ONLY_FIRST] + counts[ONLY_SECOND]
    assert found.p_value == pytest.approx(min(1.0, 2 * sum(comb(total, k) for k in range(fewer + 1)) / 2**total))
    assert found.p_value < 0.01
    assert found.take(found.right[NEITHER]).to_json()["p_value"] == 1.0


def test_models_of_other_data_are_compared_by_reading_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_second(tmp_path, {}, fingerprint="0" * 64)
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path))
    first, other = load_bundle("digits"), load_bundle(NAME)
    found = two_answers(first, other, silent, shipped)
    assert not found.new_to_both and len(found) == 900
    np.testing.assert_array_equal(found.second, shipped().classifier.predict(first.image_set.images(found.ids)))
    with pytest.raises(InputError, match="built on different images"):
        two_answers(first, other, silent)


def test_what_cannot_be_compared_is_refused_in_a_sentence(second: dict[int, int]) -> None:
    digits, cifar10 = load_bundle("digits"), load_bundle("cifar10")
    with pytest.raises(InputError, match="compared with itself"):
        check_comparable(digits, digits)
    with pytest.raises(InputError, match="do not know the same classes"):
        check_comparable(digits, cifar10)


@functools.cache
def noisy() -> LoadedBundle:
    """The shipped model with other weights, under another name."""
    loaded = shipped()
    classifier = copy.deepcopy(loaded.classifier)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in classifier.parameters():
            if weights.dim() > 1:
                weights += 0.03 * weights.std() * torch.randn(weights.shape, generator=generator)
    bundle = replace(loaded.bundle, id="a" * 64, manifest=replace(loaded.bundle.manifest, name="noisy"))
    return replace(loaded, bundle=bundle, classifier=classifier)


@functools.cache
def crossed() -> Transfers:
    return transfers(shipped(), noisy(), "fgsm", FGSM, COUNT, SEED, silent)


def test_the_matrix_is_that_of_attacking_and_reading_by_hand() -> None:
    found = crossed()
    first, other = shipped(), noisy()
    images, labels = first.bundle.image_set.images(found.ids), first.bundle.image_set.labels[found.ids]
    test = set(first.bundle.splits.test.tolist())
    assert 2 <= len(set(found.ids.tolist())) == len(found.ids) <= COUNT and set(found.ids.tolist()) <= test
    for loaded in (first, other):
        assert (loaded.classifier.predict(images) == labels).all(), "only what both read correctly is attacked"
    pairs = [(crossing.made_on, crossing.read_by) for crossing in found.crossings]
    assert pairs == [("digits", "digits"), ("digits", "noisy"), ("noisy", "digits"), ("noisy", "noisy")]
    models = {"digits": first, "noisy": other}
    for crossing in found.crossings:
        maker, reader = models[crossing.made_on], models[crossing.read_by]
        settings = first.bundle.attack_parameters("fgsm") | FGSM
        made = attack_images(maker.classifier, images, "fgsm", settings, labels, seed=SEED)
        read = reader.classifier.predict(made.images)
        assert (crossing.fooled.count, crossing.fooled.total) == (int((read != labels).sum()), len(labels))
        np.testing.assert_array_equal(crossing.ids, found.ids[read != labels])
        moved = np.stack([images[i] + made.images[i - 1] - images[i - 1] for i in range(len(images))]).clip(0, 1)
        control = reader.classifier.predict((np.rint(moved * 255) / 255).astype(np.float32)) != labels
        assert crossing.control.count == int(control.sum())
    own = [crossing.fooled.count for crossing in found.crossings if crossing.made_on == crossing.read_by]
    assert min(own) > 0, "an attack that fools nobody would show nothing"
    assert sum(crossing.control.count for crossing in found.crossings) < sum(c.fooled.count for c in found.crossings)


def test_departures_are_those_of_walking_back_from_the_last_layer() -> None:
    found = crossed()
    crossing = found.crossings[1]
    loaded, labels = noisy(), shipped().bundle.image_set.labels
    images = shipped().bundle.image_set.images(found.ids)
    settings = shipped().bundle.attack_parameters("fgsm") | FGSM
    made = attack_images(shipped().classifier, images, "fgsm", settings, labels[found.ids], seed=SEED).images
    trace = loaded.classifier.trace(made[np.isin(found.ids, crossing.ids)])
    kind = next(kind for kind in loaded.available if kind.name == "trajectory")
    variant = kind.explain(loaded.seen(kind, loaded.evidence_of(trace)), labels[crossing.ids])
    pivots = loaded.reference.pivots.of(variant["pivot"])
    assert len(crossing.departures) == crossing.fooled.count > 0
    for i, departed in enumerate(crossing.departures):
        layer = len(pivots)
        for place in reversed(range(len(pivots))):
            own = trace.activations[place][i].astype(np.float64)
            right, wrong = (
                pivots[place][c].astype(np.float64) for c in (labels[crossing.ids[i]], trace.predictions[i])
            )
            if variant["distance"] == "l2":
                nearer = np.linalg.norm(own - wrong) < np.linalg.norm(own - right)
            else:
                nearer = own @ wrong / np.linalg.norm(wrong) > own @ right / np.linalg.norm(right)
            if not nearer:
                break
            layer = place
        assert departed == (NO_LAYER if layer == len(pivots) else layer)


def test_the_same_seed_gives_the_same_and_too_few_images_are_refused() -> None:
    again = transfers(shipped(), noisy(), "fgsm", FGSM, COUNT, SEED, silent)
    assert again.to_json() == crossed().to_json()
    assert not np.array_equal(transfers(shipped(), noisy(), "fgsm", FGSM, COUNT, 6, silent).ids, again.ids)
    with pytest.raises(InputError, match="At least 2 images"):
        transfers(shipped(), noisy(), "fgsm", FGSM, 1, SEED, silent)


def test_the_control_keeps_the_size_of_every_perturbation() -> None:
    draws = np.random.default_rng(0)
    natural = np.rint(draws.uniform(64, 190, (5, 1, 4, 4))).astype(np.float32) / 255
    change = np.rint(draws.uniform(-20, 20, natural.shape)).astype(np.float32) / 255
    found = laid_on_others(natural, natural + change)
    np.testing.assert_allclose(found - natural, change[[4, 0, 1, 2, 3]], atol=1e-6)


def test_the_command_says_the_same(second: dict[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versus", "digits", NAME, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    expected = two_answers(load_bundle("digits"), load_bundle(NAME), silent).to_json()
    assert record == json.loads(json.dumps({"answers": expected, "attack": None}))
    assert main(["versus", "digits", NAME, "--attack", "fgsm", "--images", "6", "--json"]) == 0
    crossings = json.loads(capsys.readouterr().out)["attack"]["crossings"]
    assert len({c["fooled"]["count"] for c in crossings}) == 1, "the copy has the same weights"
    assert main(["versus", "digits", NAME, "--attack", "fgsm", "--images", "6"]) == 0
    assert "misread by other" in " ".join(capsys.readouterr().out.split())


def test_the_engine_answers_what_the_library_finds(second: dict[int, int]) -> None:
    engine = DirectEngine()
    answers = engine.submit("two_answers", bundle="digits", other=NAME).result()
    assert answers.to_json() == two_answers(load_bundle("digits"), load_bundle(NAME), silent).to_json()
    asked = {"attack": "fgsm", "parameters": FGSM, "images": 4, "seed": 0}
    found = engine.submit("transfers", bundle="digits", other=NAME, **asked).result()
    assert [crossing.fooled.total for crossing in found.crossings] == [len(found.ids)] * 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["digits", "cifar10"], "do not know the same classes"),
        (["digits", "digits"], "compared with itself"),
        (["digits", NAME, "--set", "eps=0.1"], "--set needs --attack"),
        (["digits", NAME, "--attack", "nope"], "no attack 'nope'"),
    ],
)
def test_bad_input_is_one_sentence(
    second: dict[int, int], capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["versus", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert sentence in complaint and complaint.count("\n") == 1
