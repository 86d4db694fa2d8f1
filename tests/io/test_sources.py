"""Parts from a hub's cache: pinned, with their licence, and what is missing is said exactly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from anymodal.composition import model_metadata
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import TransformersEncoder
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CheckpointError
from anymodal.io.fingerprints import weights_fingerprint
from anymodal.io.sources import INDEX, _reachable, source_of, write_card
from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal
from tests.support import huggingface_models, language_models, pipelines
from tests.support.composed import write_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache as huggingface_hub lays it out, empty; nothing is fetched in tests."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def repository(hub: Path, name: str) -> Path:
    """The folder of a repository's only revision, which `main` refers to."""
    home = hub / f"models--{name.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    (home / "snapshots" / COMMIT).mkdir(parents=True)
    return home / "snapshots" / COMMIT


def test_a_hub_s_name_opens_from_the_cache(hub: Path) -> None:
    folder = repository(hub, "tiny/opt")
    language_models.FAMILIES["opt"].write(folder)
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: opt-research\n---\n# A\n")
    source = LanguageModel.from_pretrained("tiny/opt").metadata()["source"]
    assert source == {
        "name": "tiny/opt",
        "revision": COMMIT,
        "licence": "opt-research",
        "commercial_use": False,
    }
    assert LanguageModel.from_pretrained("tiny/opt", revision=COMMIT).revision == COMMIT
    with pytest.raises(FileNotFoundError) as caught:
        LanguageModel.from_pretrained("tiny/opt", revision="v2")
    assert "tiny/opt at revision v2" in str(caught.value)
    assert "hf download tiny/opt --revision v2" in str(caught.value)


