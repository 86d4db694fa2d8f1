"""A turn that is stopped, or ends in whatever error, leaves the next one as it would have been."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.chat.session import Session
from anymodal.cli.line_editing import HISTORY
from anymodal.cli.repl import Repl
from anymodal.language.kv_cache import PrefixCache
from anymodal.model import AnyModal
from anymodal.types import Done, MediumProgress, MediumStarted, TextDelta
from tests.support.composed import model_config, write_model
from tests.support.tiny import picture, tiny_model


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return tiny_model()


def shown(message: Any) -> tuple[str, list[str]]:
    return message.text, [medium.digest() for medium in message.media]


def makers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "medium"]


@contextmanager
def each_step(model: AnyModal, do: Any) -> Iterator[None]:
    """Have something done before each step of pictures."""
    hook = model.decoders["image"].family.network.register_forward_pre_hook(lambda *_: do())
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("moment", [TextDelta, MediumStarted, MediumProgress])
def test_nothing_of_a_closed_stream_goes_on(model: AnyModal, moment: type) -> None:
    wanted = shown(model.chat("draw a ball", seed=5))
    cache = PrefixCache(model.language)
    with each_step(model, lambda: time.sleep(0.05)):
        how = {"seed": 5, "sampling": {"image": {"steps": 50}}}
        stream = model.stream("draw a ball", cache=cache, **how)
        assert any(isinstance(event, moment) for event in stream)
        began = time.monotonic()
        stream.close()
        assert time.monotonic() - began < 2, "it waits for a step, not for all"
        assert not makers()
    assert shown(model.chat("draw a ball", seed=5, cache=cache)) == wanted


def test_a_stream_that_is_dropped_ends_its_work(model: AnyModal) -> None:
    with each_step(model, lambda: time.sleep(0.02)):
        for event in model.stream("draw a ball", sampling={"image": {"steps": 100}}):
            if isinstance(event, MediumProgress):
                break
        del event
        began = time.monotonic()
        while makers() and time.monotonic() - began < 2:
            time.sleep(0.01)
        assert not makers()


def test_a_reader_that_fails_leaks_no_thread(model: AnyModal) -> None:
    def read() -> None:
        for event in model.stream("draw a ball", seed=1):
            if isinstance(event, MediumProgress):
                raise LookupError("the reader's own")

    for _ in range(3):
        with pytest.raises(LookupError):
            read()
    assert model.chat("draw a ball", seed=1).media
    assert not makers()


class Stop(BaseException):
    """Something that nobody expects."""


ERRORS: list[BaseException] = [
    MemoryError("no memory"),
    RuntimeError("torch gave up\nin two lines"),
    torch.OutOfMemoryError("CUDA out of memory"),
    KeyboardInterrupt(),
    ValueError("a value"),
    ZeroDivisionError("a number"),
    StopIteration("the end"),
    AssertionError("an invariant"),
    Stop("anything"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["drawing", "reading", "speaking"])
def test_a_session_outlives_whatever_a_turn_ends_in(
    model: AnyModal, tmp_path: Path, error: BaseException, where: str
) -> None:
    part = {
        "drawing": model.decoders["image"].family.network,
        "reading": model.encoders["image"].model.modality_trunks["vision"],
        "speaking": model.language.blocks[1],  # a cache is then longer in one layer than in another
    }[where]
    session, alone = (Session(model, tmp_path / name, 3) for name in "ab")
    file = picture().save(tmp_path / "a.png")
    list(session.ask("hello"))
    session.attach(file)

    def fail(*_: Any) -> None:
        raise error

    hook = part.register_forward_pre_hook(fail)
    try:
        with pytest.raises(BaseException) as found:
            list(session.ask("draw a ball"))
    finally:
        hook.remove()
    assert type(found.value) in (type(error), RuntimeError)  # a generator can't raise StopIteration
    assert len(session.turns) == 1 and len(session.attached) == 1 and not makers()
    session.detach()
    list(session.ask("draw a ball"))
    for text in ("hello", "draw a ball"):
        list(alone.ask(text))
    mine, other = ([shown(turn.reply) for turn in each.turns] for each in (session, alone))
    assert mine == other


def test_a_reply_that_came_too_late_is_told(model: AnyModal, tmp_path: Path) -> None:
    session = Session(model, tmp_path, 3)
    late = session.ask("hello")
    next(late)
    list(session.ask("what is this?"))
    with pytest.raises(ValueError, match="the conversation went on"):
        list(late)
    assert [turn.question.text for turn in session.turns] == ["what is this?"]
    assert any(isinstance(event, Done) for event in session.ask("hello"))
    assert session.turns[-1].reply.text == "Hello!"


# ---- At the terminal ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS[:-1], ids=lambda error: type(error).__name__)
def test_the_terminal_says_one_line_and_goes_on(
    model: AnyModal,
    tmp_path: Path,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = iter(["hello", "draw a ball", "hello", "/quit"])
    failing = iter([False, True, False])
    whole = AnyModal.stream

    def stream(self: AnyModal, *args: Any, **settings: Any) -> Any:
        if next(failing):
            raise error
        return whole(self, *args, **settings)

    monkeypatch.setattr(AnyModal, "stream", stream)
    monkeypatch.setattr("builtins.input", lambda _prompt: next(lines))
    Repl(Session(model, tmp_path, 1)).run()
    out, told = capsys.readouterr()
    assert out.count("Hello!") == 2
    if isinstance(error, KeyboardInterrupt):
        assert "stopped" in out and not told
    else:
        assert len(told.splitlines()) == 1 and str(error).split()[0] in told


class Typist:
    """Somebody at a terminal, who reads on from where the last reading ended."""

    def __init__(self, terminal: int) -> None:
        self.terminal, self.seen = terminal, ""

    def type(self, line: str) -> None:
        os.write(self.terminal, f"{line}\n".encode())

    def read_to(self, wanted: str, seconds: float = 120) -> str:
        end = time.monotonic() + seconds
        while wanted not in self.seen:
            left = max(0, end - time.monotonic())
            assert select.select([self.terminal], [], [], left)[0], f"no {wanted!r}: {self.seen!r}"
            self.seen += os.read(self.terminal, 4096).decode("utf-8", "replace")
        read, _, self.seen = self.seen.partition(wanted)
        return read


def test_ctrl_c_at_a_real_terminal_stops_a_reply_alone(model: AnyModal, tmp_path: Path) -> None:
    path = write_model(tmp_path / "parts", model)
    own = AnyModal.compose(model_config(path.parent))
    own.load_state_dict(model.state_dict())
    own.save_pretrained(tmp_path / "model", with_parts=True)
    command = [sys.executable, "-m", "anymodal", "chat", "--model", str(tmp_path / "model")]
    command += ["--steps", "1000", "--seed", "1", "--out", str(tmp_path / "out")]
    terminal, its_end = pty.openpty()
    streams = {"stdin": its_end, "stdout": its_end, "stderr": its_end}
    env = {**os.environ, HISTORY: ""}
    # A shell's background jobs ignore Ctrl-C, and so would their children.
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, **streams, start_new_session=True, env=env)
    signal.signal(signal.SIGINT, handler)
    os.close(its_end)
    try:
        typist = Typist(terminal)
        typist.read_to("you> ")
        for _ in range(2):
            typist.type("draw a ball")
            typist.read_to("[1: image]")
            time.sleep(0.2)
            child.send_signal(signal.SIGINT)  # as the terminal does
            typist.read_to("this reply is dropped")
            typist.read_to("you> ")
        typist.type("hello")
        typist.read_to("Hello!")
        typist.type("/history")
        assert "ball" not in typist.read_to("assistant: Hello!")
        typist.type("/quit")
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
