"""The command line: help, typos, errors, and each command on real files."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from anymodal import cli, media
from anymodal.chat.html_report import Check, message_html, write_html_report
from anymodal.chat.session import Session
from anymodal.chat.transcript import Exchange
from anymodal.cli import chat, doctor
from anymodal.cli import demo as demo_command
from anymodal.cli.command_line import COMMANDS
from anymodal.cli.line_editing import HISTORY
from anymodal.cli.terminal import log_to_terminal
from anymodal.composition.folders import check_model_path
from anymodal.media import Media
from anymodal.toybox import demo, demo_script
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.oracles.media import read_media
from anymodal.toybox.scene import Scene, is_held_out
from anymodal.types import Message
from tests.support.paths import ROOT
from tests.support.tiny import picture, tiny_model

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def run(*argv: str) -> int:
    return cli.main([str(item) for item in argv])


# --- finding the command


@pytest.mark.parametrize(
    ("argv", "says", "libraries"),
    [
        (["--help"], "usage: anymodal", ("torch", "numpy", "transformers", "lightning", "rich")),
        (
            ["chat", "--help"],
            "usage: anymodal",
            ("torch", "numpy", "transformers", "pydantic", "rich"),
        ),
        (["demo", "--help"], "usage: anymodal", ("torch", "numpy", "transformers", "rich")),
        (["ls"], "nano", ("torch", "numpy", "transformers", "lightning", "diffusers")),
        (["ls", "nano"], "imagebind", ("transformers", "lightning", "diffusers", "scipy")),
    ],
)
def test_a_command_imports_no_more_than_it_needs(
    argv: list[str], says: str, libraries: tuple[str, ...]
) -> None:
    code = (
        "import sys; from anymodal import cli\n"
        f"try: cli.main({argv!r})\nexcept SystemExit: pass\n"
        f"imported = set({libraries!r}) & set(sys.modules)\n"
        "sys.exit(f'imported {imported}' if imported else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout.lower()


@pytest.mark.parametrize(
    "argv",
    [
        ["serve", "nowhere"],
        ["serve", "nano", "talker=nowhere", "--ray"],
        ["mcp", "nowhere"],
        ["batch", "requests.jsonl", "--out", "x", "--model", "nowhere"],
        ["chat", "hi", "--model", "nowhere"],
        ["chat", "--web", "--model", "nowhere"],
    ],
)
def test_a_model_is_looked_for_before_anything_is_imported_for_it(argv: list[str]) -> None:
    code = (
        "import sys; from anymodal import cli\n"
        f"assert cli.main({argv!r}) == 2\n"
        "names = {'torch', 'numpy', 'transformers', 'fastapi', 'uvicorn', 'ray', 'mcp'}\n"
        "sys.exit(f'imported {names & set(sys.modules)}' if names & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no model at nowhere: neither a folder" in done.stderr


def test_a_folder_or_a_name_that_may_hold_a_model_passes(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    (tmp_path / "model.yaml").touch()
    for name in ("nano", "somebody/clip", tmp_path / "encoder", tmp_path / "model.yaml"):
        check_model_path(name)
    with pytest.raises(ValueError, match="neither a folder with a config.yaml"):
        check_model_path(tmp_path)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"eval"}))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        run(name, "--help")
    assert done.value.code == 0
    assert f"usage: anymodal {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["caht"], "there is no command 'caht'; did you mean chat?"),
        (["chat", "hi", "--tempratur", "1"], "did you mean --temperature?"),
        (["eval", "matrix", "--kind", "main"], "matrix takes no '--kind'; did you mean --kinds?"),
        (["chat", "hi", "--steps", "0"], "'0' is not a whole number above 0"),
        (["chat", "hi", "--model", "nowhere"], "no model at nowhere"),
        (["chat", "hi", "--attach", "nowhere.png"], "nowhere.png"),
        (["chat", "hi", "--attach", "a", "b"], "one value at a time; write --attach a --attach b"),
        (["chat", "b", "--attach=a", "b"], "one value at a time; write --attach a --attach b"),
        (["chat", "hi", "--seed", "1", "b"], "no 'b' behind --seed; write it before all options"),
        (["ls", "nano", "b"], "anymodal ls takes no 'b' (see anymodal ls --help)"),
        (["chat", "{tmp}/a.png"], "a.png is a file, and stands where words do; write TEXT --att"),
        (["chat", "--attach", "x.png", "{tmp}/a.png"], "write TEXT --attach x.png --attach "),
        (["train", "a=b"], "name a training configuration"),
        (["train", "nowhere.yaml"], "no configuration file at nowhere.yaml"),
        (["toybox"], "required: --out"),
        (["toybox", "--out", "{tmp}/x", "--modalities", "sound"], "renders no 'sound'"),
        (["toybox", "--out", "{tmp}", "--n", "1"], "not an empty folder"),
        (["ls", "nowhere"], "no model at nowhere"),
    ],
)
def test_an_error_is_one_line(
    argv: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("full", "a.png"):
        (tmp_path / name).touch()
    assert run(*(item.format(tmp=tmp_path) for item in argv)) == 2
    told = capsys.readouterr()
    assert told.err.startswith("anymodal: ") and told.err.count("\n") == 1
    assert says in told.err and not told.out


def test_debug_shows_where_an_error_arose() -> None:
    with pytest.raises(ValueError, match="no model"):
        run("ls", "nowhere", "--debug")


def test_ctrl_c_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert run("doctor") == 130
    assert capsys.readouterr().err == "\n"


# --- toybox, validate, ls, doctor


def test_toybox_writes_files_that_load_and_tell_their_scene(tmp_path: Path) -> None:
    out = tmp_path / "box"
    assert run("toybox", "--n", 3, "--out", out, "--seed", 5) == 0
    told = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    assert len(told) == 3
    for sample in told:
        assert not sample["held_out"]
        for name, medium in sample["media"].items():
            loaded = media.load(out / medium["file"])
            assert loaded.kind == name
            assert read_media(loaded) == medium["tells"]
    lines = [json.loads(line) for line in (out / "dialogues.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        assert [m["role"] for m in line["messages"]][:2] == ["user", "assistant"]
        parts = [part for message in line["messages"] for part in message["content"]]
        for part in parts:
            assert "text" in part or media.load(out / part["file"]).kind == part["kind"]


def test_toybox_is_decided_by_its_seed(tmp_path: Path) -> None:
    for name, n, seed in (("a", 1, 5), ("b", 2, 5), ("c", 1, 6)):
        run("toybox", "--n", n, "--out", tmp_path / name, "--seed", seed,
            "--modalities", "image", "--unseen")  # fmt: skip
    a, b, c = ((tmp_path / name / "0000-image.png").read_bytes() for name in "abc")
    assert a == b != c
    assert json.loads((tmp_path / "a" / "0000.json").read_text())["held_out"]
    assert not list((tmp_path / "a").glob("0000-audio*"))


def test_shipped_configs_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    """Some of each folder; tests/config/test_configs.py checks all."""
    some = CONFIGS[::12]
    assert len(some) > 5 and run("validate", "--no-data", *some) == 0
    assert capsys.readouterr().out.count(": ok") == len(some)


def test_validate_names_each_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "modalities: {pic: {encodr: {}}}\n"
        "language: {_target_: anymodal.language.LanguageModel.from_pretrained, path_or_name: x}\n"
    )
    assert run("validate", "--no-data", CONFIGS[0], wrong, tmp_path / "none.yaml") == 2
    told = capsys.readouterr()
    assert told.out == f"{CONFIGS[0]}: ok\n"
    assert "did you mean 'encoder'?" in told.err and "none.yaml" in told.err


def test_validate_takes_overrides_and_looks_for_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("validate", ROOT / "configs/stages/12gb/3-instruct.yaml") == 2
    place = "data.datasets.video.folder"
    assert f"{place}: there is no data/llava-video; set it by {place}=" in capsys.readouterr().err
    config = ROOT / "configs/stages/small/kinds.yaml"
    assert run("validate", config) == 2
    assert "data.folder: there is no data/media; set it by data.folder=" in capsys.readouterr().err
    assert run("validate", "--no-data", config, "seed=3", "max_steps=1") == 2
    assert "max_steps" in capsys.readouterr().err
    assert run("validate", "--no-data", config, "seed=-1") == 2
    assert "seed must be at least 0" in capsys.readouterr().err
    Path("rows-0.json").write_text("[]")
    there = ("data.path=rows-{0..0}.json", "data.folder=.")
    assert run("validate", config, *there) == 0
    assert run("validate", config, *there[1:], "data.path=rows-*.jsonl") == 2
    assert "rows-*.jsonl" in capsys.readouterr().err
    answers = ROOT / "configs/evaluation/answers.yaml"
    assert run("validate", answers) == 2
    assert "samples.jsonl" in capsys.readouterr().err
    Path("mine.jsonl").write_text('{"prompt": "a", "choices": ["b", "c"], "answer": "b"}')
    assert run("validate", answers, "data=mine.jsonl") == 0


def test_ls_names_configs_and_modalities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ls") == 0
    assert f"configs/{CONFIGS[0].relative_to(ROOT / 'configs')}" in capsys.readouterr().out
    (tmp_path / "config.yaml").write_text(
        "parts: {bind: {_target_: anymodal.encoders.ImageBind.from_pretrained}}\n"
        "language: {_target_: anymodal.language.LanguageModel.from_pretrained}\n"
        "modalities:\n"
        "  smell: {encoder: {_part_: bind}, decoder: {_target_: x.Nose}, num_signal_tokens: 3}\n"
    )
    assert run("ls", tmp_path) == 0
    out = capsys.readouterr().out
    assert "read by ImageBind.from_pretrained; made by Nose; 3 signal tokens" in out


# --- chat


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The tiny model where a shipped one would be loaded; a folder to work in."""
    for module in (chat, demo_command):
        monkeypatch.setattr(module, "open_model", lambda *_, **__: tiny_model())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> None:
    waiting = iter(lines)

    def typed(_prompt: str) -> str:
        line = next(waiting, EOFError)
        if isinstance(line, type):
            raise line
        return line

    monkeypatch.setattr("builtins.input", typed)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setenv(HISTORY, "")


