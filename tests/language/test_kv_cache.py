"""Reused prefixes and batches change no reply."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
)

from anymodal.language.generation import generate, generate_batch
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from tests.support.language_kinds import (
    ids_in,
    llama_like,
    make,
    nudge,
    prompt_of,
    sample_events,
    tiny_tokenizer,
    with_signals,
)


def test_reused_prefixes_change_nothing(kind):
    language, signals = with_signals(kind)
    nudge(language, signals)
    cache = PrefixCache(language)
    history: list[tuple[str, list]] = []
    reused = []
    for seed, text in enumerate(["Draw a ball", "Make it red", "What do you hear?"]):
        history.append(("user", [text]))
        segments = language.render_chat(history, True)
        ids = [token for segment in segments for token in segment.ids]
        with torch.no_grad():
            prompt = Prompt(language.embed(ids), list(ids))
        reused.append(copy.deepcopy(cache).reuse(prompt.keys))
        settings_ = Sampling(max_new_tokens=15, temperature=1.0)
        warm = list(
            generate(
                language,
                signals,
                prompt,
                settings_,
                generator=torch.Generator().manual_seed(seed),
                cache=cache,
            )
        )
        fresh = sample_events(language, signals, prompt, seed, max_new_tokens=15, temperature=1.0)
        assert ids_in(signals, warm) == ids_in(signals, fresh)
        for one, other in zip(warm, fresh, strict=True):
            if isinstance(one, SpanReady):
                torch.testing.assert_close(one.hidden, other.hidden, atol=1e-5, rtol=1e-3)
        history.append(("assistant", [ids_in(signals, warm)]))
    assert 0 == reused[0] < reused[1] < reused[2]


def test_a_cache_is_cut_where_conversations_part_and_tells_media_apart():
    language = make("llama")
    cache = PrefixCache(language)
    keys = [1, ("digest-a", 0), ("digest-a", 1), 2]
    with torch.no_grad():
        cache.feed(torch.randn(4, 16), keys)
    assert cache.reuse([1, ("digest-a", 0), ("digest-b", 1), 2]) == 2
    assert cache.past.get_seq_length() == 2 and cache.keys == keys[:2]
    assert cache.reuse([1, ("digest-a", 0)]) == 1  # the last position is computed again
    assert cache.reuse([7]) == 0 and cache.past.get_seq_length() == 0


def test_an_interrupted_pass_empties_the_cache():
    language, signals = with_signals("llama")
    prompt = prompt_of(language, "Draw a ball")
    cache = PrefixCache(language)

    def interrupt(*args):
        raise KeyboardInterrupt

    hook = language.model.model.layers[1].register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(generate(language, signals, prompt, cache=cache))
    hook.remove()
    settings_ = Sampling(max_new_tokens=8)
    again = ids_in(signals, generate(language, signals, prompt, settings_, cache=cache))
    assert again == ids_in(signals, generate(language, signals, prompt, settings_))


def test_a_stream_left_early_leaves_a_good_cache():
    language, signals = with_signals("llama")
    prompt = prompt_of(language, "Draw a ball")
    cache, settings_ = PrefixCache(language), Sampling(max_new_tokens=8)
    next(generate(language, signals, prompt, settings_, cache=cache))
    again = ids_in(signals, generate(language, signals, prompt, settings_, cache=cache))
    assert again == ids_in(signals, generate(language, signals, prompt, settings_))


def test_a_full_sliding_window_starts_anew():
    torch.manual_seed(0)
    build = llama_like(Gemma2Config, Gemma2ForCausalLM, True, head_dim=8, sliding_window=6)
    language = LanguageModel(build(), tiny_tokenizer()).eval()
    signals = Signals.add_to(language, {"pic": 3}, [])
    cache, settings_ = PrefixCache(language), Sampling(max_new_tokens=8)
    for text in ("Draw a ball", "Draw a bell and a drum"):
        prompt = prompt_of(language, text)
        warm = ids_in(signals, generate(language, signals, prompt, settings_, cache=cache))
        assert warm == ids_in(signals, generate(language, signals, prompt, settings_))


def test_a_batch_answers_as_each_alone(kind):
    language, signals = with_signals(kind)
    nudge(language, signals)
    texts = ["Draw a ball", "Make it green and slow, please", "What?", "red", "big", "a"]
    prompts = [prompt_of(language, text) for text in texts]
    settings_ = Sampling(max_new_tokens=24)
    together = generate_batch(language, signals, prompts, settings_)
    alone = [list(generate(language, signals, prompt, settings_)) for prompt in prompts]
    assert [ids_in(signals, e) for e in together] == [ids_in(signals, e) for e in alone]
    for ours, theirs in zip(together, alone, strict=True):
        assert [type(event) for event in ours] == [type(event) for event in theirs]
        for one, other in zip(ours, theirs, strict=True):
            if isinstance(one, SpanReady):
                torch.testing.assert_close(one.hidden, other.hidden, atol=1e-4, rtol=1e-3)


def test_a_sample_does_not_depend_on_its_company():
    language, signals = with_signals("qwen3")
    prompts = [prompt_of(language, text) for text in ("red", "Draw a ball", "big and slow")]
    free = Sampling(max_new_tokens=12, temperature=1.5)

    def seeded(seed):
        return torch.Generator().manual_seed(seed)

    together = generate_batch(
        language, signals, prompts, free, generators=[seeded(seed) for seed in (3, 4, 5)]
    )
    alone = [
        list(generate(language, signals, prompt, free, generator=seeded(seed)))
        for prompt, seed in zip(prompts, (3, 4, 5), strict=True)
    ]
    assert [ids_in(signals, e) for e in together] == [ids_in(signals, e) for e in alone]
