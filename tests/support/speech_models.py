"""A speaking model of each family of transformers, tiny and with random weights, and processors."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers as hf
from torch import nn
from transformers.models.bark import generation_configuration_bark

from anymodal.decoders import TransformersSpeaker
from anymodal.media import Audio

RATE = 24_000
LETTERS = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,!?'0123456789[]"]
POCKET = {
    "pad_token": "<pad>",
    "extra_special_tokens": {
        "audio_prompt_bos_token": "<|audio_prompt_bos|>",
        "audio_prompt_token": "<|audio_prompt|>",
        "audio_latent_token": "<|audio_latent|>",
        "audio_bos_token": "<|audio_bos|>",
    },
}
POCKET_TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}{% if part.type == 'audio' %}"
    "<|audio_prompt|>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}<|audio_bos|>"
)
VIBEVOICE_TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}{% if part.type == 'audio' %}"
    "<|vision_start|><|vision_pad|><|vision_end|>{% endif %}{% endfor %}{% endfor %}"
    "{% for message in messages %}{% for part in message.content %}{% if part.type == 'text' %}"
    "Speaker {{ message.role }} {{ part.text }}{% endif %}{% endfor %}{% endfor %}<|vision_start|>"
)
CSM_TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}{% if part.type == 'audio' %}"
    "<|AUDIO|><|audio_eos|>{% else %}[{{ message.role }}]{{ part.text }}{% endif %}{% endfor %}"
    "{% endfor %}"
)


def recording(seconds: float = 0.4) -> Audio:
    """A voice to speak in."""
    times = np.arange(round(RATE * seconds)) / RATE
    return Audio(np.sin(2 * np.pi * 220 * times).astype(np.float32) * 0.3, RATE)


def letters(*special: str, **options: Any) -> hf.PreTrainedTokenizerFast:
    """A tokenizer of letters."""
    words = {word: i for i, word in enumerate(["<pad>", *special, *LETTERS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **options)


def _pocket_parts(cls: Any, config_cls: Any, **more: Any) -> tuple[Any, Any, dict[str, Any]]:
    names = POCKET["extra_special_tokens"]
    assert isinstance(names, dict)
    words = letters(*names.values(), **POCKET)
    ids = {f"{key}_id": words.convert_tokens_to_ids(value) for key, value in names.items()}
    ids = {key: value for key, value in ids.items() if hasattr(config_cls(), key)}
    head = {"hidden_size": 16, "num_hidden_layers": 1, "latent_dim": 4, "condition_dim": 32}
    config = config_cls(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, latent_dim=4, pad_token_id=0, max_position_embeddings=256,
        flow_head_config={**head, "frequency_embedding_size": 16}, **ids, **more,
    )  # fmt: skip
    codec = hf.PocketTTSAudioTokenizerConfig(
        hidden_size=8, num_filters=2, upsampling_ratios=[6, 5, 4], num_hidden_layers=1,
        intermediate_size=8, num_attention_heads=2, num_key_value_heads=2, upsample_groups=8,
        latent_stride=16, latent_dim=4, max_position_embeddings=256,
    )  # fmt: skip
    network = hf.PocketTTSAudioTokenizerModel(codec).eval()
    processor = hf.PocketTTSProcessor(
        hf.PocketTTSFeatureExtractor(), words, network, POCKET_TEMPLATE
    )
    return cls(config).eval(), processor, {}


def pocket() -> tuple[Any, Any, dict[str, Any]]:
    return _pocket_parts(hf.PocketTTSForConditionalGeneration, hf.PocketTTSConfig)


def phonon() -> tuple[Any, Any, dict[str, Any]]:
    model, processor, _ = _pocket_parts(
        hf.GradiumPhononTTSForConditionalGeneration, hf.GradiumPhononTTSConfig, audio_prompt_dim=6
    )
    return model, processor, {"voices": {"alba": torch.randn(5, 6), "bea": torch.randn(3, 6)}}


def vibevoice() -> tuple[Any, Any, dict[str, Any]]:
    marks = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<eos>")
    words = letters(*marks, pad_token="<pad>", additional_special_tokens=[*marks])
    tower = {
        "num_filters": 2, "downsampling_ratios": [8, 10], "depths": [1, 1, 1], "hidden_size": 4,
        "ffn_expansion": 1,
    }  # fmt: skip
    config = hf.VibeVoiceConfig(
        audio_config={"model_type": "vibevoice_acoustic_tokenizer", **tower},
        semantic_model_config={"model_type": "vibevoice_acoustic_tokenizer_encoder", **tower},
        text_config={
            "model_type": "qwen2", "vocab_size": len(words), "hidden_size": 32,
            "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "max_position_embeddings": 256, "tie_word_embeddings": False,
        },
        diffusion_head_config={
            "num_hidden_layers": 1, "intermediate_size": 16, "frequency_embedding_size": 16,
        },
        pad_token_id=0, eos_token_id=4, audio_bos_token_id=1, audio_eos_token_id=2,
        audio_token_id=3,
    )  # fmt: skip
    model = hf.VibeVoiceForConditionalGeneration(config).eval()
    with torch.no_grad():  # sound follows every token
        model.get_input_embeddings().weight[:, 0] = 10.0
        model.lm_head.weight.zero_()[3, 0] = 1.0
        for weight in model.model.audio_tower.parameters():  # which is begun too quiet to be heard
            weight.normal_(0, 0.3)
    model.generation_config.max_new_tokens = 6
    extractor = hf.VibeVoiceAcousticTokenizerFeatureExtractor(pad_to_multiple_of=80)
    return model, hf.VibeVoiceProcessor(extractor, words, VIBEVOICE_TEMPLATE), {}


def dia() -> tuple[Any, Any, dict[str, Any]]:
    layer = {
        "num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "head_dim": 8,
        "num_attention_heads": 2, "num_key_value_heads": 1,
    }  # fmt: skip
    cross = {f"cross_{key}": layer[key] for key in ("num_attention_heads", "head_dim")}
    config = hf.DiaConfig(
        encoder_config={**layer, "num_key_value_heads": 2, "max_position_embeddings": 64},
        decoder_config={
            **layer, **cross, "cross_num_key_value_heads": 2, "cross_hidden_size": 16,
            "max_position_embeddings": 128,
        },
    )  # fmt: skip
    model = hf.DiaForConditionalGeneration(config).eval()
    model.generation_config.max_new_tokens = 20
    codec = hf.DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=16, downsampling_ratios=[8, 10],
        upsampling_ratios=[10, 8], n_codebooks=9, codebook_size=1024, codebook_dim=4,
        sampling_rate=44_100,
    )  # fmt: skip
    extractor = hf.DiaFeatureExtractor(sampling_rate=44_100, hop_length=80)
    processor = hf.DiaProcessor(extractor, hf.DiaTokenizer(), hf.DacModel(codec).eval())
    return model, processor, {}


def csm() -> tuple[Any, Any, dict[str, Any]]:
    words = letters("<|AUDIO|>", "<|audio_eos|>", "<bos>", pad_token="<pad>",
                    additional_special_tokens=["<|AUDIO|>", "<|audio_eos|>"])  # fmt: skip
    layer = {
        "num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "head_dim": 8,
        "num_attention_heads": 2, "num_key_value_heads": 1, "num_codebooks": 3, "vocab_size": 35,
    }  # fmt: skip
    codec = {
        "model_type": "mimi", "hidden_size": 32, "num_filters": 2,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
        "intermediate_size": 16, "codebook_size": 64, "codebook_dim": 8, "num_quantizers": 3,
        "num_semantic_quantizers": 1, "vector_quantization_hidden_dimension": 8, "head_dim": 8,
        "upsample_groups": 32,
    }  # fmt: skip
    config = hf.CsmConfig(
        **layer, text_vocab_size=len(words), max_position_embeddings=128, pad_token_id=0,
        codebook_pad_token_id=34, codebook_eos_token_id=33, bos_token_id=3, audio_token_id=1,
        audio_eos_token_id=2, codec_config=codec,
        depth_decoder_config={**layer, "backbone_hidden_size": 16, "max_position_embeddings": 4},
    )  # fmt: skip
    model = hf.CsmForConditionalGeneration(config).eval()
    model.generation_config.max_new_tokens = 4
    processor = hf.CsmProcessor(hf.EncodecFeatureExtractor(sampling_rate=RATE), words, CSM_TEMPLATE)
    return model, processor, {}


def bark() -> tuple[Any, Any, dict[str, Any]]:
    layer = {"num_layers": 1, "num_heads": 2, "hidden_size": 16, "block_size": 256}
    codec = {
        "model_type": "encodec", "hidden_size": 8, "num_filters": 2, "upsampling_ratios": [8, 5],
        "codebook_size": 32, "codebook_dim": 8, "target_bandwidths": [24.0],
        "num_lstm_layers": 1, "sampling_rate": RATE,
    }  # fmt: skip
    vocabulary = 300
    config = hf.BarkConfig(
        semantic_config={**layer, "input_vocab_size": vocabulary, "output_vocab_size": vocabulary},
        coarse_acoustics_config={
            **layer, "input_vocab_size": vocabulary, "output_vocab_size": vocabulary,
        },
        fine_acoustics_config={
            **layer, "input_vocab_size": 33, "output_vocab_size": 33, "n_codes_total": 4,
        },
        codec_config=codec,
    )  # fmt: skip
    model = hf.BarkModel(config).eval()
    settings = generation_configuration_bark.BarkGenerationConfig(
        semantic_config={
            "eos_token_id": 90, "max_new_tokens": 8, "text_encoding_offset": 100,
            "text_pad_token": 200, "semantic_infer_token": 201, "semantic_vocab_size": 90,
            "max_input_semantic_length": 32, "semantic_rate_hz": 50.0, "do_sample": True,
        },
        coarse_acoustics_config={
            "coarse_semantic_pad_token": 202, "coarse_rate_hz": 75, "n_coarse_codebooks": 2,
            "coarse_infer_token": 203, "max_coarse_input_length": 32, "max_coarse_history": 30,
            "sliding_window_len": 6, "do_sample": True,
        },
        fine_acoustics_config={
            "max_fine_history_length": 16, "max_fine_input_length": 32, "n_fine_codebooks": 4,
        },
        sample_rate=RATE, codebook_size=32,
    )  # fmt: skip
    # As it comes from a file, its parts are mappings.
    model.generation_config = hf.GenerationConfig(**settings.to_dict())
    processor = hf.BarkProcessor(letters(pad_token="<pad>"), _bark_presets())
    return model, processor, {}


def _bark_presets() -> dict[str, Any]:
    path = Path(tempfile.mkdtemp(prefix="presets-"))
    rng = np.random.default_rng(0)
    prompts = {
        "semantic_prompt": rng.integers(0, 90, 8), "coarse_prompt": rng.integers(0, 32, (2, 12)),
        "fine_prompt": rng.integers(0, 32, (4, 12)),
    }  # fmt: skip
    for key, value in prompts.items():
        np.save(path / f"en_1_{key}.npy", value)
    return {"repo_or_path": str(path), "en_1": {key: f"en_1_{key}.npy" for key in prompts}}


def speecht5() -> tuple[Any, Any, dict[str, Any]]:
    path = Path(tempfile.mkdtemp(prefix="letters-")) / "vocab.txt"
    words = hf.SpeechT5Tokenizer(_sentencepiece(path))
    config = hf.SpeechT5Config(
        vocab_size=len(words), hidden_size=16, encoder_layers=1, encoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16,
        num_mel_bins=8, speech_decoder_prenet_units=8, speaker_embedding_dim=6,
        speech_decoder_postnet_layers=2, speech_decoder_postnet_units=8, max_text_positions=40,
        positional_dropout=0.0, conv_dim=(8, 8), conv_stride=(2, 2), conv_kernel=(3, 3),
        num_feat_extract_layers=2,
    )  # fmt: skip
    vocoder = hf.SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=8, upsample_rates=[4, 4],
        upsample_kernel_sizes=[8, 8], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]],
    )  # fmt: skip
    model = hf.SpeechT5ForTextToSpeech(config).eval()
    model.speech_decoder_postnet.prob_out.bias.data.fill_(1.0)
    extractor = hf.SpeechT5FeatureExtractor(num_mel_bins=8)
    processor = hf.SpeechT5Processor(extractor, words)
    codec = hf.SpeechT5HifiGan(vocoder).eval()
    with torch.no_grad():  # which is begun too quiet to be heard
        for weight in codec.parameters():
            weight.normal_(0, 0.3)
    return model, processor, {"voices": {"anna": torch.randn(6)}, "codec": codec}


def _sentencepiece(path: Path) -> str:
    import io

    import sentencepiece

    model = io.BytesIO()
    texts = iter(["".join(LETTERS).replace(" ", "") + " hello you"] * 20)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts, model_writer=model, vocab_size=70, model_type="char",
        pad_id=1, bos_id=0, eos_id=2, unk_id=3, minloglevel=9,
    )  # fmt: skip
    path = path.with_name("spm_char.model")
    path.write_bytes(model.getvalue())
    return str(path)


FAMILIES: dict[str, Callable[[], tuple[Any, Any, dict[str, Any]]]] = {
    "pocket_tts": pocket,
    "gradium_phonon_tts": phonon,
    "vibevoice": vibevoice,
    "dia": dia,
    "csm": csm,
    "bark": bark,
    "speecht5": speecht5,
}


@functools.cache
def built(name: str) -> TransformersSpeaker:
    """A tiny speaker of a family; shared, so leave it as it is."""
    torch.manual_seed(0)
    model, processor, options = FAMILIES[name]()
    _wake(model)
    return TransformersSpeaker(model, processor, **options).eval()


def _wake(model: nn.Module) -> None:
    """Give zero weights values, so that what comes out can be heard."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1 and weight.abs().max() < 1e-3:
                weight.normal_(0, 0.1)


@functools.cache
def folder(name: str) -> Path:
    """The folder of a tiny speaker, as it is saved."""
    path = Path(tempfile.mkdtemp(prefix="speaker-"))
    built(name).save_pretrained(path)
    return path