def test_one_question_prints_text_and_says_where_media_are(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("chat", "draw", "and", "play", "a", "ball", "--seed", 1, "--steps", 1) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "Look: [1: image] and listen: [2: audio] Done.",
        "  [1] anymodal-out/reply-1-image.png",
        "  [2] anymodal-out/reply-1-audio.wav",
    ]
    assert media.load(tiny / "anymodal-out" / "reply-1-image.png").kind == "image"


def test_one_question_about_a_file(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture().save(tiny / "a.png")
    assert run("chat", "--attach", "a.png", "what is this?") == 0
    assert capsys.readouterr().out == "This is a ball.\n"


def test_a_session_takes_lines_files_and_commands(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture().save(tiny / "a b.png")
    type_in(
        monkeypatch,
        "/attach nowhere.png", "/atach a.png", "/seed x", "/seed 5",  # said, nothing lost
        "'./a b.png'", "/attached", "what is this?",
        KeyboardInterrupt, "", "draw a bell", "/edit", "/edit draw a ball", "/history",
        "/save talk", "/reset", "/history", "/help", "/quit", "never read",
    )  # fmt: skip
    assert run("chat", "--seed", "1") == 0
    told = capsys.readouterr()
    assert "nowhere.png" in told.err and "did you mean 'attach'?" in told.err
    assert "'x' is no seed" in told.err and "/edit TEXT" in told.err
    assert told.out.count("attached a b.png (Image(16×16))") == 2
    for line in ("seed 5\n", "This is a ball.\n", "Here is a ball: [1: image]\n",
                 "user: draw a ball", "nothing has been said yet", "/detach"):  # fmt: skip
        assert line in told.out
    assert len(json.loads((tiny / "talk.json").read_text())["messages"]) == 4


def test_ctrl_c_stops_a_reply_and_the_session_goes_on(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from anymodal.cli import terminal

    whole = terminal.show_reply

    def interrupted(events: object) -> None:
        monkeypatch.setattr(terminal, "show_reply", whole)
        next(iter(events))  # type: ignore[call-overload]
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "show_reply", interrupted)
    type_in(monkeypatch, "draw a ball", "hello")
    assert run("chat", "--seed", "1") == 0
    out = capsys.readouterr().out
    assert "this reply is dropped" in out and "Hello!" in out
    assert not (tiny / "anymodal-out").exists()


def test_what_a_model_says_cannot_command_the_terminal() -> None:
    from anymodal.config.printable import printable

    assert printable("a\x1b[2Jb\r\n", keep="\n") == r"a\x1b[2Jb\r" + "\n"
    assert printable("a\u202eb\udce9") == r"a\u202eb\udce9"
    spaced = "\u3000où\xa0? \U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e"
    assert printable(spaced) == spaced
    assert (
        printable("\0" * 100, 20) == r"\x00\x00\x00\x00\..."
        and printable("a" * 999, None)[998:] == "a"
    )


# --- demo and page


def test_the_script_covers_everything_and_no_held_out_scene() -> None:
    given = [medium for step in demo_script.SCRIPT for medium in step.inputs]
    made = [medium for step in demo_script.SCRIPT for medium in step.expected_media]
    assert len(demo_script.SCRIPT) >= 10
    assert {medium.modality for medium in given} == {"image", "audio", "video", "imu"}
    assert {medium.modality for medium in made} == {"image", "audio", "video"}
    for medium in (*given, *made):
        told = medium.attributes
        if "thing" in told:
            pair = is_held_out(told["thing"], told.get("color"), told.get("motion"))
            assert not pair, medium.caption


def test_inputs_are_files_that_tell_what_they_should(tmp_path: Path) -> None:
    files = demo.write_inputs(demo_script.SCRIPT, tmp_path, 0)
    for step, written in zip(demo_script.SCRIPT, files, strict=True):
        for medium, path in zip(step.inputs, written, strict=True):
            assert read_media(media.load(path)) == medium.attributes


def test_replies_are_measured(tmp_path: Path) -> None:
    ball = MediaItem(Scene("ball", "blue", "small", "still", "slow"), "image")
    drawn = media.load(demo.write_inputs([demo_script.DemoStep("", (ball,))], tmp_path, 0)[0][0])

    def found(step: demo_script.DemoStep, *content: str | Media) -> list[Check]:
        reply = Message("assistant", list(content))
        return demo.check_reply(step, Exchange(Message("user", [""]), (), reply, (), 0))

    wanted = demo_script.DemoStep("draw it", expected_media=(ball,))
    assert found(wanted, "Here: ", drawn) == [Check("measured: a small blue ball", True)]
    assert str(found(wanted, "Here.")[0]) == "asked for image, got none ✗"
    red = demo_script.DemoStep(
        "draw it", expected_media=(MediaItem(ball.scene.replace(color="yellow"), "image"),)
    )
    assert not found(red, drawn)[0].right
    told = demo_script.description_step("what is this?", ball)
    assert found(told, "This is a small blue ball.")[0].right
    assert str(found(told, "This is a big blue ball.")[0]) == "wrong in size ✗"


def test_a_page_holds_its_media_and_no_markup_of_others(tmp_path: Path) -> None:
    session = Session(tiny_model(), tmp_path, 0)
    list(session.ask("draw and play a ball"))
    (turn,) = session.turns
    evil = Message("user", ["<script>alert(1)</script>"])
    body = [message_html(evil), message_html(turn.reply, ["a&b.png"], [Check("right", True)])]
    text = write_html_report(tmp_path / "page.html", "T<", "lead", body).read_text("utf-8")
    assert "<script>" not in text and "&lt;script&gt;" in text and "T&lt;" in text
    assert "data:image/png;base64," in text and "data:audio/wav;base64," in text
    assert "a&amp;b.png" in text and "right ✓" in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_demo_holds_its_conversation_and_writes_everything(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ball = MediaItem(Scene("ball", "blue", "small", "still", "slow"), "image")
    script = (
        demo_script.DemoStep("draw a ball", expected_media=(ball,)),
        demo_script.description_step("what is this?", ball),
    )
    monkeypatch.setattr(demo_script, "SCRIPT", script)
    assert run("demo", "--out", tiny / "shown") == 0
    out = capsys.readouterr().out
    assert "you> draw a ball" in out and "of 2 measured answers are right" in out
    names = {path.relative_to(tiny / "shown").as_posix() for path in (tiny / "shown").rglob("*.*")}
    assert names == {
        "index.html", "transcript.json", "inputs/02-image.png", "outputs/reply-1-image.png"
    }  # fmt: skip


def test_what_the_package_logs_is_shown_once_and_safely(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever level and root handlers there are, and only as long as a command runs."""
    logger = logging.getLogger("anymodal")
    before = logger.handlers, logger.level, logger.propagate
    with contextlib.suppress(KeyboardInterrupt), log_to_terminal():
        logger.info("from %s", "a\x1b[2J\nanymodal: faked")
        raise KeyboardInterrupt
    logger.info("nobody asked")
    assert capsys.readouterr().err == "from a\\x1b[2J\\nanymodal: faked\n"
    assert (logger.handlers, logger.level, logger.propagate) == before
