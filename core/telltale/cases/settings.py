"""Whether people may save cases here; apart from the store, so that asking loads no database library."""

from __future__ import annotations

import os
from collections.abc import Mapping

from telltale.base.errors import InputError

SWITCH_VARIABLE = "TELLTALE_SAVE_CASES"


def saving_allowed(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether people may add cases and delete them (``TELLTALE_SAVE_CASES``, on unless it is ``off``).

    Raises
    ------
    InputError
        If the variable is neither ``on`` nor ``off``.
    """
    value = environment.get(SWITCH_VARIABLE, "").strip().lower() or "on"
    if value not in ("on", "off"):
        raise InputError(f"The environment variable {SWITCH_VARIABLE} must be on or off. Got {value!r}.")
    return value == "on"
