"""Flamingo's fusion gives what OpenFlamingo's code gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from anymodal.fusion import GatedCrossAttention
from anymodal.fusion.gated import GatedBlock
from anymodal.fusion.media_resampler import MediaResampler
from anymodal.language.fused_media import FusedMedia, FusedMedium, FusionPass
from anymodal.language.kv_cache import new_cache
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.types import Features, TokenLayout
from tests.support.golden_weights import golden_published
from tests.support.numbered_tokens import numbered_tokenizer

CPU = torch.device("cpu")


def assert_equal(output: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("case", ["none", "frames"])
def test_resampler(case: str) -> None:
    config, weights, golden = golden_published("flamingo_resampler")
    frames = config["max_num_frames"] if case == "frames" else None
    weights.pop("media_time_embs")
    if frames is None:
        weights.pop("frame_embs")
    resampler = MediaResampler(
        config["dim"],
        config["num_latents"],
        config["depth"],
        config["heads"],
        config["dim_head"],
        config["ff_mult"],
        frames,
    )
    resampler.load_state_dict(weights)
    media = golden["in.media"]  # (batch, images, frames, tokens, width)
    values = media.flatten(2, 3).flatten(0, 1)
    mask = torch.ones(values.shape[:2], dtype=torch.bool)
    output = resampler(Features(values, mask), media.shape[2])
    assert_equal(output.unflatten(0, media.shape[:2]), golden[f"out.{case}"])
    with_padding = Features(
        torch.cat([values, torch.full_like(values, 9)], 1), torch.cat([mask, ~mask], 1)
    )
    if frames is None:
        assert_equal(resampler(with_padding), output)


@torch.no_grad()
def test_tokens_of_a_whole_clip_have_no_place_in_time() -> None:
    """Such as a class token before those of the frames."""
    torch.manual_seed(0)
    fusion = GatedCrossAttention(widths={"video": 4}, depth=1, num_latents=2, frames=3)
    clip, whole = torch.randn(1, 6, 4), torch.randn(1, 1, 4)

    def read(tokens: Tensor, layout: TokenLayout) -> Tensor:
        fusion.set_layout("video", layout)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
        return fusion.read("video", Features(tokens, mask)).values

    with_class = torch.cat([whole, clip], 1)
    latents = read(with_class, TokenLayout(1, 0, (3, 1, 2)))
    resampler: Any = fusion.resamplers["video"]
    placed = with_class.clone()
    placed[:, 1:] += resampler.frame_embs.repeat_interleave(2, 0)
    resampler.frame_embs.zero_()
    assert_equal(latents, read(placed, TokenLayout()))


@torch.no_grad()
@pytest.mark.parametrize("which", ["immediate", "all"])
def test_block(which: str) -> None:
    config, weights, golden = golden_published("flamingo_block")
    block = GatedBlock(
        config["dim"],
        config["dim_visual"],
        config["heads"],
        config["dim_head"],
        config["ff_mult"],
    )
    block.load_state_dict(weights)
    locations, states = golden["in.media_locations"], golden["in.media"]
    rows = [
        [
            FusedMedium(place, states[row, number])
            for number, place in enumerate(locations[row].nonzero()[:, 0].tolist())
        ]
        for row in range(len(states))
    ]
    media, length = FusedMedia(rows, CPU), locations.shape[1]
    places = torch.arange(length)[None]
    current = FusionPass(media, places, torch.zeros_like(places))
    # Those that see something: others see nothing here, and later media's mean there.
    seeing = locations.cumsum(1) > 0
    immediate = which == "immediate"
    if immediate:
        seeing |= True
    attention = block.attn(golden["in.x"], current, immediate)
    assert_equal(attention[seeing], golden[f"attn.{which}"][seeing])
    output = block(golden["in.x"], current, immediate)
    assert_equal(output[seeing], golden[f"out.{which}"][seeing])
    for name in ("step", "chunk"):
        behind = length + torch.arange(golden[f"in.{name}"].shape[1])[None]
        later = FusionPass(media, behind, torch.zeros_like(behind))
        rows_seeing = locations.any(1) | immediate
        output = block(golden[f"in.{name}"], later, immediate)
        assert_equal(output[rows_seeing], golden[f"{name}.{which}"][rows_seeing])


def flamingo(name: str) -> tuple[LanguageModel, GatedCrossAttention, dict[str, Tensor]]:
    config, weights, golden = golden_published(name)
    kind = {"llama": hf.LlamaConfig, "gptneox": hf.GPTNeoXConfig}[config["lm"]]
    model: Any = hf.AutoModelForCausalLM.from_config(kind(**config["lm_config"]))
    own = {n: v for n, v in weights.items() if "gated" not in n and not n.startswith("perceiver")}
    missing, unexpected = model.load_state_dict(own, strict=False)
    assert not unexpected and not [n for n in missing if "rotary" not in n and "bias" not in n]
    tokenizer = numbered_tokenizer(config["lm_config"]["vocab_size"])
    language = LanguageModel(model.eval(), tokenizer).eval()
    fusion = GatedCrossAttention(
        widths={"image": config["vis_dim"]},
        every=config["cross_attn_every_n_layers"],
        immediate=config["only_attend_immediate_media"],
    )
    fusion.attach(language)
    state = {
        f"resamplers.image.{n.removeprefix('perceiver.')}": v
        for n, v in weights.items()
        if n.startswith("perceiver.")
    }
    for n, value in weights.items():
        if ".gated_cross_attn_layer." in n:
            place, _, rest = n.split("layers.")[1].split(".", 2)
            state[f"blocks.{place}.{rest}"] = value
    fusion.load_state_dict(state)
    return language, fusion, golden


@torch.no_grad()
@pytest.mark.parametrize("name", ["flamingo_lm_llama", "flamingo_lm_gptneox"])
def test_language_model(name: str, tmp_path: Path) -> None:
    language, fusion, golden = flamingo(name)
    token = golden_published(name)[0]["media_token_id"]
    features = golden["in.features"]
    mask = torch.ones(features.shape[:3], dtype=torch.bool)
    states = fusion.read("image", Features(features.flatten(0, 1), mask.flatten(0, 1)))
    latents = states.values.unflatten(0, features.shape[:2])
    assert_equal(latents[:, :, :4], golden["perceiver"])

    def media(ids: Tensor) -> FusedMedia:
        return FusedMedia(
            [
                [
                    FusedMedium(place, latents[row, number])
                    for number, place in enumerate((ids[row] == token).nonzero()[:, 0].tolist())
                ]
                for row in range(len(ids))
            ],
            CPU,
        )

    ids, real = golden["in.ids"], golden["in.attention_mask"]
    hidden = language(language.embed(ids), real, media=media(ids))
    logits = language.logits(hidden)
    assert_equal(logits[real.bool()], golden["logits"][real.bool()])
    labels = golden["in.labels"]
    assert (labels == IGNORED).any()
    assert_equal(language.loss(hidden, labels), golden["loss"])
    past = new_cache(language)
    past.fused = media(golden["in.dec_ids"])
    steps = [golden["in.dec_ids"], *golden["in.dec_next"].T.unsqueeze(-1)]
    decoded = [language.logits(language(language.embed(i), None, past)[:, -1]) for i in steps]
    assert_equal(torch.stack(decoded, 1), golden["dec_logits"])
