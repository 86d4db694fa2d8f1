"""`anymodal eval`: a decoder alone, and what is refused."""

from __future__ import annotations

from anymodal import cli
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
    assert cli.main(["eval", "matrix", "--seed", "-1"]) == 2
    assert "0 or above" in capsys.readouterr().err
    assert cli.main(["eval", "matrix", "--model", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err
