"""Training: augmentation by brute force, resumption to the last bit, and weights that know their data."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import telltale.models.training
from support.miniature import RECIPE
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.files import load_arrays, load_metadata, save_arrays
from telltale.cli import main
from telltale.data import digits
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set
from telltale.data.splits import SplitSizes
from telltale.models.augmentation import Augmentation
from telltale.models.training import (
    Checkpoint,
    recipe_spec,
    train,
    train_classifier,
)
from telltale.models.training_run import TrainingRun
from telltale.models.weights import load_weights, save_weights, trained_on
from telltale.recipes import Recipe, Twin

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 3
IDS = np.arange(300)
TINY = dataclasses.replace(RECIPE, epochs=EPOCHS, shift=2, flip=True, sizes=SplitSizes(60, 80, 60))
# Everything that a recipe can ask for.
EARLY = dataclasses.replace(
    TINY, network="early_resnet", depth=2, alternate=True, cutout=5, noise=6.0, label_smoothing=0.1, half_precision=True
)


class Stopped(Exception):
    """Ends a training where a test has seen enough."""


def silent(fraction: float, message: str) -> None:
    pass


# --- augmentation -----------------------------------------------------------------------------------------------


def images(count: int = 40, channels: int = 3) -> torch.Tensor:
    pixels = np.random.default_rng(5).integers(0, 256, (count, channels, 6, 8), dtype=np.uint8)
    return torch.from_numpy(pixels)


def shifted(image: np.ndarray, down: int, right: int, mirrored: bool) -> np.ndarray:
    """Move the window over an image that goes on as its own mirror image, pixel by pixel."""
    channels, height, width = image.shape
    out = np.empty_like(image)

    def inside(place: int, size: int) -> int:
        place = abs(place)
        return 2 * (size - 1) - place if place >= size else place

    for c in range(channels):
        for y in range(height):
            for x in range(width):
                out[c, y, x] = image[c, inside(y + down, height), inside(x + right, width)]
    return out[:, :, ::-1] if mirrored else out


@pytest.mark.parametrize(("shift", "flip"), [(0, True), (1, False), (2, True), (3, False)])
def test_every_augmented_image_is_a_shifted_and_mirrored_one(shift: int, flip: bool) -> None:
    pixels = images()
    rows = torch.arange(40).repeat(16)
    batch = Augmentation(pixels, shift, flip).batch(rows, torch.Generator().manual_seed(0))
    assert batch.shape == (640, 3, 6, 8) and batch.dtype == torch.float32
    steps, mirrors = range(-shift, shift + 1), (False, True) if flip else (False,)
    places = [(d, r, m) for d in steps for r in steps for m in mirrors]
    possible = {place: [shifted(image.numpy(), *place) for image in pixels] for place in places}
    seen = []
    for row, image in zip(rows.tolist(), batch.numpy(), strict=True):
        bytes_ = np.rint(image * 255).astype(np.uint8)
        np.testing.assert_array_equal(image, bytes_.astype(np.float32) / np.float32(255))
        found = [place for place in places if np.array_equal(possible[place][row], bytes_)]
        assert len(found) == 1
        seen += found
    counts = {place: seen.count(place) for place in places}
    expected = len(seen) / len(places)
    assert min(counts.values()) > 0, "some shift or mirror image never comes"
    # Chi-squared over the places, at five standard deviations.
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    freedom = len(places) - 1
    assert statistic < freedom + 5 * np.sqrt(2 * max(freedom, 1)) + 5


def test_every_other_epoch_shows_the_other_side_of_every_image() -> None:
    pixels, rows = images(), torch.arange(40)
    augmentation = Augmentation(pixels, 0, flip=True, alternate=3)
    epochs = [augmentation.batch(rows, torch.Generator().manual_seed(epoch), epoch) for epoch in range(4)]
    plain = pixels.float() / 255
    as_it_is = (epochs[0] == plain).flatten(1).all(1)
    assert 5 < as_it_is.sum() < 35 and torch.equal(epochs[0][~as_it_is], plain[~as_it_is].flip(3))
    for epoch, batch in enumerate(epochs):
        assert torch.equal(batch, epochs[0].flip(3) if epoch % 2 else epochs[0])


def test_cutout_greys_one_square_inside_every_image() -> None:
    pixels = images()
    rows = torch.arange(40).repeat(16)
    batch = Augmentation(pixels, 0, False, cutout=3).batch(rows, torch.Generator().manual_seed(0)).numpy()
    plain, grey = pixels.numpy()[rows.numpy()] / np.float32(255), np.float32(pixels.numpy().mean() / 255)
    places = []
    for image, before in zip(batch, plain, strict=True):
        fitting = []
        for y in range(6 - 3 + 1):
            for x in range(8 - 3 + 1):
                expected = before.copy()
                expected[:, y : y + 3, x : x + 3] = grey
                fitting += [(y, x)] if np.allclose(image, expected, atol=1e-7) else []
        assert len(fitting) == 1
        places += fitting
    counts = [places.count(place) for place in set(places)]
    assert len(counts) == 24 and max(counts) < 3 * 640 / 24


def test_half_of_the_images_get_normal_noise_of_evenly_drawn_sizes() -> None:
    pixels = torch.full((1000, 3, 16, 16), 128, dtype=torch.uint8)
    batch = Augmentation(pixels, 0, False, noise=8.0).batch(torch.arange(1000), torch.Generator().manual_seed(0))
    added = (batch.numpy() - np.float32(128 / 255)) * 255
    levels = added.std(axis=(1, 2, 3))
    noisy = levels > 0
    assert 430 < noisy.sum() < 570
    assert stats.kstest(levels[noisy], stats.uniform(0, 8).cdf).pvalue > 1e-3
    standard = (added[noisy] / levels[noisy][:, None, None, None]).ravel()
    assert stats.kstest(standard[::97], stats.norm().cdf).pvalue > 1e-3
    extreme = Augmentation(pixels * 0, 0, False, noise=8.0).batch(torch.arange(9), torch.Generator().manual_seed(0))
    assert extreme.min() >= 0.0


def test_augmentation_follows_its_generator() -> None:
    augmentation, rows = Augmentation(images(), 2, True), torch.arange(40)
    first, again, other = (augmentation.batch(rows, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_without_augmentation_pixels_stay_and_nothing_is_drawn() -> None:
    pixels, draws = images(), torch.Generator().manual_seed(0)
    before = draws.get_state()
    rows = torch.tensor([3, 3, 0])
    batch = Augmentation(pixels, 0, False).batch(rows, draws)
    assert torch.equal(batch, pixels[rows].float() / 255)
    assert torch.equal(draws.get_state(), before)


# --- checkpoints ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> ImageSet:
    return digits.load()


def weights_of(classifier: torch.nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in classifier.state_dict().items()}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.fixture(scope="module")
def uninterrupted(data: ImageSet) -> dict[str, np.ndarray]:
    return weights_of(train_classifier(TINY, data, IDS, silent))


def interrupted(data: ImageSet, checkpoint: Checkpoint, after: int = 1) -> None:
    """Train until the first batch after some epochs."""

    def stop(fraction: float, message: str) -> None:
        if message.startswith(f"Training, epoch {after + 1} "):
            raise Stopped

    with pytest.raises(Stopped):
        train_classifier(TINY, data, IDS, stop, checkpoint)


def first_epoch(messages: list[str]) -> str:
    return messages[0].split(",")[1].strip()


def resumed(data: ImageSet, checkpoint: Checkpoint) -> tuple[str, dict[str, np.ndarray]]:
    messages: list[str] = []
    classifier = train_classifier(TINY, data, IDS, lambda _, message: messages.append(message), checkpoint)
    return first_epoch(messages), weights_of(classifier)


@pytest.mark.parametrize("after", [1, 2])
def test_a_resumed_training_ends_in_the_same_weights(tmp_path, data, uninterrupted, after) -> None:
    checkpoint = Checkpoint.beside(tmp_path / "w.safetensors", TINY, data)
    interrupted(data, checkpoint, after)
    torch.manual_seed(99)  # whatever another process drew must not matter
    began, weights = resumed(data, checkpoint)
    assert began == f"epoch {after + 1} of {EPOCHS}"
    assert_same(weights, uninterrupted)


def test_a_resumed_training_with_everything_ends_in_the_same_weights(tmp_path, data) -> None:
    kept = [Checkpoint.beside(tmp_path / "w.safetensors", EARLY, data)]
    with pytest.raises(Stopped):
        train_classifier(EARLY, data, IDS, stop_in_third_epoch, *kept)
    resumed_, whole = (train_classifier(EARLY, data, IDS, silent, *checkpoint) for checkpoint in (kept, ()))
    assert_same(weights_of(resumed_), weights_of(whole))


def test_a_twin_is_trained_with_its_classifier_and_comes_back_with_it(tmp_path, data) -> None:
    recipe = dataclasses.replace(TINY, epochs=1, twin=Twin(base_width=3, depth=1, epochs=3))
    alone = recipe.of_twin()
    assert alone is not None
    file = tmp_path / "w.safetensors"
    kept = [Checkpoint.beside(file, recipe, data)]
    with pytest.raises(Stopped):
        train_classifier(recipe, data, IDS, stop_in_third_epoch, *kept)
    whole, first, second = (train_classifier(r, data, IDS, silent) for r in (recipe, replaced_twin(recipe), alone))
    save_weights(train_classifier(recipe, data, IDS, silent, *kept), file)
    again = load_weights(recipe_spec(recipe, data), file)
    assert whole.twin is not None and again.twin is not None
    for found in (whole, again):
        assert_same(weights_of(found), weights_of(whole))
        assert_same(weights_of(found.twin), weights_of(second))
        np.testing.assert_array_equal(found.predict(data.images(IDS)), first.predict(data.images(IDS)))


def replaced_twin(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, twin=None)


def stop_in_third_epoch(fraction: float, message: str) -> None:
    if message.startswith("Training, epoch 3 "):
        raise Stopped


def run_of(data: ImageSet, recipe: Recipe = TINY) -> TrainingRun:
    return TrainingRun(recipe, recipe_spec(recipe, data), data.pixels[IDS], data.labels[IDS])


def test_smoothed_labels_share_a_part_of_the_target_among_all_classes(data, monkeypatch) -> None:
    losses = []
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: (losses.append(loss.item()), backward(loss))[1])
    plain = dataclasses.replace(TINY, flip=False, shift=0, batch_size=300)
    run = run_of(data, dataclasses.replace(plain, label_smoothing=0.1))
    classifier, images_ = run._classifier.train(), torch.from_numpy(data.pixels[IDS]).float() / 255
    with torch.no_grad():
        logged = torch.log_softmax(classifier(images_), 1).numpy()
    classifier.load_state_dict(run_of(data, plain)._classifier.state_dict())  # the pass has moved running statistics
    run.epoch(lambda _: None)
    target = 0.9 * np.eye(10)[data.labels[IDS]] + 0.1 / 10
    assert losses == [pytest.approx(-(target * logged).sum(1).mean(), rel=1e-5)]


def test_the_first_layer_of_the_early_network_whitens_patches(data) -> None:
    classifier = run_of(data, dataclasses.replace(EARLY, half_precision=False)).finished()
    images_ = (torch.from_numpy(data.pixels[IDS]).float() / 255 - classifier.mean) / classifier.std
    (weight,) = classifier.network.stem.parameters()
    found = torch.nn.functional.conv2d(images_, weight).transpose(0, 1).flatten(1).double().numpy()
    half = len(found) // 2
    np.testing.assert_allclose(found[half:], -found[:half], atol=1e-6)
    pixels = images_.numpy().astype(np.float64)
    corners = [pixels[:, :, y : y - 1 or None, x : x - 1 or None].reshape(-1) for y in (0, 1) for x in (0, 1)]
    variances = np.linalg.eigvalsh(np.cov(corners, bias=True) + np.outer(*2 * [np.mean(corners, axis=1)]))[::-1]
    moments = found[:half] @ found[:half].T / found.shape[1]
    np.testing.assert_allclose(moments, np.diag(variances / (variances + 1e-2)), atol=1e-3)
    assert not weight.requires_grad


def test_the_early_network_uses_each_rectifier_once_and_halves_the_pixels_three_times(data) -> None:
    classifier = run_of(data, EARLY).finished()
    calls = []
    for module in classifier.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_hook(lambda _, __, out: calls.append(out.shape[2]))
    classifier.logits(torch.zeros(1, *classifier.input_shape))
    size = classifier.input_shape[1] - 1
    stages = [size // 2, size // 4, size // 8]
    assert calls == [size, *2 * stages[:1], *2 * stages[1:2], *3 * stages[2:]]
    assert len(calls) == sum(isinstance(module, torch.nn.ReLU) for module in classifier.modules())
    assert classifier.layers[:2] == ("stage1_entry", "stage1_block1") and len(classifier.layers) == 7


def test_the_learning_rate_goes_on_where_it_was(data) -> None:
    whole, rates = run_of(data), []
    for _ in range(EPOCHS):
        rates.append(whole.learning_rate)
        state = whole.arrays() if rates[1:] else {}
        if len(rates) == 2:
            other = run_of(data)
            other.restore(state, 1)
            assert other.learning_rate == whole.learning_rate == rates[1]
        whole.epoch(lambda _: None)
    steps = EPOCHS * 5
    assert len(set(rates)) == EPOCHS
    # One cycle, by its formula: half a cosine up from a 25th over three tenths of the steps, then down to almost 0.
    top, rise = TINY.learning_rate, 0.3 * steps - 1
    for epoch, rate in enumerate(rates):
        step = 5 * epoch
        if step <= rise:
            low, high, share = top / 25, top, step / rise
        else:
            low, high, share = top, top / 25 / 1e4, (step - rise) / (steps - 1 - rise)
        assert rate == pytest.approx(high + (low - high) * (1 + np.cos(np.pi * share)) / 2, rel=1e-9)


def spoil(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "flipped":
        content[len(content) * 3 // 4] ^= 1
    elif how == "half":
        del content[len(content) // 2 :]
    elif how == "empty":
        content.clear()
    elif how == "of another kind":
        save_arrays(file, {"epochs": np.array(2)})
        return
    file.write_bytes(content)


@pytest.fixture(scope="module")
def after_one_epoch(data: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    checkpoint = Checkpoint.beside(tmp_path_factory.mktemp("kept") / "w.safetensors", TINY, data)
    interrupted(data, checkpoint)
    return checkpoint.file.read_bytes()


@pytest.mark.parametrize("how", ["flipped", "half", "empty", "of another kind"])
def test_a_damaged_checkpoint_means_starting_anew(tmp_path, data, uninterrupted, after_one_epoch, how) -> None:
    checkpoint = Checkpoint.beside(tmp_path / "w.safetensors", TINY, data)
    checkpoint.file.write_bytes(after_one_epoch)
    spoil(checkpoint.file, how)
    began, weights = resumed(data, checkpoint)
    assert began == f"epoch 1 of {EPOCHS}"
    assert_same(weights, uninterrupted)


def changed(data: ImageSet) -> ImageSet:
    """The same number of images, one of them with another pixel."""
    pixels = data.pixels.copy()
    pixels[0, 0, 0, 0] ^= 1
    return dataclasses.replace(data, pixels=pixels)


def part(data: ImageSet, count: int) -> ImageSet:
    return dataclasses.replace(data, pixels=data.pixels[:count], labels=data.labels[:count])


def test_a_checkpoint_serves_its_own_recipe_and_data_only(tmp_path, data) -> None:
    file = tmp_path / "w.safetensors"
    keys = [
        Checkpoint.beside(file, recipe, image_set).key
        for recipe, image_set in [
            (TINY, data),
            (TINY, changed(data)),
            (TINY, dataclasses.replace(data, own_test=100)),
            (dataclasses.replace(TINY, epochs=4), data),
            (dataclasses.replace(TINY, learning_rate=0.04), data),
        ]
    ]
    assert len(set(keys)) == len(keys)
    attacked = dataclasses.replace(TINY, attacks=TINY.attacks[:1])
    assert keys[0] == Checkpoint.beside(file, attacked, digits.load()).key, "attacks come after training"


def use(monkeypatch: pytest.MonkeyPatch, recipe: object, precomputed: Path | None = None) -> None:
    monkeypatch.setattr(telltale.models.training, "get_recipe", lambda _: recipe)
    if precomputed is not None:
        monkeypatch.setattr(telltale.models.training, "PRECOMPUTED", precomputed)


def test_what_was_given_up_is_cleared_when_a_training_ends(tmp_path, data, monkeypatch) -> None:
    file = tmp_path / "w.safetensors"
    other = Checkpoint.beside(file, dataclasses.replace(TINY, seed=8), data)
    interrupted(data, other)
    neighbour = tmp_path / ".other-0123456789abcdef.training"
    neighbour.write_bytes(b"")
    use(monkeypatch, dataclasses.replace(TINY, epochs=1))
    train("mini", out=file, progress=silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == [neighbour.name, file.name]


KILLED = """
import dataclasses, os, signal, sys
import telltale.cli, telltale.recipes
from support.miniature import RECIPE
telltale.recipes.RECIPES["mini"] = dataclasses.replace(RECIPE, epochs=2, mixed_precision=False)
if sys.argv[1] == "die":
    import telltale.models.training as training
    keep = training.Checkpoint.keep
    def die(self, run, epochs):
        keep(self, run, epochs)
        os.kill(os.getpid(), signal.SIGKILL)
    training.Checkpoint.keep = die
