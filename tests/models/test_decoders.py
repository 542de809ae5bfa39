"""Strangers' pictures are decoded in limited processes: the same pixels, or a sentence, and the server goes on."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image

from support import hostile
from telltale.base.errors import InputError
from telltale.base.images import to_bytes, to_floats
from telltale.data import uploads
from telltale.data.limits import LIMITS
from telltale.data.messages import BrokenOffError, Message, receive, send
from telltale.data.plain_png import Fault, FaultyPngError
from telltale.data.uploads import Square, png_bytes
from telltale.models import guarded
from telltale.models.decoders import Decoders
from telltale.models.fitting import fit
from telltale.models.preprocess import Preprocess

MEGABYTE = 2**20


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


SMALL = {"longest_side": 10, "shape": (3, 8, 8), "preprocess": None, "square": None, "invert": False}
PHOTOGRAPH = hostile.encoded(Image.fromarray(noise(90, 120, 3)), "PNG")


@pytest.fixture
def one() -> Iterator[Decoders]:
    """One process with the usual limits."""
    started = Decoders(1)
    yield started
    started.close()


def process_of(decoders: Decoders) -> psutil.Process:
    """The process of decoders that have just one."""
    [lent] = [decoders._free.get()]
    decoders._free.put(lent)
    return psutil.Process(lent._process.pid)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_limited_process_gives_the_very_pixels_that_decoding_here_gives(file_format) -> None:
    data = hostile.encoded(Image.fromarray(noise(70, 100, 3)), file_format)
    here = uploads.decode_image(data)
    seen, looked_square, looked_image = guarded.look(data, 48, (3, 32, 32))
    assert seen.size == here.size == (100, 70)
    np.testing.assert_array_equal(seen.small, uploads.preview(here, 48))
    square, image = guarded.cut(data, (3, 32, 32))
    assert square == looked_square == Square.centred(here.size)
    np.testing.assert_array_equal(image, looked_image)
    np.testing.assert_array_equal(image, uploads.to_model_input(here, (3, 32, 32), crop=square.box))
    square, image = guarded.cut(data, (1, 8, 8), square=Square(90, -5, 40), invert=True)
    assert square == Square(90, -5, 40).within(here.size)
    np.testing.assert_array_equal(image, uploads.to_model_input(here, (1, 8, 8), invert=True, crop=square.box))


def resized(picture: Image.Image, size: tuple[int, int], way: Image.Resampling) -> np.ndarray:
    """The levels, shape (H, W, 3), of a picture resized in floating point, where nothing between is rounded."""
    channels = [Image.fromarray(np.asarray(channel, dtype=np.float32)) for channel in picture.split()]
    return np.clip(np.dstack([np.asarray(channel.resize(size, way)) for channel in channels]), 0, 255)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_classifiers_own_preprocessing_is_followed_there_as_it_is_here(interpolation) -> None:
    """Resized to 40 pixels and cropped to 32, as a picture by hand; a square of the person's own is resized alone."""
    data, shape = hostile.encoded(Image.fromarray(noise(70, 100, 3)), "PNG"), (3, 32, 32)
    preprocess = Preprocess(resize=40, crop=32, mean=(0.5, 0.5, 0.5), interpolation=interpolation)
    here = uploads.decode_image(data)
    square, image = guarded.cut(data, shape, preprocess)
    assert square is None
    np.testing.assert_array_equal(image, fit(here, shape, preprocess))
    way = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    by_hand = resized(here, (57, 40), way)[4:36, 12:44].transpose(2, 0, 1)
    assert np.abs(to_bytes(image).astype(int) - by_hand).max() <= 0.51
    square, image = guarded.cut(data, shape, preprocess, Square(60, 20, 40))
    assert square == Square(60, 20, 40)
    np.testing.assert_array_equal(image, fit(here, shape, preprocess, square))
    by_hand = resized(here.crop(square.box), (32, 32), way).transpose(2, 0, 1)
    assert np.abs(to_bytes(image).astype(int) - by_hand).max() <= 0.51
    only_crop = Preprocess(crop=32)
    small = hostile.encoded(Image.fromarray(noise(20, 30, 3)), "PNG")
    assert guarded.cut(small, shape, only_crop)[0] == Square(5, 0, 20)  # too small to be cropped: the largest square


