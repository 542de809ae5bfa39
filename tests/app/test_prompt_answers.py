"""Answers that leave at once: what a listening socket accepts, and what is left alone."""

from __future__ import annotations

import socket

import pytest

from telltale_app import prompt_answers
from telltale_app.prompt_answers import send_at_once


def at_once(held: socket.socket) -> bool:
    return held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_what_a_bound_socket_accepts_later_sends_at_once() -> None:
    with socket.socket() as bound, socket.socketpair()[0], socket.socket(type=socket.SOCK_DGRAM):
        bound.bind(("127.0.0.1", 0))  # as Streamlit does before the server starts; it listens afterwards
        assert not at_once(bound)
        send_at_once()
        bound.listen()
        with socket.create_connection(bound.getsockname()) as asking:
            answering, _ = bound.accept()
            with answering:
                assert at_once(answering) and not at_once(asking)
                answering.sendall(b"whole")
                assert asking.recv(5) == b"whole"


def test_a_system_that_lists_no_descriptors_serves_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_answers, "DESCRIPTORS", "/nowhere")
    with socket.socket() as bound:
        send_at_once()
        assert not at_once(bound)
