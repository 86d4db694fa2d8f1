"""Replies among given texts: their likelihoods are those of whole conversations."""

from __future__ import annotations

import math

import pytest
import torch

from anymodal.language import choices as module
from anymodal.language.choices import END, Choice, TokenScores, pick_choice, tokenize_choices
from anymodal.language.generation import generate, write_reply, write_reply_batch
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.reply_state import ReplyState
from anymodal.language.sampling import Sampling
from tests.support.language_kinds import prompt_of, with_signals

TEXTS = ["Draw", "Draw a ball", "hear", "Make it green and slow."]


def likelihood(language, signals, prompt, ids) -> float:
    """Of ids and an end after a prompt, in one pass without a cache."""
    embeds = torch.cat([prompt.embeds, language.embed(list(ids))])[None]
    with torch.no_grad():
        logits = language.logits(language(embeds)[0, len(prompt.keys) - 1 :])
    shares = signals.constrain(logits, ()).float().log_softmax(-1)
    ends = shares[-1, sorted(language.stops)].logsumexp(0)
    return float(shares[range(len(ids)), list(ids)].sum() + ends)


def test_likelihoods_are_those_of_whole_replies(kind, monkeypatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(module, "POSITIONS_AT_ONCE", 5)
    language, signals = with_signals(kind)
    prompts = [prompt_of(language, text) for text in ("What do you hear?", "Make it")]
    choices = tokenize_choices(language, TEXTS)
    segments = language.render_chat([("user", ["Go"]), ("assistant", TEXTS[-1:])], False)
    learned = [token for each in segments if each.supervised for token in each.ids]
    size = len(choices[-1].ids) - 1
    assert learned[:size] == list(choices[-1].ids[:-1]) and choices[-1].ids[-1] == END
    assert language.stops.issuperset(learned[size:])
    sampling = Sampling(choices=TEXTS)
    states = [ReplyState(language, signals, prompt, sampling, None) for prompt in prompts]
    answers = write_reply_batch(states, prompts)
    for prompt, state, answer in zip(prompts, states, answers, strict=True):
        totals = [likelihood(language, signals, prompt, choice.ids[:-1]) for choice in choices]
        assert [each.logprob for each in state.probabilities] == pytest.approx(totals, abs=2e-3)
        shares = torch.tensor(totals).softmax(0).tolist()
        assert [each.probability for each in state.probabilities] == pytest.approx(shares, abs=2e-3)
        assert [event.text for event in answer] == [TEXTS[totals.index(max(totals))]]
        assert state.finish_reason == "stop"


def test_alone_and_in_a_batch_are_the_same() -> None:
    language, signals = with_signals("llama")
    prompt, sampling = prompt_of(language, "Make it"), Sampling(choices=TEXTS)
    states = [ReplyState(language, signals, prompt, sampling, None) for _ in range(2)]
    list(write_reply(states[0], prompt))
    other = prompt_of(language, "What do you hear, and what is it?")
    free = ReplyState(language, signals, other, Sampling(max_new_tokens=3), None)
    write_reply_batch([states[1], free], [prompt, other])
    alone, batched = ([each.logprob for each in state.probabilities] for state in states)
    assert alone == pytest.approx(batched, abs=1e-4)
    assert free.tokens and not free.probabilities


def test_a_prompt_is_read_once_whatever_the_choices() -> None:
    language, signals = with_signals("llama")
    prompt, cache = prompt_of(language, "What do you hear?"), PrefixCache(language)
    positions: list[tuple[int, ...]] = []
    language.backbone.register_forward_hook(
        lambda module, args, kwargs, output: positions.append(kwargs["inputs_embeds"].shape[:2]),
        with_kwargs=True,
    )
    sampling = Sampling(choices=TEXTS)
    first = list(generate(language, signals, prompt, sampling, cache=cache))
    longest = max(len(choice.ids) - 1 for choice in tokenize_choices(language, TEXTS))
    assert positions == [(1, len(prompt.keys)), (4, longest)]
    assert cache.keys == prompt.keys and cache.past.get_seq_length() == len(prompt.keys)
    assert list(generate(language, signals, prompt, sampling, cache=cache)) == first
    assert positions[2:] == [(1, 1), (4, longest)]


THREE = [Choice("a b", (1, 2, END)), Choice("a c", (1, 3, END)), Choice("d", (4, END))]
SCORES = [
    # The tokens a: 0.6 and d: 0.4; after a, b: 0.55 and c: 0.45.
    TokenScores((-3.0, -1.0, -0.5), (math.log(0.6), math.log(0.55), 0.0)),
    TokenScores((-3.0, -1.2, -0.1), (math.log(0.6), math.log(0.45), 0.0)),
    TokenScores((-3.4, -2.0), (math.log(0.4), 0.0)),
]


def test_constrained_decoding_takes_the_likeliest_token_at_each_place() -> None:
    picked, shares = pick_choice(THREE, SCORES, Sampling(choice_method="constrained"))
    assert picked.text == "a b"  # though d is the likeliest of the three as a whole
    assert [each.probability for each in shares] == pytest.approx([0.33, 0.27, 0.4])
    assert [each.logprob for each in shares] == pytest.approx([-4.5, -4.3, -5.4])


def test_likelihood_and_its_normalizations() -> None:
    for name, text in (("none", "a c"), ("tokens", "a c"), ("characters", "a c")):
        assert pick_choice(THREE, SCORES, Sampling(choice_normalization=name))[0].text == text
    shares = pick_choice(THREE, SCORES, Sampling(choice_normalization="tokens"))[1]
    expected = torch.tensor([-4.5 / 3, -4.3 / 3, -5.4 / 2]).softmax(0).tolist()
    assert [each.probability for each in shares] == pytest.approx(expected)


def test_a_temperature_draws_by_the_probabilities() -> None:
    generator = torch.Generator().manual_seed(0)
    sampling = Sampling(temperature=1.0)
    drawn = [pick_choice(THREE, SCORES, sampling, generator)[0].text for _ in range(2000)]
    expected = pick_choice(THREE, SCORES, Sampling())[1]
    for each in expected:
        assert drawn.count(each.text) / 2000 == pytest.approx(each.probability, abs=0.04)


def test_choices_that_cannot_be_told_apart_or_do_not_fit() -> None:
    language, signals = with_signals("llama")
    with pytest.raises(ValueError, match="a choice of .* tokens, where the language model has"):
        prompt = prompt_of(language, "Draw")
        long = Sampling(choices=["a ball " * 60, "b"])
        ReplyState(language, signals, prompt, long, None)
    pick = Sampling(choices=["a", "b"])
    broken = [TokenScores((float("nan"),), (0.0,))] * 2
    with pytest.raises(ValueError, match="not finite"):
        pick_choice([Choice("a", (1, END)), Choice("b", (2, END))], broken, pick)
