"""Every fusion keeps the same contract, in a composed model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal.encoders.imagebind.encoder import ImageBind, ImageBindEncoder
from anymodal.fusion import (
    AdapterPrefix,
    CrossLayers,
    ExpertsWithCrossAttention,
    Fusion,
    GatedCrossAttention,
    LightCrossAttention,
    MediaAdapterPrefix,
    ModalityExperts,
    SparseUpcycling,
)
from anymodal.language.continuous import ContinuousBatch
from anymodal.language.generation import generate
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.language.packing import Place, pack, supervised
from anymodal.language.reply_state import Prompt
from anymodal.language.sampling import Sampling
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import LinearProjection
from anymodal.toybox.tokenizer import train_tokenizer
from anymodal.training.losses import Balance, WeightedLoss
from anymodal.training.losses.states import TextStates
from anymodal.training.objectives.dialogue import Dialogue, DialogueBatch
from anymodal.training.objectives.reference_model import ReferenceModel
from anymodal.training.regional import transform_regions
from anymodal.types import Features, Message
from tests.support.tiny import felt, picture

WIDTH = 32
WIDTHS = {"image": 16, "imu": 12}
TEXTS = ["what is this?", "a ball", "and this?", "a small ball", "draw"] * 20


class Doubling(Fusion):
    """One of a user's own: before the last block, all that follows a medium grows by a factor."""

    takes_media = False
    reads_features = False

    def __init__(self, *, widths: dict[str, int], start: float = 0.0) -> None:
        super().__init__(widths=widths)
        self.more = nn.Parameter(torch.tensor([start]))

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        self.before(blocks[-1], self._grow)

    def _grow(self, hidden: Tensor) -> Tensor:
        if not self.current.has_media:
            return hidden
        behind = self.current.visible(latest=True).any(-1, keepdim=True)
        return hidden * (1 + behind * self.more)


KINDS: dict[str, tuple[type[Fusion], dict[str, Any]]] = {
    "gated": (
        GatedCrossAttention,
        {"every": 1, "num_latents": 3, "depth": 1, "heads": 2, "head_width": 4},
    ),
    "gated-all": (
        GatedCrossAttention,
        {"every": 2, "num_latents": None, "heads": 2, "head_width": 4, "immediate": False},
    ),
    "cross-layers": (CrossLayers, {"every": 2}),
    "light": (LightCrossAttention, {"heads": 2, "width": 8}),
    "experts": (ModalityExperts, {}),
    "multiway": (
        ModalityExperts,
        {"modules": ["*k_proj", "*v_proj", "*layernorm"], "without_last": False},
    ),
    "prefix": (AdapterPrefix, {"length": 3, "layers": 1, "biased": ["*q_proj", "mlp.*_proj"]}),
    "media-prefix": (
        MediaAdapterPrefix,
        {"length": 3, "scaled": True, "width": 8, "depth": 1, "heads": 2},
    ),
    "experts-and-light": (ExpertsWithCrossAttention, {"heads": 2, "width": 8}),
    "mixture": (SparseUpcycling, {"every": 1, "experts": 3}),
    "own": (Doubling, {}),
}
EXACT = {"gated", "gated-all", "cross-layers", "light", "prefix", "media-prefix", "own"}
"""Those that start as the identity to the bit, where media are too."""


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(TEXTS, 300)


def language_of(tokenizer: Any) -> LanguageModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        initializer_range=0.2,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=len(tokenizer) - 1,
    )
    return LanguageModel(LlamaForCausalLM(config), copy.deepcopy(tokenizer), name="tiny")


def fusion_of(kind: str) -> Fusion:
    cls, settings = KINDS[kind]
    return cls(widths=WIDTHS, **settings)


def perturb(fusion: Fusion) -> None:
    generator = torch.Generator().manual_seed(1)
    for weight in fusion.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=generator)


