"""The CLIP score, against the cosine by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anymodal.media import Video
from anymodal.metrics import (
    ClipScore,
)
from tests.support.samples import figures, reply_of, sample
from tests.support.tiny import picture, sound


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with random weights."""
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: place for place, token in enumerate(tokens)}
    size = {"height": 16, "width": 16}
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size)
    CLIPProcessor(pixels, CLIPTokenizer(vocab=vocab, merges=[])).save_pretrained(folder)
    trunk = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    end = {"bos_token_id": len(vocab) - 2, "eos_token_id": len(vocab) - 1, "pad_token_id": 0}
    words = {**trunk, **end, "vocab_size": len(vocab), "max_position_embeddings": 24}
    sight = {**trunk, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=words, vision_config=sight, projection_dim=4)
    CLIPModel(config).save_pretrained(folder)
    return folder


def cosine(folder: Path, caption: str, pixels: np.ndarray) -> float:
    """100 times the cosine, from the parts of the model."""
    from transformers import CLIPModel, CLIPProcessor

    model, processor = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    given = processor(text=[caption], images=[pixels], return_tensors="pt")
    with torch.inference_mode():
        found = model(**given)
    return 100 * float((found.image_embeds * found.text_embeds).sum())


def test_clip_score_is_the_cosine_by_hand(clip: Path) -> None:
    captions = ["a ball", "a bell", "the sea", "oh", "zebra", "quick"]
    shown = [picture(n, 24) for n in range(len(captions))]
    by_hand = [cosine(clip, c, p.pixels) for c, p in zip(captions, shown, strict=True)]
    assert max(by_hand) > 1, "nothing to compare"
    pairs = [
        (sample(n, caption=c), reply_of("Look: ", p))
        for n, (c, p) in enumerate(zip(captions, shown, strict=True))
    ]
    pairs += [
        (sample("none", caption="a ball"), reply_of("I can't")),
        (sample("not"), reply_of("hi")),
    ]
    assert figures(ClipScore(str(clip)), pairs) == {
        "clip_score": pytest.approx(np.mean([max(0, x) for x in by_hand]), abs=1e-3),
        "count": 7,
        "missing": 1,
    }


def test_clip_score_of_a_clip_is_the_mean_over_its_frames(clip: Path) -> None:
    frames = np.stack([picture(n, 16).pixels for n in range(5)])
    by_hand = [cosine(clip, "zebra", frames[place]) for place in (0, 2, 4)]
    metric = ClipScore(str(clip), frames=3)
    found = figures(metric, [(sample(caption="zebra"), reply_of(sound(), Video(frames, 5.0)))])
    assert found["clip_score"] == pytest.approx(max(0, np.mean(by_hand)), abs=1e-3)
