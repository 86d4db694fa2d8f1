"""Texts stand in the space of the media that they are compared with, as their models have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from anymodal import cli
from anymodal.encoders import (
    ImageBind,
    ImageBindText,
    TransformersEncoder,
    TransformersText,
    load_tokenizer,
)
from anymodal.encoders.transformers.text import TEXT_TOWERS
from anymodal.io import embedding_file
from anymodal.media import IMU, Audio, Image
from anymodal.tools.embed.files import TEXT
from anymodal.tools.embed.opening import open_encoders
from tests.support import huggingface_models as tiny
from tests.support.imagebind_models import TRUNKS
from tests.support.random_media import noise, pixels

MEDIA: dict[Any, list[Any]] = {
    Image: [Image(pixels(40, 30, 3)), Image(pixels(32, 64, 3))],
    Audio: [Audio(noise(1, 9000), 16000), Audio(noise(1, 16000), 16000)],
}
TEXTS = ["red bell", "a small bell " * 9, "bell </s> </s>"]


def words() -> PreTrainedTokenizerFast:
    """A tokenizer of the models' few ids, that starts and ends a text."""
    names = ["<pad>", "<s>", "</s>", "<unk>", "a", "small", "red", "bell", "<", ">", "/", "s"]
    plain = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>",
    )  # fmt: skip


def write(family: str, folder: Path) -> Any:
    """A tiny model with its processor and its tokenizer; the model."""
    torch.manual_seed(0)
    model = tiny.write(tiny.FAMILIES[family], folder)
    words().save_pretrained(folder)
    return model


@pytest.mark.parametrize("family", TEXT_TOWERS)
@torch.no_grad()
def test_logits_are_the_models_own(family: str, tmp_path: Path) -> None:
    model = write(family, tmp_path)
    media = TransformersEncoder.from_pretrained(str(tmp_path))
    texts = TransformersText.from_pretrained(str(tmp_path))
    batch = torch.stack([media.prepare(medium) for medium in MEDIA[media.media]])
    read = torch.stack([texts.prepare(text) for text in TEXTS])
    assert read.shape[2] == texts.context
    own = model(**media._inputs(batch), **dict(zip(texts.inputs, read.unbind(1), strict=True)))
    wanted = own.logits_per_audio if media.media is Audio else own.logits_per_image
    logits = texts.logits(media.embed(batch), texts.embed(read))
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
    assert texts.embed(read).std(dim=0).mean() > 1e-4, "texts differ"


@pytest.mark.parametrize("family", TEXT_TOWERS)
@torch.no_grad()
def test_a_text_is_one_of_a_batch_alone_and_none_of_its_words_is_special(
    family: str, tmp_path: Path
) -> None:
    write(family, tmp_path)
    texts = TransformersText.from_pretrained(str(tmp_path))
    read = torch.stack([texts.prepare(text) for text in TEXTS])
    alone = torch.cat([texts.embed(item[None]) for item in read])
    torch.testing.assert_close(texts.embed(read), alone, rtol=1e-4, atol=1e-5)
    ids = texts.prepare("bell </s>")[0].tolist()
    assert ids.count(2) == ids.count(1) == 1, "a typed </s> ends nothing"
    seen = {name.split(".")[1] for name, _ in texts.named_parameters()}
    assert not seen & {"vision_model", "audio_model"}


