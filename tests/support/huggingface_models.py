"""A model of each family of transformers that is an encoder here, tiny and with random weights.

They are saved with their processors, as a hub's repository holds them, and opened from the folder.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers as hf

from anymodal.encoders import TransformersEncoder
from anymodal.encoders.transformers.families import Sizes
from anymodal.encoders.transformers.processors import PillowProcessor

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VISION = {**SMALL, "image_size": 32, "patch_size": 8}
TOKENIZER_FILES = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
TEXT = {**SMALL, **TOKENIZER_FILES, "max_position_embeddings": 12}
HALVES = [0.5, 0.5, 0.5]

Build = Callable[[], tuple[Any, Any]]


def clip() -> tuple[Any, Any]:
    config = hf.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=24)
    size = {"size": {"shortest_edge": 32}, "crop_size": 32}
    return hf.CLIPModel(config), hf.CLIPImageProcessorPil(**size)


def clip_vision() -> tuple[Any, Any]:
    return hf.CLIPVisionModel(hf.CLIPVisionConfig(**VISION)), clip()[1]


def blip2() -> tuple[Any, Any]:
    qformer = {**SMALL, "encoder_hidden_size": 32, "vocab_size": 60}
    words = {**TOKENIZER_FILES, "hidden_size": 16, "word_embed_proj_dim": 16, "ffn_dim": 16}
    text = {"model_type": "opt", **words, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**VISION, "initializer_range": 0.02}  # its own, 1e-10, sees nothing before training
    config = hf.Blip2Config(
        vision_config=vision, qformer_config=qformer, text_config=text, num_query_tokens=3
    )
    size = {"size": {"height": 32, "width": 32}}
    return hf.Blip2Model(config), hf.BlipImageProcessorPil(**size)


def instructblip() -> tuple[Any, Any]:
    """BLIP-2's parts, and a Q-Former of as many words as `bert_words` has."""
    model, processor = blip2()
    qformer = {**model.config.qformer_config.to_dict(), "vocab_size": len(bert_words())}
    config = hf.InstructBlipConfig(
        vision_config={**VISION, "initializer_range": 0.02},
        qformer_config={k: v for k, v in qformer.items() if k != "model_type"},
        text_config=model.config.text_config.to_dict(),
        num_query_tokens=3,
    )
    return hf.InstructBlipForConditionalGeneration(config), processor


def bert_words() -> Any:
    """A tokenizer of the class and the special tokens that InstructBLIP's Q-Former has."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz?.[]"
    pieces = [*marks, *letters, *(f"##{letter}" for letter in letters), "what", "is", "this"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = hf.BertTokenizer(vocab=vocabulary, truncation_side="left")
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def siglip() -> tuple[Any, Any]:
    config = hf.SiglipConfig(vision_config=VISION, text_config=TEXT)
    size = {"height": 32, "width": 32}
    return hf.SiglipModel(config), hf.SiglipImageProcessorPil(size=size)


def siglip2() -> tuple[Any, Any]:
    vision = {**SMALL, "patch_size": 8, "num_patches": 16}
    config = hf.Siglip2Config(vision_config=vision, text_config=TEXT)
    processor = hf.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=20)
    return hf.Siglip2Model(config), processor


def siglip_vision() -> tuple[Any, Any]:
    return hf.SiglipVisionModel(hf.SiglipVisionConfig(**VISION)), siglip()[1]


def siglip2_vision() -> tuple[Any, Any]:
    model, processor = siglip2()
    return hf.Siglip2VisionModel(model.config.vision_config), processor


def vit(name: str = "ViT") -> tuple[Any, Any]:
    """With a pooling layer, which a classifier's checkpoint lacks."""
    config = getattr(hf, f"{name}Config")(**VISION)
    size = {"height": 32, "width": 32}
    return getattr(hf, f"{name}Model")(config), hf.ViTImageProcessorPil(size=size)


def dinov2_with_registers() -> tuple[Any, Any]:
    config = hf.Dinov2WithRegistersConfig(**VISION, num_register_tokens=2)
    return hf.Dinov2WithRegistersModel(config), dinov2()[1]


def dinov2() -> tuple[Any, Any]:
    processor = hf.BitImageProcessorPil(size={"shortest_edge": 36}, crop_size=32)
    return hf.Dinov2Model(hf.Dinov2Config(**VISION)), processor


