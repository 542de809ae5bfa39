"""Small pictures of a bundle's images at an address each: `/thumbnails/NAME/KEY/ID.png`, below the server's base path.

A page hands these addresses to the browser, which asks for a picture when the pointer reaches its point, without a run
of the page. The key is what Streamlit's own pictures have in their names: nobody can guess it, so that on a server
with a login only who has seen a page has it. It changes with the bundle, so browsers may keep what they got.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from typing import TYPE_CHECKING

import streamlit as st
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from telltale.base.errors import TelltaleError
from telltale.data.thumbnails import thumbnail
from telltale_app import catalogue
from telltale_app.one_address import METHODS, base_path

if TYPE_CHECKING:
    from telltale.bundle import Bundle

PLACE = "thumbnails"
_ASKED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})/([0-9a-f]{64})/([0-9]{1,9})\.png")


def address(bundle: Bundle) -> str:
    """Return where a bundle's thumbnails lie, without a slash at its beginning; empty where its images are not here."""
    return "" if bundle.image_set is None else f"{PLACE}/{bundle.name}/{_key(bundle.id)}/"


class Thumbnails:
    """Middleware that answers these addresses; whatever else begins like them is not found.

    Parameters
    ----------
    app : ASGI application
        Answers everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        start = f"{base_path()}/{PLACE}/"
        asked = scope["type"] == "http" and scope["method"] in METHODS and str(scope["path"]).startswith(start)
        if not asked:
            await self.app(scope, receive, send)
            return
        response = await asyncio.to_thread(answer, str(scope["path"]).removeprefix(start))
        await response(scope, receive, send)


def answer(asked: str) -> Response:
    """Return the picture at an address below `/thumbnails/`, or one sentence and 404."""
    match = _ASKED.fullmatch(asked)
    if match is None:
        return _missing("A thumbnail's address is thumbnails/NAME/KEY/ID.png.")
    name, key, image_id = match[1], match[2], int(match[3])
    try:
        bundle = catalogue.bundle(name)
    except TelltaleError:
        return _missing("There is no model of that name here.")
    if not hmac.compare_digest(key, _key(bundle.id)):
        return _missing("This address is of another server, or of a model that has changed: open its page again.")
    if bundle.image_set is None or image_id >= len(bundle.image_set):
        return _missing(f"The model '{name}' has no image {image_id} here.")
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(thumbnail(bundle.image_set.pixels[image_id]), media_type="image/png", headers=headers)


def _key(bundle_id: str) -> str:
    """Return what only a page can know: the same on all servers that share the secret of their cookies."""
    secret = str(st.get_option("server.cookieSecret")).encode()
    return hmac.new(secret, f"{PLACE}/{bundle_id}".encode(), hashlib.sha256).hexdigest()


def _missing(sentence: str) -> Response:
    return PlainTextResponse(sentence, 404, {"cache-control": "no-store"})
