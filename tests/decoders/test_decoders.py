"""The contract that every family of decoders keeps, on real pipelines of tiny size."""

from __future__ import annotations

import functools
import importlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import (
    AsymmetricAutoencoderKL,
    CosineDPMSolverMultistepScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
)
from torch import Tensor

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.autoencoders import (
    PictureAutoencoderLoss,
    WaveformAutoencoderLoss,
    normalise_latents,
)
from anymodal.decoders.calls import isolated_state
from anymodal.decoders.noise import add_noise, prediction_type, sample_noise_levels
from anymodal.heads import LinearHead
from anymodal.media import Audio, Image, Video
from anymodal.toybox import decoders as nano
from anymodal.training.losses import alignment_loss
from anymodal.types import Conditioning
from tests.support.paths import ROOT as REPOSITORY
from tests.support.pipeline_parts import small_vae, tokenizer
from tests.support.pipelines import (
    FAMILIES,
    Family,
    alpha,
    audioldm,
    audioldm_2,
    cogvideox,
    flux,
    latte,
    ltx,
    sigma,
    stable_audio,
    stable_audio_open,
    stable_diffusion,
    wan,
    z_image,
)

CAPTIONS = [
    "a Big red ball",
    "a small blue bird moving left " * 3,
]  # shorter and longer than LENGTH


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A family's name, its folder, and the decoder that was opened from there."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param].build().save_pretrained(folder)
    decoder = DiffusionDecoder.from_pretrained(folder, **FAMILIES[request.param].options)
    return request.param, folder, decoder


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def medium(decoder: DiffusionDecoder, seed: int = 0) -> Any:
    """A medium of the decoder's class, larger or longer than what it makes."""
    rng = np.random.default_rng(seed)
    if decoder.media is Image:
        return Image(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8))
    if decoder.media is Video:
        return Video(rng.integers(0, 256, (7, 24, 20, 3), dtype=np.uint8), 16.0)
    return Audio(rng.uniform(-1, 1, (2, 1600)).astype(np.float32), 1600)


def values(media: Any) -> np.ndarray:
    for name in ("pixels", "frames", "samples"):
        if hasattr(media, name):
            return np.asarray(getattr(media, name), dtype=np.float32)
    raise AssertionError(type(media))


def latents(decoder: DiffusionDecoder, count: int = 2) -> Tensor:
    return torch.randn(count, *decoder.family.latent_shape, generator=seeded(1))


def test_reopened_weights_are_the_saved_ones(case: Any) -> None:
    _, folder, decoder = case
    again = DiffusionPipeline.from_pretrained(folder)
    for name, part in decoder.parts.items():
        for key, value in getattr(again, name).state_dict().items():
            assert torch.equal(value, part.state_dict()[key]), f"{name}.{key}"
    assert type(again).__name__ == type(decoder.pipeline).__name__


def test_identity_is_read_off_the_pipeline(case: Any) -> None:
    name, _, decoder = case
    known, spec = FAMILIES[name], decoder.spec
    assert (spec.length, spec.width, spec.pooled) == (known.length, known.width, known.pooled)
    assert 0.01 < spec.scale < 3
    identity = json.loads(json.dumps(decoder.identity()))
    assert identity["prediction_type"] == known.prediction
    wanted = {"length": known.length, "width": known.width}
    assert identity["conditioning"] == wanted | ({"pooled": known.pooled} if known.pooled else {})
    assert identity["pipeline"] == known.pipeline


