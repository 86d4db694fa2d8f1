"""`anymodal export`: one folder with everything, that answers as the model did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anymodal import AnyModal
from anymodal.cli import main
from anymodal.io.sources import source_of
from anymodal.language.model import LanguageModel
from tests.support.composed import write_model
from tests.support.language_kinds import make


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
def test_merging_adapters_keeps_what_they_do(kind: str) -> None:
    language = make(kind)
    language.enable_lora(r=4, alpha=8, dropout=0.0)
    with torch.no_grad():
        for name, parameter in language.model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
    embeds = language.embed([3, 5, 7]).unsqueeze(0)
    before = language(embeds)
    language.merge_adapters()
    torch.testing.assert_close(language(embeds), before, atol=1e-5, rtol=1e-4)
    assert not any("lora_" in name for name in language.state_dict())
    assert isinstance(language, LanguageModel)
    language.enable_lora(r=2)  # a merged model can get new ones


@pytest.mark.extended
def test_the_shipped_model_can_be_exported_again(tmp_path: Path) -> None:
    assert main(["export", "nano", str(tmp_path / "copy"), "--dtype", "float32"]) == 0
    first, again = AnyModal.from_pretrained("nano"), AnyModal.from_pretrained(tmp_path / "copy")
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    told = [
        path for path in (tmp_path / "copy").rglob("*.json") if "checkpoints" in path.read_text()
    ]
    assert not told, "no file says where the parts lay"


def test_a_licence_is_noted_of_parts_that_have_none(tmp_path: Path) -> None:
    config = write_model(tmp_path)
    (tmp_path / "lm" / "README.md").write_text("---\nlicense: mit\n---\n")
    AnyModal.compose(config).save_pretrained(tmp_path / "model")
    argv = ["export", str(tmp_path / "model"), str(tmp_path / "out"), "--licence", "apache-2.0"]
    assert main(argv) == 0
    parts = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    told = {part.name: source_of(str(part), None).get("licence") for part in parts}
    assert told.pop("words") == "mit"
    assert len(told) == 3 and set(told.values()) == {"apache-2.0"}
