"""MetaQuery by its paper: queries behind transformers' own class, then the connector."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from anymodal.chat.orders import make, orders_of
from anymodal.chat.references import ReplyReferences
from anymodal.data.null_requests import NullRequests
from anymodal.decoders import DiffusionDecoder
from anymodal.heads import ConnectorHead
from anymodal.language.model import LanguageModel
from anymodal.language.reply_state import SpanReady
from anymodal.media import Image
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Conditioning, ConditioningSpec, Message, Target
from tests.support import pipelines
from tests.support.multimodal_models import MULTIMODAL_MODELS

SYSTEMS = Path(__file__).parents[2] / "configs/systems"
QUERIES, HEADS, DEPTH = 5, 2, 2
RANDOM = np.random.default_rng(0)
PICTURE = Image(RANDOM.integers(0, 256, (20, 37, 3), np.uint8))
EDIT = [
    Message("user", [PICTURE, "Make it green."]),
    Message("assistant", [Target("image", "a ball", Image(PICTURE.pixels[:, :, ::-1]))]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AnyModal:
    folder = tmp_path_factory.mktemp("metaquery")
    MULTIMODAL_MODELS["qwen2.5-vl"].write(folder)
    language = LanguageModel.from_pretrained(str(folder))
    torch.manual_seed(0)
    decoder = DiffusionDecoder(pipelines.FAMILIES["sana"].build()).eval()
    head = ConnectorHead(
        input_width=language.width,
        num_signal_tokens=QUERIES,
        spec=decoder.spec,
        depth=DEPTH,
        heads=HEADS,
        queries="signals",
    )
    sampling = {"steps": 2, "guidance": 3.0}
    modality = Modality(
        decoder=decoder,
        head=head,
        num_signal_tokens=QUERIES,
        sampling=sampling,
        null_request="",
    )
    return AnyModal(language, None, {"image": modality})


def query_states(model: AnyModal, talk: list[Message]) -> Tensor:
    """States of the queries behind a conversation, by transformers' own class."""
    own: Any = model.language.model
    inputs = MULTIMODAL_MODELS["qwen2.5-vl"].inputs(model.language.tokenizer, talk)
    count = inputs["input_ids"].shape[1]
    queries = torch.zeros(1, QUERIES, dtype=torch.long)
    ids = torch.cat([inputs["input_ids"], queries], 1)
    kinds = torch.cat([inputs["mm_token_type_ids"], queries], 1)
    grids = {"image_grid_thw": inputs["image_grid_thw"]}
    positions, _ = own.model.get_rope_index(ids, mm_token_type_ids=kinds, **grids)
    embeds = own.get_input_embeddings()(ids)
    embeds[0, count:] = model.language.rows[:QUERIES]
    output = own.model(
        inputs_embeds=embeds,
        position_ids=positions,
        pixel_values=inputs["pixel_values"],
        **grids,
    )
    return torch.as_tensor(output.last_hidden_state[:, count:])


