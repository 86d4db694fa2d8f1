"""Media that exist, found in an index that `anymodal embed` wrote."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import torch
import torch.nn.functional as F
import yaml

from anymodal.chat.orders import Order, make, orders_of
from anymodal.chat.references import ReplyReferences
from anymodal.decoders import RetrievalDecoder
from anymodal.encoders import Encoder
from anymodal.heads import LinearHead
from anymodal.io.checkpoint import CheckpointError
from anymodal.language.reply_state import SpanReady
from anymodal.media import Audio, Image, Media
from anymodal.model import AnyModal
from anymodal.tools.embed.opening import open_encoders
from anymodal.tools.embed.run import embed_files
from anymodal.types import Conditioning, Message
from tests.support.composed import model_config, write_model
from tests.support.random_media import noise, pixels
from tests.support.serving import model_to_serve, serving

COUNT = 6


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's parts, some pictures, and their index."""
    folder = tmp_path_factory.mktemp("retrieval")
    torch.manual_seed(0)
    write_model(folder)
    (folder / "photos").mkdir()
    for index in range(COUNT):
        Image(pixels(20 + index, 30, 3)).save(folder / f"photos/{index}.png")
    encoders = open_encoders(str(folder / "binder"))
    embed_files([folder / "photos"], {"image": encoders["image"]}, folder / "index.npy")
    return folder


@pytest.fixture(scope="module")
def encoder(home: Path) -> Encoder:
    encoder = open_encoders(str(home / "binder"))["image"]
    assert isinstance(encoder, Encoder)
    return encoder


@pytest.fixture(scope="module")
def decoder(home: Path, encoder: Encoder) -> RetrievalDecoder:
    return RetrievalDecoder.from_pretrained(home / "index.npy", encoder=encoder)


def photo(home: Path, index: int) -> Image:
    return Image.load(home / f"photos/{index}.png")


def asking(encoder: Encoder, media: list[Image]) -> Conditioning:
    """The conditioning of media themselves."""
    with torch.no_grad():
        embeds = encoder.embed(torch.stack([encoder.prepare(item) for item in media]))
    return Conditioning(3 * embeds[:, None], torch.ones(len(media), 1, dtype=torch.bool))


def test_the_nearest_media_come_back(
    home: Path, encoder: Encoder, decoder: RetrievalDecoder
) -> None:
    steps: list[tuple[int, int]] = []
    photos = [photo(home, index) for index in (4, 0, 4)]
    found = decoder.sample(
        asking(encoder, photos), steps=7, guidance=2.0, progress=lambda *step: steps.append(step)
    )
    assert found == photos and steps == [(1, 1)]
    cosines, rows = decoder.nearest(asking(encoder, photos[:1]), 99)
    assert rows[0, 0] == 4 and cosines[0, 0] == pytest.approx(1) and rows.shape == (1, COUNT)
    assert (decoder.spec.length, decoder.spec.width) == (1, decoder.rows.shape[1])
    with pytest.raises(ValueError, match="no text_encoder"):
        decoder.embed_captions(["a ball"])
    half = copy.deepcopy(decoder).bfloat16()
    assert half.sample(asking(encoder, photos), steps=1, guidance=1.0) == photos


def test_several_are_the_nearest_different_ones(
    home: Path, encoder: Encoder, tmp_path: Path
) -> None:
    shutil.copytree(home / "photos", tmp_path / "photos")
    shutil.copy(tmp_path / "photos/4.png", tmp_path / "photos/again.png")
    embed_files([tmp_path / "photos"], {"image": encoder}, tmp_path / "x.npy")
    decoder = RetrievalDecoder.from_pretrained(tmp_path / "x.npy", encoder=encoder)
    wanted = asking(encoder, [photo(home, 4)])
    _, rows = decoder.nearest(wanted, 99)
    paths = [Path(decoder.index.entries[row].path).stem for row in rows[0].tolist()]
    assert set(paths[:2]) == {"4", "again"}
    different = [photo(home, int(each)) for each in paths if each != "again"]
    each = Conditioning(wanted.embeds.expand(3, -1, -1), wanted.mask.expand(3, -1))
    found = decoder.sample(each, ranks=[0, 2, 1])
    assert found == [different[0], different[2], different[1]]
    with pytest.raises(ValueError, match=r"number=8; the index has 7 files, ask for fewer"):
        decoder.check_settings({"number": 8})
    with pytest.raises(ValueError, match="there is no setting 'ranks'"):
        decoder.check_settings({"ranks": [1]})
    with pytest.raises(ValueError, match=r"7 different media are asked for, and 6 of the 7"):
        decoder.sample(wanted, ranks=[6])


def test_a_file_that_is_gone_gives_way_to_the_next(
    home: Path, encoder: Encoder, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        Image(pixels(9, 9, 3)).save(tmp_path / f"{name}.png")
    embed_files([tmp_path / "a.png", tmp_path / "b.png"], {"image": encoder}, tmp_path / "x.npy")
    decoder = RetrievalDecoder.from_pretrained(tmp_path / "x.npy", encoder=encoder)
    wanted = asking(encoder, [Image.load(tmp_path / "a.png")])
    (tmp_path / "a.png").unlink()
    assert decoder.sample(wanted, steps=1, guidance=1.0) == [Image.load(tmp_path / "b.png")]
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="none of the 2 nearest files"):
        decoder.sample(wanted, steps=1, guidance=1.0)


