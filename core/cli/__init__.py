"""``python -m core`` and what its commands do; `main` runs one."""

from core.cli.program import main

__all__ = ["main"]
