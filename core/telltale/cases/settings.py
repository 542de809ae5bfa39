"""Whether people may change what is kept here; apart from the stores, so that asking loads no database library."""

from __future__ import annotations

import os
from collections.abc import Mapping

from telltale.base.errors import InputError

SWITCH_VARIABLE = "TELLTALE_SAVE_CASES"
READ_ONLY_VARIABLE = "TELLTALE_READ_ONLY"


def saving_allowed(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether people may add cases and delete them; see `switched_off_by`."""
    return not switched_off_by(environment)


def switched_off_by(environment: Mapping[str, str] = os.environ) -> str:
    """Return the variable that keeps people from adding cases and deleting them; "" where they may.

    ``TELLTALE_READ_ONLY=on`` does, and so does ``TELLTALE_SAVE_CASES=off``.

    Raises
    ------
    InputError
        If either is neither ``on`` nor ``off``.
    """
    saving = _switch(SWITCH_VARIABLE, True, environment)
    if read_only(environment):
        return READ_ONLY_VARIABLE
    return "" if saving else SWITCH_VARIABLE


def read_only(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether visitors may leave nothing behind on this server (``TELLTALE_READ_ONLY``, off unless ``on``).

    Raises
    ------
    InputError
        If the variable is neither ``on`` nor ``off``.
    """
    return _switch(READ_ONLY_VARIABLE, False, environment)


def _switch(variable: str, default: bool, environment: Mapping[str, str]) -> bool:
    value = environment.get(variable, "").strip().lower()
    if value not in ("", "on", "off"):
        raise InputError(f"The environment variable {variable} must be on or off. Got {value!r}.")
    return value == "on" if value else default
