"""GGUF files are opened as the models they were written from; damaged ones are refused."""

from __future__ import annotations

import contextlib
import importlib.util
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymodal import cli
from anymodal.config.yaml_files import parse_yaml
from anymodal.io.checkpoint import read_manifest
from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal
from tests.support import gguf_models

if importlib.util.find_spec("gguf") is None:
    pytest.skip("wants anymodal[gguf]", allow_module_level=True)

TEXT = "Draw a big red ball, please."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a folder of transformers, `plain`, and as `tiny.gguf`."""
    folder = tmp_path_factory.mktemp("gguf")
    gguf_models.write(folder / "plain", folder / "tiny.gguf")
    return folder


@torch.no_grad()
def scores(language: LanguageModel) -> torch.Tensor:
    logits = language.logits(language(language.embed(language.encode_text(TEXT))[None]))
    return logits[..., :300]


def test_it_is_the_model_that_it_was_written_from(folder: Path, tmp_path: Path) -> None:
    plain = LanguageModel.from_pretrained(str(folder / "plain"))
    opened = LanguageModel.from_pretrained(str(folder / "tiny.gguf"))
    assert opened.encode_text(TEXT) == plain.encode_text(TEXT)
    assert opened.stops == plain.stops and opened.template.jinja == plain.template.jinja
    torch.testing.assert_close(scores(opened), scores(plain))
    assert opened.source["name"] == "tiny.gguf" and opened.source["licence"] == "apache-2.0"
    opened.save_pretrained(tmp_path / "saved")  # which a packed one refuses
    again = LanguageModel.from_pretrained(str(tmp_path / "saved"))
    assert torch.equal(scores(again), scores(opened))
    opened.enable_lora(r=2)  # its layers are plain ones, and train
    opened.add_tokens(["<|x|>"])
    ids = torch.tensor([[1, 2, 3]])
    opened.loss(opened(opened.embed(ids)), ids).backward()


def test_it_is_found_by_file_by_folder_or_by_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes((folder / "tiny.gguf").read_bytes())
    for name, file in ((tmp_path / "a.gguf", None), (tmp_path, None), (tmp_path, "a.gguf")):
        opened = LanguageModel.from_pretrained(str(name), gguf_file=file, dtype="bfloat16")
        assert opened.embedding.weight.dtype == torch.bfloat16
        assert (
            LanguageModel.from_pretrained(str(name), gguf_file=file, weights=False).metadata()
            == opened.metadata()
        )
    saved = tmp_path / "saved"
    AnyModal(opened, None, {}).save_pretrained(saved, with_parts=True)
    node = parse_yaml((saved / "config.yaml").read_text("utf-8"), "config.yaml")["language"]
    assert "gguf_file" not in node and Path(node["path_or_name"]).name == "language"
    LanguageModel.from_pretrained(str(saved / "language"))
    (tmp_path / "b.gguf").touch()
    with pytest.raises(ValueError, match=r"several models; give gguf_file: .*a\.gguf"):
        LanguageModel.from_pretrained(str(tmp_path))
    for missing in ({"gguf_file": "c.gguf"}, {}):
        name = tmp_path if missing else tmp_path / "c.gguf"
        with pytest.raises(FileNotFoundError, match=r"c\.gguf: there is no such file"):
            LanguageModel.from_pretrained(str(name), **missing)
    with pytest.raises(ValueError, match="anymodal convert gguf"):
        LanguageModel.from_pretrained(str(tmp_path / "a.gguf"), quantize="4bit")


def test_half_precision_stays(tmp_path: Path) -> None:
    gguf_models.write(tmp_path / "plain", tmp_path / "half.gguf", half=True)
    opened = LanguageModel.from_pretrained(str(tmp_path / "half.gguf"))
    plain = LanguageModel.from_pretrained(str(tmp_path / "plain"))
    torch.testing.assert_close(scores(opened).float(), scores(plain), rtol=0.02, atol=0.05)


def test_the_command_converts_it(folder: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    command = ["convert", "gguf", str(folder / "tiny.gguf"), str(out)]
    for more in ([], ["--dtype", "bfloat16"]):  # the second time it replaces what it made
        assert cli.main([*command, *more]) == 0
    said = capsys.readouterr().out
    assert "a language model, LlamaForCausalLM" in said and "apache-2.0" in said
    opened = LanguageModel.from_pretrained(str(out))
    assert opened.embedding.weight.dtype == torch.bfloat16
    assert opened.source["licence"] == "apache-2.0"
    assert read_manifest(out)["language"]["file"] == "tiny.gguf"
    assert cli.main([*command, "--only", "image"]) == 2
    assert cli.main([*command[:1], "gill", *command[2:], "--dtype", "bfloat16"]) == 2


def test_without_its_package_the_way_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'anymodal\[gguf\]'"):
        LanguageModel.from_pretrained(str(folder / "tiny.gguf"))


def changed(data: bytes, key: str, value: int, form: str = "<I") -> bytes:
    """The file with another number under a key."""
    at = data.index(key.encode()) + len(key) + 4
    new = struct.pack(form, value)
    return data[:at] + new + data[at + len(new) :]


LLAMA = b"llama"  # the architecture's name comes first in the file
DAMAGED = {
    "empty": (lambda d: b"", "doesn't begin as one"),
    "of another kind": (lambda d: b"GGML" + d[4:], "doesn't begin as one"),
    "its name alone": (lambda d: d[:4], "ends early"),
    "half its header": (lambda d: d[:2000], "ends early"),
    "half its weights": (lambda d: d[:-3000], "ends before the tensor"),
    "of the first version": (lambda d: d[:4] + b"\1\0\0\0" + d[8:], "says version 1"),
    "big-endian": (lambda d: d[:4] + b"\0\0\0\3" + d[8:], "says version"),
    "of endless tensors": (lambda d: d[:8] + b"\xff" * 8 + d[16:], "announces 18446744073709"),
    "of endless keys": (lambda d: d[:16] + b"\xff" * 7 + b"\x7f" + d[24:], "announces"),
    "of endless words": (
        lambda d: changed(d, "tokenizer.ggml.tokens", 2**62, "<4xQ"), "ends early"
    ),
    "of endless layers": (lambda d: changed(d, "llama.block_count", 10**9), "block_count is 1"),
    "of many layers": (lambda d: changed(d, "llama.block_count", 4000), "announces 4000 layers"),
    "of endless heads": (lambda d: changed(d, "attention.head_count", 10**9), "head_count is"),
    "of no heads": (lambda d: changed(d, "attention.head_count", 0), "can't read the model"),
    "wider than it is": (
        lambda d: changed(d, "llama.embedding_length", 10**6), "describes a model of .* weights"
    ),
    "of another width": (lambda d: changed(d, "llama.embedding_length", 12), "gguf"),
    "of an unknown kind": (lambda d: d.replace(LLAMA, b"lamma", 1), "can't read the model"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    damage, says = DAMAGED[name]
    file = tmp_path / "a.gguf"
    file.write_bytes(damage((folder / "tiny.gguf").read_bytes()))
    for weights in (True, False):
        if name == "of another width" and not weights:
            continue  # nobody looks at them
        with pytest.raises(ValueError, match=says):
            LanguageModel.from_pretrained(str(file), weights=weights)


def test_one_of_several_files_is_refused(tmp_path: Path) -> None:
    gguf_models.write(tmp_path / "plain", tmp_path / "a.gguf", **{"split.count": 3})
    with pytest.raises(ValueError, match="one of several; join them"):
        LanguageModel.from_pretrained(str(tmp_path / "a.gguf"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_flipped_it_opens_or_is_refused(folder: Path, data: st.DataObject) -> None:
    content = bytearray((folder / "tiny.gguf").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 9000))] = data.draw(st.integers(0, 255))
    file = folder / "flipped.gguf"
    file.write_bytes(content)
    with contextlib.suppress(ValueError):
        LanguageModel.from_pretrained(str(file))