def compose(kind: str, tokenizer: Any, change: bool = True) -> AnyModal:
    torch.manual_seed(0)
    trunk = {"blocks": 1, "heads": 2}
    binder = ImageBind(
        {
            "vision": {**trunk, "width": 16, "size": 16, "patch": 8, "clips": 1},
            "imu": {**trunk, "width": 12, "samples": 400, "clip_seconds": 2.0},
        },
        embedding=16,
    ).eval()
    modalities = {name: Modality(encoder=ImageBindEncoder(binder, name)) for name in WIDTHS}
    fusion, language = fusion_of(kind), language_of(tokenizer)
    projection = None
    if not fusion.takes_media:
        projection = LinearProjection(widths=WIDTHS, output_width=WIDTH, num_tokens=3)
    model = AnyModal(language, projection, modalities, fusion=fusion)
    if change:
        perturb(fusion)
    return model


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str, tokenizer: Any) -> AnyModal:
    return compose(kind, tokenizer)


def first(seed: int = 0) -> list[Message]:
    return [Message("user", ["and this?", picture(seed), "what is this?"])]


def second(seed: int = 0) -> list[Message]:
    return [*first(seed), Message("assistant", "a ball"), Message("user", [felt(), "and this?"])]


def prompt_of(model: AnyModal, messages: list[Message]) -> Prompt:
    from anymodal.chat.turn import embed_prompts

    return embed_prompts(model, [messages])[0]


def feed(model: AnyModal, prompt: Prompt, cache: PrefixCache) -> Tensor:
    start = cache.reuse(prompt.keys)
    cache.past.fused = prompt.media
    return cache.feed(prompt.embeds[start:], prompt.keys[start:])


@torch.no_grad()
def test_it_starts_as_the_model_is(kind: str, tokenizer: Any) -> None:
    model = compose(kind, tokenizer, change=False)
    plain = language_of(tokenizer)
    for messages in ([Message("user", "what is this?")], second()):
        prompt = prompt_of(model, messages)
        hidden = feed(model, prompt, PrefixCache(model.language))
        expected = plain(prompt.embeds[None])[0]
        if kind in EXACT or (len(messages) == 1 and kind != "mixture"):
            assert torch.equal(hidden, expected)
        torch.testing.assert_close(hidden, expected)


@torch.no_grad()
def test_what_follows_a_medium_depends_on_it(kind: str, model: AnyModal) -> None:
    one, other = (prompt_of(model, first(seed)) for seed in (0, 1))
    start = model.prompts.build(first(), reply=True).media[0].start
    states = [feed(model, each, PrefixCache(model.language)) for each in (one, other)]
    assert torch.equal(states[0][:start], states[1][:start])
    reads = model.projection is not None or kind != "prefix"
    assert reads == (not torch.allclose(states[0][start + 3 :], states[1][start + 3 :]))


@torch.no_grad()
def test_the_modules_make_a_difference(kind: str, model: AnyModal, tokenizer: Any) -> None:
    prompt = prompt_of(model, first())
    hidden = feed(model, prompt, PrefixCache(model.language))
    assert not torch.allclose(hidden, language_of(tokenizer)(prompt.embeds[None])[0], atol=1e-3)


@torch.no_grad()
def test_a_turn_computes_what_is_new_alone(model: AnyModal) -> None:
    cache = PrefixCache(model.language)
    before = prompt_of(model, first())
    feed(model, before, cache)
    prompt = prompt_of(model, second())
    assert cache.fork().reuse(prompt.keys) > len(before.keys) - 9
    later = feed(model, prompt, cache)
    whole = feed(model, prompt, PrefixCache(model.language))
    torch.testing.assert_close(later, whole[-len(later) :], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_conversations_share_rows_or_not(model: AnyModal) -> None:
    samples = [[*second(), Message("assistant", "a small ball")], second()[:2], second(1)[:2]]
    losses = []
    for share in (True, False):
        rows = model.prompts.lay_out(samples, share)
        ids, labels, positions, places = rows.packed
        assert (len(ids) < 3) == share
        embeds = model.embed(rows.prompts, ids, places)
        media = model.fuse(rows.prompts, places)
        hidden = model.language(embeds, positions=positions, media=media)
        losses.append(model.language.loss(hidden, labels))
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-4)


def interleaved() -> list[list[Message]]:
    """Media side by side, within a sentence, at the beginning and the end, twice the same, none."""
    said = Message("assistant", "a ball")
    several = ["what is this?", picture(0), picture(1), " and this?", felt(), picture(2), "a ball"]
    return [
        [Message("user", several), said, Message("user", ["and ", picture(3), " this?"])],
        [Message("user", "draw"), said, Message("user", "and this?")],
        [Message("user", [picture(4), "what is this?"]), said, Message("user", [picture(1)])],
        [Message("system", "a ball"), Message("user", ["a ", picture(2), " ball", picture(2)])],
    ]


