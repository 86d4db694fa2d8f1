"""Settings of a reply as types: complete, explained, and checked by mypy."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from anymodal.chat import settings
from anymodal.chat.batch import reply_many
from anymodal.chat.model import ChatModel
from anymodal.chat.session import Session
from anymodal.chat.settings import MediaSettings, TextSettings
from anymodal.config.ranges import MEDIA_SETTINGS, NUMBER
from anymodal.decoders import Decoder
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.language.sampling import Sampling
from tests.support.paths import ROOT


def test_text_settings_are_the_fields_of_sampling() -> None:
    hints = get_type_hints(TextSettings)
    # Of several conversations each may have choices of its own.
    assert hints.pop("choices") == Sequence[str] | Sequence[Sequence[str] | None] | None
    names = [field.name for field in fields(Sampling) if field.name != "choices"]
    assert hints == {name: get_type_hints(Sampling)[name] for name in names}


def test_media_settings_are_what_every_decoder_takes() -> None:
    ours = ("self", "conditioning", "generator", "progress", "references")
    taken = [name for name in inspect.signature(Decoder.sample).parameters if name not in ours]
    assert list(get_type_hints(MediaSettings)) == [*taken, NUMBER] == list(MEDIA_SETTINGS)


@pytest.mark.parametrize("schema", [TextSettings, MediaSettings])
def test_each_setting_has_a_meaning(schema: type) -> None:
    pycode = pytest.importorskip("sphinx.pycode")
    analyzer = pycode.ModuleAnalyzer.for_file(settings.__file__, settings.__name__)
    explained = {name for owner, name in analyzer.find_attr_docs() if owner == schema.__name__}
    assert explained == get_type_hints(schema).keys()


CALLED = [ChatModel.chat, ChatModel.stream, Session.__init__, reply_many, ModelPredictor.__init__]


@pytest.mark.parametrize("call", CALLED, ids=lambda call: call.__qualname__)
def test_each_call_takes_them_by_name(call: Callable[..., Any]) -> None:
    assert call.__annotations__["text"] == "Unpack[TextSettings]"


CALLS = """
from anymodal import AnyModal
from anymodal.chat.session import Session

def talk(model: AnyModal) -> None:
    model.chat("hi", seed=0, temperature=0.5, sampling={"image": {"steps": 4, "guidance": 1.0}})
    list(model.stream(["hi", b"..."], max_spans=None))
    reveal_type(model.chat("hi"))
    reveal_type(model.chat([["hi"], ["ho"]], seed=[1, 2], batch_size=2))
    Session(model, "out", 3, top_p=0.9)
    model.chat("hi", temprature=0.5)
    model.chat("hi", temperature="hot")
    model.chat("hi", sampling={"image": {"step": 4}})
    model.stream("hi", max_token=3)
    Session(model, topp=0.9)
"""


@pytest.mark.extended
def test_mypy_knows_them(tmp_path: Path) -> None:
    """The last five calls, and no other, are wrong."""
    (tmp_path / "calls.py").write_text(CALLS)
    command = [sys.executable, "-m", "mypy", "--no-color-output", "--hide-error-context"]
    done = subprocess.run(
        [*command, "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "calls.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    reported = (line.partition("calls.py:") for line in done.stdout.splitlines())
    lines = [rest for _, mark, rest in reported if mark]
    errors = [int(line.partition(":")[0]) for line in lines if " error: " in line]
    assert sorted(set(errors)) == [11, 12, 13, 14, 15], done.stdout
    notes = [line for line in lines if "Revealed type" in line]
    assert "list[anymodal.types.Message]" in notes[1] and "list" not in notes[0]
