"""The last blocks of a network learn beside its new head, from cuts and mirror images, for some epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.building.fine_tuning.views import cut
from telltale.data.image_set import ImageSet
from telltale.models.anatomy import Call, look_at
from telltale.models.classifier import Classifier

Ids = npt.NDArray[np.int64]

BATCH = 32
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.05
AT_ONCE = 64
ADAM = ("step", "exp_avg", "exp_avg_sq")


def last_parameters(classifier: Classifier, blocks: int) -> list[nn.Parameter]:
    """Return the parameters of everything that runs behind all but the last so many traced blocks, head included.

    Parameters
    ----------
    classifier : Classifier
    blocks : int
        At least 1.

    Raises
    ------
    InputError
        If the network has fewer blocks.
    """
    traced = [layer for layer in classifier.plan.layers if layer.place == "output"]
    if blocks > len(traced):
        names = ", ".join(layer.name for layer in traced)
        raise InputError(f"--blocks must be at most {len(traced)}, the blocks that are traced: {names}. Got {blocks}.")
    images = torch.full((2, *classifier.input_shape), 0.5, device=classifier.device)
    anatomy = look_at(classifier.network, classifier.normalised(images))
    before = None if blocks == len(traced) else traced[-blocks - 1]
    found = None if before is None else anatomy.find(before.module, before.call)
    moment = -1 if found is None else found.ended
    behind = [call for call in anatomy.calls if _begins_after(call, moment)]
    own = (parameter for call in behind for parameter in call.module.parameters(recurse=False))
    return list(dict.fromkeys(own))


def _begins_after(call: Call, moment: int) -> bool:
    return min(leaf.ended for leaf in call.leaves()) > moment


class BlockTraining:
    """Trains the last blocks epoch by epoch, keeps the best on validation; its state can be taken out and put back.

    Batch normalisation keeps the means and variances that it came with: a few thousand images give no better ones.

    Parameters
    ----------
    classifier : Classifier
        With the head that was fitted; trained in place.
    image_set : ImageSet
    training, validation : array of int64
    blocks, epochs, seed : int
    """

    def __init__(
        self,
        classifier: Classifier,
        image_set: ImageSet,
        training: Ids,
        validation: Ids,
        blocks: int,
        epochs: int,
        seed: int,
    ) -> None:
        self._classifier, self._image_set = classifier, image_set
        self._training, self._validation = training, validation
        self._draws = torch.Generator().manual_seed(seed)
        self._trained = last_parameters(classifier, blocks)
        for parameter in classifier.parameters():
            parameter.requires_grad_(False)
        for parameter in self._trained:
            parameter.requires_grad_(True)
        self._optimiser = torch.optim.AdamW(self._trained, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self._batches = -(-len(training) // BATCH)
        self._steps = epochs * self._batches
        self._done = 0
        self.best_epoch = 0
        self.loss, self.accuracy = self._judge()
        self._best = self._copies()

    def epoch(self, tell: Callable[[int], None]) -> None:
        """Go once over all training images; `tell` hears how many are done, and may raise to stop."""
        order = torch.randperm(len(self._training), generator=self._draws)
        for done, rows in enumerate(torch.split(order, BATCH)):
            tell(done * BATCH)
            self._step(self._training[rows.numpy()])
        loss, accuracy = self._judge()
        if loss < self.loss:
            self.loss, self.accuracy, self.best_epoch = loss, accuracy, self._done // self._batches
            self._best = self._copies()

    def finish(self) -> None:
        """Put the best epoch's numbers into the network, which may be those from before the first."""
        with torch.no_grad():
            for parameter, kept in zip(self._trained, self._best, strict=True):
                parameter.copy_(kept)
        for parameter in self._classifier.parameters():
            parameter.requires_grad_(True)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that later epochs depend on."""
        found = {"draws": self._draws.get_state().numpy(), "judged": np.array([self.loss, self.accuracy])}
        found["best_epoch"] = np.array(self.best_epoch)
        for place, parameter in enumerate(self._trained):
            found[f"now.{place}"] = parameter.detach().cpu().numpy()
            found[f"best.{place}"] = self._best[place].cpu().numpy()
            state = self._optimiser.state[parameter]
            found |= {f"{name}.{place}": state[name].cpu().numpy() for name in ADAM}
        return found

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], epochs: int) -> None:
        """Go from a new training to where `arrays` were taken, after some epochs."""
        self._done = epochs * self._batches
        self._draws.set_state(torch.from_numpy(arrays["draws"].copy()))
        self.loss, self.accuracy = (float(value) for value in arrays["judged"])
        self.best_epoch = int(arrays["best_epoch"])
        with torch.no_grad():
            for place, parameter in enumerate(self._trained):
                parameter.copy_(torch.from_numpy(arrays[f"now.{place}"].copy()))
                self._best[place].copy_(torch.from_numpy(arrays[f"best.{place}"].copy()))
                state = {name: torch.from_numpy(arrays[f"{name}.{place}"].copy()) for name in ADAM}
                self._optimiser.state[parameter] = {
                    name: value if name == "step" else value.to(parameter.device) for name, value in state.items()
                }

    def _step(self, ids: Ids) -> None:
        rate = 0.5 * LEARNING_RATE * (1.0 + float(np.cos(np.pi * self._done / self._steps)))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        images = cut(torch.from_numpy(self._image_set.images(ids)), self._draws)
        labels = torch.from_numpy(self._image_set.labels[ids])
        loss = nn.functional.cross_entropy(self._classifier(images), labels)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._done += 1

    @torch.inference_mode()
    def _judge(self) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy on the validation images."""
        loss = right = 0.0
        for start in range(0, len(self._validation), AT_ONCE):
            ids = self._validation[start : start + AT_ONCE]
            logits = self._classifier(torch.from_numpy(self._image_set.images(ids)))
            labels = torch.from_numpy(self._image_set.labels[ids])
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            right += int((logits.argmax(1) == labels).sum())
        return loss / len(self._validation), right / len(self._validation)

    def _copies(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self._trained]
