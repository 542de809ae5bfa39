"""The classifier and its trace against forward hooks and a forward pass written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax as scipy_softmax
from torch import nn

from support.tiny import small_classifier, tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.base.errors import InputError
from telltale.evidence.guided import guided_network, plain_gradient
from telltale.models import classifier as classifiers
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace


def coloured() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return small_classifier(3, 16, 16, 4, base_width=4, depth=2, mean=0.3, std=0.2)


def random_images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, 16, 16), dtype=np.float32)


def test_normalisation_lives_inside() -> None:
    classifier, images = coloured(), torch.from_numpy(random_images(3))
    with torch.no_grad():
        expected = classifier.network((images - 0.3) / 0.2)
        torch.testing.assert_close(classifier(images), expected)
        assert not torch.allclose(classifier(images), classifier.network(images))
    assert {"mean", "std"} <= set(classifier.state_dict())


@pytest.mark.parametrize("make", [coloured, tiny_classifier])
def test_the_trace_holds_what_forward_hooks_see(make) -> None:
    classifier = make()
    images = random_images(5) if make is coloured else tiny_images(5)[0]
    seen: dict[str, torch.Tensor] = {}
    modules = {"stem": classifier.network.stem, **classifier.network.blocks}

    def keep(name):
        return lambda _module, _inputs, output: seen.__setitem__(name, output.detach().clone())

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    with torch.no_grad():
        logits = classifier(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    trace = classifier.trace(images)
    assert trace.layers == tuple(modules) == classifier.layers
    for name, activations in zip(trace.layers, trace.activations, strict=True):
        pooled = seen[name].double().numpy().mean((2, 3))
        np.testing.assert_allclose(activations, pooled, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trace.logits, logits.numpy(), rtol=1e-4, atol=1e-5)


def test_the_hidden_state_is_the_input_of_the_head() -> None:
    classifier, images = tiny_classifier(), tiny_images(5)[0]
    seen: list[torch.Tensor] = []
    handle = classifier.network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    with torch.no_grad():
        classifier(torch.from_numpy(images))
    handle.remove()
    trace = classifier.trace(images)
    np.testing.assert_allclose(trace.hidden, seen[0].numpy(), rtol=1e-5, atol=1e-6)
    head = classifier.network.head
    by_hand = trace.hidden @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    np.testing.assert_allclose(trace.logits, by_hand, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(trace.predictions, by_hand.argmax(1))
    np.testing.assert_allclose(trace.probabilities, scipy_softmax(trace.logits.astype(np.float64), axis=1), rtol=1e-12)


@pytest.mark.parametrize("make", [coloured, tiny_classifier])
def test_every_relu_is_a_module_of_its_own_that_runs_once(make) -> None:
    classifier = make()
    images = random_images(1) if make is coloured else tiny_images(1)[0]
    relus = [module for module in classifier.network.modules() if isinstance(module, nn.ReLU)]
    counts = dict.fromkeys(relus, 0)

    def count(module, inputs, output):
        counts[module] += 1

    handles = [module.register_forward_hook(count) for module in relus]
    with torch.no_grad():
        classifier(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    assert len(relus) == 1 + 2 * (len(classifier.layers) - 1)  # the stem's, and two in every block
    assert set(counts.values()) == {1}
    assert not any(module.inplace for module in relus)


def test_it_is_in_evaluation_mode_and_tracing_changes_nothing() -> None:
    classifier = coloured()
    assert not any(module.training for module in classifier.modules())
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    classifier.trace(random_images(6))
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not classifier.training


@pytest.mark.parametrize("size", [1, 3, 64])
def test_the_batch_size_changes_nothing(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, images = tiny_classifier(), tiny_images(10)[0]
    whole = classifier.trace(images)
    monkeypatch.setattr(classifiers, "VALUES_AT_ONCE", size * images[0].size)
    parts = classifier.trace(images)
    np.testing.assert_allclose(parts.logits, whole.logits, rtol=1e-4, atol=1e-4)
    for a, b in zip(parts.activations, whole.activations, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    alone = np.concatenate([classifier.predict(images[i : i + 1]) for i in range(10)])
    np.testing.assert_array_equal(alone, classifier.predict(images))


def test_large_images_are_read_few_at_a_time_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, images = coloured(), random_images(7)
    assert classifier.images_at_once == 64
    monkeypatch.setattr(classifiers, "VALUES_AT_ONCE", 3 * images[0].size + 1)
    assert classifier.images_at_once == 3
    passes: list[int] = []
    with classifier.network.stem.register_forward_hook(lambda _m, inputs, _o: passes.append(len(inputs[0]))):
        classifier.logits_of(images)
        attack_images(classifier, images, "fgsm")
        plain_gradient(classifier, images)
    assert max(passes) == 3 and passes[:3] == [3, 3, 1] == passes[-3:]
    rows: list[int] = []
    network = guided_network(classifier)
    monkeypatch.setattr(network, "_part", lambda part: rows.append(len(part)) or part)
    network.backpropagate(images)
    assert rows == [3, 3, 1]
    monkeypatch.setattr(classifiers, "VALUES_AT_ONCE", 1)
    assert classifier.images_at_once == 1


def test_images_do_not_influence_their_batch_mates() -> None:
    classifier, images = tiny_classifier(), tiny_images(4)[0]
    changed = images.copy()
    changed[1:] = 0.0
    np.testing.assert_allclose(classifier.trace(changed).logits[0], classifier.trace(images).logits[0], rtol=1e-5)


def test_part_of_a_trace_is_the_trace_of_the_part() -> None:
    classifier, images = tiny_classifier(), tiny_images(6)[0]
    trace = classifier.trace(images)
    rows = np.array([4, 0])
    part, again = trace.take(rows), classifier.trace(images[rows])
    np.testing.assert_allclose(part.logits, again.logits, rtol=1e-4, atol=1e-4)
    joined = Trace.concatenate([trace.take(slice(0, 2)), trace.take(slice(2, 6))])
    np.testing.assert_array_equal(joined.logits, trace.logits)
    for a, b in zip(joined.activations, trace.activations, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((1, 1, 16, 16)), r"Expected images of shape \(n, 3, 16, 16\), got \(1, 1, 16, 16\)\."),
        (np.zeros((3, 16, 16)), r"Expected images of shape \(n, 3, 16, 16\), got \(3, 16, 16\)\."),
        (np.zeros((0, 3, 16, 16)), r"Expected images of shape \(n, 3, 16, 16\), got \(0, 3, 16, 16\)\."),
        (np.full((1, 3, 16, 16), np.nan), r"Images must hold finite values in \[0, 1\]\."),
        (np.full((1, 3, 16, 16), 1.01), r"Images must hold finite values in \[0, 1\]\."),
        (np.full((1, 3, 16, 16), -0.01), r"Images must hold finite values in \[0, 1\]\."),
    ],
)
def test_what_is_not_a_batch_of_its_images_is_refused(images, sentence) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        coloured().trace(images.astype(np.float32))
