"""Saving an attacked image and opening it again, against PIL and a forward pass of one's own."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from support.shipped import correct_test_ids, images_of, shipped
from telltale.analysis.analyse import attack_image
from telltale.analysis.survival import FORMATS, survival
from telltale.base.errors import InputError
from telltale.base.images import to_bytes
from telltale.data.uploads import jpeg_bytes


def reopened(image: np.ndarray) -> np.ndarray:
    """Return the 8-bit pixels of a grey image after PIL saved it as JPEG of quality 90."""
    buffer = io.BytesIO()
    Image.fromarray(to_bytes(image)[0]).save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("target", [None, "random"])
def test_what_survives_is_what_a_forward_pass_of_the_opened_file_says(target: str | None) -> None:
    loaded = shipped()
    for image in images_of(correct_test_ids(3)):
        attack = attack_image(loaded, image, "pgd", seed=0, target=target)
        attacked, label, aim = attack.images[0], int(attack.labels[0]), int(attack.targets[0])
        png, jpeg = survival(loaded, attacked, label, aim)
        assert (png.file, jpeg.file) == FORMATS
        assert png.linf == 0.0 and png.prediction.label == int(attack.predictions[0])
        assert png.adversarial == bool(attack.success[0])
        pixels = reopened(attacked)
        moved = np.abs(pixels.astype(int) - to_bytes(attacked)[0].astype(int)).max()
        assert moved > 0 and round(255 * jpeg.linf) == moved
        label_after = int(loaded.classifier.predict(pixels[None, None].astype(np.float32) / 255)[0])
        assert jpeg.prediction.label == label_after
        assert jpeg.adversarial == (label_after != label if aim < 0 else label_after == aim)


def test_a_reading_that_returns_to_its_class_is_no_longer_adversarial() -> None:
    loaded = shipped()
    natural = images_of(correct_test_ids(1))[0]
    label = int(loaded.classifier.predict(natural[None])[0])
    assert [reading.adversarial for reading in survival(loaded, natural, label)] == [False, False]
    assert [reading.adversarial for reading in survival(loaded, natural, label + 1)] == [True, True]


@pytest.mark.parametrize("quality", [0, 96])
def test_a_quality_that_is_none_is_refused(quality: int) -> None:
    with pytest.raises(InputError, match=f"from 1 to 95; got {quality}"):
        jpeg_bytes(np.zeros((1, 8, 8), np.float32), quality)
