"""What the registries and the bundles offer, read late so that a test can put others in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import core.detectors.registry as detector_registry

import core.attacks.registry as attack_registry
import core.bundle as bundles
from core.attacks.base import AttackSpec
from core.errors import InputError

if TYPE_CHECKING:
    from core.detectors.base import DetectorSpec

    from core.bundle import Bundle

DEFAULT_BUNDLE = "digits"
DEFAULT_ATTACK = "pgd"


def bundle(name: str) -> Bundle:
    """Return a bundle by name, never by path, because names come from links.

    Raises
    ------
    InputError
        If there is no such bundle or it is damaged.
    """
    if name not in bundles.list_bundles():
        raise InputError("There is no model of that name here.")
    return bundles.load_bundle(name)


def attacks() -> Mapping[str, AttackSpec]:
    """Return every attack by its registry name."""
    return attack_registry.ATTACKS


def attack_title(name: str) -> str:
    """Return the name shown to people; an unknown attack keeps its registry name."""
    specs = attacks()
    return specs[name].title if name in specs else name


def detectors() -> Mapping[str, DetectorSpec]:
    """Return every detector by its registry name."""
    return detector_registry.DETECTORS


def detector_title(name: str) -> str:
    """Return the name shown to people; an unknown detector keeps its registry name."""
    specs = detectors()
    return specs[name].title if name in specs else name
