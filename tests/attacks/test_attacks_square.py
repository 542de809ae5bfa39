"""Square attack: exact budget, no gradients, its schedule by a table, every place reached, torchattacks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from support.attack_cases import LinearClassifier, linear_problem
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.attacks.budget import metered
from telltale.attacks.methods.square import _span, square_side
from telltale.base.images import to_bytes

# Share of the image that squares cover from just behind the given query on, in a schedule of 10,000.
SHARES = [(0, 1), (10, 2), (50, 4), (200, 8), (500, 16), (1000, 32), (2000, 64), (4000, 128), (6000, 256), (8000, 512)]


@pytest.mark.parametrize(("query", "divisor"), SHARES)
def test_squares_shrink_by_the_papers_schedule(query: int, divisor: int) -> None:
    expected = max(round(math.sqrt(0.8 / divisor * 224 * 224)), 1)
    assert square_side(0.8, query + 1, 10_000, 224, 224) == expected
    assert square_side(0.8, query, 10_000, 224, 224) > expected or query == 0
    assert square_side(0.8, (query + 2) // 2, 5000, 224, 224) == expected, "half the queries, the same schedule"


def test_squares_fit_into_the_image() -> None:
    assert square_side(1.0, 1, 10_000, 8, 20) == 8
    assert square_side(0.0, 1, 100, 8, 8) == 1


def test_every_place_is_equally_likely_the_last_included() -> None:
    spans = _span((torch.arange(6000) + 0.5) / 6000, 8, 3)
    assert (spans.sum(1) == 3).all()
    assert torch.equal(spans.to(torch.int8).argmax(1).bincount(), torch.full((6,), 1000))


@pytest.mark.parametrize("eps", [0.1, 8 / 255, 3.7 / 255])
def test_every_pixel_stands_at_a_bound(eps: float) -> None:
    images = tiny_images(4)[0]
    result = attack_images(tiny_classifier(), images, "square", {"eps": eps, "queries": 30})
    before, after = (to_bytes(array).astype(int) for array in (images, result.images))
    levels = math.floor(255 * eps + 1e-9)
    lower, upper = np.maximum(before - levels, 0), np.minimum(before + levels, 255)
    assert ((after == lower) | (after == upper)).all()
    assert (result.linf == levels / 255).all()


def test_less_than_a_grey_level_changes_nothing_and_asks_nothing() -> None:
    result = attack_images(tiny_classifier(), tiny_images(1)[0], "square", {"eps": 0.003})
    assert np.array_equal(result.images, result.natural) and result.queries[0] == 0


@pytest.mark.parametrize(("name", "settings"), [("square", {}), ("hopskipjump", {"steps": 2})])
def test_networks_without_gradients_are_attacked(name: str, settings: dict[str, object]) -> None:
    """The logits are rounded and cut off from the pixels."""
    classifier, images = linear_problem()
    classifier.network.register_forward_hook(lambda _module, _inputs, logits: (20.0 * logits.detach()).round() / 20.0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        attack_images(classifier, images, "fgsm")
    result = attack_images(classifier, images, name, settings)
    assert result.success.all()
    assert (result.gradients == 0).all()


def corner_problem() -> tuple[LinearClassifier, np.ndarray]:
    """Return a classifier that looks at the last pixel only, and images in which it must become brighter."""
    weight = np.zeros((2, 64))
    weight[1, 63] = 1.0
    images = linear_problem()[1].copy()
    images[:, 0, 7, 7] = 128 / 255
    return LinearClassifier(weight, np.array([128 / 255 + 0.05, 0.0])), np.concatenate([images, 1.0 - images])


def test_squares_reach_the_last_row_and_column_and_the_librarys_do_not() -> None:
    import torchattacks

    classifier, images = corner_problem()
    images = images[classifier.predict(images) == 0]
    theirs = []
    with metered(classifier, 1) as meter:
        for seed, image in enumerate(torch.from_numpy(images)):
            library = torchattacks.Square(meter, eps=0.1, n_queries=200, seed=seed)
            theirs.append(library(image[None], torch.tensor([0]))[0].detach().numpy())
    assert (classifier.predict(np.stack(theirs)) == 0).any(), "where the first stripe was dark, it stays so"
    assert attack_images(classifier, images, "square", {"queries": 200}).success.all()


def test_finds_what_the_library_finds_with_about_as_many_queries() -> None:
    import torchattacks

    images, labels = tiny_images(24)
    settings = {"eps": 0.04, "queries": 300}
    ours = attack_images(tiny_classifier(), images, "square", settings, batch_size=24)
    theirs = []
    with metered(tiny_classifier(), len(images)) as meter:
        for i, (image, label) in enumerate(zip(torch.from_numpy(images), torch.from_numpy(labels), strict=True)):
            meter.begin(i)
            library = torchattacks.Square(meter, eps=10 / 255, n_queries=300, seed=i)
            theirs.append(library(image[None], label[None])[0].detach().numpy())
        asked = meter.queries.copy()
    won = tiny_classifier().predict(np.stack(theirs)) != labels
    assert abs(int(ours.success.sum()) - int(won.sum())) <= 4
    assert 0.5 < ours.queries.mean() / asked.mean() < 2.0


def test_more_queries_succeed_more_often_and_none_makes_it_worse() -> None:
    images, labels = tiny_images(16)

    def margins(queries: int) -> np.ndarray:
        settings = {"eps": 0.03, "queries": queries}
        result = attack_images(tiny_classifier(), images, "square", settings, batch_size=16)
        logits = tiny_classifier().trace(result.images).logits
        own = logits[np.arange(16), labels].copy()
        logits[np.arange(16), labels] = -np.inf
        return own - logits.max(1)

    # The first thirty squares of a longer schedule are larger: only the ends are compared.
    few, many = margins(1), margins(150)
    assert (many < 0).sum() > (few < 0).sum()
    assert (many[few > 0] <= few[few > 0] + 1e-5).all()
