"""Streamlit's files travel compressed, once computed, and nothing else is touched."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from streamlit import file_util
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_handler

from telltale_app import compressed_files, one_address
from telltale_app.compressed_files import CompressedFiles

TEXT = b"export const answer = 42; // " + b"words " * 4000
BROWSER = {"accept-encoding": "gzip, deflate, br"}
FILE = "/static/js/index.abc.js"


class Served:
    """An application behind the layer, which answers in two pieces."""

    def __init__(self, status: int = 200, body: bytes = TEXT, **headers: str) -> None:
        self.status, self.body = status, body
        kind = {"content_type": "text/javascript; charset=utf-8"}
        self.headers = {"etag": '"one"', "content-length": str(len(body)), **kind, **headers}

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        half = len(self.body) // 2
        await send({"type": "http.response.body", "body": self.body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[half:]})


def ask(layer: Any, path: str = FILE, method: str = "GET", asked: dict[str, str] = BROWSER) -> Any:
    """Return status, headers and body of one answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in asked.items()]
    asyncio.run(layer({"type": "http", "method": method, "path": path, "headers": raw}, None, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(part["body"] for part in sent[1:])


@pytest.mark.parametrize(("path", "kind"), [(FILE, "application/javascript"), ("/static/css/index.css", "text/css")])
def test_a_file_comes_compressed_and_whole(path: str, kind: str) -> None:
    status, headers, body = ask(CompressedFiles(Served(content_type=kind)), path)
    assert status == 200 and headers["content-encoding"] == "gzip" and "Accept-Encoding" in headers["vary"]
    assert gzip.decompress(body) == TEXT and int(headers["content-length"]) == len(body) < len(TEXT) / 10
    assert headers["etag"] == 'W/"one"'


def test_it_is_compressed_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[int] = []
    compress = gzip.compress

    def counted(body: bytes, *args: Any, **options: Any) -> bytes:
        work.append(len(body))
        return compress(body, *args, **options)

    monkeypatch.setattr(compressed_files.gzip, "compress", counted)
    served = Served()
    layer = CompressedFiles(served)
    first, again = ask(layer), ask(layer)
    assert first == again and len(work) == 1
    served.headers["etag"], served.body = '"two"', TEXT[:-9]
    assert gzip.decompress(ask(layer)[2]) == TEXT[:-9] and len(work) == 2


@pytest.mark.parametrize(
    ("path", "method", "asked"),
    [
        ("/", "GET", BROWSER),
        ("/static/media/font.woff2", "GET", BROWSER),
        ("/media/a.js", "GET", BROWSER),
        (FILE, "HEAD", BROWSER),
        (FILE, "GET", {}),
        (FILE, "GET", {"accept-encoding": "gzip;q=0, br"}),
        (FILE, "GET", {**BROWSER, "range": "bytes=0-99"}),
    ],
)
def test_anything_else_goes_through_as_it_is(path: str, method: str, asked: dict[str, str]) -> None:
    status, headers, body = ask(CompressedFiles(Served()), path, method, asked)
    assert (status, body) == (200, TEXT) and "content-encoding" not in headers and headers["etag"] == '"one"'


@pytest.mark.parametrize("served", [Served(304, b""), Served(404, b"Not Found"), Served(content_encoding="br")])
def test_what_is_no_whole_file_goes_through_as_it_is(served: Served) -> None:
    status, headers, body = ask(CompressedFiles(served))
    assert (status, body) == (served.status, served.body)
    assert headers.get("content-encoding") == served.headers.get("content_encoding")


def test_streamlits_own_files_are_kept_and_addresses_without_a_file_are_not() -> None:
    static = Path(file_util.get_static_dir())
    layer = CompressedFiles(Starlette(routes=[Mount("/", create_streamlit_static_handler(str(static), None))]))
    name = min((static / "static" / "js").glob("index.*.js"), key=lambda file: file.stat().st_size).name
    with TestClient(layer) as client:
        found = client.get(f"/static/js/{name}")
        assert found.headers["content-encoding"] == "gzip"
        assert found.content == (static / "static" / "js" / name).read_bytes()
        for number in range(3):
            for suffix in (".js", ".css"):
                missing = client.get(f"/static/nothing-{number}{suffix}")
                assert missing.headers.get("content-encoding") is None
    assert [path for path, _ in layer._kept] == [f"/static/js/{name}"]


def test_files_lie_below_the_base_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_address.st, "get_option", lambda _: "/team/")
    layer = CompressedFiles(Served())
    assert "content-encoding" not in ask(layer)[1]
    assert ask(layer, "/team" + FILE)[1]["content-encoding"] == "gzip"