sys.exit(telltale.cli.main(["train", "mini", "--out", sys.argv[2]]))
"""


def train_in_a_process(how: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, how, str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_killed_command_goes_on_and_ends_in_the_same_bytes(tmp_path, monkeypatch) -> None:
    killed = train_in_a_process("die", tmp_path / "a.safetensors")
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "a.safetensors").exists()
    resumed_ = train_in_a_process("live", tmp_path / "a.safetensors")
    assert resumed_.returncode == 0, resumed_.stderr
    use(monkeypatch, dataclasses.replace(RECIPE, epochs=2, mixed_precision=False))
    whole: list[str] = []
    train("mini", out=tmp_path / "b.safetensors", progress=lambda _, message: whole.append(message))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert "epoch 2 of 2" in resumed_.stderr and any("epoch 1 of 2" in message for message in whole)
    assert "epoch 1 of 2" not in resumed_.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


# --- weights and their data -------------------------------------------------------------------------------------


def test_weights_in_half_precision_come_back_to_the_last_bit(tmp_path, data) -> None:
    rounded, plain = (
        run_of(data, dataclasses.replace(EARLY, half_precision=half)).finished() for half in (True, False)
    )
    for name, parameter in rounded.named_parameters():
        exact = dict(plain.named_parameters())[name]
        expected = exact.half().float() if parameter.ndim > 1 else exact
        assert torch.equal(parameter, expected)
    files = [tmp_path / f"{name}.safetensors" for name in ("rounded", "plain")]
    for classifier, file in zip((rounded, plain), files, strict=True):
        save_weights(classifier, file, data="x")
        again = load_weights(classifier.spec, file)
        assert_same(weights_of(again), weights_of(classifier))
        assert trained_on(file) == "x"
    assert files[0].stat().st_size < 0.6 * files[1].stat().st_size


def test_weights_say_what_they_were_trained_on(tmp_path, data, monkeypatch) -> None:
    use(monkeypatch, dataclasses.replace(TINY, epochs=1))
    file = train("mini", out=tmp_path / "w.safetensors", progress=silent)
    assert trained_on(file) == load_metadata(file)["data"] == data.fingerprint
    classifier = load_weights(recipe_spec(TINY, data), file)
    save_weights(classifier, tmp_path / "silent.safetensors")
    assert trained_on(tmp_path / "silent.safetensors") is None
    assert trained_on(tmp_path / "absent.safetensors") is None
    again = load_weights(recipe_spec(TINY, data), tmp_path / "silent.safetensors")
    assert_same(weights_of(again), weights_of(classifier))
    (tmp_path / "broken.safetensors").write_bytes(b"{}")
    with pytest.raises(DamagedBundleError, match=r"broken\.safetensors"):
        trained_on(tmp_path / "broken.safetensors")


def test_the_recipes_own_weights_are_replaced_by_the_same_datas_only(tmp_path, data, monkeypatch) -> None:
    use(monkeypatch, dataclasses.replace(TINY, epochs=1), tmp_path)
    data = part(data, 400)
    monkeypatch.setattr(telltale.models.training, "load_image_set", lambda _: data)
    own = tmp_path / "weights" / "mini.safetensors"
    assert train("mini", progress=silent) == own
    first = own.read_bytes()
    use(monkeypatch, dataclasses.replace(TINY, epochs=1, seed=1))
    train("mini", data="digits", progress=silent)
    second = own.read_bytes()
    assert second != first
    monkeypatch.setattr(telltale.models.training, "load_image_set", lambda _: changed(data))

    def no_training(fraction: float, message: str) -> None:
        assert not message.startswith("Training"), "it was trained for nothing"

    with pytest.raises(InputError, match="trained on other data; name a file for these with --out"):
        train("mini", progress=no_training)
    assert own.read_bytes() == second
    train("mini", out=tmp_path / "other.safetensors", progress=silent)
    assert trained_on(tmp_path / "other.safetensors") == changed(data).fingerprint
    save_weights(load_weights(recipe_spec(TINY, data), own), own)
    with pytest.raises(InputError, match="--out"):
        train("mini", progress=no_training)
    own.write_bytes(b"junk")  # of no use to anybody
    train("mini", progress=silent)
    assert trained_on(own) == changed(data).fingerprint


def test_a_file_that_cannot_be_written_is_refused_before_training(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    for out, sentence in {"": "is a folder", "file/w.safetensors": "cannot be written"}.items():
        assert main(["train", "digits", "--out", str(tmp_path / out)]) == 2
        error = capsys.readouterr().err
        assert sentence in error and error.count("\n") == 1


def test_unknown_data_is_refused_in_one_line(tmp_path, capsys) -> None:
    assert main(["train", "mnist", "--data", str(tmp_path / "nowhere")]) == 2
    error = capsys.readouterr().err
    assert "There is no file or folder" in error and error.count("\n") == 1


# --- how it computes --------------------------------------------------------------------------------------------


def easy(count: int) -> ImageSet:
    """Stripes along or across, in noise: colour images that a few steps tell apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % 2
    stripes = np.where(np.arange(12) % 4 < 2, 60, -60)
    pictures = np.where(labels[:, None, None] == 0, stripes[None, :, None], stripes[None, None, :])
    noisy = 128 + pictures[:, None] + rng.normal(0, 30, (count, 3, 12, 12))
    return ImageSet("easy", noisy.clip(0, 255).astype(np.uint8), labels, ("along", "across"))


