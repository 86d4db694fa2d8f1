"""The contract of LanguageModel and of generation, over several architectures at tiny size."""

from __future__ import annotations

import atexit
import copy
import functools
import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
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

from anymodal.language.generation import (
    Prompt,
    SpanReady,
    TextStream,
    TextToken,
    generate,
    generate_batch,
)
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.toybox.tokenizer import train_tokenizer
from tests.support.language_models import FAMILIES, SPARE, TEXTS


def _tokenizer(template=True):
    tokenizer = train_tokenizer(TEXTS, 300)
    if not template:
        tokenizer.chat_template = None
    return tokenizer


def _llama_like(config_class, model_class, tied, **more):
    def build():
        config = config_class(
            vocab_size=len(_tokenizer()) + SPARE,
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
            eos_token_id=len(_tokenizer()) - 1,
            **more,
        )
        return model_class(config)

    return build


def _gpt2():
    size = len(_tokenizer())
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
    "llama": _llama_like(LlamaConfig, LlamaForCausalLM, False),
    "gpt2": _gpt2,
    "gemma2": _llama_like(
        Gemma2Config, Gemma2ForCausalLM, True, head_dim=8, final_logit_softcapping=20.0
    ),
    "granite": _llama_like(
        GraniteConfig, GraniteForCausalLM, False, logits_scaling=1.5, embedding_multiplier=3.0
    ),
    "cohere": _llama_like(CohereConfig, CohereForCausalLM, True, logit_scale=0.5),
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
    return LanguageModel(BUILDERS[kind](), _tokenizer()).eval()


def with_signals(kind: str, counts=None) -> tuple[LanguageModel, Signals]:
    language = make(kind)
    return language, Signals.add_to(language, counts or {"pic": 5, "tune": 3}, ["pic"])


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def ids_of(language: LanguageModel, text: str) -> torch.Tensor:
    return torch.tensor([language.encode_text(text)])


# --- embeddings, logits, loss


def test_without_new_tokens_it_is_the_model(kind):
    language = make(kind)
    ids = ids_of(language, "Draw a big red ball")
    with torch.no_grad():
        ours = language.logits(language(language.embed(ids)))
        theirs = language.model(input_ids=ids).logits
    assert ours.shape[-1] == language.vocab_size == max(language.tokenizer.get_vocab().values()) + 1
    torch.testing.assert_close(ours, theirs[..., : language.vocab_size])
    assert language.tied is (kind not in UNTIED)


def test_new_tokens_leave_everything_old_as_it_was(kind):
    language = make(kind)
    ids = ids_of(language, "Draw a big red ball")
    with torch.no_grad():
        before = language.logits(language(language.embed(ids)))
        matrix = language.embedding.weight.clone()
        new = language.add_tokens(NAMES[:2]) + language.add_tokens(NAMES[2:])
        after = language.logits(language(language.embed(ids)))
    size = before.shape[-1]
    assert new == [size, size + 1, size + 2] and after.shape[-1] == size + 3
    assert torch.equal(language.embedding.weight, matrix)
    torch.testing.assert_close(after[..., :size], before)


def test_a_new_row_acts_like_an_old_one_of_equal_value(kind):
    language = make(kind)
    (new,) = language.add_tokens(NAMES[:1])
    old = language.encode_text("a")[0]
    with torch.no_grad():
        language.rows[0] = language.embedding.weight[old]
        if not language.tied:
            language.output_rows[0] = language.model.get_output_embeddings().weight[old]
        torch.testing.assert_close(language.embed([new]), language.embed([old]))
        logits = language.logits(torch.randn(3, language.width))
    torch.testing.assert_close(logits[:, new], logits[:, old])


