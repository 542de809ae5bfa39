"""Attacks: one file and one registry line each; `attack_images` runs them. Importing any of it never imports torch."""

from telltale.attacks.attack import attack_images
from telltale.attacks.base import AttackResult, AttackSpec
from telltale.attacks.randomness import draw_targets
from telltale.attacks.registry import ATTACKS, get_attack
from telltale.attacks.transfer import transfer_images

__all__ = ["ATTACKS", "AttackResult", "AttackSpec", "attack_images", "draw_targets", "get_attack", "transfer_images"]
