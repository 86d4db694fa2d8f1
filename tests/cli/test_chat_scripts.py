"""`anymodal chat` in scripts and by its commands: lines of files, JSON, settings, several files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anymodal import cli
from anymodal.chat.session import Session
from anymodal.cli import chat
from anymodal.cli.chat_commands import paths_of
from anymodal.cli.line_editing import HISTORY, completions, history_file
from anymodal.cli.repl import Repl
from tests.support.paths import ROOT
from tests.support.tiny import picture, sound, tiny_model


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to work in, with the tiny model where a shipped one would be loaded."""
    monkeypatch.setattr(chat, "open_model", lambda *_, **__: tiny_model())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pipe(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text), "utf-8"))


def run(*argv: object) -> int:
    return cli.main(["chat", "--seed", "1", "--steps", "1", *(str(item) for item in argv)])


def test_piped_lines_are_answered_without_banner_or_prompt(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, "hello", "draw a ball", "/exit", "never read")
    assert run() == 0
    assert capsys.readouterr().out.splitlines() == [
        "Hello!",
        "Here is a ball: [1: image]",
        "  [1] anymodal-out/reply-2-image.png",
    ]


@pytest.mark.parametrize("source", ["file", "-"])
def test_replies_are_lines_of_json_and_all_else_is_on_standard_error(
    source: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture().save(folder / "a.png")
    lines = [
        "/attach a.png",
        "what is this?",
        "/history",
        '"""',
        "draw a",
        'ball"""',
        "draw a ball",
    ]
    if source == "-":
        pipe(monkeypatch, *lines)
    else:
        (folder / "prompts.txt").write_text("\ufeff" + "\r\n".join(lines), "utf-8")
        source = "prompts.txt"
    assert run("--prompts", source, "--json") == 0
    told = capsys.readouterr()
    first, _, drawn = (json.loads(line) for line in told.out.splitlines())
    assert first["text"] == "This is a ball." and first["files"] == []
    assert drawn["seed"] == 3 and drawn["finish_reason"] == "stop"
    (file,) = drawn["files"]
    assert [part["file"] for part in drawn["content"] if "file" in part] == [str(folder / file)]
    assert drawn["usage"].keys() == {"prompt_tokens", "cached_tokens", "completion_tokens"}
    assert drawn["usage"]["prompt_tokens"] > drawn["usage"]["cached_tokens"] > 0
    assert "attached a.png" in told.err and "user: " in told.err


def test_one_question_gives_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("hello", "--json", "--max-new-tokens", 1) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["finish_reason"] == "length" and reply["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize("command", ["/attach nowhere.png", "/attach *.gif", "/no", "/load x.json"])
def test_a_failing_command_ends_a_piped_run(
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe(monkeypatch, "hello", command, "what is this?")
    assert run() == 2
    told = capsys.readouterr()
    assert told.out == "Hello!\n" and told.err.count("anymodal: ") == 1


def test_a_failing_reply_is_told_and_its_files_go_with_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture().save(folder / "a.png")
    long = "very " * 600
    pipe(monkeypatch, "a.png", long, "hello")
    assert run("--json") == 2
    told = capsys.readouterr()
    failed, answered = (json.loads(line) for line in told.out.splitlines())
    assert "positions" in failed["error"] and "positions" in told.err
    assert answered["text"] == "Hello!"


def test_wrong_sources_are_errors_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chat, "open_model", lambda *_, **__: pytest.fail("loaded"))
    assert run("--prompts", "nowhere.txt") == 2
    assert run("hello", "--prompts", "-") == 2
    told = capsys.readouterr().err
    assert "nowhere.txt" in told and "give one of them" in told


def test_stops_several_replies_and_log_probabilities(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("draw a ball", "--n", 2, "--logprobs", 1, "--stop", " ball", "--stop", "x") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["Here is a"] * 2
    assert json.dumps("Here is a")[1:3] in lines[1] and "(" in lines[1]
    assert run("draw a ball", "--set", "image.number=3", "--json") == 0
    reply = json.loads(capsys.readouterr().out)
    assert [Path(file).name for file in reply["files"]] == [
        "reply-1-image.png", "reply-1-image-2.png", "reply-1-image-3.png"
    ]  # fmt: skip
    assert run("hello", "--stop", "a", *(["--stop", "b"] * 16)) == 2
    assert "17 stop strings" in capsys.readouterr().err


def test_settings_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("hello", "--set", "image.steps=3", "--set", "top_k=5", "--set", "guidance=1") == 0
    for setting, message in [
        ("tempratur=1", "did you mean 'temperature'?"),
        ("steps=0", "steps=0"),
        ("image.step=1", "did you mean 'steps'?"),
        ("imge.steps=1", "makes no 'imge'"),
        ("top_k", "write NAME=VALUE"),
        ("top_k=many", "top_k='many'"),
    ]:
        capsys.readouterr()
        assert run("hello", "--set", setting) == 2
        assert message in capsys.readouterr().err


def test_commands_of_a_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(tiny_model(), tmp_path / "out", 7)
    talk = tmp_path / "talk.json"
    lines = [
        *("/set steps 2", "/set", "draw a ball", "/retry 5", f"/save {talk}", "/undo"),
        *(
            "/set image.steps = 3",
            "/set stop a=b",
            "/system be short",
            "/system -",
            f"/load {talk}",
            "/history",
        ),
    ]
    assert Repl(session, lines).run() == 0
    out = capsys.readouterr().out
    assert "image.steps 2\naudio.steps 2" in out and "took back: draw a ball" in out
    assert "be short\nthere is no system prompt" in out and 'stop "a=b"' in out
    assert "loaded 1 turns; seed 7" in out and session.turns[0].seed == 5
    assert session.sampling["image"] == {"steps": 2}


def test_a_system_prompt_stands_before_the_conversation(tmp_path: Path) -> None:
    session = Session(tiny_model(), tmp_path, 7, system="be short")
    assert [message.role for message in session.messages] == ["system"]
    plain = session.model.prompts.build(session.messages, reply=True).ids
    session.system = ""
    assert session.messages == [] and len(plain) > 0


def test_several_files_and_patterns_are_attached_or_none(tmp_path: Path) -> None:
    session = Session(tiny_model(), tmp_path / "out", 7)
    for name in ("a b.png", "c.png"):
        picture().save(tmp_path / name)
    sound().save(tmp_path / "d.wav")
    (tmp_path / "e.png").write_bytes(b"nothing")
    dropped = f"'{tmp_path}/a b.png' file://{tmp_path}/a%20b.png"
    assert paths_of(dropped) == [tmp_path / "a b.png"] * 2
    assert paths_of(f"look at {tmp_path}/c.png") == []
    assert Repl(session, [f"/attach {tmp_path}/[ac]*.png {tmp_path}/d.wav", dropped]).run() == 0
    names = [item.path.name for item in session.attached]
    assert names == ["a b.png", "c.png", "d.wav", "a b.png", "a b.png"]
    assert Repl(session, [f"/attach {tmp_path}/*.png"]).run() == 2
    assert [item.path.name for item in session.attached] == names


def test_commands_and_paths_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "picture.png").touch()
    commands = ["/retry", "/reset", "/save"]
    assert completions("/re", commands) == ["/retry ", "/reset "]
    prefix = f"{tmp_path}/pict"
    assert completions(prefix, commands) == [f"{prefix}ure.png", f"{prefix}ures/"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert completions("~/pictures", commands) == ["~/pictures/"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv(HISTORY, raising=False)
    assert history_file() == tmp_path / "anymodal" / "chat_history"
    monkeypatch.setenv(HISTORY, "")
    assert history_file() is None


def test_history_is_kept_at_a_real_terminal(tmp_path: Path) -> None:
    """At a pseudo-terminal, in a process of its own: lines stay, for the user alone."""
    pty = pytest.importorskip("pty")
    pytest.importorskip("readline")
    code = (
        "from anymodal.cli.line_editing import line_editing\n"
        "with line_editing(['/quit']): print('read', input('you> '))"
    )
    file = tmp_path / "state" / "history"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        env={**os.environ, HISTORY: str(file)},
        cwd=ROOT,
    ) as process:
        os.write(ours, b"/qu\tnow\n")
        assert process.wait(60) == 0
    assert b"read /quit now" in os.read(ours, 10_000)
    assert "/quit now" in file.read_text() and file.stat().st_mode & 0o77 == 0


def test_replies_among_choices(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choices = ["--choice", "Hello!", "--choice", "This is a ball."]
    assert run("hello", *choices) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Hello!" and [line.split(None, 1)[1] for line in lines[1:]] == choices[1::2]
    assert run("hello", *choices, "--json", "--set", "choice_method=constrained") == 0
    record = json.loads(capsys.readouterr().out)
    assert [each["text"] for each in record["choices"]] == choices[1::2]
    assert record["choices"][0]["probability"] > 0.9 and record["text"] == "Hello!"
    assert run("hello", *choices, "--choice", "Hello!") == 2
    assert "'Hello!' is there twice" in capsys.readouterr().err


def test_choices_of_a_session_are_set_and_taken_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, '/set choices ["Look", "Done."]', "hello", "/set choices null", "hello")
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    replies = [line for line in lines if line in ("Look", "Done.", "Hello!")]
    assert len(replies) == 2 and replies[0] != "Hello!" and replies[1] == "Hello!"
