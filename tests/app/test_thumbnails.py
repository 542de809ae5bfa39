"""Thumbnails at addresses of the server: only what a page has named, and never a page or a path."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image

import telltale.bundle
from support.fake_analysis import FakeBundle, FakeEngine
from telltale_app import serving, thumbnails
from telltale_app.thumbnails import Thumbnails, address

ELSEWHERE = 299


def ask(path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of what comes through the layer; `ELSEWHERE` where it passes the request on."""
    sent: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": ELSEWHERE, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Thumbnails(served)({"type": "http", "method": method, "path": path, "headers": []}, None, send))  # type: ignore[arg-type]
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("base", ["", "/team/telltale"])
def test_a_picture_comes_as_it_is_and_may_be_kept(
    base: str, engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "base_path", lambda: base)
    status, headers, body = ask(f"{base}/{address(bundle)}17.png")  # type: ignore[arg-type]
    assert status == 200 and headers["content-type"] == "image/png"
    assert headers["cache-control"] == "private, max-age=31536000, immutable"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), bundle.image_set.pixels[17, 0])
    assert base == "" or ask(f"/{address(bundle)}17.png")[0] == ELSEWHERE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda at: at.replace("digits", "letters") + "1.png", "There is no model of that name here."),
        (lambda at: at + "1000000.png", "The model 'digits' has no image 1000000 here."),
        (lambda at: at + "-1.png", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda at: at + "1.jpg", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda at: at + "1٣.png", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda at: at + "../../../etc/passwd", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda at: at.replace("digits", "..") + "1.png", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda at: at.replace("digits", "%2e%2e") + "1.png", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda _: "thumbnails/digits/1.png", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
        (lambda _: f"thumbnails/digits/{'0' * 64}/1.png", "This address is of another server"),
        (lambda _: "thumbnails/", "A thumbnail's address is thumbnails/NAME/KEY/ID.png."),
    ],
)
def test_whatever_else_is_asked_for_is_one_sentence(
    change: Any, sentence: str, engine: FakeEngine, bundle: FakeBundle
) -> None:
    status, headers, body = ask("/" + change(address(bundle)))  # type: ignore[arg-type]
    assert status == 404 and body.decode().startswith(sentence)
    assert headers["content-type"].startswith("text/plain") and headers["cache-control"] == "no-store"


def test_other_addresses_and_methods_pass(engine: FakeEngine, bundle: FakeBundle) -> None:
    assert ask("/neighbours")[0] == ask("/thumbnails")[0] == ELSEWHERE
    assert ask(f"/{address(bundle)}1.png", "POST")[0] == ELSEWHERE  # type: ignore[arg-type]


def test_a_bundle_without_its_images_has_no_thumbnails(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> None:
    here = address(FakeBundle())  # type: ignore[arg-type]
    gone = FakeBundle(with_data=False)
    monkeypatch.setattr(telltale.bundle, "load_bundle", lambda _: gone)
    assert address(gone) == ""  # type: ignore[arg-type]
    assert ask(f"/{here}1.png")[0] == 404


def test_nobody_can_guess_an_address_and_servers_that_share_a_secret_share_it(
    bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for secret in ("one", "another", "one"):
        monkeypatch.setattr(st, "get_option", {"server.cookieSecret": secret, "server.baseUrlPath": ""}.__getitem__)
        found.append(address(bundle))  # type: ignore[arg-type]
    assert found[0] == found[2] != found[1]
    bundle.id = "e" * 64
    assert address(bundle) != found[0]  # type: ignore[arg-type]


def test_the_server_has_the_layer_below_its_security_headers() -> None:
    assert serving.LAYERS.index(Thumbnails) > serving.LAYERS.index(serving.SecurityHeaders)
