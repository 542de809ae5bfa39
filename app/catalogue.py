"""What the registries and the bundles offer, read late so that a test can put others in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import core.attacks.registry as attack_registry
import core.bundle as bundles
import core.detectors.registry as detector_registry
from core.attacks.base import AttackSpec

if TYPE_CHECKING:
    from core.bundle import Bundle
    from core.detectors.base import DetectorSpec

DEFAULT_BUNDLE = "digits"
DEFAULT_ATTACK = "pgd"


def bundle(name: str) -> Bundle:
    """Return a bundle by name; an `InputError` says which name or file is wrong."""
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
