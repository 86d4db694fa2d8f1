"""`anymodal chat --web`: the page, its server and its address."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from anymodal import cli
from anymodal.cli import chat, web
from tests.support.paths import ROOT


def options(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    chat.add_arguments(parser)
    return parser.parse_args(["--web", *argv])


def test_settings_of_the_command_line_reach_new_conversations() -> None:
    assert web.page_address(options()) == "/"
    address = web.page_address(
        options("--steps", "8", "--seed", "0", "--system", "Be brief & kind")
    )
    assert address == "/#new&steps=8&seed=0&system=Be+brief+%26+kind"


@pytest.mark.parametrize(
    "argv",
    [["hello"], ["--json"], ["--prompts", "-"], ["--attach", "a.png"], ["--top-p", "0.5"],
     ["--n", "2"], ["--logprobs", "0"], ["--choice", "a"], ["--reference", "image=none"]],
)  # fmt: skip
def test_options_of_the_terminal_are_refused(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["chat", "--web", *argv]) == 2
    assert "--web opens a page, where" in capsys.readouterr().err


def test_a_port_in_use_is_told_before_the_model_is_loaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert cli.main(["chat", "--web", "--port", str(port), "--model", "no/such-model"]) == 2
    error = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 can't be used" in error and "--port 0" in error


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_no_browser_is_opened_where_there_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not web.has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert web.has_display()


@pytest.mark.extended
def test_page_and_server_run_until_they_are_told_to_end(tmp_path: Path) -> None:
    display = ("DISPLAY", "WAYLAND_DISPLAY")
    env = {key: value for key, value in os.environ.items() if key not in display}
    command = [sys.executable, "-m", "anymodal", "chat", "--web", "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    url = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert url is not None and "chat with nano" in line
    with urllib.request.urlopen(url[0]) as answer:
        assert b"<title>AnyModal</title>" in answer.read()
    with urllib.request.urlopen(f"{url[0]}v1/models") as answer:
        assert json.load(answer)["data"][0]["id"] == "nano"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, "as a shell expects of Ctrl-C"
