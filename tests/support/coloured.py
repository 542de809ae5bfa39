"""Pictures of three colours and a network that tells them apart if it is given them as it expects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

NAMES = ("red", "green", "blue")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
TEXT = """
import torch
from torch import nn
from support.coloured import ColourNetwork


def make(order=(0, 1, 2), ending="linear"):
    return ColourNetwork(order, ending)
"""


class ColourNetwork(nn.Module):
    """Gives the mean of each colour above a level, where it is given (pixel - MEAN) / STD; anything else misleads it.

    Parameters
    ----------
    order : sequence of int
        Which colour each output is about.
    ending : str
        "linear"; "softmax", which is no linear head; "root", whose gradient is not finite.
    """

    def __init__(self, order: tuple[int, ...] = (0, 1, 2), ending: str = "linear") -> None:
        super().__init__()
        self.ending = ending
        self.undo = nn.Conv2d(3, 3, 1)
        self.split = nn.Conv2d(3, 6, 1)
        self.gather = nn.Conv2d(6, 6, 1)
        self.head = nn.Linear(6, 3)
        with torch.no_grad():
            self.undo.weight.copy_(torch.diag(torch.tensor(STD)).view(3, 3, 1, 1))
            self.undo.bias.copy_(torch.tensor(MEAN))
            # Far above 1 every channel is as loud as every other, as in a network that has seen no such pixels.
            self.split.weight.copy_(torch.cat([torch.eye(3), torch.eye(3)]).view(6, 3, 1, 1))
            self.split.bias.copy_(torch.tensor([-0.5] * 3 + [-1.0] * 3))
            self.gather.weight.copy_(torch.eye(6).view(6, 6, 1, 1))
            self.gather.bias.zero_()
            self.head.weight.copy_(torch.cat([torch.eye(3), -9 * torch.eye(3)], 1)[list(order)])
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.gather(torch.relu(self.split(self.undo(x)))))
        x = x.mean((2, 3))
        if self.ending == "root":
            x = x + torch.sqrt((x[:, :1] * 0.0).clamp_min(0.0))
        x = self.head(x)
        return x.softmax(1) if self.ending == "softmax" else x


def pixels(colour: int, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a picture in which a colour, from half to full, stands out of weaker ones, shape (3, height, width)."""
    levels = rng.uniform(0.0, 0.45, (3, 1, 1))
    levels[colour] = rng.uniform(0.6, 0.95)
    noise = rng.normal(0.0, 0.02, (3, height, width))
    return np.round(255 * np.clip(levels + noise, 0.0, 1.0)).astype(np.uint8)


def write_folder(folder: Path, each: int = 20, names: tuple[str, ...] = NAMES, seed: int = 7) -> Path:
    """Write a folder of pictures of every colour; their sizes differ a little."""
    rng = np.random.default_rng(seed)
    for colour, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for place in range(each):
            picture = pixels(colour % 3, rng, 16 + place % 3, 20)
            Image.fromarray(picture.transpose(1, 2, 0)).save(folder / name / f"{place:03}.png")
    return folder
