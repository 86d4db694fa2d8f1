"""A tiny model of real parts that has learned a handful of conversations by heart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal.decoders import DiffusionDecoder
from anymodal.encoders.imagebind.encoder import ImageBind, ImageBindEncoder
from anymodal.heads import LinearHead
from anymodal.language.model import LanguageModel
from anymodal.media import IMU, Audio, Image
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection.linear import LinearProjection
from anymodal.toybox import decoders as nano
from anymodal.toybox.tokenizer import train_tokenizer
from anymodal.types import Message, Target

WIDTH, SLOTS = 32, 3
RATE = 800  # of the sounds it makes, in Hz


def picture(seed: int = 0, size: int = 16) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    return Image(pixels)


def sound(seed: int = 0, seconds: float = 2.0) -> Audio:
    count = round(16000 * seconds)
    noise = np.random.default_rng(seed).standard_normal((1, count))
    return Audio((0.1 * noise).astype(np.float32), 16000)


def felt(seed: int = 0) -> IMU:
    samples = np.random.default_rng(seed).standard_normal((6, 400))
    return IMU(samples.astype(np.float32), 200.0)


DRAWN = Target("image", "a ball")
PLAYED = Target("audio", "a ball")
REPLIES = {
    "hello": ["Hello!"],
    "draw a ball": ["Here is a ball: ", DRAWN],
    "draw and play a ball": ["Look: ", DRAWN, " and listen: ", PLAYED, " Done."],
    "what is this?": ["This is a ball."],
}
"""The tiny model's replies in the first two turns; attach media to the question alone."""


def _turn(text: str, media: tuple = ()) -> list[Message]:
    media_by_modality = {"image": picture(), "audio": sound()}
    reply = [
        Target(part.modality, part.caption, media_by_modality[part.modality])
        if isinstance(part, Target)
        else part
        for part in REPLIES[text]
    ]
    return [Message("user", [*media, text]), Message("assistant", reply)]


def conversations() -> list[list[Message]]:
    """Every answer alone and after every other one, and the question with every kind of medium."""
    alone = [_turn(text) for text in REPLIES]
    pairs = [_turn(first) + _turn(second) for first in REPLIES for second in REPLIES]
    media_sets = [(picture(),), (sound(),), (felt(),), (picture(), felt())]
    attached = [_turn("what is this?", media) for media in media_sets]
    return alone + pairs + attached


def compose(num_pointers: int = 0, references: Sequence[str] = ()) -> AnyModal:
    """Compose the tiny model, with random weights; its picture decoder may look at references."""
    torch.manual_seed(0)
    texts = [
        *REPLIES,
        *("".join(p for p in reply if isinstance(p, str)) for reply in REPLIES.values()),
    ]
    tokenizer = train_tokenizer(texts * 5, 300)
    trunk = {"width": 16, "blocks": 1, "heads": 2}
    binder = ImageBind(
        {
            "vision": {**trunk, "size": 16, "patch": 8, "clips": 2, "frame_seconds": 0.25},
            "audio": {**trunk, "mel_bins": 32, "stride": 16, "clips": 1},
            "imu": {**trunk, "samples": 400, "clip_seconds": 2.0},
        },
        embedding=16,
    ).eval()
    small = {"heads": 2, "head_width": 16, "layers": 1, "length": 8, "width": 16}
    pictures = nano.image_autoencoder(size=16, channels=(8, 8), groups=4)
    waves = nano.audio_autoencoder(width=8, ratios=(16,), multiples=(1,), rate=RATE)
    words = train_tokenizer(texts * 5, 300, chat_template=None, append_end=True)
    decoders = {
        "image": DiffusionDecoder(
            nano.nano_image(words, pictures, size=16, **small), references=references
        ).eval(),
        "audio": DiffusionDecoder(nano.nano_audio(words, waves, seconds=1.0, **small)).eval(),
    }
    modalities = {}
    for name in ("image", "audio", "imu"):
        decoder = decoders.get(name)
        spec = None if decoder is None else decoder.spec
        modalities[name] = Modality(
            encoder=ImageBindEncoder(binder, name),
            decoder=decoder,
            head=spec and LinearHead(input_width=WIDTH, num_signal_tokens=4, spec=spec),
            num_signal_tokens=4 if decoder else 0,
            sampling={"steps": 2, "guidance": 2.0},
        )
    widths = {name: modality.encoder.width for name, modality in modalities.items()}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=len(tokenizer) - 1,
    )
    language = LanguageModel(LlamaForCausalLM(config), tokenizer, name="tiny")
    projection = LinearProjection(widths=widths, output_width=WIDTH, num_tokens=SLOTS)
    return AnyModal(language, projection, modalities, num_pointers=num_pointers)


@cache
def tiny_model() -> AnyModal:
    """The tiny model, after it has learned `SAID`; shared, so leave it as it is."""
    model = compose()
    learn_by_heart(model, conversations())
    return model


def learn_by_heart(model: AnyModal, samples: Sequence[Sequence[Message]]) -> None:
    """Train a model's language model on conversations until it has them, in at most 300 steps."""
    model.requires_grad_(False)
    trained = [p.requires_grad_() for p in model.language.parameters()]
    ids, labels, positions, places = (batch := model.prompts.lay_out(samples)).packed
    with torch.no_grad():  # where soft tokens stand nothing trains, so they are computed once
        soft_tokens = model.embed(batch.prompts, ids, places)
    is_placeholder = torch.isin(
        ids, torch.tensor([model.signals.placeholder(n) for n in model.encoders])
    )
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.0)
    for _ in range(300):
        embeds = torch.where(is_placeholder[..., None], soft_tokens, model.language.embed(ids))
        loss = model.language.loss(model.language(embeds, positions=positions), labels)
        if loss < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.requires_grad_(False).eval()
