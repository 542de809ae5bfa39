"""Images attacked again beside the nearest training image of the class that they are read as, on the digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from support.shipped import columns, correct_test_ids, images_of, shipped
from telltale.analysis.class_neighbours import class_neighbours
from telltale.attacks.attack import attack_images
from telltale.base.errors import CancelledError, InputError
from telltale.base.progress import silent

ATTACKS = ("", "fgsm", "pgd", "")


def test_each_is_what_the_stored_scores_were_of_with_the_nearest_of_its_class() -> None:
    loaded, ids = shipped(), correct_test_ids(4).tolist()
    found = class_neighbours(loaded, ids, ATTACKS, silent)
    stored = columns()
    bundle = loaded.bundle
    for place, (image_id, attack) in enumerate(zip(ids, ATTACKS, strict=True)):
        natural = images_of([image_id])
        if attack:
            parameters = bundle.attack_parameters(attack)
            natural = attack_images(loaded.classifier, natural, attack, parameters, seed=bundle.manifest.seed).images
        np.testing.assert_array_equal(found.images[place], natural[0])
        (scored,) = stored["prediction"][
            (stored["split"] == "test") & (stored["image_id"] == image_id) & (stored["attack"] == attack)
        ]
        assert found.predictions[place] == scored
        of_class = bundle.splits.train[bundle.training_labels == scored]
        apart = cdist(
            loaded.classifier.trace(natural).activations[-1].astype(np.float64),
            loaded.classifier.trace(images_of(of_class)).activations[-1].astype(np.float64),
        )[0]
        assert found.ids[place] == of_class[apart.argmin()]
        assert found.distances[place] == pytest.approx(apart.min(), rel=1e-4)
    assert found.layer == bundle.layers[-1]


@pytest.mark.parametrize(("ids", "attacks"), [((), ()), ((3,), ()), ((3, 4), ("",))])
def test_as_many_attacks_as_images(ids: tuple[int, ...], attacks: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=f"at least one image and as many attacks; got {len(ids)} and {len(attacks)}"):
        class_neighbours(shipped(), ids, attacks, silent)


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(InputError, match="nothing"):
        class_neighbours(shipped(), (int(correct_test_ids(1)[0]),), ("nothing",), silent)


def test_it_tells_how_far_it_is_and_can_be_stopped() -> None:
    heard: list[tuple[float, str]] = []
    class_neighbours(shipped(), correct_test_ids(4).tolist(), ("",) * 4, lambda *said: heard.append(said))
    assert heard == [(place / 4, f"image {place + 1} of 4") for place in range(4)]

    def stop(share: float, _: str) -> None:
        if share >= 0.5:
            raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        class_neighbours(shipped(), correct_test_ids(4).tolist(), ("",) * 4, stop)