def test_a_part_s_card_is_asked_for_once_where_the_hub_answers(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub is a stranger's: its two questions are answered here."""
    folder = repository(hub, "tiny/opt")
    asked = []

    def fetched(name: str, file: str, revision: str | None) -> str:
        asked.append((name, file, revision))
        (folder / file).write_text("---\nlicense: mit\n---\n")
        return str(folder / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetched)
    assert "licence" not in source_of("tiny/opt", None), "offline"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for answer, licence in ((None, None), ("answers", "mit")):
        _reachable.cache_clear()
        monkeypatch.setattr("anymodal.io.hub.answer", lambda answer=answer: answer)
        assert source_of("tiny/opt", None).get("licence") == licence
    assert source_of("tiny/opt", None)["licence"] == "mit"
    assert asked == [("tiny/opt", "README.md", None)]
    _reachable.cache_clear()


def test_a_hub_that_does_not_answer_is_asked_once(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this huggingface_hub tries each missing file again for half a minute."""
    language_models.FAMILIES["opt"].write(repository(hub, "tiny/opt"))
    asked = []

    def answer() -> None:
        asked.append("head")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("anymodal.io.hub.answer", answer)
    _reachable.cache_clear()
    start = time.monotonic()
    assert LanguageModel.from_pretrained("tiny/opt", weights=False).width
    with pytest.raises(FileNotFoundError, match="the hub could not be reached"):
        LanguageModel.from_pretrained("tiny/other", weights=False)
    assert time.monotonic() - start < 8 and asked == ["head"]
    assert constants.HF_HUB_OFFLINE is False
    _reachable.cache_clear()


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (("model.safetensors",), "model.safetensors or model.safetensors.index.json or"),
        (("config.json",), "config.json."),
        (("tokenizer.json", "vocab.json", "merges.txt"), "tokenizer.json or tokenizer.model"),
    ],
)
def test_what_is_missing_is_said(hub: Path, gone: tuple[str, ...], missing: str) -> None:
    folder = repository(hub, "tiny/opt")
    language_models.FAMILIES["opt"].write(folder)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError) as caught:
        LanguageModel.from_pretrained("tiny/opt")
    text = str(caught.value)
    assert f"Missing in {hub}: {missing}" in text
    assert "offline mode is on" in text and "hf download tiny/opt" in text
    with pytest.raises(FileNotFoundError, match=f"lacks {missing.rstrip('.')}"):
        LanguageModel.from_pretrained(str(folder))


def test_missing_shards_are_named(hub: Path) -> None:
    folder = repository(hub, "tiny/opt")
    language_models.FAMILIES["opt"].write(folder)
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FileNotFoundError, match=r"model-1.safetensors, model-2.safetensors"):
        LanguageModel.from_pretrained("tiny/opt")


def test_encoders_and_decoders_say_it_too(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no encoder tiny/clip: .*config.json"):
        TransformersEncoder.from_pretrained("tiny/clip")
    folder = repository(hub, "tiny/clip")
    huggingface_models.write(huggingface_models.clip, folder)
    assert TransformersEncoder.from_pretrained("tiny/clip").revision == COMMIT
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"preprocessor_config.json or"):
        TransformersEncoder.from_pretrained("tiny/clip")
    with pytest.raises(FileNotFoundError, match=r"no pipeline tiny/sd: .*model_index.json"):
        DiffusionDecoder.from_pretrained("tiny/sd")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        LanguageModel.from_pretrained(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("part", "stem"),
    [("unet", "diffusion_pytorch_model"), ("text_encoder", "model"), ("vae", None)],
)
def test_a_pipelines_missing_weights_are_named_file_by_file(
    hub: Path, part: str, stem: str | None
) -> None:
    folder = repository(hub, "tiny/sd")
    pipelines.FAMILIES["stable_diffusion"].build().save_pretrained(folder)
    DiffusionDecoder.from_pretrained("tiny/sd")
    if stem is not None:
        (folder / part / f"{stem}.safetensors").unlink()
        old = "pytorch_model" if stem == "model" else stem
        names = (f"{stem}.safetensors", f"{old}.bin")
        missing = " or ".join(f"{part}/{name}{end}" for name in names for end in ("", INDEX))
    else:  # in two files, of which one isn't there
        whole = folder / part / "diffusion_pytorch_model.safetensors"
        whole.rename(folder / part / "first.safetensors")
        weights = {"a": "first.safetensors", "b": "second.safetensors"}
        index = {"metadata": {}, "weight_map": weights}
        (folder / part / f"{whole.name}.index.json").write_text(json.dumps(index))
        missing = f"{part}/second.safetensors"
    for name in ("tiny/sd", str(folder)):
        with pytest.raises(FileNotFoundError) as caught:
            DiffusionDecoder.from_pretrained(name)
        ending = ". Get it" if name == "tiny/sd" else "; copy it"
        assert f"{missing}{ending}" in str(caught.value)
    DiffusionDecoder.from_pretrained("tiny/sd", weights=False)  # which reads no weights


@pytest.mark.parametrize(
    ("licence", "allows"),
    [("apache-2.0", True), ("cc-by-nc-sa-4.0", False), ("llama3.1", None), ("mit", True)],
)
def test_licences_are_read_off_cards(tmp_path: Path, licence: str, allows: bool | None) -> None:
    (tmp_path / "README.md").write_text(f"---\ntags: [a]\nlicense: '{licence}'\n---\n")
    source = source_of(str(tmp_path), None)
    assert (source["licence"], source["commercial_use"]) == (licence, allows)
    (line,) = checkpoint.origins({"language": {"source": source}, "encoder.x": {}})
    assert line.startswith(f"language: {tmp_path.name}, under {licence}: ")
    told = {True: "commercial use allowed", False: "not for commercial use", None: "read it before"}
    assert told[allows] in line


MERGED = "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40))
"""Each line holds what the one before holds twice."""


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("license: other\nlicense_name: llama3", "llama3"),
        ("license: [mit, apache-2.0]", "mit, apache-2.0"),
        ("tags: [license]", None),
        ("- license", None),
        ("license: {", None),
        ("license: !!python/object:os.system x", None),
        (MERGED, None),
    ],
)
def test_a_card_s_metadata_is_a_stranger_s(
    tmp_path: Path, metadata: str, licence: str | None
) -> None:
    (tmp_path / "README.md").write_text(f"---\na0: &a0 {{b: 1}}\n{metadata}\n---\n# A model\n")
    assert source_of(str(tmp_path), None).get("licence") == licence


@pytest.mark.parametrize("licence", ["mit", "a: b # c", "no", "the terms on its publishers' page"])
def test_a_written_licence_is_read_back(tmp_path: Path, licence: str) -> None:
    write_card(tmp_path, {"licence": licence})
    assert source_of(str(tmp_path), None)["licence"] == licence
    write_card(tmp_path, {"licence": "other"})
    assert source_of(str(tmp_path), None)["licence"] == licence, "a card that is there stays"


def test_what_each_part_is_is_told_when_a_model_is_composed_and_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name, its weights' hash and its licence; of a folder without a card, what to do."""
    config = write_model(tmp_path)
    (tmp_path / "lm" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    model = AnyModal.compose(config)
    hashes = {name: part["weights"][:12] for name, part in model_metadata(model).items()}
    composed = list(caplog.messages)
    caplog.clear()
    (language,) = [line for line in composed if line.startswith("language: ")]
    assert language == (
        f"language: lm (weights {hashes['language']}), under cc-by-nc-4.0: not for commercial use"
    )
    (encoders,) = [line for line in composed if line.startswith("encoder.")]
    shared = f"binder (weights {hashes['encoder.image']}), under an unknown licence: ask who"
    assert encoders.startswith(f"encoder.audio, encoder.image, encoder.imu: {shared}")
    assert encoders.endswith("note it (`license: NAME` between lines of ---) in its README.md")
    assert f"image (weights {hashes['decoder.image']}), under an unknown" in "\n".join(composed)
    model.save_pretrained(tmp_path / "whole", with_parts=True)
    AnyModal.from_pretrained(tmp_path / "whole")
    loaded = caplog.text
    assert f"language: words (weights {hashes['language']}), under cc-by-nc-4.0" in loaded
    assert loaded.count("under an unknown licence") == 3, "a licence goes where the weights go"


def test_a_changed_part_is_refused(tmp_path: Path) -> None:
    """The language model's or a decoder's weights, or the chat template."""
    model = AnyModal.compose(write_model(tmp_path))
    model.save_pretrained(tmp_path / "model")
    AnyModal.from_pretrained(tmp_path / "model")
    for part, module in (("decoder.image", "decoders.image"), ("language", "language.model")):
        weight = next(model.get_submodule(module).parameters())
        before = weights_fingerprint(model.get_submodule(module.removesuffix(".model")))
        with torch.no_grad():
            weight.add_(1.0)
        folder = {"decoder.image": "image", "language": "lm"}[part]
        model.get_submodule(module.removesuffix(".model")).save_pretrained(tmp_path / folder)
        with pytest.raises(CheckpointError, match=rf"{part}.weights: '{before}' saved"):
            AnyModal.from_pretrained(tmp_path / "model")
    config = tmp_path / "lm" / "chat_template.jinja"
    config.write_text(config.read_text().replace("<|end|>", "<|end|> "))
    with pytest.raises(CheckpointError, match=r"language.template: "):
        AnyModal.from_pretrained(tmp_path / "model")


def _vocabulary_swapped(content: dict[str, Any]) -> None:
    vocabulary = content["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]


def _lowercased(content: dict[str, Any]) -> None:
    content["normalizer"] = {"type": "Lowercase"}


def _merges_reversed(content: dict[str, Any]) -> None:
    content["model"]["merges"].reverse()


def _shifted(content: dict[str, Any]) -> None:
    content["flow_shift"] = 7.0


def _scaled(content: dict[str, Any]) -> None:
    content["scaling_factor"] = 0.5


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("lm/tokenizer.json", _vocabulary_swapped, r"language\.words\.ids \d+ to \d+: '"),
        ("lm/tokenizer.json", _lowercased, r"language\.words\.normalizer: None saved, {'type'"),
        ("lm/tokenizer.json", _merges_reversed, r"language\.words\.merges: '"),
        (
            "image/tokenizer/tokenizer.json",
            _lowercased,
            r"decoder\.image\.words\.tokenizer\.normalizer: None saved",
        ),
        (
            "image/scheduler/scheduler_config.json",
            _shifted,
            r"decoder\.image\.settings\.scheduler\.flow_shift: 1\.0 saved, 7\.0 now",
        ),
        (
            "image/vae/config.json",
            _scaled,
            r"decoder\.image\.settings\.vae\.scaling_factor: .* saved, 0\.5 now",
        ),
    ],
)
def test_a_changed_file_of_a_part_is_refused_by_what_changed(
    tmp_path: Path, file: str, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    AnyModal.compose(write_model(tmp_path)).save_pretrained(tmp_path / "model")
    path = tmp_path / file
    content = json.loads(path.read_text("utf-8"))
    before = json.dumps(content)
    change(content)
    assert json.dumps(content) != before
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(CheckpointError, match=told):
        AnyModal.from_pretrained(tmp_path / "model")