@torch.no_grad()
def test_interleaved_media_are_read_alike_in_rows_turns_and_steps(model: AnyModal) -> None:
    language, talks = model.language, interleaved()
    close = {"atol": 3e-5, "rtol": 1e-4}
    alone = []
    for talk in talks:
        prompt = prompt_of(model, talk)
        alone.append(feed(model, prompt, PrefixCache(language)))
        cache = PrefixCache(language)
        feed(model, prompt_of(model, talk[:1]), cache)
        later = feed(model, prompt, cache)
        torch.testing.assert_close(later, alone[-1][-len(later) :], **close)
        cache = PrefixCache(language)
        cache.past.fused = prompt.media
        pairs = zip(prompt.embeds, prompt.keys, strict=True)
        steps = [cache.feed(embeds[None], [key]) for embeds, key in pairs]
        torch.testing.assert_close(torch.cat(steps), alone[-1], **close)
    prompts = [model.prompts.build(talk, reply=True) for talk in talks]
    ids, labels = [p.ids for p in prompts], [p.labels for p in prompts]
    for share in (True, False):
        packed = pack(ids, labels, share)
        media = model.fuse(prompts, packed.places)
        embeds = model.embed(prompts, packed.ids, packed.places)
        hidden = language(embeds, positions=packed.positions, media=media)
        for (row, start), own in zip(packed.places, alone, strict=True):
            torch.testing.assert_close(hidden[row, start : start + len(own)], own, **close)
    # With padding on the left.
    longest = max(map(len, ids))
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in ids])
    embeds = torch.zeros(len(ids), longest, WIDTH)
    for row, prompt in enumerate(prompts):
        own = model.embed([prompt], torch.tensor([prompt.ids]), [Place(0, 0)])[0]
        embeds[row, longest - len(own) :] = own
    media = model.fuse(prompts, [Place(row, 0) for row in range(len(prompts))])
    hidden = language(embeds, mask, media=media)
    torch.testing.assert_close(hidden[mask.bool()], torch.cat(alone), **close)


def test_replies_together_are_those_alone(model: AnyModal) -> None:
    sampling = Sampling(max_new_tokens=6)
    prompts = [prompt_of(model, each) for each in (first(), second(1), [Message("user", "draw")])]
    alone = [
        "".join(e.text for e in generate(model.language, model.signals, each, sampling))
        for each in prompts
    ]
    batch = ContinuousBatch(model.language, model.signals)
    rows = [batch.join(each, sampling) for each in prompts[:2]]
    batch.step()
    rows.append(batch.join(prompts[2], sampling))
    batch.leave(rows[0])
    batch.step()
    if not rows[0].is_done:
        batch.rejoin(rows[0])
    while len(batch):
        batch.step()
    assert ["".join(e.text for e in row.drain()) for row in rows] == alone
    replies = model.chat([first(), second(1)], max_new_tokens=6, seed=0)
    assert [reply.text for reply in replies] == alone[:2]


UNREAD = tuple(
    f"{home}experts.1.{name}"
    for home in ("", "routed.")
    for name in ("self_attn_q", "self_attn_o", "mlp", "post")
)
"""Of the last block's results in media's positions nothing comes: no text follows from them."""


def test_it_trains_alone(kind: str, model: AnyModal) -> None:
    model.requires_grad_(False)
    assert model.fusion is not None
    model.fusion.requires_grad_(True)
    samples = [[*second(), Message("assistant", "a small ball")]]
    rows = model.prompts.lay_out(samples)
    ids, labels, positions, places = rows.packed
    gradients = []
    for checkpointed in (False, True):
        model.zero_grad()
        with transform_regions(model.language, compiled=False, checkpointed=checkpointed):
            media = model.fuse(rows.prompts, places)
            embeds = model.embed(rows.prompts, ids, places)
            hidden = model.language(embeds, positions=positions, media=media)
            model.language.loss(hidden, labels).backward()
        weights = model.fusion.parameters()
        gradients.append([torch.zeros(1) if w.grad is None else w.grad for w in weights])
    torch.testing.assert_close(*gradients)
    for name, weight in model.named_parameters():
        if name.startswith("fusion.") and not name.removeprefix("fusion.").startswith(UNREAD):
            assert weight.grad is not None and weight.grad.abs().max() > 0, name
        elif not name.startswith("fusion."):
            assert weight.grad is None, name


