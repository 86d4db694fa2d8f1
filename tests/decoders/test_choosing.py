"""GILL's other half: what is made, what is found, and the choice between both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml

from anymodal.chat.orders import Order, make
from anymodal.decoders import ChoosingDecoder, DiffusionDecoder, RetrievalDecoder
from anymodal.encoders import ClassTokenEncoder, Encoder
from anymodal.heads import ChoosingHead, MapperHead
from anymodal.io.message_parts import PartReader, write_part
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.tools.embed.opening import open_encoders
from anymodal.tools.embed.run import embed_files
from anymodal.training.losses import Align, Decide
from anymodal.training.losses.states import DialogueStates, TargetStates
from anymodal.types import Conditioning, Target
from tests.support.composed import model_config, write_model
from tests.support.pipelines import FAMILIES
from tests.support.random_media import pixels

COUNT, WIDTH, STATES = 4, 5, 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's parts, some pictures, and their index by the encoder's first token."""
    folder = tmp_path_factory.mktemp("choosing")
    torch.manual_seed(0)
    write_model(folder)
    (folder / "photos").mkdir()
    for index in range(COUNT):
        Image(pixels(20 + index, 30, 3)).save(folder / f"photos/{index}.png")
    embed_files([folder / "photos"], {"image": seen(folder)}, folder / "index.npy")
    return folder


def seen(home: Path) -> Encoder:
    encoder = open_encoders(str(home / "binder"))["image"]
    assert isinstance(encoder, Encoder)
    return ClassTokenEncoder(encoder).eval()


@pytest.fixture(scope="module")
def decoder(home: Path) -> ChoosingDecoder:
    torch.manual_seed(0)
    maker = DiffusionDecoder(FAMILIES["stable_diffusion_1"].build())
    finder = RetrievalDecoder.from_pretrained(home / "index.npy", encoder=seen(home))
    return ChoosingDecoder(maker, finder, width=WIDTH).eval()


def head_of(decoder: ChoosingDecoder) -> ChoosingHead:
    return ChoosingHead(
        input_width=STATES, num_signal_tokens=2, spec=decoder.spec, hidden_width=8, depth=1, heads=2
    ).eval()


def asked(decoder: ChoosingDecoder, finds: list[bool], row: int) -> Conditioning:
    """Conditioning that makes of a caption, or finds the file of a row."""
    found = decoder._mapped_rows()[row].expand(len(finds), -1)
    logits = torch.tensor([[0.0, 1.0] if each else [1.0, 0.0] for each in finds])
    with torch.no_grad():
        made = decoder.maker.embed_captions(["a big red ball"] * len(finds))
    return made._replace(pooled=torch.cat([found, logits], 1))


def test_an_index_of_unit_length_is_refused(home: Path, tmp_path: Path) -> None:
    """`visual_fc` has a bias, and would map its embeddings elsewhere than those it learns from."""
    embed_files([home / "photos"], {"image": seen(home)}, tmp_path / "unit.npy", unit=True)
    finder = RetrievalDecoder.from_pretrained(tmp_path / "unit.npy", encoder=seen(home))
    photo = Image.load(home / "photos/1.png")
    with torch.no_grad():
        embeds = finder.encode(finder.prepare(photo)[None])
    found = finder.sample(Conditioning(embeds[:, None], torch.ones(1, 1, dtype=torch.bool)))
    assert found == [photo], "cosines alone know no length"
    with pytest.raises(ValueError, match="with --unit"):
        ChoosingDecoder(DiffusionDecoder(FAMILIES["stable_diffusion_1"].build()), finder)


def test_each_medium_is_made_or_found(home: Path, decoder: ChoosingDecoder) -> None:
    photo = Image.load(home / "photos/2.png")
    conditioning = asked(decoder, [True, False, True], 2)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    ask: dict[str, Any] = {"steps": 2, "guidance": 1.0, "generator": generators}
    media = decoder.sample(conditioning, **ask)
    assert media[0] == photo == media[2] and media[1] != photo
    made = decoder.split(conditioning).made.select([1])
    (alone,) = decoder.maker.sample(
        made, steps=2, guidance=1.0, generator=[torch.Generator().manual_seed(1)]
    )
    assert media[1] == alone
    assert decoder.synthesized(conditioning, {}) == [False, True, False]
    assert decoder.sample(conditioning, **ask, choice="find") == [photo] * 3
    assert decoder.synthesized(conditioning, {"choice": "make"}) == [True] * 3
    with pytest.raises(ValueError, match="choice='draw'; it is 'make', 'find'"):
        decoder.check_settings({"choice": "draw"})
    with pytest.raises(ValueError, match="no setting 'stepz'.*steps"):
        decoder.check_settings({"stepz": 3})
    with pytest.raises(ValueError, match="pooled conditioning of width 7"):
        decoder.sample(made, steps=2, guidance=1.0)


def test_the_head_is_linear_in_the_first_signal(decoder: ChoosingDecoder) -> None:
    head, hidden, embeds = head_of(decoder), torch.randn(3, 2, STATES), torch.randn(3, 2, STATES)
    conditioning = head(hidden, embeds)
    mapper = MapperHead(
        input_width=STATES, num_signal_tokens=2, spec=decoder.maker.spec,
        hidden_width=8, depth=1, heads=2,
    )  # fmt: skip
    own = {key: head.state_dict()[key] for key in mapper.state_dict()}
    mapper.load_state_dict(own)
    parts = decoder.split(conditioning)
    torch.testing.assert_close(parts.made.embeds, mapper(hidden, embeds).embeds)
    torch.testing.assert_close(parts.found, head.found(hidden[:, 0]))
    torch.testing.assert_close(parts.logits, head.decision(hidden[:, 0]))
    assert parts.made.pooled is None
    with pytest.raises(ValueError, match="take a MapperHead"):
        ChoosingHead(input_width=STATES, num_signal_tokens=2, spec=decoder.maker.spec)


