"""What a browser may do with these pages: nothing from elsewhere, in nobody else's frame, and the camera for oneself.

Each answer says so in its headers. Scripts run only from this server's own files, and inline only the few whose text is
known here, so that a name or a note that holds a script stays text.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import Scope
from streamlit import file_util

from telltale_app import scripts
from telltale_app.answer_headers import AnswerHeaders
from telltale_app.server_address import SCRIPT

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
UNUSED_FEATURES = (
    *("accelerometer", "autoplay", "display-capture", "geolocation", "gyroscope", "hid", "magnetometer", "microphone"),
    *("midi", "payment", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
)
OTHER_HEADERS = {
    "x-content-type-options": "nosniff",
    # The way back after a login is the page that asked for it; other servers learn nothing.
    "referrer-policy": "same-origin",
    "permissions-policy": ", ".join(["camera=(self)", *(f"{feature}=()" for feature in UNUSED_FEATURES)]),
}


class SecurityHeaders(AnswerHeaders):
    """Middleware that adds these headers to every answer that does not set its own."""

    def change(self, headers: MutableHeaders, status: int, scope: Scope) -> None:  # noqa: ARG002
        """Add what is missing."""
        headers.setdefault("content-security-policy", content_security_policy())
        for name, value in OTHER_HEADERS.items():
            headers.setdefault(name, value)


@cache
def content_security_policy() -> str:
    """Return where pages may load what from, as the header says it."""
    allowed = {
        "default-src": ("'self'",),
        "script-src": ("'self'", *inline_scripts()),
        "style-src": ("'self'", "'unsafe-inline'"),  # Streamlit's styles come with its elements
        "img-src": ("'self'", "data:", "blob:"),
        "media-src": ("'self'", "data:", "blob:"),  # the camera's picture before it is taken
        "font-src": ("'self'", "data:"),
        "connect-src": ("'self'", "data:"),  # a photograph just taken is read from the page itself
        "worker-src": ("'self'", "blob:"),
        "object-src": ("'none'",),
        "base-uri": ("'self'",),
        "form-action": ("'self'",),
        "frame-ancestors": ("'self'",),
    }
    return "; ".join(" ".join((name, *sources)) for name, sources in allowed.items())


def inline_scripts() -> Iterable[str]:
    """Return the hashes of the scripts that stand in the page itself: Streamlit's, the server's address, our own."""
    page = Path(file_util.get_static_dir(), "index.html").read_text(encoding="utf-8") + SCRIPT.decode()
    texts = [*INLINE_SCRIPT.findall(page), *scripts.ALL]
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]