def test_what_cannot_read_is_refused(tmp_path: Path) -> None:
    write("clip", tmp_path / "clip")
    (tmp_path / "clip" / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks tokenizer\.json or tokenizer\.model"):
        TransformersText.from_pretrained(str(tmp_path / "clip"))
    tiny.write(tiny.FAMILIES["dinov2"], tmp_path / "dino")
    with pytest.raises(ValueError, match="'dinov2' read no texts here; choose one of clip"):
        TransformersText.from_pretrained(str(tmp_path / "dino"))
    trunks = {"imu": TRUNKS["imu"]}
    with pytest.raises(ValueError, match="trunk 'text' is unknown"):
        ImageBindText(ImageBind(trunks, embedding=8), words())


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, texts, a table of readings and what is none of them."""
    monkeypatch.chdir(tmp_path)
    Path("files").mkdir()
    for index, image in enumerate(MEDIA[Image]):
        image.save(f"files/{index}.png")
    for name, text in (("a", TEXTS[0]), ("b", TEXTS[2]), ("void", " \n")):
        Path(f"files/{name}.txt").write_text(text + "\n")
    Path("files/raw.txt").write_bytes(b"\xff\xfe\x00bell")
    IMU(noise(6, 50), rate=50.0).save("files/move.csv")
    Path("files/move.csv").rename("files/move.txt")
    return tmp_path


def embed(*argv: Any) -> int:
    return cli.main([str(item) for item in ("embed", *argv)])


@torch.no_grad()
def test_texts_are_embedded_beside_pictures(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("clip", tree / "clip")
    assert embed("files", "--encoder", "clip", "--out", "all.npy") == 0
    told = capsys.readouterr().err
    assert "skipped files/void.txt: it is a text without a word" in told
    assert "skipped files/raw.txt: " in told
    assert "skipped files/move.txt: it is loaded as imu" in told
    held = embedding_file.read(Path("all.npy"))
    assert [(Path(e.path).name, e.kind) for e in held.entries] == [
        ("0.png", "image"), ("1.png", "image"), ("a.txt", TEXT), ("b.txt", TEXT),
    ]  # fmt: skip
    reader = TransformersText.from_pretrained("clip")
    wanted = reader.embed(torch.stack([reader.prepare(TEXTS[i]) for i in (0, 2)]))
    torch.testing.assert_close(torch.from_numpy(held.embeds[2:].copy()), wanted)
    assert embed("files/a.txt", "--encoder", "clip", "--out", "b.npy", "--kind", "text") == 0
    torch.testing.assert_close(
        torch.from_numpy(np.array(embedding_file.read(Path("b.npy")).embeds)), wanted[:1]
    )


@torch.no_grad()
def test_imagebinds_text_trunk_reads_files(
    tree: Path,
    clip: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    trunks = {name: TRUNKS[name] for name in ("vision", "text", "imu")}
    trunks["text"] = {**trunks["text"], "vocab_size": len(clip)}
    model = ImageBind(trunks, embedding=24).eval()
    model.save_pretrained("binder")
    assert embed("files", "--encoder", "binder", "--out", "none.npy") == 0
    said = "skipped files/a.txt: it is a text, and this encoder reads none"
    assert said in capsys.readouterr().err
    clip.save_pretrained("binder/tokenizer")
    assert embed("files", "--encoder", "binder", "--out", "all.npy") == 0
    held = embedding_file.read(Path("all.npy"))
    kinds = {Path(entry.path).name: entry.kind for entry in held.entries}
    assert kinds["a.txt"] == TEXT and kinds["move.txt"] == "imu"
    reader = ImageBindText(model, load_tokenizer("binder/tokenizer"))
    embeds = reader.embed(reader.prepare(TEXTS[0])[None])
    row = [entry.path for entry in held.entries].index("files/a.txt")
    torch.testing.assert_close(torch.from_numpy(held.embeds[row].copy()), embeds[0])
    assert set(open_encoders("binder")) == {"image", "video", "imu"}, "only where it is asked for"


def test_options_of_hubs_models_are_refused_elsewhere(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--revision", "--tower"):
        assert embed("files", "--out", "x.npy", option, "v1") == 2
        told = capsys.readouterr().err
        assert f"{option[2:]}='v1': 'nano' is no model of transformers; leave it out" in told


def test_a_tower_is_embedded_with_by_its_name(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(tiny.pe_audio_video, tree / "pe")
    MEDIA[Audio][0].save("files/bell.wav")
    assert embed("files/bell.wav", "--encoder", "pe", "--out", "x.npy", "--tower", "audio") == 0
    assert embedding_file.read(Path("x.npy")).entries[0].kind == "audio"
    assert embed("files/bell.wav", "--encoder", "pe", "--out", "y.npy") == 2
    assert "give tower= one of audio, video" in capsys.readouterr().err