def test_each_part_has_the_loss_of_the_paper(home: Path, decoder: ChoosingDecoder) -> None:
    torch.manual_seed(0)
    photos = [Image.load(home / f"photos/{index}.png") for index in range(3)]
    embeds = decoder.encode(torch.stack([decoder.prepare(each) for each in photos]))
    tokens = decoder.finder.encoder(torch.stack([decoder.prepare(each) for each in photos])).values[
        :, 0
    ]
    torch.testing.assert_close(embeds, tokens.detach())
    conditioning = head_of(decoder)(torch.randn(3, 2, STATES), torch.randn(3, 2, STATES))
    media = F.normalize(decoder.visual_fc(embeds), dim=1)
    texts = F.normalize(decoder.split(conditioning).found, dim=1)
    logits, labels = decoder.logit_scale.exp() * texts @ media.T, torch.arange(3)
    wanted = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    loss = decoder.loss(embeds, conditioning)
    torch.testing.assert_close(loss, wanted)
    loss.backward()  # type: ignore[no-untyped-call]
    assert decoder.visual_fc.weight.grad is not None and decoder.logit_scale.grad is not None

    class Batch:
        num_captions = {"image": 3}

        def choices(self, name: str) -> list[bool | None]:
            return [True, None, False]

        def target_samples(self, name: str) -> list[int]:
            return [0, 0, 1]

    with torch.no_grad():
        captions = decoder.embed_captions(["a ball"] * 3)
    target = TargetStates(decoder, conditioning, captions)
    states: Any = DialogueStates(None, torch.zeros(1), {"image": target})  # type: ignore[arg-type]
    assert Decide().count(Batch()) == {"image": 2}
    (decided,) = Decide()(Batch(), states)
    given = decoder.split(conditioning).logits[[0, 2]]
    torch.testing.assert_close(decided.value, F.cross_entropy(given, torch.tensor([1, 0])))
    (aligned,) = Align(kind="l2")(Batch(), states)  # type: ignore[arg-type]
    assert aligned.value is not None and torch.isfinite(aligned.value)
    target = TargetStates(decoder.maker, conditioning)
    states = DialogueStates(None, torch.zeros(1), {"image": target})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="doesn't choose.*leave the loss decide out"):
        Decide()(Batch(), states)


def test_a_target_says_which_it_is() -> None:
    target = Target("image", "a ball", find=True)
    body = write_part(target)
    assert body["target"]["find"] is True and PartReader().read(body) == target
    assert "find" not in write_part(Target("image", "a ball"))["target"]
    body["target"]["find"] = "yes"
    with pytest.raises(ValueError, match="find is true or false"):
        PartReader().read(body)


def test_a_model_that_chooses_is_saved_and_chats(home: Path, tmp_path: Path) -> None:
    config = model_config(home)
    maker = dict(config["parts"]["image"])
    sight = {
        "_target_": "anymodal.encoders.ClassTokenEncoder",
        "encoder": config["modalities"]["image"]["encoder"],
    }
    config["modalities"]["image"]["encoder"] = sight
    config["modalities"]["image"]["decoder"] = {
        "_target_": "anymodal.decoders.ChoosingDecoder",
        "maker": maker,
        "finder": {
            "_target_": "anymodal.decoders.RetrievalDecoder.from_pretrained",
            "index": str(home / "index.npy"),
            "encoder": sight,
        },
        "width": WIDTH,
    }
    config["modalities"]["image"]["head"] = {
        "_target_": "anymodal.heads.ChoosingHead", "hidden_width": 8, "depth": 1, "heads": 2
    }  # fmt: skip
    path = tmp_path / "model.yaml"
    path.write_text(yaml.safe_dump(config))
    assert isinstance(open_encoders(str(path))["image"], ClassTokenEncoder)
    model = AnyModal.compose(path)
    head = model.heads["image"]
    states = torch.randn(1, head.num_signal_tokens, head.input_width)
    made, found = (ordered(model, states, choice) for choice in ("make", "find"))
    assert made.provenance is not None and found.provenance is None
    assert found in [Image.load(home / f"photos/{index}.png") for index in range(COUNT)]
    model.save_pretrained(tmp_path / "saved")
    again = AnyModal.from_pretrained(tmp_path / "saved")
    assert ordered(again, states, "find") == found
    weight = again.decoders.get("image").visual_fc.weight
    assert torch.equal(weight, model.decoders.get("image").visual_fc.weight)


def ordered(model: AnyModal, states: torch.Tensor, choice: str) -> Any:
    """The media item that a reply with these states of its signals gets."""
    with torch.inference_mode():
        conditioning = model.heads["image"](states, states)
    order = Order(0, "image", conditioning, seed=3)
    settings = {**model.modalities["image"].settings({"choice": choice})}
    return make(model, "image", [order], settings)[0]


def test_of_several_each_that_is_found_is_another(home: Path, decoder: ChoosingDecoder) -> None:
    conditioning = asked(decoder, [True, True, False], 1)
    media = decoder.sample(conditioning, steps=2, guidance=1.0, ranks=[0, 1, 2])
    _, rows = decoder.nearest(decoder.split(conditioning).found[:1], 2)
    expected = [decoder.finder.readable([row]) for row in rows[0].tolist()]
    assert media[:2] == expected and media[0] != media[1]