@pytest.mark.parametrize("mixed", [False, True])
def test_it_learns_in_either_precision_and_gives_the_threads_back(mixed: bool) -> None:
    recipe = dataclasses.replace(TINY, mixed_precision=mixed, epochs=4, shift=1, flip=True, learning_rate=0.1)
    image_set, train_ids, test_ids = easy(400), np.arange(300), np.arange(300, 400)
    threads = torch.get_num_threads()
    for wanted, epochs in ((1, 1), (2, recipe.epochs)):
        torch.set_num_threads(wanted)
        classifier = train_classifier(dataclasses.replace(recipe, epochs=epochs), image_set, train_ids, silent)
        assert torch.get_num_threads() == wanted
    torch.set_num_threads(threads)
    assert (classifier.predict(image_set.images(test_ids)) == image_set.labels[test_ids]).mean() > 0.95
    assert not classifier.training
    for value in classifier.state_dict().values():
        assert value.device.type == "cpu" and value.is_contiguous() and value.dtype in (torch.float32, torch.int64)


def test_mixed_precision_resumes_too(tmp_path) -> None:
    recipe = dataclasses.replace(TINY, mixed_precision=True, learning_rate=0.1)
    image_set, ids = easy(300), np.arange(300)
    checkpoint = Checkpoint.beside(tmp_path / "w.safetensors", recipe, image_set)
    run = TrainingRun(recipe, recipe_spec(recipe, image_set), image_set.pixels[ids], image_set.labels[ids])
    run.epoch(lambda _: None)
    checkpoint.keep(run, 1)
    other = TrainingRun(recipe, recipe_spec(recipe, image_set), image_set.pixels[ids], image_set.labels[ids])
    assert checkpoint.resume(other) == 1
    assert_same(other.arrays(), run.arrays())
    assert_same(other.arrays(), {k: v for k, v in load_arrays(checkpoint.file).items() if k != "epochs"})
    other.epoch(lambda _: None)


