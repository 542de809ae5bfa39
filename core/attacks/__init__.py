"""Attacks: one file and one registry line each; `attack_images` runs them. Importing any of it never imports torch."""

from core.attacks.attack import attack_images
from core.attacks.base import AttackResult, AttackSpec
from core.attacks.randomness import draw_targets
from core.attacks.registry import ATTACKS, get_attack
from core.attacks.transfer import transfer_images

__all__ = ["ATTACKS", "AttackResult", "AttackSpec", "attack_images", "draw_targets", "get_attack", "transfer_images"]
