"""How large a change must be where there are few classes to be mistaken for (Amirian et al. 2018, Figure 6)."""

from __future__ import annotations

import numpy as np

from telltale.analysis.opened import LoadedBundle
from telltale.analysis.results import FewClasses
from telltale.attacks.attack import attack_images
from telltale.attacks.base import AttackResult
from telltale.base.images import FloatImages
from telltale.base.progress import Progress, silent
from telltale.models.among import among

ATTACK = "deepfool"  # the paper's, which looks for the smallest change
COUNTS = (2, 3)
DRAWS = 5  # odd, so that one of them is the median
SEED = 0

Drawn = tuple[tuple[int, ...], AttackResult]


def few_classes(loaded: LoadedBundle, image: FloatImages, progress: Progress = silent) -> tuple[FewClasses, ...]:
    """Attack an image with DeepFool among two, three and all classes.

    The paper trains networks for two and for three classes; here one network may answer with its class for the image
    and one or two others, drawn by lot several times. Likely confusions alone would be no test: their boundaries are
    the nearest ones already.

    Parameters
    ----------
    loaded : LoadedBundle
    image : array of float32, shape (C, H, W), in [0, 1]
    progress : callable
        Told the done share and what is being done; may raise to stop.

    Returns
    -------
    tuple of FewClasses
        By number of classes, ascending; one for each of `COUNTS` that is smaller than the model's, and one for all.

    Raises
    ------
    InputError
        If the image is not accepted.
    """
    classes = loaded.classifier.classes
    own = int(loaded.classifier.predict(image[None])[0])
    others = np.delete(np.arange(classes), own)
    counts = [count for count in COUNTS if count < classes]
    rng = np.random.default_rng(SEED)
    found = []
    for done, count in enumerate(counts):
        progress(done / (len(counts) + 1), f"Attacking among {count} classes")
        draws = [(own, *rng.choice(others, count - 1, replace=False).tolist()) for _ in range(DRAWS)]
        found.append(_median([_attacked(loaded, image, drawn) for drawn in draws]))
    progress(len(counts) / (len(counts) + 1), f"Attacking among {classes} classes")
    return (*found, _median([_attacked(loaded, image, (own, *others.tolist()))]))


def _attacked(loaded: LoadedBundle, image: FloatImages, classes: tuple[int, ...]) -> Drawn:
    return classes, attack_images(among(loaded.classifier, classes), image[None], ATTACK)


def _median(draws: list[Drawn]) -> FewClasses:
    """Return the draw whose change is the median one; a draw that was not fooled is larger than any that was."""
    sizes = [float(result.l2[0]) if result.success[0] else np.inf for _, result in draws]
    order = np.argsort(sizes, kind="stable")
    classes, result = draws[order[len(order) // 2]]
    return FewClasses(
        classes=classes,
        image=result.images[0],
        label=classes[int(result.predictions[0])],
        fooled=bool(result.success[0]),
        l2=float(result.l2[0]),
        linf=float(result.linf[0]),
        range=(min(sizes), max(sizes)),
        draws=len(draws),
    )