def test_a_file_that_became_another_gives_way_to_the_next(
    home: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    for name, size in ("a", 9), ("b", 12):
        Image(pixels(size, size, 3)).save(tmp_path / f"photos/{name}.png")
    first, second = (Image.load(tmp_path / f"photos/{name}.png") for name in ("a", "b"))
    monkeypatch.chdir(tmp_path)
    embed_files([Path("photos")], {"image": encoder}, tmp_path / "x.npy")
    shutil.copytree(tmp_path, tmp_path / "copy")
    decoder = RetrievalDecoder.from_pretrained(tmp_path / "x.npy", encoder=encoder)
    wanted = asking(encoder, [first])
    shutil.copy(tmp_path / "photos/b.png", tmp_path / "photos/a.png")
    assert decoder.sample(wanted) == [second], "its embedding tells nothing of what is there now"
    # A copy of the folder has the file as it was, though another lies where it was embedded.
    moved = RetrievalDecoder.from_pretrained(tmp_path / "copy/x.npy", encoder=encoder)
    assert moved.sample(wanted) == [first]
    (tmp_path / "photos/b.png").write_bytes(b"")
    with pytest.raises(ValueError, match="bytes now, and had .* when it was embedded"):
        decoder.sample(wanted)


def test_an_index_must_fit_its_encoder(home: Path, encoder: Encoder, tmp_path: Path) -> None:
    encoders = open_encoders(str(home / "binder"))
    with pytest.raises(ValueError, match="holds image, and the encoder reads audio"):
        RetrievalDecoder.from_pretrained(home / "index.npy", encoder=encoders["audio"])
    with torch.no_grad():
        next(encoders["image"].parameters()).add_(1)
    with pytest.raises(ValueError, match="another encoder, or by other weights"):
        RetrievalDecoder.from_pretrained(home / "index.npy", encoder=encoders["image"])
    Audio(noise(1, 9000), rate=16000).save(tmp_path / "a.wav")
    Image(pixels(9, 9, 3)).save(tmp_path / "a.png")
    both = open_encoders(str(home / "binder"))
    embed_files([tmp_path], {kind: both[kind] for kind in ("image", "audio")}, tmp_path / "x.npy")
    with pytest.raises(ValueError, match="holds audio, image"):
        RetrievalDecoder.from_pretrained(tmp_path / "x.npy", encoder=encoder)
    with pytest.raises(CheckpointError):
        RetrievalDecoder.from_pretrained(tmp_path / "none.npy", encoder=encoder)


def test_the_loss_is_symmetric_contrast(home: Path, encoder: Encoder, decoder: Any) -> None:
    batch = torch.stack([decoder.prepare(photo(home, index)) for index in (0, 1, 2)])
    generator = torch.Generator().manual_seed(0)
    asked = torch.randn(3, 1, decoder.spec.width, generator=generator)
    mask = torch.ones(3, 1, dtype=torch.bool)
    logits = decoder.scale * F.cosine_similarity(
        asked[:, 0][:, None], decoder.encode(batch)[None], dim=-1
    )
    labels = torch.arange(3)
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    for given in (batch, decoder.encode(batch)):
        torch.testing.assert_close(decoder.loss(given, Conditioning(asked, mask)), expected)
    # Twice the same photo: neither is wrong for the other.
    right = asking(encoder, [photo(home, 0)] * 2)
    assert decoder.loss(batch[[0, 0]], right) == pytest.approx(np.log(2), abs=1e-5)


def test_a_head_learns_to_find(home: Path, decoder: RetrievalDecoder) -> None:
    torch.manual_seed(0)
    photos = [photo(home, index) for index in range(COUNT)]
    batch = decoder.encode(torch.stack([decoder.prepare(item) for item in photos]))
    hidden = torch.randn(COUNT, 2, 8)
    head = LinearHead(input_width=8, num_signal_tokens=2, spec=decoder.spec)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        loss = decoder.loss(batch, head(hidden, hidden))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        assert decoder.sample(head(hidden, hidden), steps=1, guidance=1.0) == photos


def test_a_model_that_finds_is_exported(home: Path, tmp_path: Path) -> None:
    config = model_config(home)
    encoder = config["modalities"]["image"]["encoder"]
    config["parts"]["image"] = {
        "_target_": "anymodal.decoders.RetrievalDecoder.from_pretrained",
        "index": str(home / "index.npy"),
        "encoder": dict(encoder),
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(config))
    model = AnyModal.compose(tmp_path / "model.yaml")
    head = model.heads["image"]
    states = torch.randn(1, head.num_signal_tokens, head.input_width)
    found = ordered(model, states)
    assert found in [photo(home, index) for index in range(COUNT)]
    assert found.provenance is None, "nobody made it here"
    settings = {"image": {**model.modalities["image"].sampling, "number": 3}}
    references = ReplyReferences(model, [Message("user", "three")])
    orders = orders_of(model, SpanReady("image", states[0], states[0]), 2, 0, settings, references)
    several = make(model, "image", orders, settings["image"])
    assert several[0] == found and len({each.digest() for each in several}) == 3
    with serving([model_to_serve(model, "finder")]) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            answer = client.images.generate(model="finder", prompt="two", n=2)
    assert len({each.b64_json for each in answer.data or ()}) == 2
    model.save_pretrained(tmp_path / "saved")
    assert ordered(AnyModal.from_pretrained(tmp_path / "saved"), states) == found


def ordered(model: AnyModal, states: torch.Tensor) -> Media:
    """The media item that a reply with these states of its signals gets."""
    with torch.inference_mode():
        conditioning = model.heads["image"](states, states)
    order = Order(0, "image", conditioning, seed=3)
    return make(model, "image", [order], dict(model.modalities["image"].sampling))[0]
