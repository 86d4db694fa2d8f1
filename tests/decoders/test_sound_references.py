"""Sounds of which a part is made anew or that go on, and timbres, equal to their own pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableAudio3InpaintPipeline
from diffusers.models.autoencoders import autoencoder_oobleck

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import SOURCE, TIMBRE, Reference
from anymodal.media import Audio
from tests.support.decoders import CAPTIONS, assert_alike, generator_of, latents, values
from tests.support.pipelines import FAMILIES

ROLES = {"ace_step": [SOURCE, TIMBRE], "stable_audio_3": [SOURCE]}


@pytest.fixture(scope="module", params=sorted(ROLES))
def decoder(request: pytest.FixtureRequest) -> DiffusionDecoder:
    torch.manual_seed(0)
    known = FAMILIES[request.param]
    pipeline = known.build()
    decoder = DiffusionDecoder(pipeline, references=ROLES[request.param], **known.options)
    for name, weight in decoder.family.network.named_parameters():  # zeros, as it is trained from
        if "local" in name:
            torch.nn.init.normal_(weight, std=0.5, generator=generator_of(3))
    return decoder.eval()


def waves(decoder: DiffusionDecoder, seed: int, share: float = 1.0) -> Audio:
    """Noise as long as a share of what the decoder makes."""
    family: Any = decoder.family
    rng = np.random.default_rng(seed)
    length = round(share * family.samples)
    return Audio(rng.uniform(-0.5, 0.5, (family.channels, length)).astype(np.float32), family.rate)


def theirs(decoder: DiffusionDecoder, item: list[Reference]) -> Any:
    """What the pipeline itself makes of a caption beside an item's references."""
    family: Any = decoder.family
    ask = {"num_inference_steps": 3, "generator": generator_of(9), "output_type": "np"}
    by_role = {each.role: each for each in item}
    tensors = {role: torch.from_numpy(each.media.samples) for role, each in by_role.items()}  # type: ignore[attr-defined]
    start, end = by_role[SOURCE].span or (0.0, None) if SOURCE in by_role else (0.0, None)
    if type(decoder.pipeline).__name__ == "StableAudio3Pipeline":
        parts = decoder.pipeline.components
        pipeline = StableAudio3InpaintPipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(
            prompt=CAPTIONS[:1], duration=family.seconds, audio=tensors[SOURCE][None],
            mask_start_seconds=start, mask_end_seconds=end or family.seconds, **ask,
        )  # fmt: skip
    if SOURCE in by_role:
        ask |= {"task_type": "repaint", "repainting_start": start, "repainting_end": end}
    return decoder.pipeline(
        prompt=CAPTIONS[:1], lyrics=[""], audio_duration=family.seconds, guidance_scale=1.0,
        max_text_length=decoder.spec.length, src_audio=tensors.get(SOURCE),
        reference_audio=tensors.get(TIMBRE), **ask,
    )  # fmt: skip


def test_what_is_made_anew_is_that_of_the_pipeline(
    decoder: DiffusionDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Theirs draws the latents of what it is given, by no generator.
    posterior = autoencoder_oobleck.OobleckDiagonalGaussianDistribution
    monkeypatch.setattr(posterior, "sample", lambda self, generator=None: self.mode())
    seconds = decoder.family.seconds  # type: ignore[attr-defined]
    source = Reference(waves(decoder, 1), span=(0.3 * seconds, 0.7 * seconds))
    items = [[source]]
    if len(decoder.references) > 1:
        timbre = Reference(waves(decoder, 2, 0.5), TIMBRE)
        items += [[timbre], [Reference(waves(decoder, 1), span=(0.5 * seconds, None)), timbre]]
    for item in items:
        with torch.no_grad():
            asked = decoder.embed_captions(CAPTIONS[:1], [item])
        made = decoder.sample(
            asked, steps=3, guidance=1.0, generator=generator_of(9), references=[item]
        )
        assert_alike(decoder, made, decoder.family.items(theirs(decoder, item)))
        plain = decoder.sample(asked, steps=3, guidance=1.0, generator=generator_of(9))
        assert not np.allclose(values(made[0]), values(plain[0]), atol=1e-4)


def test_items_with_and_without_a_source_go_together(decoder: DiffusionDecoder) -> None:
    source = Reference(waves(decoder, 1, 0.5))  # which goes on
    shown = [[source], []]
    with torch.no_grad():
        asked = decoder.embed_captions(CAPTIONS, shown)
        ask: dict[str, Any] = {"steps": 2, "guidance": 3.0}
        generators = [generator_of(7), generator_of(8)]
        made = decoder.sample(asked, **ask, generator=generators, references=shown)
        for place, item in enumerate(shown):
            generators = [generator_of(7 + place)]
            (alone,) = decoder.sample(
                asked.select([place]), **ask, generator=generators, references=[item]
            )
            np.testing.assert_allclose(values(made[place]), values(alone), atol=1e-4)
        batch, encoded = latents(decoder), decoder.encode_references(shown)
        both = decoder.losses(batch, asked, generator_of(5), encoded)
        none = decoder.losses(batch, asked, generator_of(5))
    torch.testing.assert_close(both[1], none[1])
    assert abs(float(both[0] - none[0])) > 1e-6


def test_the_part_that_is_made_anew_is_told(decoder: DiffusionDecoder) -> None:
    family: Any = decoder.family
    source, conditioning = waves(decoder, 1), decoder.unconditional(1)
    ask: dict[str, Any] = {"steps": 2, "guidance": 1.0, "generator": generator_of(9)}
    span = [0.25 * family.seconds, 0.5 * family.seconds]
    made = [
        decoder.sample(conditioning, **ask | {"generator": generator_of(9)}, **more)
        for more in (
            {"references": [[Reference(source)]], "span": span},
            {"references": [[Reference(source, span=tuple(span))]]},  # type: ignore[arg-type]
        )
    ]
    assert made[0] == made[1]
    with pytest.raises(ValueError, match="say which part is made anew by span"):
        decoder.sample(conditioning, **ask, references=[[Reference(source)]])
    with pytest.raises(ValueError, match="begins behind what is made"):
        decoder.sample(conditioning, **ask, references=[[Reference(source)]], span=[99.0, 100.0])
    for wrong in ([3.0, 1.0], [1.0], "all", [-1.0, 2.0], [True, 2.0]):
        with pytest.raises(ValueError, match="where the part begins and ends"):
            decoder.check_settings({"span": wrong})
    longer = 2 * family.seconds if family.seconds < 0.32 else 3 * family.seconds
    with pytest.raises(ValueError, match="leave seconds as they are"):
        decoder.sample(
            conditioning, **ask, references=[[Reference(source)]], span=span, seconds=longer
        )


def test_others_make_no_part_anew() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["stable_audio"].build()).eval()
    with pytest.raises(ValueError, match="StableAudioPipeline makes no part of a source anew"):
        decoder.check_settings({"span": [0.0, 0.1]})
