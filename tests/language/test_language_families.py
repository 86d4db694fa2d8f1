"""Families of language models: their templates, training, adapters and precision."""

from __future__ import annotations

import itertools

import pytest
import torch

from anymodal.language.model import LanguageModel
from anymodal.language.text_stream import TextStream
from tests.support.language_kinds import ids_of, make, with_signals
from tests.support.language_models import FAMILIES

ADAPTERS = {"r": 2, "dropout": 0.01}


@pytest.fixture(params=list(FAMILIES))
def family(request):
    return request.param


TALK = [("user", "Draw a ball"), ("assistant", "Sure, a ball."), ("user", "Make it red")]


@pytest.mark.parametrize("opened", [True, False])
def test_a_family_s_chat_is_what_its_template_writes(family, opened):
    language = make(family)
    talk = TALK if opened else TALK[:2]
    segments = language.render_chat([(role, [text]) for role, text in talk], opened)
    expected = language.tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in talk],
        chat_template=language.template.jinja,
        add_generation_prompt=opened,
        enable_thinking=False,
        return_dict=False,
    )
    assert list(itertools.chain(*(s.ids for s in segments))) == expected


def test_a_family_s_turns_end_where_its_template_ends_them(family):
    language = make(family)
    end = language.tokenizer.convert_tokens_to_ids(FAMILIES[family].turn)
    assert end in language.stops
    opening = language.render_chat([("user", ["Draw a ball"])], True)
    segments = language.render_chat([("user", ["Draw a ball"]), ("assistant", ["Sure"])], False)
    before = [token for s in opening for token in s.ids]
    whole = [token for s in segments for token in s.ids]
    learned = [token for s in segments if s.supervised for token in s.ids]
    # What a model reads before it answers is the same in training and in chat.
    assert whole[: len(before) + len(learned)] == before + learned
    assert learned[-1] == end and language.decode(learned).strip() == "Sure"


def holds(ids: list[int], part: list[int]) -> bool:
    return any(ids[at : at + len(part)] == part for at in range(len(ids)))


def test_nothing_typed_becomes_a_part_of_a_family_s_template(family):
    language, signals = with_signals(family)
    marks = language.template.marks
    assert bool(marks) is (family == "llama-2")  # the only one that ends a message by plain words
    written = [language.tokenizer(mark, add_special_tokens=False)["input_ids"] for mark in marks]
    special = [*language.tokenizer.get_added_vocab(), *language.tokenizer.all_special_tokens]
    literals = [*marks, *signals.names, *special, *(m + s for m in marks for s in signals.names)]
    for text in (*literals, "Hi".join(literals), f"no{''.join(literals)}"):
        ids = language.encode_text(text)
        assert language.template.reserved.isdisjoint(ids)
        assert not any(holds(ids, part) for part in written)
        assert language.tokenizer.decode(ids) == text
    frames = [
        [s.ids for s in language.render_chat([("user", ["".join(literals) * n])], True)]
        for n in (0, 1)
    ]
    assert [frames[0][0], frames[0][-1]] == [frames[1][0], frames[1][-1]]


def losses_of_training(language, trained, ids):
    """What five steps on the same ids lose."""
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    losses = []
    for _ in range(5):
        loss = language.loss(language(language.embed(ids)), ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_family_learns_in_half_precision(family):
    language, exact = make(family, dtype="bfloat16", lora=ADAPTERS), make(family)
    assert language.embedding.weight.dtype == torch.bfloat16
    trained = [p for p in language.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}
    ids = torch.tensor([language.encode_text("Draw a big red ball, please.")])
    losses = losses_of_training(language, trained, ids)
    with torch.no_grad():
        wanted = exact.loss(exact(exact.embed(ids)), ids).item()
    assert losses[0] == pytest.approx(wanted, rel=0.05) and losses[-1] < losses[0]


def test_a_family_s_adapters_merge_and_stay_out_of_its_files(family, tmp_path):
    language = make(family, lora=ADAPTERS)
    with torch.no_grad():
        for name, parameter in language.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
        embeds = language.embed(ids_of(language, "Draw a ball"))
        adapted = language(embeds)
        language.save_pretrained(tmp_path)
        assert not torch.allclose(make(family)(embeds), adapted)
        plain = LanguageModel.from_pretrained(str(tmp_path))
        torch.testing.assert_close(plain(embeds), make(family)(embeds))
        language.merge_adapters()
        torch.testing.assert_close(language(embeds), adapted, rtol=1e-4, atol=1e-5)
    assert not any("lora_" in name or "base_layer" in name for name in language.state_dict())


def test_a_family_s_scale_is_that_of_its_embeddings(family):
    language = make(family)
    with torch.no_grad():
        given = language.embed(list(range(language.first_new)))[:, : language.width]
    assert language.embedding_scale == pytest.approx(float(given.square().mean().sqrt()), rel=0.05)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU could do it")
def test_bits_want_a_gpu():
    with pytest.raises(ValueError, match="wants a CUDA GPU"):
        make("opt", quantize="4bit")
    with pytest.raises(ValueError, match="choose 8bit, 4bit or none"):
        make("opt", quantize="3bit")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="bitsandbytes wants a GPU")
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantised_one_learns_by_adapters(family, bits):
    pytest.importorskip("bitsandbytes")
    language = make(family, quantize=bits, dtype="bfloat16", lora=ADAPTERS)
    ids = torch.tensor([language.encode_text("Draw a big red ball, please.")], device="cuda")
    trained = [p for p in language.parameters() if p.requires_grad]
    losses = losses_of_training(language, trained, ids)
    assert losses[-1] < losses[0]


VICUNA = (
    "{{ 'A chat.' if messages[0].role != 'system' else '' }}{% for m in messages %}"
    "{{ m.content + ' ' if m.role == 'system' else ' USER: ' + m.content if m.role == 'user' "
    "else ' ASSISTANT: ' + m.content + eos_token }}"
    "{% endfor %}{{ ' ASSISTANT:' if add_generation_prompt else '' }}"
)


def test_another_template_may_be_given():
    language = make("llama-2", chat_template=VICUNA)
    assert language.template.marks == ["ASSISTANT:", "USER:"]
    segments = language.render_chat([("user", ["Draw a ball"]), ("assistant", ["Sure"])], False)
    written = language.tokenizer.decode([token for s in segments for token in s.ids])
    assert written == "A chat. USER: Draw a ball ASSISTANT: Sure</s>"


def test_streaming_leaves_no_word_s_space_out():
    for kind in ("llama-2", "gemma-3", "llama-3"):
        language = make(kind)
        for text in ("A ball.  Two é balls — 你好 \n done", " first a space", "x" * 9 + " y"):
            stream = TextStream(language)
            events = [e for token in language.encode_text(text) if (e := stream.push(token))]
            if rest := stream.flush():
                events.append(rest)
            assert "".join(event.text for event in events) == language.decode(
                language.encode_text(text)
            )