class Watched:
    """What a pipeline's network was first called with, and what the scheduler was first handed."""

    def __init__(self, pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.steps: list[tuple[Tensor, Tensor]] = []
        network = getattr(pipeline, "transformer", None) or pipeline.unet
        self.hook = network.register_forward_pre_hook(
            lambda _, args, kwargs: self.calls.append((args, kwargs)), with_kwargs=True
        )
        kind = type(pipeline.scheduler)  # a call has a scheduler of its own
        step = kind.step

        @functools.wraps(step)  # pipelines look at its signature
        def watched(own: Any, output: Tensor, time: Tensor, *args: Any, **kwargs: Any) -> Any:
            self.steps.append((output, time))
            return step(own, output, time, *args, **kwargs)

        monkeypatch.setattr(kind, "step", watched)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of the network's first call, as numbers."""
        leaves = torch.utils._pytree.tree_leaves(self.calls[0])
        return [leaf.float() for leaf in leaves if isinstance(leaf, Tensor)]

    @property
    def inputs(self) -> Tensor:
        args, kwargs = self.calls[0]
        shown = args[0] if args else kwargs["hidden_states"]
        return shown if isinstance(shown, Tensor) else torch.stack(list(shown)).squeeze(2)


def watched(
    decoder: DiffusionDecoder, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Watched]:
    """What comes out, and what the network and the scheduler saw meanwhile."""
    with monkeypatch.context() as patch, torch.no_grad():
        seen = Watched(decoder.pipeline, patch)
        made = make()
    seen.hook.remove()
    return made, seen


def ours(decoder: DiffusionDecoder, captions: list[str], guidance: float) -> list[Any]:
    conditioning = decoder.embed_captions(captions)
    return decoder.sample(conditioning, steps=3, guidance=guidance, generator=seeded(9))


def theirs(
    known: Family, decoder: DiffusionDecoder, captions: list[str], guidance: float
) -> list[Any]:
    argument, offset = known.guidance
    generator = seeded(9)
    with isolated_state(decoder.pipeline, generator):  # flow's pipelines give their schedulers none
        made = decoder.pipeline(
            list(captions),
            **known.call,
            **{argument: guidance + offset},
            num_inference_steps=3,
            generator=generator,
            output_type="np",
        )[0]
    return [decoder.family.postprocess(each) for each in made]


def assert_made_alike(decoder: DiffusionDecoder, made: list[Any], wanted: list[Any]) -> None:
    for each, their in zip(made, wanted, strict=True):
        spread = values(their).std()
        assert spread > 0
        tolerance = 1e-3 * spread if decoder.media is Audio else 1  # or one step of 255
        np.testing.assert_allclose(values(each), values(their), rtol=0, atol=tolerance)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_captions_give_what_the_pipeline_makes_of_them(
    case: Any, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, decoder = case
    known = FAMILIES[name]
    for captions in [[each] for each in CAPTIONS] if known.alone else [CAPTIONS]:
        make: Any = functools.partial(ours, decoder, captions, guidance)
        made, mine = watched(decoder, make, monkeypatch)
        make = functools.partial(theirs, known, decoder, captions, guidance)
        wanted, own = watched(decoder, make, monkeypatch)
        assert len(mine.tensors) == len(own.tensors) and len(made) == len(wanted)
        for a, b in zip(mine.tensors, own.tensors, strict=True):
            torch.testing.assert_close(a, b)
        assert_made_alike(decoder, made, wanted)


def test_a_caption_alone_is_what_it_is_in_company(case: Any) -> None:
    _, _, decoder = case
    with torch.no_grad():
        both = decoder.embed_captions(CAPTIONS)
        alone = [decoder.embed_captions([caption]) for caption in CAPTIONS]
    for together, *apart in zip(both, *alone, strict=True):
        if together is not None:
            torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)


def test_the_loss_calls_the_network_as_the_pipeline_does(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, decoder = case
    make = functools.partial(ours, decoder, CAPTIONS, 1.0)
    _, seen = watched(decoder, make, monkeypatch)
    output, time = seen.steps[0]
    if decoder.media is Video and len(output) != 2:  # frames one by one
        output = output.unflatten(0, (2, -1)).transpose(1, 2)  # (2 T, C, h, w) -> (2, C, T, h, w)
    unpacked = getattr(decoder.family, "unpacked", lambda patches: patches)
    if getattr(decoder.family, "distilled", False):
        monkeypatch.setattr(decoder.family, "guidance", 1.0)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        again = decoder.family.denoise(unpacked(seen.inputs), time.expand(2), conditioning)
    assert again.shape[1:] == decoder.family.latent_shape
    torch.testing.assert_close(again, unpacked(output), rtol=1e-4, atol=1e-5)


def test_alignment_lowers_the_distance(case: Any) -> None:
    _, _, decoder = case
    torch.manual_seed(0)
    with torch.no_grad():
        target = decoder.embed_captions(CAPTIONS)
    head = LinearHead(input_width=8, num_signal_tokens=2, spec=decoder.spec)
    hidden, losses = torch.randn(2, 2, 8), []
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(20):
        loss = alignment_loss(head(hidden, hidden), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.9 * losses[0]
    with torch.no_grad():
        assert torch.isfinite(decoder.loss(latents(decoder), head(hidden, hidden), seeded(0)))


def test_captions_pass_gradients_when_they_are_wanted(case: Any) -> None:
    _, _, decoder = case
    decoder.zero_grad()
    decoder.loss(latents(decoder), decoder.embed_captions(CAPTIONS), seeded(0)).backward()
    gradients = [p.grad for p in decoder.pipeline.text_encoder.parameters()]
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_what_decides_captions_is_named(case: Any) -> None:
    _, _, decoder = case
    decoder.zero_grad()
    embeds, _, pooled = decoder.embed_captions(CAPTIONS)
    (embeds.sum() if pooled is None else embeds.sum() + pooled.sum()).backward()
    used = {name for name, weight in decoder.named_parameters() if weight.grad is not None}
    origin = decoder.captioning()
    named = {id(weight) for part in origin.modules for weight in part.parameters()}
    assert used and used <= {n for n, p in decoder.named_parameters() if id(p) in named}
    facts = json.dumps([dict(origin.metadata()), dict(decoder.encoding().metadata())])
    decoder.sample(decoder.unconditional(1), steps=2, guidance=3.0)
    assert json.dumps([dict(origin.metadata()), dict(decoder.encoding().metadata())]) == facts


def test_loss_passes_gradients_to_conditioning(case: Any) -> None:
    name, _, decoder = case
    spec = decoder.spec
    embeds = torch.randn(2, spec.length, spec.width, generator=seeded(2)).requires_grad_()
    pooled = None if spec.pooled is None else torch.randn(2, spec.pooled).requires_grad_()
    mask = torch.ones(2, spec.length, dtype=torch.bool)
    mask[1, 5:] = False
    decoder.loss(latents(decoder), Conditioning(embeds, mask, pooled), seeded(0)).backward()
    assert embeds.grad is not None and torch.isfinite(embeds.grad).all()
    assert embeds.grad[0].abs().sum() > 0
    assert pooled is None or (pooled.grad is not None and pooled.grad.abs().sum() > 0)
    if FAMILIES[name].masked:
        assert embeds.grad[1, 5:].abs().max() < 1e-6


def test_loss_of_media_is_the_loss_of_their_latents(case: Any) -> None:
    _, _, decoder = case
    batch = torch.stack([decoder.prepare(medium(decoder, seed)) for seed in range(2)])
    assert batch.shape[1:] == decoder.family.media_shape and batch.abs().max() <= 1.2
    encoded = decoder.encode(batch)
    assert encoded.shape[1:] == decoder.family.latent_shape and not encoded.requires_grad
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        a = decoder.loss(batch, conditioning, seeded(3))
        b = decoder.loss(encoded, conditioning, seeded(3))
        other = decoder.loss(encoded, conditioning, seeded(4))
    assert torch.equal(a, b) and not torch.equal(a, other)


def by_definition(
    prediction: str, scheduler: Any, clean: Tensor, noise: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Input, time and target as papers and schedulers define them, written out once more."""
    level = levels.view(-1, *[1] * (clean.ndim - 1))
    if prediction == "flow_prediction":  # a straight line from picture to noise
        return (1 - level) * clean + level * noise, 1000 * levels, noise - clean
    if isinstance(scheduler, CosineDPMSolverMultistepScheduler):  # Karras et al. 2022, with -v
        s, d = level, scheduler.config.sigma_data
        noisy, root = clean + s * noise, (s**2 + d**2).sqrt()
        target = (d**2 / root**2 * noisy - clean) * root / (s * d)
        return noisy / root, levels.atan() / math.pi * 2, target
    kept = scheduler.alphas_cumprod[level].float()
    noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    v = kept.sqrt() * noise - (1 - kept).sqrt() * clean
    return noisy, levels, noise if prediction == "epsilon" else v


def test_loss_is_that_of_the_scheduler_s_definition(case: Any) -> None:
    name, _, decoder = case
    scheduler, clean, generator = decoder.pipeline.scheduler, latents(decoder), seeded(5)
    noise = torch.randn(clean.shape, generator=generator)
    levels = sample_noise_levels(scheduler, 2, generator, tokens=decoder.family.tokens)
    prediction = FAMILIES[name].prediction
    inputs, times, target = by_definition(prediction, scheduler, clean, noise, levels)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        output = decoder.family.denoise(inputs, times, decoder.family.apply_mask(conditioning))
        loss = decoder.loss(clean, conditioning, seeded(5))
    torch.testing.assert_close(loss, F.mse_loss(output, target), rtol=1e-4, atol=1e-5)


def test_loss_after_sampling_is_the_loss_before(case: Any) -> None:
    _, _, decoder = case
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        before = decoder.loss(latents(decoder), conditioning, seeded(0))
        decoder.sample(conditioning, steps=3, guidance=1.0, generator=seeded(0))
        assert torch.equal(before, decoder.loss(latents(decoder), conditioning, seeded(0)))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_items_of_a_batch_are_what_they_are_alone(case: Any, guidance: float) -> None:
    _, _, decoder = case
    with torch.no_grad():
        both = decoder.embed_captions(CAPTIONS)
    ask: dict[str, Any] = {"steps": 3, "guidance": guidance}
    batch = decoder.sample(both, **ask, generator=[seeded(7), seeded(8)])
    again = decoder.sample(both, **ask, generator=[seeded(7), seeded(8)])
    for i, (made, same) in enumerate(zip(batch, again, strict=True)):
        assert isinstance(made, decoder.media)
        assert np.array_equal(values(made), values(same))
        single = Conditioning(*(None if part is None else part[i : i + 1] for part in both))
        (alone,) = decoder.sample(single, **ask, generator=[seeded(7 + i)])
        tolerance = 1.0 if decoder.media is not Audio else 1e-4
        np.testing.assert_allclose(values(made), values(alone), atol=tolerance)
    assert not np.array_equal(values(batch[0]), values(batch[1]))


def test_progress_counts_the_steps(case: Any) -> None:
    _, _, decoder = case
    seen: list[tuple[int, int]] = []
    made = decoder.sample(
        decoder.unconditional(2),
        steps=4,
        guidance=2.0,
        generator=seeded(0),
        progress=lambda step, steps: seen.append((step, steps)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(made) == 2


def test_media_come_out_as_they_go_in(case: Any) -> None:
    _, _, decoder = case
    (made,) = decoder.sample(decoder.unconditional(1), steps=2, guidance=1.0, generator=seeded(0))
    prepared = decoder.prepare(made)
    if isinstance(made, Audio):
        assert made.rate == 800 and made.samples.shape == decoder.family.media_shape
        np.testing.assert_array_equal(prepared.numpy(), made.samples)
    else:
        pixels = made.frames if isinstance(made, Video) else made.pixels[None]
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (
            *decoder.family.media_shape[-2:],
            3,
        )
        back = prepared if prepared.ndim == 4 else prepared[:, None]  # (3, T, H, W)
        np.testing.assert_allclose(
            (back.permute(1, 2, 3, 0).numpy() + 1) * 127.5, pixels, atol=1e-3
        )


def test_unconditional_follows_the_weights(case: Any) -> None:
    name, _, decoder = case
    first = decoder.unconditional(2)
    wanted = (3, decoder.spec.length, decoder.spec.width)
    assert decoder.unconditional(3).embeds.shape == wanted
    assert decoder.unconditional(2).embeds.data_ptr() == first.embeds.data_ptr()
    kept = {k: v.clone() for k, v in decoder.pipeline.text_encoder.state_dict().items()}
    with torch.no_grad():
        for weight in decoder.pipeline.text_encoder.parameters():
            weight.mul_(1.5)
    changed = decoder.unconditional(2)
    same = torch.equal(changed.embeds, first.embeds)
    if first.pooled is not None:
        same = same and torch.equal(changed.pooled, first.pooled)
    assert same == (name == "stable_diffusion_xl")  # where it is zero, whatever the weights
    decoder.pipeline.text_encoder.load_state_dict(kept)
    torch.testing.assert_close(decoder.unconditional(2).embeds, first.embeds)


def test_wrong_shapes_are_named(case: Any) -> None:
    _, _, decoder = case
    good = decoder.unconditional(2)
    wrong = good._replace(embeds=good.embeds[:, :-1], mask=good.mask[:, :-1])
    with pytest.raises(ValueError, match=f"{decoder.spec.length}, {decoder.spec.width}"):
        decoder.sample(wrong, steps=2, guidance=1.0)
    if decoder.spec.pooled is not None:
        with pytest.raises(ValueError, match=f"width {decoder.spec.pooled}, not None"):
            decoder.loss(latents(decoder), good._replace(pooled=None))
    with pytest.raises(ValueError, match="3 media .* 2"):
        decoder.loss(latents(decoder, 3), good)
    with pytest.raises(ValueError, match="neither prepared media"):
        decoder.loss(torch.zeros(2, 5), good)
    with pytest.raises(ValueError, match="steps=0"):
        decoder.sample(good, steps=0, guidance=1.0)
    with pytest.raises(TypeError, match="cannot learn from str"):
        decoder.prepare("a ball")


def named(decoder: DiffusionDecoder) -> dict[str, Any]:
    """What a decoder is, wherever it came from and whatever its parts are set to."""
    beside = ("source", "settings")
    return {key: value for key, value in decoder.identity().items() if key not in beside}


def test_another_scheduler_keeps_what_was_learned(case: Any) -> None:
    name, _, decoder = case
    old = decoder.pipeline.scheduler
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        before = decoder.loss(latents(decoder), conditioning, seeded(0))
        for scheduler in FAMILIES[name].schedulers:
            new = DiffusionDecoder(
                decoder.pipeline, scheduler=scheduler, **FAMILIES[name].options
            ).eval()
            assert named(new) == named(decoder) | {"scheduler": scheduler}
            after = new.loss(latents(new), conditioning, seeded(0))
            torch.testing.assert_close(after, before)  # the same levels, inputs and targets
            captions = CAPTIONS[:1] if FAMILIES[name].alone else CAPTIONS
            made = ours(new, captions, 1.0)
            assert_made_alike(new, made, theirs(FAMILIES[name], new, captions, 1.0))
            again = zip(made, ours(new, captions, 1.0), strict=True)
            assert all(np.array_equal(values(a), values(b)) for a, b in again), "by the seed alone"
            decoder.pipeline.scheduler = old


def test_an_autoencoder_takes_items_one_by_one(case: Any) -> None:
    name, _, decoder = case
    vae = decoder.pipeline.vae
    batch = torch.stack([decoder.prepare(medium(decoder, seed)) for seed in range(2)])
    if not FAMILIES[name].sliced:
        with pytest.raises(ValueError, match="vae_tiling=True spares memory too"):
            DiffusionDecoder(decoder.pipeline, vae_slicing=True, **FAMILIES[name].options)
        return
    captions = CAPTIONS[:1] if FAMILIES[name].alone else CAPTIONS
    whole, made = decoder.encode(batch), ours(decoder, captions, 1.0)
    sliced = DiffusionDecoder(decoder.pipeline, vae_slicing=True, **FAMILIES[name].options)
    try:
        assert vae.use_slicing
        torch.testing.assert_close(sliced.encode(batch), whole)
        assert_made_alike(decoder, ours(sliced, captions, 1.0), made)
    finally:
        vae.disable_slicing()


# ---- the objective, against the schedulers' own definitions -------------------------------------

CLEAN = torch.randn(3, 2, 4, generator=seeded(10))
NOISE = torch.randn(3, 2, 4, generator=seeded(11))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_variance_preserving_objective(kind: str) -> None:
    scheduler = DDPMScheduler(prediction_type=kind)
    times = torch.tensor([0, 400, 999])
    got = add_noise(scheduler, CLEAN, NOISE, times)
    torch.testing.assert_close(got.inputs, scheduler.add_noise(CLEAN, NOISE, times))
    wanted = {
        "epsilon": NOISE,
        "sample": CLEAN,
        "v_prediction": scheduler.get_velocity(CLEAN, NOISE, times),
    }
    torch.testing.assert_close(got.target, wanted[kind])
    assert torch.equal(got.timesteps, times)


def test_sigma_scaled_scheduler_shows_the_network_the_same() -> None:
    scheduler = EulerDiscreteScheduler(prediction_type="epsilon", timestep_spacing="linspace")
    scheduler.set_timesteps(1000)
    time = scheduler.timesteps[300]
    noisy = scheduler.add_noise(CLEAN, NOISE, time.expand(3))
    shown = scheduler.scale_model_input(noisy, time)
    got = add_noise(scheduler, CLEAN, NOISE, time.long().expand(3))
    torch.testing.assert_close(got.inputs, shown, rtol=1e-4, atol=1e-4)


def test_flow_objective() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler()
    times = scheduler.timesteps[[0, 400, 999]]
    got = add_noise(scheduler, CLEAN, NOISE, times / 1000)
    torch.testing.assert_close(got.inputs, scheduler.scale_noise(CLEAN, times, NOISE))
    torch.testing.assert_close(got.timesteps, times)
    assert torch.equal(got.target, NOISE - CLEAN)
    solver = nano.flow_scheduler()
    assert prediction_type(scheduler) == prediction_type(solver) == "flow_prediction"


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    "build", [CosineDPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler]
)
def test_preconditioned_objective(build: Any, kind: str) -> None:
    scheduler = build(prediction_type=kind)
    s = torch.tensor([0.3, 2.0, 40.0])
    got = add_noise(scheduler, CLEAN, NOISE, s)
    d, s = scheduler.config.sigma_data, s.view(3, 1, 1)
    noisy, root = CLEAN + s * NOISE, (s**2 + d**2).sqrt()
    sign = {"epsilon": 1, "v_prediction": -1}[kind]
    target = (CLEAN - d**2 / root**2 * noisy) / (sign * s * d / root)
    torch.testing.assert_close(got.inputs, noisy / root)
    torch.testing.assert_close(got.target, target, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.timesteps, scheduler.precondition_noise(s.flatten()))


@pytest.mark.parametrize(
    "scheduler",
    [
        nano.flow_scheduler(),
        DPMSolverMultistepScheduler(prediction_type="epsilon"),
        DPMSolverMultistepScheduler(prediction_type="v_prediction"),
        DPMSolverMultistepScheduler(prediction_type="sample"),
        EDMDPMSolverMultistepScheduler(sigma_data=1.0),
    ],
    ids=lambda s: f"{type(s).__name__}-{prediction_type(s)}",
)
def test_solver_reaches_the_clean_item_with_perfect_targets(scheduler: Any) -> None:
    """Sampling undoes what the objective does, whichever way a scheduler writes it."""
    scheduler.set_timesteps(12)
    sample = NOISE * scheduler.init_noise_sigma
    flow = prediction_type(scheduler) == "flow_prediction"
    for i, time in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(sample, time)
        s = scheduler.sigmas[i]
        alpha, spread = (1 - s, s) if flow else (1 / (1 + s**2).sqrt(), s / (1 + s**2).sqrt())
        if hasattr(scheduler, "precondition_outputs"):
            alpha, spread = torch.tensor(1.0), s
        noise = (sample - alpha * CLEAN) / spread
        if flow or hasattr(scheduler, "precondition_outputs"):
            level = s.expand(3)
        else:
            level = time.expand(3)
        target = add_noise(scheduler, CLEAN, noise, level).target
        sample = scheduler.step(target, time, sample).prev_sample
    torch.testing.assert_close(sample, CLEAN, rtol=1e-3, atol=5e-3)


def test_levels_stay_in_the_scheduler_s_range() -> None:
    flow = sample_noise_levels(nano.flow_scheduler(), 4000, seeded(0))
    assert flow.min() > 0 and flow.max() < 1 and math.isclose(flow.mean(), 0.5, abs_tol=0.02)
    shifted = sample_noise_levels(FlowMatchEulerDiscreteScheduler(shift=3.0), 4000, seeded(0))
    torch.testing.assert_close(shifted, 3 * flow / (1 + 2 * flow))
    dynamic = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    for tokens, mu in ((256, 0.5), (4096, 1.15)):
        moved = sample_noise_levels(dynamic, 4000, seeded(0), tokens=tokens)
        torch.testing.assert_close(moved, dynamic.time_shift(mu, 1.0, flow))
    steps = sample_noise_levels(DDPMScheduler(num_train_timesteps=50), 4000, seeded(0))
    assert steps.dtype == torch.int64 and (steps.min(), steps.max()) == (0, 49)
    scheduler = CosineDPMSolverMultistepScheduler()
    before = sample_noise_levels(scheduler, 4000, seeded(0))
    scheduler.set_timesteps(3)
    assert torch.equal(before, sample_noise_levels(scheduler, 4000, seeded(0)))
    assert 0.299 < before.min() < 0.31 and 490 < before.max() <= 500.1


def test_unknown_objective_is_named() -> None:
    with pytest.raises(ValueError, match="no training target"):
        prediction_type(LCMScheduler(prediction_type="what"))


# ---- the families -------------------------------------------------------------------------------


# ---- opening -------------------------------------------------------------------------------------


def test_unknown_pipeline_is_named_before_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(
        json.dumps({"_class_name": "KandinskyPipeline", "_diffusers_version": "0.42.1"})
    )
    with pytest.raises(ValueError, match=r"KandinskyPipeline.*supported are .*LattePipeline"):
        DiffusionDecoder.from_pretrained(tmp_path)


def test_options_reach_the_family(tmp_path: Path) -> None:
    latte().save_pretrained(tmp_path / "latte")
    decoder = DiffusionDecoder.from_pretrained(tmp_path / "latte", fps=4.0)
    (made,) = decoder.sample(decoder.unconditional(1), steps=1, guidance=1.0)
    assert made.fps == 4.0 and len(made.frames) == 3
    frames = np.arange(9, dtype=np.uint8)[:, None, None, None].repeat(16, 1).repeat(16, 2)
    prepared = decoder.prepare(Video(frames.repeat(3, 3), 12.0))  # the same 0.75 s at three times
    assert ((prepared[0, :, 0, 0] + 1) * 127.5).round().tolist() == [0, 3, 6]
    sound = DiffusionDecoder(stable_audio(), seconds=0.25)
    (audio,) = sound.sample(sound.unconditional(1), steps=1, guidance=1.0)
    assert audio.samples.shape == (1, 200)
    assert sound.prepare(audio).shape == sound.family.media_shape
    with pytest.raises(ValueError, match="up to 0.3"):
        DiffusionDecoder(stable_audio(), seconds=9.0)


def test_sizes_that_a_pipeline_cannot_make_are_named() -> None:
    for build, options, message in (
        (flux, {"size": 17}, "multiple of 2 pixels"),
        (flux, {"size": 18}, "multiple of 4 pixels"),
        (z_image, {"size": 18}, "multiple of 4 pixels"),
        (ltx, {"frames": 6, "height": 32, "width": 32}, "frames=6.*nearest below is 5"),
        (ltx, {"frames": 5, "height": 16, "width": 32}, "height=16.*32 pixels"),
        (wan, {"frames": 5, "height": 16, "width": 24}, "width=24.*16 pixels"),
        (cogvideox, {"frames": 13}, "frames=13.*nearest below is 9"),
        (audioldm, {"seconds": 0}, "seconds=0"),
    ):
        with pytest.raises(ValueError, match=message):
            DiffusionDecoder(build(), **options)


def test_pipelines_of_which_only_a_part_would_learn_are_refused(tmp_path: Path) -> None:
    two = wan()
    two.register_modules(transformer_2=two.transformer)
    with pytest.raises(ValueError, match="Wan of one network"):
        DiffusionDecoder(two)
    two.save_pretrained(tmp_path)
    for file in tmp_path.rglob("*"):  # its index tells, before anything is read or fetched
        if file.is_file() and file.name != "model_index.json":
            file.unlink()
    for weights in (True, False):
        with pytest.raises(ValueError, match="Wan of one network"):
            DiffusionDecoder.from_pretrained(tmp_path, weights=weights)
    later = cogvideox()
    later.transformer.register_to_config(patch_size_t=2)
    with pytest.raises(ValueError, match=r"CogVideoX 1\.0"):
        DiffusionDecoder(later)


def test_a_noise_level_for_an_autoencoder_that_takes_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"decode_timestep=0\.05.*leave both out"):
        DiffusionDecoder(ltx(), frames=5, height=32, width=64, decode_timestep=0.05)


def test_audioldm_2_generates_with_the_body_of_a_language_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pipeline = audioldm_2()
    wanted = DiffusionDecoder(pipeline).embed_captions(CAPTIONS)
    pipeline.register_modules(language_model=pipeline.language_model.transformer)
    pipeline.save_pretrained(tmp_path / "published")
    decoder = DiffusionDecoder.from_pretrained(tmp_path / "published")
    assert not any(p.is_meta for p in decoder.parameters())
    for one, other in zip(decoder.embed_captions(CAPTIONS)[:2], wanted[:2], strict=True):
        torch.testing.assert_close(one, other)
    decoder.save_pretrained(tmp_path / "again")
    again = DiffusionDecoder.from_pretrained(tmp_path / "again")
    torch.testing.assert_close(again.embed_captions(CAPTIONS).embeds, wanted.embeds)
    pipeline.text_encoder_2.config.model_type = "vits"
    with pytest.raises(ValueError, match="transcripts"):
        DiffusionDecoder(pipeline)


def test_a_tone_is_in_its_band_of_the_spectrogram() -> None:
    decoder = DiffusionDecoder(audioldm(), seconds=0.5)
    assert decoder.family.media_shape == (1, 400) and decoder.family.latent_shape == (4, 50, 4)
    seen: list[Tensor] = []
    encode = decoder.pipeline.vae.encode
    decoder.pipeline.vae.encode = lambda rows: (seen.append(rows), encode(rows))[1]
    waves = torch.sin(2 * math.pi * torch.tensor([[60.0], [300.0]]) * torch.arange(400) / 800)
    decoder.encode(waves.unsqueeze(1))
    assert seen[0].shape == (2, 1, 100, 8)
    low, high = seen[0].mean(dim=(1, 2)).argmax(dim=-1).tolist()
    assert low < 3 < 5 < high


def test_another_scheduler_is_saved_with_its_settings(tmp_path: Path) -> None:
    stable_diffusion().save_pretrained(tmp_path / "as it was")
    wanted = {"name": "DPMSolverMultistepScheduler", "solver_order": 3}
    new = DiffusionDecoder.from_pretrained(tmp_path / "as it was", scheduler=wanted)
    new.save_pretrained(tmp_path / "as it is")
    again = DiffusionDecoder.from_pretrained(tmp_path / "as it is")
    assert named(again) == named(new)
    assert again.pipeline.scheduler.config.solver_order == 3


def test_schedulers_that_do_not_fit_are_named() -> None:
    for build, wanted, message in (
        (sigma, "DDIMScheduler", "than flow_prediction"),
        (sigma, "FlowMatchEulerDiscreteScheduler", "no init_noise_sigma"),
        (alpha, "FlowMatchEulerDiscreteScheduler", "than epsilon"),
        (alpha, {"name": "DDIMScheduler", "prediction_type": "sample"}, "than epsilon"),
        (stable_diffusion, "EDMEulerScheduler", "than v_prediction"),
        (stable_audio_open, "EDMDPMSolverMultistepScheduler", "other things"),
        (alpha, "DiffusionPipeline", "names no scheduler"),
        (alpha, {"solver_order": 2}, "names no scheduler"),
        (alpha, {"name": "DDIMScheduler", "steps": 4}, "steps"),
    ):
        with pytest.raises(ValueError, match=message):
            DiffusionDecoder(build(), scheduler=wanted)


def test_memory_is_spared_by_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    pipeline = sigma()
    plain = DiffusionDecoder(pipeline)
    batch = torch.rand(2, 3, 16, 16) * 2 - 1
    whole = plain.encode(batch)
    spared = DiffusionDecoder(pipeline, vae_slicing=True, vae_tiling=True)
    assert pipeline.vae.use_slicing and pipeline.vae.use_tiling
    torch.testing.assert_close(spared.encode(batch), whole)
    pipeline = stable_diffusion()
    pipeline.vae = AsymmetricAutoencoderKL()
    with pytest.raises(ValueError, match="AsymmetricAutoencoderKL has no tiling"):
        DiffusionDecoder(pipeline, vae_tiling=True)
    with pytest.raises(ValueError, match="offload='disk' is not known"):
        DiffusionDecoder(pipeline, offload="disk")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no accelerator"):
        DiffusionDecoder(pipeline, offload="model")


@pytest.mark.parametrize("how", ["model", "group", "leaf"])
@pytest.mark.parametrize("name", FAMILIES)
def test_offloaded_weights_make_the_same(
    name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.accelerator.is_available():  # the same hooks, from the CPU to the CPU
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    torch.manual_seed(0)
    known = FAMILIES[name]
    pipeline = known.build()
    tensors, media = [], []
    for offload in (None, how):
        decoder = DiffusionDecoder(pipeline, offload=offload, **known.options).eval()
        with torch.no_grad():
            conditioning = decoder.embed_captions(CAPTIONS)
            encoded = decoder.encode(decoder.prepare(medium(decoder))[None])
            made = decoder.sample(conditioning, steps=2, guidance=3.0, generator=seeded(0))
        tensors.append([conditioning.embeds.cpu(), encoded.cpu()])
        media.append(values(made[0]))
    for there, here in zip(*tensors, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-3)
    tolerance = 0.02 * media[0].std() if decoder.media is Audio else 2
    np.testing.assert_allclose(media[1], media[0], atol=tolerance)


def test_package_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    monkeypatch.delitem(sys.modules, "decoders", raising=False)
    with pytest.raises(ImportError, match=r"import anymodal\.decoders"):
        importlib.import_module("decoders")


# ---- the nano pipelines and their autoencoders ---------------------------------------------------


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_nano_sizes() -> None:
    words = tokenizer()
    picture, video, sound = nano.nano_image(words), nano.nano_video(words), nano.nano_audio(words)
    assert parameters(picture.transformer) <= 3.0e6
    assert parameters(video.transformer) <= 3.5e6
    assert parameters(sound.transformer) <= 2.2e6
    assert parameters(picture.vae) <= 0.9e6 and parameters(sound.vae) <= 1.5e6
    assert DiffusionDecoder(picture).family.latent_shape == (4, 16, 16)
    assert DiffusionDecoder(video).family.latent_shape == (4, 8, 16, 16)
    assert DiffusionDecoder(sound, seconds=2.0).family.latent_shape == (16, 125)


def train(loss: torch.nn.Module, batch: Tensor, steps: int) -> list[float]:
    optimiser = torch.optim.Adam(loss.parameters(), 3e-3)
    totals = []
    for _ in range(steps):
        total = sum(loss(batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total))
    return totals


def test_picture_autoencoder_learns() -> None:
    torch.manual_seed(0)
    loss = PictureAutoencoderLoss(small_vae())
    batch = torch.ones(2, 3, 16, 16)
    batch[:, :, 4:12, 4:12] = -1
    assert set(loss(batch)) >= {"l1", "edge", "kl"}
    totals = train(loss, batch, 20)
    assert totals[-1] < 0.75 * totals[0]


def test_waveform_autoencoder_learns() -> None:
    torch.manual_seed(0)
    vae = nano.audio_autoencoder(width=8, ratios=(4, 4), multiples=(1, 2), rate=800)
    loss = WaveformAutoencoderLoss(vae, windows=(64, 32))
    batch = torch.sin(torch.arange(512) * 0.3).expand(2, 1, -1) * 0.5
    assert set(loss(batch)) >= {"stft", "l2"}
    totals = train(loss, batch, 20)
    assert totals[-1] < 0.85 * totals[0]
    assert all(math.isfinite(float(v)) for v in loss(torch.zeros(2, 1, 512)).values())


def test_a_lapped_transform_gives_back_what_it_split() -> None:
    bands = nano.lapped_transform(4)[:, None]  # (4, 1, 8)
    wave = torch.randn(1, 1, 40)
    split = F.conv1d(wave, bands, stride=4, padding=2)
    joined = F.conv_transpose1d(split, bands, stride=4, padding=2)
    torch.testing.assert_close(joined[..., 8:-8], wave[..., 8:-8])


def test_an_autoencoder_of_sound_starts_as_one() -> None:
    wave = 0.3 * torch.sin(torch.arange(2048) / 5)[None, None]
    for seed in range(3):
        torch.manual_seed(seed)
        vae = nano.audio_autoencoder(width=16, ratios=(4,), multiples=(2,))
        again = vae.decode(vae.encode(wave).latent_dist.mode()).sample
        both = torch.stack([wave.flatten(), again.flatten()])[:, 30:-30]
        assert torch.corrcoef(both)[0, 1] > 0.6


def test_waveform_latents_get_unit_variance_and_decode_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = nano.audio_autoencoder(width=8, ratios=(4, 4), multiples=(1, 2), rate=800)
    batch = torch.randn(2, 1, 512)
    with torch.no_grad():
        before = vae.encode(batch).latent_dist
        decoded = vae.decode(before.mode()).sample
        deviation = normalise_latents(vae, batch)
        vae.save_pretrained(tmp_path)
        vae = type(vae).from_pretrained(tmp_path)
        after = vae.encode(batch).latent_dist
        torch.testing.assert_close(after.mode() * deviation, before.mode(), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(float(after.mode().std()), 1.0, atol=1e-4, rtol=0)
        torch.testing.assert_close(vae.decode(after.mode()).sample, decoded, atol=1e-5, rtol=1e-4)


def test_picture_latents_get_unit_variance(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pipeline = sigma()
    batch = torch.rand(4, 3, 16, 16) * 2 - 1
    normalise_latents(pipeline.vae, batch)
    pipeline.save_pretrained(tmp_path)
    encoded = DiffusionDecoder.from_pretrained(tmp_path).encode(batch)
    torch.testing.assert_close(float(encoded.std()), 1.0, atol=1e-4, rtol=0)
    with torch.no_grad():
        for weight in pipeline.vae.parameters():
            weight.zero_()
    with pytest.raises(ValueError, match="standard deviation is 0"):
        normalise_latents(pipeline.vae, batch)


@pytest.mark.parametrize("build", [sigma, latte, stable_audio])
def test_joint_training_in_bfloat16_lowers_the_loss(build: Any) -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(build())
    learned = [decoder.parts["transformer"], decoder.parts["text_encoder"]]
    weights = [p for part in learned for p in part.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(weights, 1e-2)
    clean, losses = latents(decoder).repeat_interleave(4, dim=0), []
    for step in range(50):
        with torch.autocast("cpu", torch.bfloat16):
            conditioning = decoder.embed_captions([c for c in CAPTIONS for _ in range(4)])
            loss = decoder.loss(clean, conditioning, seeded(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
