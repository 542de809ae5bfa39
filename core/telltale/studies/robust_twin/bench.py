"""The networks and defences of a study, as every process makes them again from its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from telltale.base.errors import InputError
from telltale.data.sources import load_image_set
from telltale.data.splits import Splits
from telltale.models.classifier import Classifier
from telltale.models.training import recipe_spec
from telltale.models.weights import load_weights
from telltale.recipes import Recipe
from telltale.studies.robust_twin.defences import Judge, agreement, with_twin
from telltale.studies.robust_twin.plan import CONFIDENCE, HARDENED, TWIN, Plan

REFERENCE = 500  # natural images that the control is fitted on


@dataclass(frozen=True)
class Materials:
    """What a study starts from.

    Attributes
    ----------
    recipe : Recipe
        Of a classifier with a twin.
    source : str
        Data set.
    weights : Path
        Of both networks.
    folder : Path
        Where finished parts lie.
    plan : Plan
    """

    recipe: Recipe
    source: str
    weights: Path
    folder: Path
    plan: Plan

    def files_read(self) -> list[Path]:
        """Return what is read of the folder beside the weights; a process on another machine is sent them."""
        return [self.weights, *(self.hardened_file(eps) for eps in self.plan.train_eps)]

    def hardened_file(self, eps: int) -> Path:
        """Return where the weights of a hardened twin lie."""
        return self.folder / f"hardened-{eps}.safetensors"


class Bench:
    """Everything that is made of the materials of a study; each part on first use.

    Parameters
    ----------
    materials : Materials

    Raises
    ------
    InputError
        If the recipe trains no twin.
    """

    def __init__(self, materials: Materials) -> None:
        self.materials = materials
        self.image_set = load_image_set(materials.source)
        second = materials.recipe.of_twin()
        if second is None:
            raise InputError(f"The recipe '{materials.recipe.name}' trains no twin that could be hardened.")
        self.twin_recipe = second
        self._judges: dict[str, Judge] = {}

    @cached_property
    def splits(self) -> Splits:
        """As the recipe draws them."""
        recipe, image_set = self.materials.recipe, self.image_set
        return Splits.draw_within(image_set.labels, recipe.sizes, recipe.seed, image_set.own_test)

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier with its twin."""
        return load_weights(recipe_spec(self.materials.recipe, self.image_set), self.materials.weights)

    @property
    def twin(self) -> Classifier:
        """The twin as it was trained."""
        assert self.classifier.twin is not None
        return self.classifier.twin

    def judge(self, defence: str) -> Judge:
        """Return a defence by name."""
        if defence not in self._judges:
            ids = self.splits.fit[:REFERENCE]
            images, labels = self.image_set.images(ids), self.image_set.labels[ids]
            self._judges[defence] = Judge(with_twin(self.classifier, self._second(defence)), images, labels)
        return self._judges[defence]

    def _second(self, defence: str) -> Classifier | None:
        if defence == CONFIDENCE:
            return None
        if defence == TWIN:
            return self.twin
        kind, _, eps = defence.partition("_")
        spec = recipe_spec(self.twin_recipe, self.image_set)
        hardened = load_weights(spec, self.materials.hardened_file(int(eps)))
        return hardened if kind == HARDENED else agreement([self.twin, hardened])