@torch.no_grad()
def test_a_copy_of_a_model_is_one_of_its_own(kind: str, model: AnyModal) -> None:
    """Its blocks call the copy's modules, with their weights and the copy's passes."""
    twin = copy.deepcopy(model)
    prompt = prompt_of(model, second())
    before = feed(model, prompt, PrefixCache(model.language))
    assert model.fusion is not None and twin.fusion is not None
    perturb(model.fusion)
    changed = feed(model, prompt, PrefixCache(model.language))
    assert not torch.allclose(changed, before, atol=1e-3)
    own = prompt_of(twin, second())
    assert torch.equal(feed(twin, own, PrefixCache(twin.language)), before)
    twin.fusion.load_state_dict(model.fusion.state_dict())
    own = prompt_of(twin, second())
    again = prompt_of(model, second())
    hidden = feed(model, again, PrefixCache(model.language))
    assert torch.equal(feed(twin, own, PrefixCache(twin.language)), hidden)


def test_a_reference_model_reads_media(tokenizer: Any) -> None:
    model = compose("gated", tokenizer)
    dialogue = Dialogue(model)
    samples = [[*first(seed), Message("assistant", "a ball")] for seed in (0, 1)]
    reference = ReferenceModel(dialogue)
    values, _ = reference.read(dialogue, dialogue.collate(samples), True, [])
    assert values is not None and not torch.allclose(values[0], values[1])


