"""Language models of several architectures at tiny size, with the tokens of two outputs."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from anymodal.language.generation import generate
from anymodal.language.model import LanguageModel
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.toybox.tokenizer import train_tokenizer
from tests.support.language_models import FAMILIES, SPARE, TEXTS


def tiny_tokenizer(template=True):
    tokenizer = train_tokenizer(TEXTS, 300)
    if not template:
        tokenizer.chat_template = None
    return tokenizer


def llama_like(config_class, model_class, tied, **more):
    def build():
        config = config_class(
            vocab_size=len(tiny_tokenizer()) + SPARE,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=128,
            tie_word_embeddings=tied,
            initializer_range=0.3,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=len(tiny_tokenizer()) - 1,
            **more,
        )
        return model_class(config)

    return build


def _gpt2():
    size = len(tiny_tokenizer())
    config = GPT2Config(
        vocab_size=size,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=128,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=size - 1,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
    )
    return GPT2LMHeadModel(config)


BUILDERS = {
    "llama": llama_like(LlamaConfig, LlamaForCausalLM, False),
    "gpt2": _gpt2,
    "gemma2": llama_like(
        Gemma2Config, Gemma2ForCausalLM, True, head_dim=8, final_logit_softcapping=20.0
    ),
    "granite": llama_like(
        GraniteConfig, GraniteForCausalLM, False, logits_scaling=1.5, embedding_multiplier=3.0
    ),
    "cohere": llama_like(CohereConfig, CohereForCausalLM, True, logit_scale=0.5),
}

KINDS = [*FAMILIES, *(kind for kind in BUILDERS if kind != "llama")]
"""The families, and what other architectures do to embeddings or scores."""

UNTIED = {"llama", "granite", *(name for name, family in FAMILIES.items() if not family.tied)}

NAMES = ["<|pic_0|>", "<|pic_1|>", "<|pic|>"]


@functools.cache
def _folder(kind: str) -> str:
    folder = Path(tempfile.mkdtemp()) / kind
    atexit.register(shutil.rmtree, folder.parent)
    torch.manual_seed(0)
    FAMILIES[kind].write(folder)
    return str(folder)


def make(kind: str, **settings) -> LanguageModel:
    torch.manual_seed(0)
    if kind in FAMILIES:
        return LanguageModel.from_pretrained(_folder(kind), **settings)
    return LanguageModel(BUILDERS[kind](), tiny_tokenizer()).eval()


def with_signals(kind: str, counts=None) -> tuple[LanguageModel, Signals]:
    language = make(kind)
    return language, Signals.add_to(language, counts or {"pic": 5, "tune": 3}, ["pic"])


def ids_of(language: LanguageModel, text: str) -> torch.Tensor:
    return torch.tensor([language.encode_text(text)])


def prompt_of(language: LanguageModel, text: str) -> Prompt:
    segments = language.render_chat([("user", [text])], True)
    ids = [token for segment in segments for token in segment.ids]
    with torch.no_grad():
        return Prompt(language.embed(ids), list(ids))


def ids_in(signals: Signals, events) -> list[int]:
    ids: list[int] = []
    for event in events:
        ids += signals.span(event.name) if isinstance(event, SpanReady) else event.ids
    return ids


def nudge(language: LanguageModel, signals: Signals) -> None:
    """Make first signals likely in answer to "Draw a ball", and all others more likely still."""
    rows = language.rows if language.tied else language.output_rows
    with torch.no_grad():
        hidden = language(prompt_of(language, "Draw a ball").embeds[None])[0, -1]
        level = language.model.get_output_embeddings()(hidden).amax()
        towards = level * hidden / hidden.square().sum()
        rows.copy_((4 * towards).expand_as(rows))
        rows[[start - signals.first_id for start in signals.starts]] = 2.5 * towards


def sample_events(language, signals, prompt, seed, **more):
    settings_ = Sampling(**{"max_new_tokens": 40, "temperature": 1.5, **more})
    generator = torch.Generator().manual_seed(seed)
    return list(generate(language, signals, prompt, settings_, generator=generator))
