"""A chat turn with each output, against the same transformers and diffusers objects by hand.

By hand is what somebody who knows both libraries would write for this model alone: a greedy loop
over the network with its cache, a span in one pass, and each pipeline's `__call__`. It has nothing
that a turn doesn't need: no events, no progress, no checks. Both sides must give the same text and
media.

    OMP_NUM_THREADS=1 python benchmarks/turn.py
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import measure
import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from anymodal import AnyModal, Message
from anymodal.io.results import markdown_table
from anymodal.media import Audio, Image, Media, Video

REQUESTS = {
    "text": "what can you do?",
    "image": "draw a small red ball",
    "audio": "play the sound of a big bell",
    "video": "film a red ball moving to the left",
}
SEED = 1


class ByHand:
    """The objects inside a model, called without it."""

    def __init__(self, model: AnyModal) -> None:
        language, signals = model.language, model.signals
        self.tokenizer, self.stops, self.starts = language.tokenizer, language.stops, signals.starts
        self.device = language.device
        self.spans = {name: self.as_batch(signals.span(name)) for name in signals.counts}
        self.network = copy.deepcopy(language.model)
        self.network.resize_token_embeddings(language.vocab_size, mean_resizing=False)
        with torch.no_grad():
            self.network.get_input_embeddings().weight[language.first_new :] = language.rows
            if not language.tied:
                self.network.lm_head.weight[language.first_new :] = language.output_rows
        self.heads = model.heads
        self.settings = {name: model.modalities[name].sampling for name in model.decoders}
        self.pipelines = {name: self._pipeline(part) for name, part in model.decoders.items()}
        self.families = {name: part.family for name, part in model.decoders.items()}
        self.empty = {name: self._nothing(name) for name in self.pipelines}

    def _pipeline(self, decoder: Any) -> Any:
        """A decoder's pipeline; a denoiser that reads references reads zeros in their place."""
        pipeline, channels = copy.copy(decoder.pipeline), int(decoder.family.latent_shape[0])
        pipeline.transformer = denoiser = copy.deepcopy(pipeline.transformer)
        if further := denoiser.config.in_channels - channels:
            # The pipeline draws noise of as many channels as this says.
            denoiser.register_to_config(in_channels=channels)
            denoiser.register_forward_pre_hook(partial(_pad, further), with_kwargs=True)
        return pipeline

    @torch.no_grad()
    def _nothing(self, name: str) -> tuple[Tensor, Tensor]:
        """The empty caption's embedding and mask, which need computing once."""
        pipeline = self.pipelines[name]
        length = min(pipeline.tokenizer.model_max_length, 120)
        tokens = pipeline.tokenizer(
            "", padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return pipeline.text_encoder(**tokens)[0], tokens.attention_mask

    def as_batch(self, ids: list[int]) -> Tensor:
        return torch.tensor([ids], device=self.device)

    def pick(self, scores: Tensor) -> int:
        return int(scores.argmax())

    def ids(self, text: str) -> Tensor:
        prompt = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            add_generation_prompt=True,
            enable_thinking=False,
            tokenize=False,
        )
        return self.as_batch(self.tokenizer(prompt, add_special_tokens=False).input_ids)

    @torch.inference_mode()
    def turn(self, text: str, seed: int) -> tuple[str, list[Media]]:
        feed, past = self.ids(text), DynamicCache(config=self.network.config)
        ids: list[int] = []
        pending = ""
        spans: list[tuple[str, Tensor, Tensor]] = []
        while True:
            embeds = self.network.get_input_embeddings()(feed)
            hidden = self.network.model(
                inputs_embeds=embeds, past_key_values=past, use_cache=True
            ).last_hidden_state
            if pending:
                spans.append((pending, hidden, embeds))
                pending = ""
            token = self.pick(self.network.lm_head(hidden[:, -1]))
            if token in self.stops:
                break
            if token in self.starts:
                pending = self.starts[token]
                feed = self.spans[pending]
            else:
                ids.append(token)
                feed = self.as_batch([token])
        media = []
        for index, (name, hidden, embeds) in enumerate(spans):
            conditioning = self.heads[name](hidden, embeds)
            generator = torch.Generator().manual_seed(seed + index)
            media.append(getattr(self, name)(conditioning, generator, **self.settings[name]))
        return self.tokenizer.decode(ids, skip_special_tokens=True), media

    def image(self, conditioning: Any, generator: Any, steps: int, guidance: float) -> Image:
        pipeline, (nothing, mask) = self.pipelines["image"], self.empty["image"]
        picture = pipeline(
            prompt_embeds=conditioning.embeds,
            prompt_attention_mask=conditioning.mask.long(),
            negative_prompt=None,
            negative_prompt_embeds=nothing,
            negative_prompt_attention_mask=mask,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            height=64,
            width=64,
            use_resolution_binning=False,
            output_type="np",
        ).images[0]
        return Image(to_bytes(picture))

    def audio(self, conditioning: Any, generator: Any, steps: int, guidance: float) -> Audio:
        pipeline, (nothing, mask) = self.pipelines["audio"], self.empty["audio"]
        samples = pipeline(
            prompt_embeds=conditioning.embeds * conditioning.mask.unsqueeze(-1),
            attention_mask=conditioning.mask.long(),
            negative_prompt_embeds=nothing * mask.unsqueeze(-1),
            negative_attention_mask=mask,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            audio_end_in_s=self.families["audio"].seconds,
            output_type="np",
        ).audios[0]
        return Audio(samples.clip(-1, 1), pipeline.vae.config.sampling_rate)

    def video(self, conditioning: Any, generator: Any, steps: int, guidance: float) -> Video:
        pipeline, (nothing, mask) = self.pipelines["video"], self.empty["video"]
        frames = pipeline(
            prompt_embeds=conditioning.embeds * conditioning.mask.unsqueeze(-1),
            negative_prompt=None,
            negative_prompt_embeds=nothing * mask.unsqueeze(-1),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            video_length=pipeline.transformer.config.video_length,
            height=64,
            width=64,
            mask_feature=False,
            output_type="np",
        ).frames[0]
        return Video(to_bytes(frames), self.families["video"].fps)

    @torch.inference_mode()
    def generate(self, text: str) -> str:
        """A text alone, by transformers' own `generate`."""
        ids = self.ids(text)
        ids_out = self.network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=256
        )
        return self.tokenizer.decode(ids_out[0, ids.shape[1] :], skip_special_tokens=True)