def connector(head: ConnectorHead, states: Tensor) -> Tensor:
    """The paper's connector: a bidirectional transformer, then a projection."""
    weights = head.state_dict()
    width = states.shape[-1]
    rotary = LlamaRotaryEmbedding(_LlamaSizes(width // HEADS))
    cos, sin = rotary(states, torch.arange(states.shape[1])[None])

    def norm(value: Tensor, name: str) -> Tensor:
        weight = weights[f"{name}.weight"]
        return F.rms_norm(value, weight.shape, weight, 1e-6)

    def linear(value: Tensor, name: str) -> Tensor:
        return F.linear(value, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    for block in (f"blocks.{place}" for place in range(DEPTH)):
        mixed = linear(norm(states, f"{block}.attention_norm"), f"{block}.attention.qkv")
        query, key, value = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in mixed.chunk(3, -1)
        )
        query = norm(query, f"{block}.attention.query_norm")
        key = norm(key, f"{block}.attention.key_norm")
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        scores = query @ key.transpose(-1, -2) / (width // HEADS) ** 0.5
        seen = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        states = states + linear(seen, f"{block}.attention.output")
        inner = linear(norm(states, f"{block}.mlp_norm"), f"{block}.mlp.0")
        states = states + linear(F.gelu(inner, approximate="tanh"), f"{block}.mlp.2")
    inner = linear(norm(states, "norm"), "projection.0")
    return norm(linear(F.gelu(inner, approximate="tanh"), "projection.2"), "output_norm")


class _LlamaSizes:
    """What transformers' rotary positions are asked of a configuration."""

    def __init__(self, head_width: int) -> None:
        self.head_dim, self.hidden_size, self.num_attention_heads = head_width, head_width, 1
        self.max_position_embeddings = 64
        self.rope_parameters = {"rope_type": "default", "rope_theta": 10000.0}

    def standardize_rope_params(self) -> None:
        pass


@torch.no_grad()
def test_conditioning_is_the_papers(model: AnyModal) -> None:
    pair = model.conditioning("image", [EDIT])
    assert pair is not None
    embeds, mask, _ = pair[1]
    expected = connector(model.heads["image"], query_states(model, EDIT[:1]))
    torch.testing.assert_close(embeds[:, :QUERIES], expected, rtol=1e-4, atol=1e-5)
    assert mask[0].tolist() == [place < QUERIES for place in range(len(mask[0]))]
    # The picture in the prompt is what is edited.
    other = [Message("user", [Image(255 - PICTURE.pixels), "Make it green."]), EDIT[1]]
    changed = model.conditioning("image", [other])
    assert changed is not None and not torch.allclose(changed[1].embeds, embeds, atol=1e-3)


@pytest.mark.parametrize("name", ["sana", "sigma"])
def test_what_is_masked_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(pipelines.FAMILIES[name].build()).eval()
    assert decoder.takes_mask
    embeds = torch.randn(1, decoder.spec.length, decoder.spec.width)
    mask = torch.arange(decoder.spec.length)[None] < QUERIES
    latents = torch.randn(1, *decoder.family.latent_shape)
    results = []
    for padding in (0.0, 9.0):
        padded = embeds.masked_fill(~mask[..., None], padding)
        generator = torch.Generator().manual_seed(0)
        results.append(decoder.loss(latents, Conditioning(padded, mask), generator))
    torch.testing.assert_close(*results)


def test_denoising_teaches_queries_connector_and_transformer_alone(model: AnyModal) -> None:
    objective = Dialogue(model)
    objective.use_losses({"denoise": 1.0})
    model.requires_grad_(False)
    denoiser = model.decoders["image"].pipeline.transformer
    learns = [model.language.rows, *model.heads.parameters(), *denoiser.parameters()]
    for weight in learns:
        weight.requires_grad_(True)
    batch = objective.collate([EDIT, NullRequests([EDIT])[0]])
    objective.named_losses(batch)["denoise"].backward()
    assert all(p.grad is not None for p in model.heads.parameters())
    rows = model.language.rows.grad
    assert rows is not None and bool(rows[:QUERIES].any(-1).all())
    assert all(p.grad is None for p in model.language.model.parameters())
    model.zero_grad()
    model.requires_grad_(False)


@torch.no_grad()
def test_guidance_leads_away_from_the_request_that_says_nothing(model: AnyModal) -> None:
    assert NullRequests([EDIT])[0][0].content == [""]
    null = model.null_conditioning("image", "")
    settings = {"image": {**model.modalities["image"].sampling}}
    states = torch.randn(QUERIES, model.language.width, generator=torch.manual_seed(1))
    span = SpanReady("image", states, states)
    references = ReplyReferences(model, EDIT[:1])
    (order,) = orders_of(model, span, 0, 0, settings, references)
    assert order.negative is not None and torch.equal(order.negative.embeds, null.embeds)
    settings["image"]["negative_prompt"] = "blurred"
    (other,) = orders_of(model, span, 0, 0, settings, references)
    assert other.negative is not None and not torch.equal(other.negative.embeds, null.embeds)
    made = [make(model, "image", [each], settings["image"])[0].pixels for each in (order, other)]
    assert not np.array_equal(*made)
    settings["image"]["guidance"] = 1.0
    assert orders_of(model, span, 0, 0, settings, references)[0].negative is None


@torch.no_grad()
def test_a_third_branch_leads_away_from_pictures(
    model: AnyModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = NullRequests([EDIT], keep_media=True)[0][0]
    assert shown.content == [PICTURE, ""]
    modality = model.modalities["image"]
    settings = {"image": modality.settings({"reference_guidance": 1.5})}
    states = torch.randn(QUERIES, model.language.width, generator=torch.manual_seed(1))
    span = SpanReady("image", states, states)
    (order,) = orders_of(model, span, 0, 0, settings, ReplyReferences(model, EDIT[:1]))
    pair = model.conditioning("image", [[shown, EDIT[1]]])
    assert pair is not None and order.negative is not None and order.neither is not None
    torch.testing.assert_close(order.negative.embeds, pair[1].embeds)
    assert torch.equal(order.neither.embeds, model.null_conditioning("image", "").embeds)
    given: list[Any] = []
    pipeline = modality.decoder.pipeline
    scheduler = type(pipeline.scheduler)
    step = scheduler.step

    def watched(own: Any, output: Any, time: Any, sample: Any, *args: Any, **more: Any) -> Any:
        given.append((output, time, sample))
        return step(own, output, time, sample, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "step", watched)
        make(model, "image", [order], settings["image"])
    output, time, noise = given[0]
    neither, negative, positive = (
        modality.decoder._denoiser(noise, time.expand(1), each, None)
        for each in (order.neither, order.negative, order.conditioning)
    )
    wanted = neither + 1.5 * (negative - neither) + 3.0 * (positive - negative)
    torch.testing.assert_close(output, wanted, rtol=1e-3, atol=1e-4)
    # Without media in the conversation there is nothing to lead away from.
    alone = ReplyReferences(model, [Message("user", "a ball")])
    (order,) = orders_of(model, span, 0, 0, settings, alone)
    assert order.neither is order.negative is not None
    two = {**settings["image"]}
    del two["reference_guidance"]
    (plain,) = orders_of(model, span, 0, 0, {"image": two}, alone)
    made = [
        make(model, "image", [each], own)[0].pixels.astype(int)
        for each, own in ((order, settings["image"]), (plain, two))
    ]
    np.testing.assert_allclose(*made, atol=1)


def test_a_third_branch_wants_a_null_request(model: AnyModal) -> None:
    modality = model.modalities["image"]
    with pytest.raises(ValueError, match=r"reference_guidance=1.5, and no null_request"):
        dataclasses.replace(
            modality, null_request=None, sampling={"guidance": 3.0, "reference_guidance": 1.5}
        )


def test_a_system_message_stands_before_each_request(tmp_path: Path) -> None:
    MULTIMODAL_MODELS["qwen2.5-vl"].write(tmp_path)
    config = yaml.safe_load((SYSTEMS / "metaquery/model.yaml").read_text("utf-8"))
    template = config["parts"]["language"]["chat_template"]
    language = LanguageModel.from_pretrained(str(tmp_path), chat_template=template)
    prompts = AnyModal(language, None, {}).prompts
    prompt = prompts.build([Message("user", [PICTURE, "red"])], reply=True)
    text = language.tokenizer.decode(prompt.ids)
    assert text.startswith("<|im_start|>system\nA picture follows, or the words for one. Tell in")
    assert "of your own, what the picture shows.<|im_end|>\n<|im_start|>user\n" in text
    assert text.endswith("<|vision_end|>red<|im_end|>\n<|im_start|>assistant\n")
    own = prompts.build([Message("system", "Be brief."), Message("user", "red")], reply=True)
    assert language.decode(own.ids).startswith("system\nBe brief.\nuser")


def test_what_does_not_fit_is_refused(model: AnyModal) -> None:
    with pytest.raises(ValueError, match=r"num_signal_tokens=9 are more than .* positions \(7\)"):
        ConnectorHead(
            input_width=16,
            num_signal_tokens=9,
            spec=ConditioningSpec(7, 8),
            heads=2,
            queries="signals",
        )
    unmasked = DiffusionDecoder(pipelines.FAMILIES["stable_diffusion_1"].build()).eval()
    sizes = {"input_width": model.language.width, "heads": HEADS, "depth": 1}
    head = ConnectorHead(num_signal_tokens=QUERIES, spec=unmasked.spec, queries="signals", **sizes)
    with pytest.raises(ValueError, match="without a mask; give it num_signal_tokens=12"):
        model.replace_decoder("image", unmasked, head)
    distilled = DiffusionDecoder(pipelines.FAMILIES["flux_distilled"].build()).eval()
    with pytest.raises(ValueError, match="null_request='', .* leave it out"):
        Modality(decoder=distilled, head=head, num_signal_tokens=QUERIES, null_request="")
    changed = dataclasses.replace(EDIT[1].content[0], references=(0,))
    (nothing,) = NullRequests([[EDIT[0], Message("assistant", changed)]])[0][1].content
    assert nothing.references == (), "medium 0 of that conversation is what is to be made"
    with pytest.raises(ValueError, match="sample 0 makes nothing"):
        NullRequests([[Message("user", "a"), Message("assistant", "b")]])[0]


def test_the_connector_is_saved_as_it_is(model: AnyModal, tmp_path: Path) -> None:
    head = model.heads["image"]
    names = {name.split(".")[0] for name in head.state_dict()}
    assert names == {"blocks", "norm", "projection", "output_norm"}  # no queries, no gate
