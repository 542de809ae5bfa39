"""Where the scripts in case zips of Telltale 0.1 look for what computes a case again; not part of the package.

Those scripts put Telltale's folder on the path and ask for ``core.cases.rerun``.
"""

from telltale.cases.rerun import main

__all__ = ["main"]