def _pad(
    further: int, _network: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The latents of a denoiser's call, first or by name, with further channels of zeros."""
    noisy = inputs[0] if inputs else keywords["hidden_states"]
    noisy = torch.cat([noisy, noisy.new_zeros(len(noisy), further, *noisy.shape[2:])], 1)
    return ((noisy, *inputs[1:]), keywords) if inputs else ((), keywords | {"hidden_states": noisy})


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as uint8."""
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def check(model: AnyModal, by_hand: ByHand) -> None:
    """Both sides say and make the same."""
    for kind, request in REQUESTS.items():
        reply: Message = model.chat(request, seed=SEED)
        text, media = by_hand.turn(request, SEED)
        assert reply.text == text, (reply.text, text)
        assert reply.media == media and [m.kind for m in media] == [kind] * len(media), kind
        assert len(media) == (kind != "text")
    assert model.chat(REQUESTS["text"]).text == by_hand.generate(REQUESTS["text"])


def main() -> None:
    """Compare, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=31, help="default: %(default)s")
    parser.add_argument("--model", default="nano", help="default: %(default)s")
    args = parser.parse_args()
    model = AnyModal.from_pretrained(args.model)
    by_hand = ByHand(model)
    check(model, by_hand)
    rows = []
    for kind, request in REQUESTS.items():
        sides: dict[str, Callable[[], Any]] = {
            "ours": lambda request=request: model.chat(request, seed=SEED),
            "hand": lambda request=request: by_hand.turn(request, SEED),
        }
        if kind == "text":
            sides["generate"] = lambda request=request: by_hand.generate(request)
        times = measure.alternating(sides, args.runs)
        for other, name in (("hand", kind), ("generate", f"{kind}, against `generate`")):
            if other in times:
                rows.append(
                    [
                        name,
                        measure.milliseconds(times["ours"]),
                        measure.milliseconds(times[other]),
                        measure.ratio(times["ours"], times[other]),
                        measure.ratio(times["ours"], times[other], clock=True),
                    ]
                )
                print(rows[-1], flush=True)
    header = ["output", "`chat` ms", "by hand ms", "ratio", "ratio by the clock"]
    measure.write_section("turn", markdown_table(header, rows), args.page)


if __name__ == "__main__":
    main()
