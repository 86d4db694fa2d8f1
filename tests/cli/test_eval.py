"""`anymodal eval`: a decoder alone, and what is refused."""

from __future__ import annotations

import pytest

from anymodal import cli
from anymodal.cli import eval as eval_command
from anymodal.model import AnyModal
from tests.support.tiny import tiny_model


def test_the_command_measures_a_pipelines_folder(tmp_path, capsys):
    tiny_model().decoders["image"].pipeline.save_pretrained(tmp_path / "image")
    how = ["--n", "2", "--steps", "2", "--split", "both"]
    assert cli.main(["eval", "decoder", str(tmp_path / "image"), *how]) == 0
    out = capsys.readouterr().out
    assert "seen scenes" in out
    assert "held-out scenes" in out
    assert cli.main(["eval", "decoder", str(tmp_path / "image"), "fps=4"]) == 2
    assert "takes no 'fps'" in capsys.readouterr().err
    assert cli.main(["eval", "decoder", str(tmp_path / "image"), "--modality", "audio"]) == 2
    assert "makes image" in capsys.readouterr().err


def test_the_command_refuses_what_there_is_not(capsys):
    assert cli.main(["eval", "matrix", "--n", "0"]) == 2
    assert cli.main(["eval", "matrix", "--rows", "0"]) == 2
    assert "rows=0" in capsys.readouterr().err
    assert cli.main(["eval", "matrix", "--seed", "-1"]) == 2
    assert "0 or above" in capsys.readouterr().err
    assert cli.main(["eval", "matrix", "--model", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


def test_a_matrix_that_the_model_cannot_hold_is_refused_at_once(monkeypatch, capsys):
    monkeypatch.setattr(eval_command, "open_model", lambda _args: tiny_model())
    monkeypatch.setattr(AnyModal, "chat", lambda *_: pytest.fail("asked"))
    kinds = ["--n", "3", "--kinds", "text>image,text>video,video>text"]
    assert cli.main(["eval", "matrix", *kinds]) == 2
    told = capsys.readouterr().err
    assert "doesn't make video, read video" in told and "2 of 3 tasks" in told
    assert "give --kinds 'text>image'" in told