@pytest.mark.parametrize("lora", [False, True])
def test_training_changes_new_rows_and_no_old_one(kind, lora):
    language = make(kind)
    new = language.add_tokens(NAMES)
    if lora:
        language.enable_lora(r=2, alpha=4, dropout=0.0)
    frozen = {n: p.detach().clone() for n, p in language.named_parameters() if not p.requires_grad}
    trained = {n: p.detach().clone() for n, p in language.named_parameters() if p.requires_grad}
    assert all("rows" in name or "lora_" in name for name in trained)
    assert any("lora_" in name for name in trained) is lora
    assert any("embed" in n or "wte" in n for n in frozen)
    ids = torch.tensor([[*language.encode_text("Draw a ball"), *new, 5, 6]])
    optimizer = torch.optim.AdamW(
        [p for p in language.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.5
    )
    language.train()
    losses = []
    for _ in range(4):
        loss = language.loss(language(language.embed(ids)), ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    now = dict(language.named_parameters())
    assert losses[-1] < losses[0]
    assert all(torch.equal(now[name], before) for name, before in frozen.items())
    for name, before in trained.items():
        assert not torch.equal(now[name], before), name


def test_loss_equals_the_full_logits_reference(kind):
    language = make(kind)
    new = language.add_tokens(NAMES)
    base = language.encode_text("Draw a big red ball, please.")
    ids = torch.tensor([[*base, *new], [*new, *base]])
    labels = ids.clone()
    labels[0, :4] = labels[1, 3:7] = -100

    def both(compute):
        language.zero_grad()
        loss = compute(language(language.embed(ids)))
        loss.backward()
        grads = [p.grad.clone() for p in language.parameters() if p.requires_grad]
        return loss.detach(), grads

    def reference(hidden):
        logits = language.logits(hidden[:, :-1]).flatten(0, 1)
        return F.cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=-100)

    loss, grads = both(lambda hidden: language.loss(hidden, labels))
    expected, expected_grads = both(reference)
    torch.testing.assert_close(loss, expected)
    assert len(grads) == (1 if language.tied else 2)
    torch.testing.assert_close(grads, expected_grads)


def test_loss_without_targets_is_zero_and_has_a_gradient():
    language = make("llama")
    language.add_tokens(NAMES)
    hidden = language(language.embed(torch.tensor([[1, language.vocab_size - 1]])))
    loss = language.loss(hidden, torch.full((1, 2), -100))
    loss.backward()
    assert float(loss.detach()) == 0.0 and torch.isfinite(language.rows.grad).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(kind, side):
    language = make(kind)
    long, short = ids_of(language, "What do you hear, please?"), ids_of(language, "Make it slow")
    width, real = long.shape[1], short.shape[1]
    at = slice(width - real, width) if side == "left" else slice(0, real)
    ids = torch.zeros(2, width, dtype=torch.long)
    mask = torch.zeros(2, width, dtype=torch.bool)
    ids[0], mask[0] = long[0], True
    ids[1, at], mask[1, at] = short[0], True
    with torch.no_grad():
        hidden = language(language.embed(ids), mask)
        alone = language(language.embed(short))
    torch.testing.assert_close(hidden[1, at], alone[0], atol=1e-5, rtol=1e-4)


def test_lora_goes_everywhere_but_the_output_layer_and_only_once():
    language = make("llama")
    language.enable_lora(r=2)
    adapted = {n.split(".lora_")[0] for n, _ in language.named_parameters() if "lora_" in n}
    assert len(adapted) == 2 * 7 and not any("lm_head" in name for name in adapted)
    with pytest.raises(ValueError, match="already"):
        language.enable_lora()


@torch.no_grad()
def test_adapters_on_the_ends_of_a_model_are_used_and_merge_away():
    language = make("llama")
    ids = ids_of(language, "Hello")
    hidden = torch.randn(1, language.width)
    before = language.embed(ids), language.logits(hidden)
    language.enable_lora(r=2, dropout=0.0, target_modules=["embed_tokens", "lm_head"])
    for name, weight in language.named_parameters():
        if "lora_" in name:
            weight.normal_()
    adapted = language.embed(ids), language.logits(hidden)
    language.merge_adapters()
    merged = language.embed(ids), language.logits(hidden)
    for was, now, after in zip(before, adapted, merged, strict=True):
        assert not torch.allclose(was, now)
        torch.testing.assert_close(after, now, atol=1e-5, rtol=1e-4)


# --- loading, saving, identity


def test_loads_a_folder_and_recognises_it(tmp_path):
    language = make("llama")
    language.model.save_pretrained(tmp_path / "lm")
    language.tokenizer.save_pretrained(tmp_path / "lm")
    loaded = LanguageModel.from_pretrained(str(tmp_path / "lm"), lora={"r": 2})
    identity = loaded.identity()
    loaded.add_tokens(NAMES)
    assert loaded.identity() == identity
    assert identity["words"] == language.identity()["words"]
    assert identity["class"] == "LlamaForCausalLM" and identity["source"]["name"] == "lm"
    assert not loaded.training and any("lora_A" in name for name in loaded.state_dict())
    other = LanguageModel(BUILDERS["llama"](), train_tokenizer(["other words"] * 9, 275))
    assert other.identity()["words"] != identity["words"]


def test_rows_are_restored_from_a_state_dict():
    language, twin = make("llama"), make("llama")
    language.add_tokens(NAMES)
    twin.add_tokens(NAMES)
    assert not torch.equal(twin.rows, torch.zeros_like(twin.rows))
    twin.load_state_dict(language.state_dict(), strict=True)
    assert torch.equal(twin.rows, language.rows)
    assert torch.equal(twin.output_rows, language.output_rows)


def test_a_tokenizer_too_large_is_refused():
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )
    with pytest.raises(ValueError, match="only 50 embedding rows"):
        LanguageModel(model, _tokenizer())


