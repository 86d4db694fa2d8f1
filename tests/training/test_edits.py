"""Training on edits: decoders that look at what their media are made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux import pipeline_flux_kontext
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from torch import Tensor

from anymodal.config import ConfigError
from anymodal.data.captioned import Captioned, CaptionedMedium
from anymodal.data.edits import Edits
from anymodal.decoders.diffusion import DiffusionDecoder
from anymodal.decoders.references import Reference, References
from anymodal.io.feature_cache import FeatureCache
from anymodal.media import Image
from anymodal.training.objectives import CaptionedDiffusion, Dialogue
from anymodal.training.objectives.latents import cached_captions
from anymodal.types import Conditioning, Message, Target
from tests.support.pipelines import FAMILIES
from tests.support.tiny import compose, picture


@cache
def decoder() -> DiffusionDecoder:
    """One whose first layer looks at references."""
    decoder = compose(references=["source"]).decoders.get("image")
    layer = decoder.family.network.get_submodule(decoder.family.input_layer)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        further = layer.weight[:, decoder.family.latent_shape[0] :]
        further.copy_(torch.randn(further.shape, generator=generator))
    return decoder.requires_grad_(False)


def samples(count: int) -> list[Captioned]:
    edits = [Captioned("image", picture(n), "a ball", (), (picture(n + 50),)) for n in range(count)]
    return [*edits, Captioned("image", picture(90), "a ball")]


def loss_of(
    objective: CaptionedDiffusion, some: Sequence[CaptionedMedium], seed: int = 1
) -> Tensor:
    torch.manual_seed(seed)
    return objective.named_losses(objective.collate(some))["denoise"]


def test_references_are_seen_and_dropped() -> None:
    some = samples(3)
    without = [Captioned(each.modality, each.media, each.caption) for each in some]
    shown = CaptionedDiffusion(decoder(), dropout=0.0, reference_dropout=0.0)
    dropped = CaptionedDiffusion(decoder(), dropout=0.0, reference_dropout=1.0)
    assert torch.equal(loss_of(dropped, some), loss_of(shown, without))
    assert not torch.equal(loss_of(shown, some), loss_of(shown, without))


def test_caption_reference_and_both_are_dropped_alike_often() -> None:
    objective = CaptionedDiffusion(decoder(), dropout=0.2, reference_dropout=0.2)
    draws = torch.linspace(0, 0.999, 1000)
    batch = objective.collate([samples(1)[0]] * 1000)
    references = objective._dropped_references(batch, draws)
    assert references is not None
    no_caption = (draws < 0.2).tolist()
    no_reference = [not item for item in references]
    pairs = list(zip(no_caption, no_reference, strict=True))
    for pair in ((True, False), (False, True), (True, True)):
        assert abs(pairs.count(pair) - 100) <= 2


@pytest.mark.parametrize("dropout", [0.1, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_references_are_dropped_in_their_share(dropout: float, share: float) -> None:
    objective = CaptionedDiffusion(decoder(), dropout=dropout, reference_dropout=share)
    draws = torch.linspace(0, 0.999, 1000)
    references = objective._dropped_references(
        objective.collate([samples(1)[0]] * len(draws)), draws
    )
    assert references is not None
    assert abs(sum(not item for item in references) - 1000 * share) <= 1


def test_shares_beyond_one_are_refused() -> None:
    for shares in {"dropout": 1.5}, {"reference_dropout": -0.1}:
        with pytest.raises(ValueError, match=f"{next(iter(shares))}="):
            CaptionedDiffusion(decoder(), **shares)


def test_rows_of_edits_train_a_decoder(tmp_path: Path) -> None:
    rows = []
    for number in range(2):
        picture(number).save(tmp_path / f"{number}.png")
        picture(number + 50).save(tmp_path / f"{number}-source.png")
        row = {"source_image": f"{number}-source.png", "target_image": f"{number}.png"}
        rows.append({"instruction": "a ball", **row})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    edits = Edits(tmp_path / "rows.jsonl")
    objective = CaptionedDiffusion(decoder(), dropout=0.0, reference_dropout=0.0)
    expected = loss_of(objective, samples(2)[:2])
    assert torch.equal(loss_of(objective, [edits[0], edits[1]]), expected)
    with pytest.raises(ConfigError, match="not from list"):
        objective.collate([edits[0].conversation()])  # type: ignore[list-item]


def test_latents_of_references_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = CaptionedDiffusion(decoder(), dropout=0.1, reference_dropout=0.1)
    plain = [loss_of(objective, samples(3), seed) for seed in (1, 2)]
    objective.feature_cache = FeatureCache()
    encoded: list[int] = []
    encode = DiffusionDecoder.encode_reference

    def noting(self: DiffusionDecoder, batch: Tensor) -> Tensor:
        encoded.append(len(batch))
        return encode(self, batch)

    monkeypatch.setattr(DiffusionDecoder, "encode_reference", noting)
    cached = [loss_of(objective, samples(3), seed) for seed in (1, 2)]
    torch.testing.assert_close(cached, plain)
    assert sum(encoded) == 3


def test_what_a_dialogue_denoises_is_made_from_what_it_names() -> None:
    model = compose(2, ["source"])
    own = model.decoders.get("image")
    own.load_state_dict(decoder().state_dict())
    objective = Dialogue(model)
    objective.use_losses({"denoise": 1.0})

    def conversation(*references: int) -> list[Message]:
        target = Target("image", "a ball", picture(5), references)
        user = Message("user", [picture(1), picture(2), "again"])
        return [user, Message("assistant", [target])]

    def loss(*references: int) -> Tensor:
        torch.manual_seed(3)
        batch = objective.collate([conversation(*references)])
        return objective.named_losses(batch)["denoise"]

    losses = [loss(), loss(0), loss(1)]
    assert len({each.item() for each in losses}) == 3
    batch = objective.collate([conversation(1)])
    (items,) = batch.references("image")
    assert [item.digest() for item in items] == [picture(2).digest()]
    encoded = own.encode_references([[Reference(picture(2))]])
    torch.manual_seed(3)
    target = objective.states(batch).targets["image"]
    assert target.latents is not None
    value = own.loss(target.latents, target.conditioning, None, encoded)
    torch.testing.assert_close(value, losses[2])


def test_an_encoder_that_looks_at_references_learns_and_is_kept_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for area in ("VAE_IMAGE_SIZE", "CONDITION_IMAGE_SIZE"):
        monkeypatch.setattr(pipeline_qwenimage_edit_plus, area, 64 * 64)
    torch.manual_seed(0)
    pipeline = FAMILIES["qwen_image_edit"].build()
    own = DiffusionDecoder(pipeline, size=16, references=["source"]).eval().requires_grad_(False)
    objective = CaptionedDiffusion(own)
    objective.feature_cache = FeatureCache()
    captions, shown = ["a ball"] * 3, [[Reference(picture(1))], [], [Reference(picture(2))]]
    expected = own.embed_captions(captions, shown)
    embed, asked = own.embed_captions, list[str]()

    def noting(some: list[str], references: References | None = None) -> Conditioning:
        asked.extend(some)
        return embed(some, references)

    monkeypatch.setattr(own, "embed_captions", noting)
    for _ in range(2):
        cached = cached_captions(objective, own, captions, shown)
        torch.testing.assert_close(cached.embeds, expected.embeds)
    plain = cached_captions(objective, own, captions[:1])
    torch.testing.assert_close(plain.embeds, expected.embeds[1:2])
    assert asked == captions  # once each, and the one that is shown nothing as if nobody looked
    edits = [Captioned("image", picture(n), "a ball", (), (picture(n + 50),)) for n in range(2)]
    seen: list[References | None] = []
    monkeypatch.setattr(
        own, "embed_captions", lambda some, shown=None: (seen.append(shown), embed(some, shown))[1]
    )
    learning = CaptionedDiffusion(own, dropout=0.0, reference_dropout=0.0)
    assert loss_of(learning, edits).isfinite()
    (items,) = seen
    assert items is not None and [len(item) for item in items] == [1, 1]


def test_references_of_any_size_are_learned_from_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(16, 20), (20, 16)]
    monkeypatch.setattr(pipeline_flux_kontext, "PREFERRED_KONTEXT_RESOLUTIONS", sizes)
    torch.manual_seed(0)
    pipeline = FAMILIES["flux_kontext"].build()
    own = DiffusionDecoder(pipeline, size=16, references=["source"]).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    wide, tall = (
        Image(rng.integers(0, 256, size, dtype=np.uint8)) for size in ((16, 24, 3), (24, 16, 3))
    )
    # What one edit makes is what the other begins with, at another size.
    edits = [Captioned("image", wide, "a", (), (tall,)), Captioned("image", tall, "b", (), (wide,))]
    objective = CaptionedDiffusion(own, dropout=0.0, reference_dropout=0.0)
    torch.manual_seed(1)
    torch.rand(2)  # of what is dropped
    latents = own.encode(torch.stack([own.prepare(wide), own.prepare(tall)]))
    shown = own.encode_references([[Reference(tall)], [Reference(wide)]])
    expected = own.loss(latents, own.embed_captions(["a", "b"]), references=shown)
    torch.testing.assert_close(loss_of(objective, edits), expected)
    objective.feature_cache = FeatureCache()
    for _ in range(2):
        torch.testing.assert_close(loss_of(objective, edits), expected)
    assert {tuple(latents.shape[1:]), *(item[0].latents.shape for item in shown)} == {
        (4, 8, 8), (4, 8, 10), (4, 10, 8)
    }  # fmt: skip