def dinov3() -> tuple[Any, Any]:
    config = hf.DINOv3ViTConfig(**VISION, num_register_tokens=2)
    settings = {
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": {"height": 32, "width": 32},
        "image_mean": HALVES,
        "image_std": HALVES,
    }
    return hf.DINOv3ViTModel(config), ("preprocessor_config.json", settings)


def clap(truncation: str = "rand_trunc") -> tuple[Any, Any]:
    sound = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "hidden_size": 32,
        "patch_embeds_hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "enable_fusion": truncation == "fusion",
        "fusion_type": "aff_2d" if truncation == "fusion" else None,
        "aff_block_r": 2,
    }
    config = hf.ClapConfig(audio_config=sound, text_config=TEXT, projection_dim=24)
    processor = hf.ClapFeatureExtractor(
        feature_size=16, sampling_rate=16000, max_length_s=1, hop_length=64,
        fft_window_size=256, frequency_max=8000, truncation=truncation,
    )  # fmt: skip
    return hf.ClapModel(config), processor


def ast() -> tuple[Any, Any]:
    config = hf.ASTConfig(**SMALL, max_length=64, num_mel_bins=32)
    return hf.ASTModel(config), hf.ASTFeatureExtractor(max_length=64, num_mel_bins=32)


def whisper() -> tuple[Any, Any]:
    config = hf.WhisperConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=48, num_mel_bins=16,
        max_source_positions=50, decoder_start_token_id=1, **TOKENIZER_FILES,
    )  # fmt: skip
    return hf.WhisperModel(config), hf.WhisperFeatureExtractor(feature_size=16, chunk_length=1)


def waves(name: str = "Wav2Vec2", **settings: Any) -> tuple[Any, Any]:
    """Wav2vec 2.0 or one of its kin."""
    sizes = {"conv_dim": (8, 8), "conv_kernel": (10, 4), "conv_stride": (80, 4)}
    sizes |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    if name == "Data2VecAudio":
        sizes |= {"conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 2}
    config = getattr(hf, f"{name}Config")(**SMALL, **sizes, vocab_size=40, **settings)
    return getattr(hf, f"{name}Model")(config), hf.Wav2Vec2FeatureExtractor(
        return_attention_mask=getattr(config, "feat_extract_norm", "layer") == "layer"
    )


def vjepa2() -> tuple[Any, Any]:
    config = hf.VJEPA2Config(
        patch_size=8, crop_size=32, frames_per_clip=4, hidden_size=36, num_attention_heads=2,
        num_hidden_layers=2, mlp_ratio=2.0, pred_hidden_size=36, pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )  # fmt: skip
    settings = {
        "video_processor_type": "VJEPA2VideoProcessor",
        "size": {"shortest_edge": 36},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "resample": 2,
        "image_mean": HALVES,
        "image_std": HALVES,
    }
    return hf.VJEPA2Model(config), ("video_preprocessor_config.json", settings)


CODEC = {
    "encoder_hidden_size": 4, "downsampling_ratios": [2, 4], "codebook_dim": 8,
    "hidden_size": 16, "hop_length": 8,
}  # fmt: skip
PE: dict[str, Any] = {**SMALL, "head_dim": 16}
PE_TEXT = {**SMALL, **TOKENIZER_FILES, "cls_token_id": 1, "sep_token_id": 2}
PE_SOUND = {"sampling_rate": 1000, "hop_length": 8}
PE_FILM = {
    "video_processor_type": "PeVideoVideoProcessor",
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "resample": 2,
    "size": {"height": 32, "width": 32},
    "image_mean": HALVES,
    "image_std": HALVES,
}


def pe_audio() -> tuple[Any, Any]:
    config = hf.PeAudioConfig(audio_config={**PE, "dac_config": CODEC}, text_config=PE_TEXT)
    return hf.PeAudioModel(config), hf.PeAudioFeatureExtractor(**PE_SOUND)


def _has_timm() -> bool:
    """Return True if timm can be imported, with the torchvision that it wants."""
    try:
        import timm  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        return False
    return True


TIMM = _has_timm()


def pe_frames() -> Any:
    """The configuration of a PE video's frame encoder: timm's ViT, or transformers' if absent."""
    if not TIMM:
        return hf.ViTConfig(**VISION, num_labels=12)
    sizes = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32, "patch_size": 8}
    return hf.TimmWrapperConfig(
        architecture="vit_pe_core_tiny_patch16_384",
        model_args={**sizes, "ref_feat_shape": (4, 4)},
        num_classes=12,
        num_labels=12,
    )