def test_progress_rises_and_tells_epoch_and_speed(data) -> None:
    told: list[tuple[float, str]] = []
    started = time.monotonic()
    train_classifier(TINY, data, IDS, lambda *report: told.append(report))
    seconds = time.monotonic() - started
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(set(fractions)) and fractions[0] == 0 and fractions[-1] < 1
    assert len(told) == EPOCHS * 5
    assert told[0][1] == f"Training, epoch 1 of {EPOCHS}"
    words = told[-1][1]
    assert words.startswith(f"Training, epoch {EPOCHS} of {EPOCHS}, ") and words.endswith(" images/s")
    speed = float(words.split(", ")[-1].split()[0])
    assert speed == pytest.approx(EPOCHS * len(IDS) / seconds, rel=0.5)


def image_folder(folder: Path, count: int) -> Iterator[np.ndarray]:
    from PIL import Image

    image_set = easy(count)
    for i, (pixels, label) in enumerate(zip(image_set.pixels, image_set.labels, strict=True)):
        place = folder / image_set.class_names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(place / f"{i:03}.png")
        yield pixels


def test_a_folder_of_images_trains_a_large_recipe(tmp_path, monkeypatch) -> None:
    assert len(list(image_folder(tmp_path / "stripes", 240))) == 240
    recipe = dataclasses.replace(TINY, epochs=3, learning_rate=0.1, sizes=SplitSizes(400, 600, 10_000))
    use(monkeypatch, recipe, tmp_path / "precomputed")
    told: list[str] = []
    file = train("cifar10", data=str(tmp_path / "stripes"), progress=lambda _, message: told.append(message))
    assert file == tmp_path / "precomputed" / "weights" / "cifar10.safetensors"
    assert trained_on(file) == load_image_set(str(tmp_path / "stripes")).fingerprint
    accuracy = float(told[-1].split("test ")[1].split("%")[0])
    assert accuracy > 90, told[-1]
