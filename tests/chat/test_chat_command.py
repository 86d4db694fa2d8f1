"""`anymodal chat` with hostile texts, names and failures: it goes on, and nothing reaches the
terminal that could command it.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from anymodal import cli
from anymodal.chat.session import Session
from anymodal.cli.repl import Repl
from tests.support.tiny import picture, tiny_model


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tiny_model(), tmp_path / "o\x1b[2Jut", 7)


def type_in(monkeypatch: pytest.MonkeyPatch, typed: bytes) -> None:
    """A terminal's input, in any bytes."""
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), "utf-8", "surrogateescape")
    )


def test_any_byte_is_taken_and_none_commands_the_terminal(
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = picture().save(tmp_path / "\x1b]0;title\x07\udce9.png")
    lines = [
        *(b"hello \xe9\xff", b"\x1b[31mred \0", b"draw a ball"),
        *(b"/attach \x1b[2Jnone.png", bytes(named), b"/attached", b"/history"),
        *(b"/save " + bytes(tmp_path) + b"/\x1b[1mtalk\xe9", b"/no\x1bthing", b"/quit"),
    ]
    type_in(monkeypatch, b"\n".join(lines))
    Repl(session).run()
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert "\x1b" not in text and "\x07" not in text and "\0" not in text
    assert len(session.turns) == 3 and len(session.attached) == 1
    assert session.turns[0].question.text == "hello \ufffd\ufffd"
    assert [path for path in tmp_path.iterdir() if path.suffix == ".json"]
    assert "none.png" in told.err and "there is no /no" in told.err


def test_a_session_outlives_any_failure_of_a_turn(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder: Any = session.model.modalities["image"].decoder
    sample, failures = decoder.sample, iter([RuntimeError("out of\x1b[2J memory"), KeyError("x")])

    def failing(*args: Any, **settings: Any) -> Any:
        for failure in failures:
            raise failure
        return sample(*args, **settings)

    monkeypatch.setattr(decoder, "sample", failing)
    type_in(monkeypatch, b"hello\n" + 3 * b"draw a ball\n")
    Repl(session).run()
    told = capsys.readouterr().err
    assert "anymodal: RuntimeError: out of\\x1b[2J memory" in told and "KeyError: 'x'" in told
    assert [turn.question.text for turn in session.turns] == ["hello", "draw a ball"]
    assert session.turns[1].reply.media


def test_a_file_s_name_in_an_error_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["chat", "hi", "--attach", "no\x1b[2J\udce9.png"]) == 2
    told = capsys.readouterr().err
    assert r"no\x1b[2J\udce9.png" in told and "\x1b" not in told
