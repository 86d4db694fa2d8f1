"""Multimodal language models read media as transformers' own classes do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anymodal.chat.turn import embed_prompts
from anymodal.fusion import ModalityExperts
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.continuous import ContinuousBatch
from anymodal.language.fused_media import FusionPass
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import Place
from anymodal.language.sampling import Sampling
from anymodal.language.text_stream import TextStream, TextToken
from anymodal.media import IMU
from anymodal.modality import Modality, own_readers
from anymodal.model import AnyModal
from anymodal.projection.linear import LinearProjection
from anymodal.training.objectives import Dialogue
from anymodal.types import Message
from tests.support.multimodal.talks import (
    PICTURES,
    TALKS,
    family_of,
    own_class,
    own_hidden,
    own_inputs,
)
from tests.support.multimodal_models import MULTIMODAL_MODELS
from tests.support.own_encoders import Colours, Moves

LOOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(params=MULTIMODAL_MODELS)
def model(request: pytest.FixtureRequest, models: dict[str, AnyModal]) -> AnyModal:
    """A model of each family."""
    return models[request.param]


@torch.no_grad()
def test_hidden_states_are_those_of_transformers_own_class(
    model: AnyModal, folders: dict[str, Path]
) -> None:
    own = own_class(model, folders)
    for talk in TALKS:
        inputs = own_inputs(model, talk)
        prompt = model.prompts.build(talk, reply=True)
        assert prompt.ids == inputs["input_ids"][0].tolist()
        whole, scores = own_hidden(own, inputs)
        (embedded,) = embed_prompts(model, [talk])
        positions = None if embedded.positions is None else embedded.positions[:, None]
        hidden = model.language(embedded.embeds[None], positions=positions, media=embedded.media)
        tolerance = {"rtol": 0, "atol": 0} if family_of(model).is_exact else LOOSE
        torch.testing.assert_close(hidden, whole, **tolerance)
        width = min(model.language.first_new, scores.shape[-1])
        logits = model.language.logits(hidden)[..., :width]
        torch.testing.assert_close(logits, scores[..., :width], **tolerance)


def streamed(language: LanguageModel, ids: list[int]) -> str:
    """Text of ids that come one at a time."""
    stream = TextStream(language)
    pieces = [*map(stream.push, ids), stream.flush()]
    return "".join(piece.text for piece in pieces if piece is not None)


@torch.no_grad()
def test_greedy_text_is_that_of_transformers_own_class(
    model: AnyModal, folders: dict[str, Path]
) -> None:
    alone, own = [], own_class(model, folders)
    for talk in TALKS:
        inputs = own_inputs(model, talk)
        ids = own.generate(**inputs, max_new_tokens=9, do_sample=False)
        # As a chat tells it: bytes that are no character, of random weights, join otherwise.
        text = streamed(model.language, ids[0, inputs["input_ids"].shape[1] :].tolist())
        reply = model.chat(talk, max_new_tokens=9, temperature=0.0)
        assert reply.text == text
        alone.append(reply.text)
    together = model.chat(TALKS, max_new_tokens=9, temperature=0.0)
    assert [reply.text for reply in together] == alone
    batch = ContinuousBatch(model.language, model.signals)
    prompts = embed_prompts(model, TALKS)
    rows = [batch.join(prompt, Sampling(max_new_tokens=9)) for prompt in prompts]
    while len(batch):
        batch.step()
    texts = ["".join(e.text for e in row.drain() if isinstance(e, TextToken)) for row in rows]
    assert texts == alone


@torch.no_grad()
def test_keys_and_values_are_reused_over_turns(model: AnyModal) -> None:
    cache, talk = PrefixCache(model.language), [*TALKS[0]]
    for number in range(2):
        warm = model.chat(talk, max_new_tokens=6, temperature=0.0, cache=cache)
        assert warm.text == model.chat(talk, max_new_tokens=6, temperature=0.0).text
        ids = model.prompts.build(talk, reply=True).ids
        if number == 0:
            first = ids
        # Where a new picture changes what came before, only texts go on.
        more = [] if model.language.reads_across else [PICTURES[1 + number]]
        talk = [*talk, warm, Message("user", ["and", *more])]
    # Gemma 4's large models end a prompt with an empty thought, which past replies don't have.
    kept = len(first) - 4 * (model.language.name in ("gemma-4-large", "gemma-4-unified"))
    assert ids[: kept - 1] == first[: kept - 1]
    assert warm.usage is not None and warm.usage.cached >= kept - 1
    talk = [*talk, Message("assistant", "a"), Message("user", [PICTURES[2], PICTURES[1], "?"])]
    warm = model.chat(talk, max_new_tokens=6, temperature=0.0, cache=cache)
    assert warm.text == model.chat(talk, max_new_tokens=6, temperature=0.0).text


def test_rows_are_packed_padded_or_flat_with_the_same_loss(model: AnyModal) -> None:
    talks = [[*talk, Message("assistant", "a big red ball")] for talk in TALKS]
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0})
    family = model.language.family
    assert family is not None
    losses = {}
    for packed in (False, True, None):
        objective.packed = packed
        objective.use_flat_rows(packed is None)
        batch = objective.collate(talks)
        assert packed is not True or (len(batch.packed.ids) < len(talks)) is family.is_causal
        is_flat = family.is_causal and not model.language.is_fused
        assert packed is not None or (batch.needs is not None) is is_flat
        losses[packed] = objective.named_losses(batch)["text"]
    objective.use_flat_rows(False)
    torch.testing.assert_close(losses[True], losses[False])
    torch.testing.assert_close(losses[None], losses[False])


def test_what_is_learned_is_the_reply_and_its_end(model: AnyModal) -> None:
    talk = [*TALKS[1][:2], *TALKS[0], Message("assistant", "a big ball")]
    prompt = model.prompts.build(talk, reply=False)
    learned = [token for token in prompt.labels if token != IGNORED]
    # A template may have a space before a reply, which its first token has too.
    assert model.language.decode(learned).replace(" ", "") == "Makeitgreen.abigball"
    ends = [place for place, token in enumerate(learned) if token in model.language.stops]
    assert len(ends) == 2 and ends[-1] == len(learned) - 1


def test_no_typed_text_becomes_a_placeholder(model: AnyModal) -> None:
    readers = model.language.readers.values()
    text = " ".join(f"{each.placeholder}{each.written}" for each in readers)
    prompt = model.prompts.build([Message("user", [text, PICTURES[0], text])], reply=True)
    soft = {*model.signals.placeholders.values()}
    places = [place for place, token in enumerate(prompt.ids) if token in soft]
    (item,) = prompt.media
    assert places == [*item.places] or (not item.places and places == [item.start])


def test_other_modalities_are_added_and_change_nothing_else(folders: dict[str, Path]) -> None:
    torch.manual_seed(0)
    language = LanguageModel.from_pretrained(str(folders["qwen3-vl"]))
    projection = LinearProjection(widths={"imu": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"imu": Modality(encoder=Moves())})
    assert sorted(model.readers) == ["image", "imu", "video"]
    felt = IMU(np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32), 20.0)
    talk = [Message("user", [PICTURES[0], felt, "?"]), Message("assistant", "a ball")]
    with torch.no_grad():
        before = embed_prompts(model, [TALKS[0]])[0]
        hidden = language(before.embeds[None], positions=before.positions[:, None])
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0})
    model.requires_grad_(False)
    projection.requires_grad_(True)
    optimizer = torch.optim.AdamW(projection.parameters(), 0.1)
    losses = []
    for cache in (None, FeatureCache()):
        objective.feature_cache = cache
        loss = objective.named_losses(objective.collate([talk]))["text"]
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[1] < losses[0]
    batch = objective.collate([talk])
    assert not batch.prepared, "frozen towers' features are cached"
    with torch.no_grad():
        after = embed_prompts(model, [TALKS[0]])[0]
        assert torch.equal(after.embeds, before.embeds)
        assert torch.equal(language(after.embeds[None], positions=after.positions[:, None]), hidden)


@torch.no_grad()
def test_experts_are_of_modalities_that_are_added(folders: dict[str, Path]) -> None:
    """What the model reads by itself goes on as it was to the bit, whatever they learn."""
    plain, language = (LanguageModel.from_pretrained(str(folders["smolvlm"])) for _ in range(2))
    fusion = ModalityExperts(widths={"imu": 6})
    projection = LinearProjection(widths={"imu": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"imu": Modality(encoder=Moves())}, fusion=fusion)
    for weight in fusion.parameters():
        weight.add_(1)
    for talk in TALKS:
        prompt = embed_prompts(model, [talk])[0]
        embeds = prompt.embeds[None]
        assert torch.equal(language(embeds, media=prompt.media), plain(embeds))
    felt = IMU(np.ones((6, 40), np.float32), 20.0)
    prompt = embed_prompts(model, [[Message("user", [PICTURES[0], felt, "?"])]])[0]
    hidden = language(prompt.embeds[None], media=prompt.media)
    assert not torch.allclose(hidden, plain(prompt.embeds[None]))


def test_texts_that_mark_tiles_go_through_no_expert(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["idefics3"]))
    fusion = ModalityExperts(widths={})  # of a model without others: of its own pictures
    model = AnyModal(language, None, {}, fusion=fusion)
    prompt = model.prompts.build(TALKS[1], reply=True)
    media = model.fuse([prompt], [Place(0, 0)])
    assert media is not None and len(media.rows[0][0].runs) > 1, "tiles with marks between"
    current = FusionPass.of(media, (len(prompt.ids), language.device), None, None, None)
    placeholders = {at for item in prompt.media for at in item.places}
    for without_last in (False, True):
        inside = current.inside(without_last)
        assert inside is not None
        last = {at for at in placeholders if at + 1 not in placeholders} if without_last else set()
        assert set(inside[1].tolist()) == placeholders - last


def test_a_template_may_write_pictures_before_other_media(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["llava-onevision"]))
    projection = LinearProjection(widths={"imu": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"imu": Modality(encoder=Moves())})
    felt = IMU(np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32), 20.0)
    talk = [Message("user", [felt, "then", PICTURES[1], "or", PICTURES[0]])]
    prompt = model.prompts.build(talk, reply=True)
    assert [item.media for item in prompt.media] == [PICTURES[1], PICTURES[0], felt]
    for item in prompt.media:
        assert {prompt.ids[at] for at in item.places} == {model.signals.placeholder(item.modality)}
    (embedded,) = embed_prompts(model, [talk])
    for item in prompt.media:
        tokens = model.soft_tokens({item.modality: [item.media]})[item.modality][0]
        assert torch.equal(embedded.embeds[item.places], tokens)


def test_an_encoder_takes_the_place_of_the_models_own_way(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["internvl"]))
    projection = LinearProjection(widths={"photo": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"photo": Modality(encoder=Colours(6))})
    prompt = model.prompts.build(TALKS[0], reply=True)
    assert model.readers.keys() == {"photo", "video"} and len(prompt.media[0].places) == 2
    with pytest.raises(ValueError, match="itself reads image, .* another name"):
        own_readers(language.readers, {"image": Moves()})


def test_a_model_is_saved_with_what_prepares_its_media(model: AnyModal, tmp_path: Path) -> None:
    model.language.save_pretrained(tmp_path)
    again = LanguageModel.from_pretrained(str(tmp_path))
    for media, reader in model.language.readers.items():
        assert again.readers[media].metadata() == reader.metadata()
    meta = LanguageModel.from_pretrained(str(tmp_path), weights=False)
    assert meta.device.type == "meta" and meta.readers.keys() == again.readers.keys()


def test_a_model_may_have_no_modality_but_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    target = "anymodal.language.LanguageModel.from_pretrained"
    language = {"_target_": target, "path_or_name": str(folders["gemma-3"])}
    model = AnyModal.compose({"language": language, "modalities": {}})
    assert model.readable_kinds == ["image"]
    model.save_pretrained(tmp_path / "model", with_parts=True)
    again = AnyModal.from_pretrained(tmp_path / "model")
    replies = [each.chat(TALKS[0], seed=0, max_new_tokens=5).text for each in (model, again)]
    assert replies[0] == replies[1]


def test_no_place_is_left_without_its_soft_token(models: dict[str, AnyModal]) -> None:
    model = models["qwen3-vl"]
    reader = model.readers["image"]
    with pytest.MonkeyPatch.context() as patch:
        # As with a processor's settings of another checkpoint: shorter than the prompt has places.
        patch.setattr(reader, "read", lambda batch: [tokens[:1] for tokens in read(batch)])
        read = type(reader).read.__get__(reader)
        with pytest.raises(ValueError, match=r"\d+ places .* tower gives 1: .* published with"):
            embed_prompts(model, TALKS[:2])


def test_adapters_go_to_the_language_part_alone(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["qwen3-vl"]), lora={"r": 2})
    trained = [name for name, each in language.named_parameters() if each.requires_grad]
    assert any("language_model" in name for name in trained)
    assert not any("visual" in name for name in trained)