def test_a_picture_of_the_models_size_is_its_input_as_it_stands() -> None:
    pixels = noise(3, 20, 32)
    _, image = guarded.cut(png_bytes(to_floats(pixels)), (3, 20, 32))
    np.testing.assert_array_equal(image, to_floats(pixels))


def test_plain_pngs_come_back_bit_for_bit_and_others_are_named() -> None:
    for shape in ((1, 9, 7), (3, 9, 7)):
        pixels = noise(*shape)
        np.testing.assert_array_equal(guarded.plain_png(png_bytes(to_floats(pixels))), pixels)
    whole = png_bytes(to_floats(noise(3, 40, 40)))
    for data, fault in [
        (b"no picture", Fault.NO_PNG),
        (hostile.encoded(Image.new("L", (4, 4)), "BMP"), Fault.NO_PNG),
        (hostile.encoded(Image.new("RGBA", (4, 4)), "PNG"), Fault.NOT_PLAIN),
        (hostile.png_of(30_000, 30_000, b""), Fault.NOT_PLAIN),
        (hostile.png_of(1_001, 1_000, b""), Fault.NOT_PLAIN),
        (whole[: len(whole) // 2], Fault.DAMAGED),
    ]:
        with pytest.raises(FaultyPngError) as refused:
            guarded.plain_png(data)
        assert refused.value.fault is fault


def test_the_sentence_of_a_refusal_comes_through_and_the_process_goes_on(one) -> None:
    with pytest.raises(InputError, match="at most 40 million are accepted"):
        one.ask("look", hostile.png_of(30_000, 30_000, b""), **SMALL)
    first = process_of(one)
    with pytest.raises(InputError, match="PNG, JPEG, WebP, BMP, GIF or TIFF are accepted"):
        one.ask("look", b"no picture", **SMALL)
    with pytest.raises(InputError, match="at most 10 MB"):
        one.ask("look", bytes(LIMITS.bytes + 1), **SMALL)
    assert one.ask("look", PHOTOGRAPH, **SMALL).header["size"] == [120, 90]
    assert process_of(one) == first


@pytest.mark.parametrize(
    "limits",
    [replace(LIMITS, processor_seconds=0.3), replace(LIMITS, seconds=0.5)],
    ids=["processor", "clock"],
)
def test_a_picture_that_takes_too_long_ends_its_process_and_the_next_one_is_read(limits) -> None:
    decoders = Decoders(1, limits)
    try:
        decoders.ask("look", PHOTOGRAPH, **SMALL)
        first = process_of(decoders)
        with pytest.raises(InputError, match=f"takes more than {limits.processor_seconds:g} seconds"):
            decoders.ask("look", hostile.HOSTILE["jpeg of 64 scans of 36 megapixels"](), **SMALL)
        assert not first.is_running()
        assert process_of(decoders) != first
    finally:
        decoders.close()


def test_a_picture_that_takes_too_much_memory_is_refused() -> None:
    decoders = Decoders(1, replace(LIMITS, memory=24 * MEGABYTE))
    try:
        assert decoders.ask("look", PHOTOGRAPH, **SMALL).header["size"] == [120, 90]
        with pytest.raises(InputError, match="MB of memory, which is the most that is accepted"):
            decoders.ask("look", hostile.flat_png(6_320, 6_320), **SMALL)
        assert decoders.ask("look", PHOTOGRAPH, **SMALL).header["size"] == [120, 90]
    finally:
        decoders.close()


def test_a_process_that_dies_between_two_pictures_costs_nobody_a_picture(one) -> None:
    one.ask("look", PHOTOGRAPH, **SMALL)
    first = process_of(one)
    first.kill()
    first.wait()
    assert one.ask("look", PHOTOGRAPH, **SMALL).header["size"] == [120, 90]
    assert process_of(one) != first


def test_a_process_that_dies_with_a_picture_is_a_sentence(one) -> None:
    one.ask("look", PHOTOGRAPH, **SMALL)
    stopped = process_of(one)
    stopped.suspend()
    threading.Timer(0.2, stopped.send_signal, (signal.SIGSEGV,)).start()
    threading.Timer(0.3, stopped.resume).start()
    with pytest.raises(InputError, match="does not survive"):
        one.ask("look", PHOTOGRAPH, **SMALL)


def test_many_threads_share_a_few_processes() -> None:
    decoders, seen, wrong = Decoders(2), [], []

    def read(level: int) -> None:
        data = hostile.encoded(Image.new("L", (30, 20), level), "PNG")
        for _ in range(5):
            answer = decoders.ask("look", data, **SMALL)
            if set(answer.body) != {level}:
                wrong.append(level)
        seen.append(level)

    before = set(psutil.Process().children())
    threads = [threading.Thread(target=read, args=(level,)) for level in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = set(psutil.Process().children()) - before
    decoders.close()
    assert sorted(seen) == list(range(8))
    assert not wrong
    assert 1 <= len(started) <= 2
    assert not any(process.is_running() for process in started)


def test_decoders_start_again_after_they_were_closed(one) -> None:
    one.ask("look", PHOTOGRAPH, **SMALL)
    one.close()
    assert one.ask("look", PHOTOGRAPH, **SMALL).header["size"] == [120, 90]


def test_a_limited_process_knows_no_secrets_and_may_write_nothing(one, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:secret@b/c")
    one.ask("look", PHOTOGRAPH, **SMALL)
    process = process_of(one)
    assert "DATABASE_URL" not in process.environ()
    assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_AS)[1] < LIMITS.memory + 400 * MEGABYTE
    assert process.memory_info().rss < 100 * MEGABYTE


def test_a_limited_process_imports_neither_torch_nor_pages() -> None:
    unwanted = "[name for name in ('torch', 'streamlit', 'scipy') if name in sys.modules]"
    ask = f"import sys, telltale.models.decoder_process\nprint({unwanted})"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("ending", [None, signal.SIGKILL], ids=["by itself", "killed"])
def test_limited_processes_end_with_the_one_that_started_them(ending) -> None:
    script = (
        "import os, sys\nfrom telltale.models import decoders\n"
        "kept = decoders.decoders()\n"
        f"kept.ask('look', {PHOTOGRAPH!r}, **{SMALL!r})\n"
        "import psutil\nprint(*[child.pid for child in psutil.Process().children()], flush=True)\n"
        "sys.stdin.read()\n"
    )
    started = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdin is not None and started.stdout is not None
    pids = [int(pid) for pid in started.stdout.readline().split()]
    assert pids
    if ending is None:
        started.stdin.close()
    else:
        os.kill(started.pid, ending)
    started.wait()
    started.stdout.close()
    started.stdin.close()
    until = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize(
    "answer",
    [
        Message({"small": [3, 4, 4], "shape": [3, 8, 8], "size": [4, 4]}, bytes(10)),
        Message({"small": [1, 2, -5], "shape": [3, 8, 8], "size": [4, 4]}, bytes(10 + 192)),
        Message({"small": [1, 2, 5], "shape": [3, 8, 8], "size": "4, 4"}, bytes(10 + 192)),
        Message({"small": [1, 2, 5], "shape": [3, 8, 8], "size": [True, 4]}, bytes(10 + 192)),
        Message({"small": [1, 2, 5], "shape": [1, 8, 8], "size": [4, 4]}, bytes(10 + 64)),
        Message({"small": [1, 2, 5], "shape": [3, 8, 8], "size": [4, 4]}, bytes(10)),
        Message({}, b""),
    ],
)
def test_what_a_process_answers_is_not_trusted_either(answer, monkeypatch) -> None:
    class Taken:
        def ask(self, *_: object, **__: object) -> Message:
            return answer

    monkeypatch.setattr(guarded, "decoders", Taken)
    with pytest.raises(InputError, match="could not be read"):
        guarded.look(PHOTOGRAPH, 10, (3, 8, 8))


def test_messages_that_are_none_are_refused() -> None:
    for lengths, written in (
        ((2, 0), b"[]"),
        ((1, 0), b"{"),
        ((2**32 - 1, 0), b""),
        ((2, 100), b"{}"),
        ((2, 9), b"{}"),
    ):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(struct.pack(">II", *lengths) + written)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(BrokenOffError):
                receive(ours, 50, time.monotonic() + 5)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(theirs, Message({"a": 1}, b"xyz"))
        theirs.close()
        found = receive(ours, 50)
        assert found is not None
        assert (found.header, bytes(found.body)) == ({"a": 1}, b"xyz")
        assert receive(ours, 50) is None
