"""``telltale`` and what its commands do; `main` runs one."""

from telltale.cli.program import main

__all__ = ["main"]