def test_known_tokens_are_not_added_again():
    language = make("llama")
    with pytest.raises(ValueError, match="already has a token"):
        language.add_tokens(["<|x|>", "<|x|>"])
    with pytest.raises(ValueError, match="already has a token"):
        language.add_tokens(["<|end|>"])


# --- families

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
        given = language.embed(list(range(language.first_new)))
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


# --- user text and chat templates

TYPED, TYPED_SIGNALS = with_signals("llama")
TYPED.tokenizer.add_tokens(["<think>"])  # added, but not special, as in Qwen3
TYPED.template = type(TYPED.template)(TYPED.tokenizer, TYPED.stops)
LITERALS = [*TYPED_SIGNALS.names, "<think>", *TYPED.tokenizer.all_special_tokens, "\ue0000\ue001"]
wild = st.lists(
    st.sampled_from([*LITERALS, "<|pic_", "0|>", "<|", "|>", " "]) | st.text(max_size=6)
)


@given(wild.map("".join))
@settings(max_examples=150, deadline=None)
def test_no_typed_text_becomes_a_special_token(text):
    ids = TYPED.encode_text(text)
    assert TYPED.template.reserved.isdisjoint(ids)
    assert TYPED.tokenizer.decode(ids) == text


@given(wild.map("".join), wild.map("".join))
@settings(max_examples=100, deadline=None)
def test_no_typed_text_becomes_a_special_token_in_a_chat(first, second):
    soft = TYPED_SIGNALS.placeholder("pic")
    messages = [
        ("system", [first]),
        ("user", [second, [soft, soft], first]),
        ("assistant", [second]),
    ]
    segments = TYPED.render_chat(messages, True)
    frame = [s.ids for s in segments if not s.is_content]
    empty = [(role, []) for role, _ in messages]
    assert frame == [s.ids for s in TYPED.render_chat(empty, True)]
    content = [token for s in segments if s.is_content for token in s.ids]
    assert [t for t in content if t in TYPED.template.reserved] == [soft, soft]


