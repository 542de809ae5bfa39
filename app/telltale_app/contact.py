"""Where people report weaknesses of this server: its owner's setting, for pages and `/.well-known/security.txt`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.responses import PlainTextResponse

from telltale.base.errors import InputError
from telltale_app.one_address import OneAddress

CONTACT_VARIABLE = "TELLTALE_CONTACT"
GOOD_FOR = timedelta(days=90)
LONGEST = 200
_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_PAGE = re.compile(r"https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d{1,5})?(?:/[A-Za-z0-9._~/?=&%+-]*)?")


def contact(environment: Mapping[str, str] = os.environ) -> str:
    """Return where reports go, as a URI (``mailto:…`` or ``https://…``); ``""`` where the owner has set nothing.

    Raises
    ------
    InputError
        If it is neither an e-mail address nor a page.
    """
    given = environment.get(CONTACT_VARIABLE, "").strip()
    if len(given) <= LONGEST:
        if not given or _PAGE.fullmatch(given):
            return given
        if _MAIL.fullmatch(given):
            return f"mailto:{given}"
    raise InputError(
        f"The environment variable {CONTACT_VARIABLE} must be an e-mail address or an address that starts with "
        f"https://. Got {given[:LONGEST]!r}."
    )


def security_txt(uri: str, now: datetime) -> str:
    """Return what RFC 9116 wants: where reports go, and until when that may be believed."""
    until = (now + GOOD_FOR).astimezone(UTC).replace(microsecond=0)
    return f"Contact: {uri}\nExpires: {until.isoformat().replace('+00:00', 'Z')}\n"


class SecurityTxt(OneAddress):
    """Middleware that answers `/.well-known/security.txt` below the server's base path."""

    address = ".well-known/security.txt"

    def answer(self) -> PlainTextResponse:
        """Say where reports go; 404, and never a page, where the owner has set nothing."""
        uri = contact()
        return PlainTextResponse(security_txt(uri, datetime.now(UTC))) if uri else PlainTextResponse("Not Found", 404)
