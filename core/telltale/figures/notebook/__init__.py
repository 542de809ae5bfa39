"""How results draw and show themselves in a notebook; importing this registers it (`telltale.base.display`)."""

from telltale.figures.notebook import accessors, html

__all__ = ["accessors", "html"]
