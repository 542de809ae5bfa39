"""One browser tab without a browser: the protocol of a Streamlit page over its own websocket, and what it has drawn."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import websockets
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from support.drawn_page import Drawing, Page
from support.widget_states import widget_states

PATIENCE = 600.0
QUEUED = re.compile(r"\d+ ahead in the queue|next in the queue")
FINISHED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
COOKIE = "_streamlit_xsrf"


class LostError(Exception):
    """The connection ended, or the server refused what a browser may ask."""


@dataclass
class Session:
    """A tab; open it with `Session.open`.

    Attributes
    ----------
    address : str
        Of the server.
    page : Page
        What was drawn last.
    positions : list of str
        What it was told of its place in the queue.
    sentences : list of str
        Errors and notes on the page that was drawn last.
    files : dict of str to bytes
        Every picture and file of its pages by SHA-256.
    first_drawn : float
        When the first element of the last whole run arrived, as `time.monotonic` counts.
    repeating : tuple of str
        Fragments that the page wants to be run again and again.
    """

    address: str
    _socket: websockets.ClientConnection
    page: Page = field(default_factory=lambda: Page({}))
    positions: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    first_drawn: float = 0.0
    repeating: tuple[str, ...] = ()
    _id: str = ""
    _known: dict[str, str] = field(default_factory=dict)
    _drawing: Drawing = field(default_factory=Drawing)
    _digests: dict[str, str] = field(default_factory=dict)
    _cached: dict[str, ForwardMsg] = field(default_factory=dict)
    _widgets: dict[str, WidgetState] = field(default_factory=dict)
    _asked: tuple[str, dict[str, str]] = ("", {})
    _connection: http.client.HTTPConnection | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, address: str, known: dict[str, str] | None = None, patience: float = PATIENCE
    ) -> AsyncIterator[Session]:
        """Connect; long texts that pages share are kept once in `known`."""
        url = f"ws{address.removeprefix('http')}/_stcore/stream"
        async with websockets.connect(url, subprotocols=["streamlit"], max_size=None, open_timeout=patience) as socket:  # type: ignore[list-item]
            session = cls(address, socket, _known={} if known is None else known)
            try:
                yield session
            finally:
                if session._connection is not None:
                    session._connection.close()

    async def show(self, page: str, query: dict[str, str], patience: float = PATIENCE) -> Page:
        """Go to a page, and return it once it is drawn and its pictures have been fetched.

        Raises
        ------
        LostError
            If the connection ends.
        TimeoutError
            If it takes longer than `patience` seconds.
        """
        self._asked = page, query
        return await self._run("", patience)

    async def press(self, key: str, patience: float = PATIENCE) -> Page:
        """Click the button of this key."""
        pressed = WidgetState(id=self.widget("button", key), trigger_value=True)
        return await self._run("", patience, pressed)

    async def choose(self, key: str, value: str, patience: float = PATIENCE) -> Page:
        """Choose one of the options of the buttons of this key, by its text."""
        chosen = WidgetState(id=self.widget("button_group", key))
        chosen.string_array_value.data.append(value)
        return await self._run("", patience, self._kept(chosen))

    async def upload(self, key: str, name: str, data: bytes, patience: float = PATIENCE) -> Page:
        """Give a file to the uploader of this key."""
        place = await asyncio.wait_for(self._place_for(name), patience)
        status = await asyncio.to_thread(self._put, place.upload_url, name, data)
        if status >= 300:
            raise LostError(f"the upload of {name} was answered with {status}")
        given = WidgetState(id=self.widget("file_uploader", key))
        info = given.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(data), place.file_id
        info.file_urls.CopyFrom(place)
        return await self._run("", patience, self._kept(given))

    async def repeat(self, patience: float = PATIENCE) -> Page:
        """Run the fragments that want it again, as a browser does by its clock."""
        for fragment in self.repeating:
            await self._run(fragment, patience)
        return self.page

    async def answers(self, patience: float = 30.0) -> bool:
        """Return whether the connection is still there."""
        try:
            await asyncio.wait_for(await self._socket.ping(), patience)
        except (websockets.ConnectionClosed, TimeoutError):
            return False
        return True

    async def cut(self) -> None:
        """Break the connection off without a word, as a network does."""
        self._socket.transport.abort()
        with contextlib.suppress(Exception):
            await self._socket.wait_closed()

    def widget(self, kind: str, key: str) -> str:
        """Return the id of the widget of a key on the page.

        Raises
        ------
        LookupError
            If there is none.
        """
        for _, name in self.page.texts(f"new_element.{kind}.id"):
            if name.endswith(f"-{key}"):
                return name
        raise LookupError(f"there is no {kind} '{key}' on the page")

    def _kept(self, state: WidgetState) -> WidgetState:
        self._widgets[state.id] = state
        return state

    async def _run(self, fragment: str, patience: float, *given: WidgetState) -> Page:
        """Have the script run, and return what it has drawn."""
        page, query = self._asked
        request = BackMsg()
        state: ClientState = request.rerun_script
        state.query_string, state.page_name, state.fragment_id = urlencode(query), page, fragment
        state.is_auto_rerun = bool(fragment)
        shown = widget_states(self._drawing) if given else {}
        states = {**shown, **self._widgets, **{one.id: one for one in given}}
        state.widget_states.widgets.extend(states.values())
        state.cached_message_hashes.extend(self._cached)
        self.first_drawn = 0.0 if not fragment else self.first_drawn
        async with asyncio.timeout(patience):
            await self._send(request)
            await self._until_drawn()
            await asyncio.to_thread(self._fetch)
        self.page = Page.of(self._drawing, self._digests, self._known)
        return self.page

    async def _send(self, request: BackMsg) -> None:
        try:
            await self._socket.send(request.SerializeToString())
        except websockets.ConnectionClosed as error:
            raise LostError(f"the connection ended: {error}") from error

    async def _until_drawn(self) -> None:
        async for message in self._messages():
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self._begin(message)
            elif kind == "delta":
                self._take(message)
            elif kind == "auto_rerun":
                self.repeating = (*self.repeating, message.auto_rerun.fragment_id)
            elif kind == "stop_auto_rerun":
                ended = message.stop_auto_rerun.fragment_ids
                self.repeating = tuple(name for name in self.repeating if name not in ended)
            elif kind == "script_finished" and message.script_finished in FINISHED:
                self._drawing.finish()
                return
        raise LostError("the connection ended")

    async def _messages(self) -> AsyncIterator[ForwardMsg]:
        """Yield what arrives; what the server only refers to, as it was sent before, is put in."""
        try:
            async for data in self._socket:
                message = ForwardMsg()
                message.ParseFromString(data if isinstance(data, bytes) else data.encode())
                if message.WhichOneof("type") == "ref_hash":
                    whole = ForwardMsg()
                    whole.CopyFrom(self._cached[message.ref_hash])
                    whole.metadata.CopyFrom(message.metadata)
                    message = whole
                elif message.metadata.cacheable:
                    self._cached[message.hash] = message
                yield message
        except websockets.ConnectionClosed as error:
            raise LostError(f"the connection ended: {error}") from error

    def _begin(self, message: ForwardMsg) -> None:
        started = message.new_session
        if started.HasField("initialize"):
            self._id = started.initialize.session_id
        fragments = tuple(message.metadata.run.fragment_ids)
        self._drawing.begin(fragments)
        self.sentences = []
        if not fragments:
            self.repeating = ()

    def _take(self, message: ForwardMsg) -> None:
        if not self.first_drawn:
            self.first_drawn = time.monotonic()
        self._drawing.take(message)
        element: Element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "progress" and QUEUED.search(element.progress.text):
            self.positions.append(element.progress.text)
        elif kind == "exception":
            self.sentences.append(f"exception: {element.exception.message}")
        elif kind == "alert" and element.alert.format in (Alert.ERROR, Alert.WARNING, Alert.INFO):
            self.sentences.append(element.alert.body)

    def _fetch(self) -> None:
        """Fetch what the page shows by address."""
        for address in sorted(self._drawing.addresses() - self._digests.keys()):
            status, data = self._get(address)
            if status != 200:
                raise LostError(f"{address} was answered with {status}")
            digest = hashlib.sha256(data).hexdigest()
            self.files[digest] = data
            self._digests[address] = digest

    def _get(self, path: str) -> tuple[int, bytes]:
        """Ask over the connection that is kept, and over a new one where the server has ended it as idle."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=PATIENCE)
        for last in (False, True):
            try:
                self._connection.request("GET", path)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()  # it connects again for the next request
                if last:
                    raise LostError(f"{path} was not answered: {error}") from error
        raise AssertionError("one of both tries returns or raises")

    async def _place_for(self, name: str) -> FileURLs:
        """Ask where a file goes."""
        request = BackMsg()
        request.file_urls_request.request_id = uuid.uuid4().hex
        request.file_urls_request.session_id = self._id
        request.file_urls_request.file_names.append(name)
        await self._send(request)
        async for message in self._messages():
            if message.WhichOneof("type") == "file_urls_response":
                return message.file_urls_response.file_urls[0]
        raise LostError("the connection ended")

    def _put(self, path: str, name: str, data: bytes) -> int:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/_stcore/health")
            answer = connection.getresponse()
            answer.read()
            token = re.search(f"{COOKIE}=([^;]+)", answer.headers.get("Set-Cookie", ""))
            mark = uuid.uuid4().hex
            head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
            sent = {"Content-Type": f"multipart/form-data; boundary={mark}"}
            if token:
                sent |= {"X-Xsrftoken": token[1], "Cookie": f"{COOKIE}={token[1]}"}
            connection.request("PUT", path, head + data + f"\r\n--{mark}--\r\n".encode(), sent)
            return connection.getresponse().status