@functools.cache
def spoken_to(family):
    """A family's model with signals, and what somebody may type to confuse its template."""
    language, signals = with_signals(family)
    marks = language.template.marks
    special = [*language.tokenizer.get_added_vocab(), *language.tokenizer.all_special_tokens]
    halves = [name[: len(name) // 2 + 1] for name in special] + [name[1:] for name in special]
    return language, sorted({*marks, *signals.names, *special, *halves, "\ue0000\ue001", "\n", " "})


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_whatever_is_typed_leaves_a_family_s_template_as_it_is(name, data):
    language, literals = spoken_to(name)
    wild = st.lists(st.sampled_from(literals) | st.text(max_size=4), max_size=8).map("".join)
    first, second = data.draw(wild), data.draw(wild)
    written = [
        language.tokenizer(mark, add_special_tokens=False)["input_ids"]
        for mark in language.template.marks
    ]
    for text in (first, second):
        ids = language.encode_text(text)
        assert language.template.reserved.isdisjoint(ids)
        assert not any(holds(ids, part) for part in written)
    talk = [("user", [first]), ("assistant", [second]), ("user", [first])]
    plain = [("user", ["Hi"]), ("assistant", ["Hi"]), ("user", ["Hi"])]
    frames = [
        [token for s in language.render_chat(each, True) for token in s.ids]
        for each in (talk, plain)
    ]
    reserved = language.template.reserved
    told, wanted = ([token for token in ids if token in reserved] for ids in frames)
    assert told == wanted


def test_a_chat_is_what_the_template_writes():
    language = make("llama")
    messages = [("user", ["Draw a ball"]), ("assistant", ["Sure"]), ("user", ["Make it red"])]
    segments = language.render_chat(messages, True)
    expected = language.tokenizer.apply_chat_template(
        [{"role": role, "content": "".join(content)} for role, content in messages],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert list(itertools.chain(*(s.ids for s in segments))) == expected


CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _with_template(template, **tokens) -> LanguageModel:
    tokenizer = _tokenizer(template=False)
    tokenizer.chat_template = template
    if tokens:
        tokenizer.add_special_tokens(tokens)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=320,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )
    return LanguageModel(model, tokenizer)


@pytest.mark.parametrize(
    ("template", "end"), [(None, "<|end|>"), (CHATML, "<|im_end|>"), ("default", "<|end|>")]
)
def test_the_reply_and_its_end_are_supervised(template, end):
    specials = {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    if template == "default":
        language = make("llama")
    else:
        language = _with_template(template, **(specials if template else {}))
    end_id = language.tokenizer.convert_tokens_to_ids(end)
    assert end_id in language.stops
    signal = language.add_tokens(["<|s_0|>"])
    messages = [
        ("user", ["Draw a ball"]),
        ("assistant", ["Here: ", signal, "."]),
        ("user", ["Now red"]),
        ("assistant", ["No"]),
    ]
    segments = language.render_chat(messages, False)
    learned = [token for s in segments if s.supervised for token in s.ids]
    text = language.encode_text
    assert learned == [*text("Here: "), *signal, *text("."), end_id, *text("No"), end_id]
    # What a model reads before it answers is the same in training and in chat.
    opening = language.render_chat(messages[:1], True)
    assert segments[: len(opening)] == opening


def test_bad_conversations_are_refused():
    language = make("llama")
    with pytest.raises(ValueError, match="at least one message"):
        language.render_chat([], True)
    with pytest.raises(ValueError, match="no word"):
        language.render_chat([("<|end|>", ["hi"])], True)
    with pytest.raises(ValueError, match="refuses the roles wizard: unknown role wizard"):
        language.render_chat([("wizard", ["hi"])], True)
    twice = "{% for m in messages %}{{ m.content }}{{ m.content }}<|end|>{% endfor %}"
    with pytest.raises(ValueError, match="exactly once"):
        _with_template(twice)
    endless = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    with pytest.raises(ValueError, match="no special token"):
        _with_template(endless)


# --- generation


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


def test_greedy_equals_hugging_face(kind):
    language, signals = with_signals(kind)
    prompt = prompt_of(language, "Draw a big red ball")
    barred = [t for t in range(language.embedding.weight.shape[0]) if t >= signals.first_id]
    with torch.no_grad():
        theirs = language.model.generate(
            torch.tensor([prompt.keys]),
            attention_mask=torch.ones(1, len(prompt.keys), dtype=torch.long),
            max_new_tokens=20,
            do_sample=False,
            suppress_tokens=barred or None,
            pad_token_id=0,
        )[0, len(prompt.keys) :].tolist()
    events = list(generate(language, signals, prompt, Sampling(max_new_tokens=20, max_spans=0)))
    ended = [language.tokenizer.eos_token_id] if theirs[-1] in language.stops else []
    assert ids_in(signals, events) + ended == theirs
    text = "".join(event.text for event in events)
    # Bytes that make no character are shown one by one, or together as they come.
    assert "\ufffd" in text or text == language.decode(ids_in(signals, events))


def test_a_span_in_one_pass_is_the_span_token_by_token(kind):
    language, signals = with_signals(kind)
    prompt, span = prompt_of(language, "Draw a ball"), signals.span("pic")
    calls = []
    language.backbone.register_forward_hook(
        lambda module, args, kwargs, output: calls.append(kwargs["inputs_embeds"].shape[1]),
        with_kwargs=True,
    )
    with torch.no_grad():
        whole = PrefixCache(language)
        whole.feed(*prompt)
        together = whole.feed(language.embed(span), span)
        single = PrefixCache(language)
        single.feed(*prompt)
        one_by_one = torch.cat([single.feed(language.embed([token]), [token]) for token in span])
    assert calls == [len(prompt.keys), 5, len(prompt.keys), 1, 1, 1, 1, 1]
    torch.testing.assert_close(together, one_by_one, atol=1e-5, rtol=1e-4)


def sampled(language, signals, prompt, seed, **more):
    settings_ = Sampling(**{"max_new_tokens": 40, "temperature": 1.5, **more})
    generator = torch.Generator().manual_seed(seed)
    return list(generate(language, signals, prompt, settings_, generator=generator))


def test_spans_are_whole_and_the_limits_hold(kind):
    language, signals = with_signals(kind)
    nudge(language, signals)
    prompt = prompt_of(language, "Draw a ball")
    seen = 0
    limits = ((2, None), (4, None), (30, 0), (30, 2))
    for seed, (limit, most) in itertools.product(range(4), limits):
        events = sampled(language, signals, prompt, seed, max_new_tokens=limit, max_spans=most)
        ids = ids_in(signals, events)
        spans = [event for event in events if isinstance(event, SpanReady)]
        assert len(ids) <= limit
        assert len(spans) <= (limit if most is None else most)
        assert signals.placeholder("pic") not in ids and not language.stops & set(ids)
        for span in spans:
            count = signals.counts[span.name]
            assert span.hidden.shape == span.embeds.shape == (count, language.width)
            assert torch.equal(span.embeds, language.embed(signals.span(span.name)))
        seen += len(spans)
    assert seen >= 3


def test_hidden_states_of_a_reply_are_those_of_reading_it():
    language, signals = with_signals("qwen3")
    nudge(language, signals)
    prompt = prompt_of(language, "Draw a ball")
    events = next(
        e
        for e in (sampled(language, signals, prompt, seed) for seed in range(200))
        if sum(isinstance(event, SpanReady) for event in e) >= 2 and isinstance(e[0], TextToken)
    )
    with torch.no_grad():
        reply = ids_in(signals, events)
        whole = language(language.embed(torch.tensor([[*prompt.keys, *reply]])))
        hidden = whole[0, len(prompt.keys) :]
    at = 0
    for event in events:
        if isinstance(event, SpanReady):
            size = len(event.hidden)
            torch.testing.assert_close(event.hidden, hidden[at : at + size], atol=1e-5, rtol=1e-4)
            at += size
        else:
            at += len(event.ids)


def test_a_seed_reproduces_and_another_differs():
    language, signals = with_signals("llama")
    prompt = prompt_of(language, "Draw a ball")
    runs = [ids_in(signals, sampled(language, signals, prompt, seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_narrow_sampling_is_greedy():
    language, signals = with_signals("llama")
    prompt = prompt_of(language, "Draw a ball")
    greedy = ids_in(signals, generate(language, signals, prompt, Sampling(max_new_tokens=12)))
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}):
        events = sampled(language, signals, prompt, 0, **{"max_new_tokens": 12, **narrow})
        assert ids_in(signals, events) == greedy


def test_sampling_follows_the_probabilities():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generator = torch.Generator().manual_seed(0)

    def shares(**more):
        picks = [Sampling(temperature=1.0, **more).pick(logits, [], generator) for _ in range(2000)]
        return torch.bincount(torch.tensor(picks), minlength=4) / 2000

    assert torch.allclose(shares(), logits.exp(), atol=0.04)
    assert torch.allclose(shares(top_p=0.7), torch.tensor([0.625, 0.375, 0, 0]), atol=0.04)
    assert torch.allclose(shares(top_k=3), torch.tensor([0.526, 0.316, 0.158, 0]), atol=0.04)
    assert Sampling(repetition_penalty=2.0).pick(torch.tensor([2.0, 1.5]), [0], None) == 1
    assert Sampling(repetition_penalty=2.0).pick(torch.tensor([-1.0, -1.5]), [0], None) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"repetition_penalty": 0.0},
        {"max_spans": -1},
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Sampling(**bad)


def test_impossible_prompts_are_refused():
    language, signals = with_signals("gpt2")
    with pytest.raises(ValueError, match="reads 128"):
        list(generate(language, signals, Prompt(torch.zeros(128, 16), list(range(128)))))
    with pytest.raises(ValueError, match="at least one"):
        list(generate(language, signals, Prompt(torch.zeros(0, 16), [])))
    full = Prompt(torch.randn(125, 16), list(range(125)))
    events = list(generate(language, signals, full, Sampling(max_new_tokens=50)))
    assert len(ids_in(signals, events)) <= 3


# --- cache and batches


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
        fresh = sampled(language, signals, prompt, seed, max_new_tokens=15, temperature=1.0)
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
    build = _llama_like(Gemma2Config, Gemma2ForCausalLM, True, head_dim=8, sliding_window=6)
    language = LanguageModel(build(), _tokenizer()).eval()
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


# --- streamed text


@given(st.text(max_size=30))
@settings(max_examples=80, deadline=None)
def test_streamed_text_has_no_broken_characters(text):
    stream = TextStream(TYPED)
    events = [event for token in TYPED.encode_text(text) if (event := stream.push(token))]
    if rest := stream.flush():
        events.append(rest)
    assert "".join(event.text for event in events) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in event.text for event in events)


@given(st.lists(st.integers(0, TYPED.first_new - 1), max_size=30))
@settings(max_examples=80, deadline=None)
def test_streaming_any_ids_adds_up_to_their_text(ids):
    stream = TextStream(TYPED)
    events = [event for token in ids if (event := stream.push(token))]
    if rest := stream.flush():
        events.append(rest)
    assert "".join(event.text for event in events) == TYPED.decode(ids)
    assert [token for event in events for token in event.ids] == ids
