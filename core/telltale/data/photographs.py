"""Photographs to try a colour model on: those that scikit-image brings along, so that nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.data.uploads import Shape, Square, decode_image, to_model_input


@dataclass(frozen=True)
class Photograph:
    """A photograph with the part of it that suits a small square image.

    Attributes
    ----------
    name : str
        Of lower-case letters: part of a link.
    title, short : str
        Names shown to people: in a sentence, and on a small button.
    file : str
        Name in scikit-image's data folder.
    square : Square
        The part that is taken unless another is chosen.
    credit : str
        Who made it, and its licence.
    """

    name: str
    title: str
    short: str
    file: str
    square: Square
    credit: str


PHOTOGRAPHS = (
    Photograph("chelsea", "Chelsea the cat", "Chelsea", "chelsea.png", Square(60, 0, 300), "Stéfan van der Walt, CC0"),
    Photograph("horse", "Drawing of a horse", "Horse", "horse.png", Square(40, 0, 328), "Andreas Preuss, CC0"),
    Photograph("rocket", "Rocket", "Rocket", "rocket.jpg", Square(180, 80, 300), "SpaceX, public domain"),
    Photograph("coffee", "Cup of coffee", "Coffee", "coffee.png", Square(90, 0, 400), "Rachel Michetti, CC0"),
    Photograph("astronaut", "Astronaut", "Astronaut", "astronaut.png", Square(90, 0, 260), "NASA, public domain"),
)


def photographs() -> tuple[Photograph, ...]:
    """Return the photographs that are on this machine; the first one suits a model that knows cats."""
    return tuple(photograph for photograph in PHOTOGRAPHS if _place(photograph).is_file())


def find_photograph(name: str) -> Photograph | None:
    """Return a photograph by name, or None."""
    return next((photograph for photograph in PHOTOGRAPHS if photograph.name == name), None)


def photograph_file(photograph: Photograph) -> bytes:
    """Return the file of a photograph.

    Raises
    ------
    InputError
        If this machine's scikit-image does not bring it along.
    """
    try:
        return _place(photograph).read_bytes()
    except OSError as error:
        raise InputError(f"The photograph '{photograph.title}' is not on this machine.") from error


def open_photograph(photograph: Photograph) -> Image.Image:
    """Return a photograph in its own size.

    Raises
    ------
    InputError
        If this machine's scikit-image does not bring it along.
    """
    return decode_image(photograph_file(photograph))


def photograph_for(photograph: Photograph, shape: Shape) -> FloatImages:
    """Return the suited part of a photograph as the input of a model, shape (C, H, W).

    Raises
    ------
    InputError
        If this machine's scikit-image does not bring it along.
    """
    return to_model_input(open_photograph(photograph), shape, crop=photograph.square.box)


def _place(photograph: Photograph) -> Traversable:
    return files("skimage") / "data" / photograph.file