@torch.no_grad()
def test_it_is_saved(kind: str, model: AnyModal, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    again = AnyModal.from_pretrained(tmp_path / "model", trusted_packages=[__name__])
    assert model.fusion is not None and again.fusion is not None
    assert type(again.fusion) is KINDS[kind][0]
    for name, value in again.fusion.state_dict().items():
        assert torch.equal(value, model.fusion.state_dict()[name]), name
    prompts = [prompt_of(each, second()) for each in (model, again)]
    hidden = [
        feed(m, p, PrefixCache(m.language)) for m, p in zip((model, again), prompts, strict=True)
    ]
    assert torch.equal(*hidden)
    sketch = AnyModal.from_pretrained(
        tmp_path / "model", trusted_packages=[__name__], weights=False
    )
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert {n: tuple(value.shape) for n, value in sketch.named_parameters()} == shapes


def test_experts_are_balanced(tokenizer: Any) -> None:
    model = compose("mixture", tokenizer)
    rows = model.prompts.lay_out([[*second(), Message("assistant", "a small ball")]])
    batch = DialogueBatch(rows.prompts, rows.packed, supervised(rows.packed.labels), {}, {}, {})
    loss = Balance(0.01)

    def balance() -> WeightedLoss:
        ids, _, positions, places = rows.packed
        hidden = model.language(model.embed(rows.prompts, ids, places), positions=positions)
        return loss(batch, TextStates(model.language, hidden))[0]

    with pytest.raises(ValueError, match="the loss 'balance' is of experts that train"):
        balance()
    assert model.fusion is not None
    model.fusion.train()
    result = balance()
    assert result.value is not None and result.over == loss.count(batch)[""] > 0
    assert 2 < result.value < 2 * 3, "two blocks of three experts, none of which are used alike"
    result.value.backward()
    router = model.fusion.get_parameter("routers.0.weight")
    assert router.grad is not None and router.grad.abs().max() > 0


def test_an_encoder_of_its_own(tokenizer: Any) -> None:
    model = compose("light", tokenizer)
    trunk = {"width": 20, "blocks": 1, "heads": 2, "size": 32, "patch": 8, "clips": 1}
    fine = ImageBindEncoder(ImageBind({"vision": trunk}, embedding=16).eval(), "image")
    language = language_of(tokenizer)
    fusion = LightCrossAttention(widths={"image": 16}, tokens=17, heads=2, encoder=fine)
    projection = LinearProjection(widths={"image": 16}, output_width=WIDTH, num_tokens=3)
    modalities = {"image": model.modalities["image"]}
    both = AnyModal(language, projection, modalities, fusion=fusion)
    prompt = prompt_of(both, first())
    assert prompt.media is not None
    assert prompt.media.states.shape == (1, 1, 17, 20)
    with pytest.raises(ValueError, match="fusion's encoder reads Image and the one of 'imu' IMU"):
        wrong = LightCrossAttention(widths=WIDTHS, heads=2, encoder=fine)
        AnyModal(language_of(tokenizer), model.projection, model.modalities, fusion=wrong)


def test_what_does_not_fit_is_refused(tokenizer: Any) -> None:
    language = language_of(tokenizer)
    with pytest.raises(ValueError, match="every=3 is more than the 2 blocks"):
        GatedCrossAttention(widths=WIDTHS, every=3).attach(language)
    with pytest.raises(ValueError, match=r"modules: '\*w_proj' matches nothing in a LlamaDecoder"):
        ModalityExperts(widths=WIDTHS, modules=["*w_proj"]).attach(language)
    with pytest.raises(ValueError, match="layers=3 is more than the model's 2 blocks"):
        AdapterPrefix(widths={}, layers=3).attach(language)
    with pytest.raises(ValueError, match="width=7 must be a multiple of heads=2"):
        LightCrossAttention(widths=WIDTHS, width=7).attach(language)
    with pytest.raises(ValueError, match="every=0 must be at least 1"):
        GatedCrossAttention(widths=WIDTHS, every=0)
    fusion = AdapterPrefix(widths={})
    fusion.attach(language)
    before = language(language.embed([5, 6, 7])[None])
    for second in (AdapterPrefix(widths={}, biased=["*q_proj"]), Doubling(widths={}, start=1.0)):
        with pytest.raises(ValueError, match="a fusion stands around this language model already"):
            second.attach(language)
        assert not dict(second.named_parameters()).keys() - {"more"}, "no module was made"
    assert torch.equal(language(language.embed([5, 6, 7])[None]), before)
    with pytest.raises(ValueError, match="AdapterPrefix stands around a model already"):
        fusion.attach(language_of(tokenizer))
    model = compose("gated", tokenizer)
    with pytest.raises(ValueError, match="'imu' is 12 wide; the fusion expects no such modality"):
        one = GatedCrossAttention(widths={"image": 16}, every=1)
        AnyModal(language_of(tokenizer), None, model.modalities, fusion=one)


def test_states_are_read_once(tokenizer: Any) -> None:
    model = compose("gated", tokenizer)
    soft: dict[Any, Tensor] = {}
    prompt = model.prompts.build(second(), reply=True)
    one = model.fuse([prompt], [Place(0, 0)], soft)
    assert len(soft) == 2 and one is not None

    def refuse(name: str, items: Any) -> Features:
        raise AssertionError(name)

    other = model.fuse([prompt], [Place(0, 0)], soft, refuse)
    assert other is not None and torch.equal(one.states, other.states)


@pytest.mark.parametrize("kind", ["experts", "multiway", "mixture", "prefix", "light"])
@torch.no_grad()
def test_adapters_put_on_later_are_saved_with_it(
    kind: str, model: AnyModal, tmp_path: Path
) -> None:
    def hidden(one: AnyModal) -> Tensor:
        return feed(one, prompt_of(one, second()), PrefixCache(one.language))

    model.language.enable_lora(2, 4, 0.0)
    generator = torch.Generator().manual_seed(3)
    for name, weight in model.language.named_parameters():
        if "lora_B" in name:
            weight.data = 0.3 * torch.randn(weight.shape, generator=generator)
    states = hidden(model)
    model.save_pretrained(tmp_path / "model")
    again = AnyModal.from_pretrained(tmp_path / "model")  # which has adapters first
    torch.testing.assert_close(hidden(again), states, atol=1e-5, rtol=1e-4)
    if kind == "prefix":
        with pytest.raises(ValueError, match="can't be merged here"):
            again.language.merge_adapters()
        return
    again.language.merge_adapters()
    torch.testing.assert_close(hidden(again), states, atol=1e-4, rtol=1e-3)