def pe_video() -> tuple[Any, Any]:
    config = hf.PeVideoConfig(
        video_config={**PE, "vision_config": pe_frames()}, text_config=PE_TEXT
    )
    return hf.PeVideoModel(config), PillowProcessor(PE_FILM, moving=True)


def pe_audio_video() -> tuple[Any, Any]:
    sound = {**PE, "dac_config": CODEC}
    film = {**PE, "vision_config": pe_frames()}
    both = {**PE, "audio_config": sound, "video_config": film}
    config = hf.PeAudioVideoConfig(audio_video_config=both, text_config=PE_TEXT)
    settings = {
        "processor_class": "PeAudioVideoProcessor",
        "feature_extractor": {**PE_SOUND, "feature_extractor_type": "PeAudioFeatureExtractor"},
        "video_processor": PE_FILM,
    }
    return hf.PeAudioVideoModel(config), ("processor_config.json", settings)


FAMILIES: dict[str, Build] = {
    "clip": clip,
    "clip_vision_model": clip_vision,
    "blip-2": blip2,
    "instructblip": instructblip,
    "siglip": siglip,
    "siglip2": siglip2,
    "siglip_vision_model": siglip_vision,
    "siglip2_vision_model": siglip2_vision,
    "vit": vit,
    "deit": functools.partial(vit, "DeiT"),
    "dinov2": dinov2,
    "dinov2_with_registers": dinov2_with_registers,
    "dinov3_vit": dinov3,
    "clap": clap,
    "clap-fused": functools.partial(clap, "fusion"),
    "audio-spectrogram-transformer": ast,
    "whisper": whisper,
    "wav2vec2": waves,
    "wav2vec2-layer": functools.partial(waves, feat_extract_norm="layer"),
    "hubert": functools.partial(waves, "Hubert"),
    "wavlm": functools.partial(waves, "WavLM"),
    "data2vec-audio": functools.partial(waves, "Data2VecAudio"),
    "vjepa2": vjepa2,
    "pe_audio": pe_audio,
}


FROM_PARTS: dict[str, Build] = {"pe_video": pe_video}
"""Of these, transformers opens no folder without another library (timm)."""
if TIMM:
    FAMILIES |= FROM_PARTS
    FROM_PARTS = {}


EMBEDDINGS = {
    "clip": "joint with text",
    "clip_vision_model": "pooled",
    "blip-2": "pooled",
    "instructblip": "pooled",
    "siglip": "joint with text; SigLIP 2 of fixed size too",
    "siglip2": "joint with text; any aspect, padding masked",
    "siglip_vision_model": "pooled; SigLIP 2 of fixed size too",
    "siglip2_vision_model": "pooled; any aspect, padding masked",
    "vit": "class token",
    "deit": "class token",
    "dinov2": "pooled",
    "dinov2_with_registers": "pooled",
    "dinov3_vit": "pooled",
    "clap": "joint with text",
    "audio-spectrogram-transformer": "pooled",
    "whisper": "mean, without the silence behind the audio",
    "wav2vec2": "mean over the audio",
    "hubert": "mean over the audio",
    "wavlm": "mean over the audio",
    "data2vec-audio": "mean over the audio",
    "vjepa2": "mean",
    "pe_audio": "joint with text",
    "pe_video": "joint with text; needs `anymodal[timm]`",
}
"""The documents' description of each one's embedding."""


def from_parts(build: Build) -> TransformersEncoder:
    """A new model as an encoder, from no folder."""
    model, processor = build()
    return TransformersEncoder(model.eval(), processor, Sizes(0.5, 4))


def write(build: Build, folder: Path) -> Any:
    """Save a new model and its processor; the model."""
    model, processor = build()
    model.eval().save_pretrained(folder)
    if isinstance(processor, tuple):  # one that can't be built here, as its file holds it
        name, settings = processor
        (folder / name).write_text(json.dumps(settings))
    else:
        processor.save_pretrained(folder)
    return model


def open_saved(build: Build) -> TransformersEncoder:
    """A new model, opened as a hub's would be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny"
        write(build, path)
        return TransformersEncoder.from_pretrained(str(path), seconds=0.5)
