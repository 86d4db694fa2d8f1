"""HunyuanVideo 1.5: what its two encoders read, and what is refused."""

from __future__ import annotations

import pytest
import torch

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import FIRST
from tests.support.pipeline_parts import LENGTH
from tests.support.pipelines import FAMILIES
from tests.support.video_pipelines import hunyuan_video

OPTIONS = FAMILIES["hunyuan_video"].options


def test_texts_in_quotes_stand_behind_the_caption() -> None:
    torch.manual_seed(0)
    pipeline = hunyuan_video()
    decoder = DiffusionDecoder(pipeline, **OPTIONS).eval()
    with torch.no_grad():
        plain, quoted = (decoder.embed_captions([each]) for each in ("a big ball", 'a "big" ball'))
        names = ("prompt_embeds", "prompt_embeds_mask", "prompt_embeds_2", "prompt_embeds_mask_2")
        own = dict(zip(names, pipeline.encode_prompt('a "big" ball'), strict=True))
    assert not plain.mask[0, LENGTH:].any() and quoted.mask[0, LENGTH:].all()
    asked = decoder.family.call_kwargs(quoted, None, 1.0)
    for name, value in own.items():
        torch.testing.assert_close(asked[name], value.to(asked[name].dtype))
    assert decoder.spec.width == 16 and own["prompt_embeds_2"].shape[2] == 8
    assert not quoted.embeds[0, LENGTH:, 8:].any(), "the narrower is filled up"


def test_progress_and_what_is_not_finite_are_seen_at_the_scheduler() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(hunyuan_video(), **OPTIONS).eval()
    with torch.no_grad():
        asked = decoder.embed_captions(["a ball"])
    steps: list[tuple[int, int]] = []
    decoder.sample(asked, steps=3, guidance=1.0, progress=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert "step" not in vars(decoder.pipeline.scheduler), "the call's own scheduler was watched"


def test_what_can_not_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="caption_tokens=2000"):
        DiffusionDecoder(hunyuan_video(), **{**OPTIONS, "caption_tokens": 2000})
    with pytest.raises(ValueError, match="frames=6"):
        DiffusionDecoder(hunyuan_video(), **{**OPTIONS, "frames": 6})
    distilled = hunyuan_video()
    distilled.transformer.register_to_config(use_meanflow=True)
    with pytest.raises(ValueError, match="two timesteps"):
        DiffusionDecoder(distilled, **OPTIONS)
    with pytest.raises(ValueError, match="first"):
        DiffusionDecoder(hunyuan_video(), references=[FIRST], **OPTIONS)
