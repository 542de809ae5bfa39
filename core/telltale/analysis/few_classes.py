"""How large a change must be where there are few classes to be mistaken for (Amirian et al. 2018, Figure 6)."""

from __future__ import annotations

import numpy as np

from telltale.analysis.opened import LoadedBundle
from telltale.analysis.results import FewClasses
from telltale.attacks.attack import attack_images
from telltale.base.images import FloatImages
from telltale.base.progress import Progress, silent
from telltale.models.among import among

ATTACK = "deepfool"  # the paper's, which looks for the smallest change
COUNTS = (2, 3)


def few_classes(loaded: LoadedBundle, image: FloatImages, progress: Progress = silent) -> tuple[FewClasses, ...]:
    """Attack an image with DeepFool among two, three and all classes.

    The paper trains networks for two and for three classes; here one network may answer with only so many of its own,
    those that this image is likeliest to be mistaken for. Fewer classes have fewer boundaries, so that the nearest one
    cannot come nearer: what is measured is by how much it recedes.

    Parameters
    ----------
    loaded : LoadedBundle
    image : array of float32, shape (C, H, W), in [0, 1]
    progress : callable
        Told the done share and what is being done; may raise to stop.

    Returns
    -------
    tuple of FewClasses
        By number of classes, ascending; one for each of `COUNTS` that the model has, and one for all.

    Raises
    ------
    InputError
        If the image is not accepted.
    """
    logits = loaded.classifier.logits_of(image[None])[0]
    likeliest = tuple(int(label) for label in np.argsort(-logits, kind="stable"))
    counts = [*(count for count in COUNTS if count < len(likeliest)), len(likeliest)]
    found = []
    for done, count in enumerate(counts):
        progress(done / len(counts), f"Attacking among {count} classes")
        found.append(_attacked(loaded, image, likeliest[:count]))
    return tuple(found)


def _attacked(loaded: LoadedBundle, image: FloatImages, classes: tuple[int, ...]) -> FewClasses:
    result = attack_images(among(loaded.classifier, classes), image[None], ATTACK)
    return FewClasses(
        classes=classes,
        image=result.images[0],
        label=classes[int(result.predictions[0])],
        fooled=bool(result.success[0]),
        l2=float(result.l2[0]),
        linf=float(result.linf[0]),
    )
