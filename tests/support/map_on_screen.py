"""Where the points of a drawn map must stand in the browser's window, and what its page sends meanwhile."""

from __future__ import annotations

import numpy as np

from support.browser import Visit
from telltale.bundle import load_bundle

# Counts what the page sends to the server from now on.
LISTEN = """
() => {
  const send = WebSocket.prototype.send;
  window.sentSince = 0;
  WebSocket.prototype.send = function (...given) { window.sentSince++; return send.apply(this, given); };
}
"""
ROOM = 24  # pixels that the map leaves around its points


class OnScreen:
    """Where the training images of the last layer stand in the window, reckoned from the bundle alone."""

    def __init__(self, visit: Visit) -> None:
        self.page = visit.page
        self.field = visit.page.locator(".map .field").first
        self.field.scroll_into_view_if_needed()
        self.bundle = load_bundle("digits")
        points = np.asarray(self.bundle.maps["umap"][-1], dtype=np.float64)
        box = self.field.bounding_box()
        inside = np.array([box["width"] - 2, box["height"] - 2])  # its border is outside of the drawing
        low, high = points.min(axis=0), points.max(axis=0)
        scale = ((inside - 2 * ROOM) / (high - low)).min()
        corner = np.array([box["x"] + 1, box["y"] + 1])
        self.places = corner + inside / 2 + (points - (low + high) / 2) * scale * [1, -1]

    def lonely(self) -> int:
        """Return a point that the pointer can only mean itself: the one that is farthest from its nearest."""
        apart = np.linalg.norm(self.places[:, None] - self.places[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        return int(apart.min(axis=1).argmax())
