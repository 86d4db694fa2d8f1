"""Chat templates of multimodal models: conversations as the published ones write them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from anymodal.language.token_losses import IGNORED
from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.types import Message, SoftRun, ToolCall
from tests.support.multimodal.gemma import NO_THOUGHT
from tests.support.multimodal.talks import PICTURES, clip, sound
from tests.support.tool_templates import GEMMA_4

TEMPLATES = [
    *("gemma-4-small", "gemma-4-large", "gemma-4-unified"),
    *("gemma-3", "llama-3.2-vision", "phi-4-multimodal"),
]
CLOSED = {"gemma-4-large": NO_THOUGHT, "gemma-4-unified": NO_THOUGHT}
SYSTEM = Message("system", " Be brief.\n")


def conversation(model: AnyModal) -> list[Message]:
    media: list[Any] = [PICTURES[0]]
    media += [clip(4, 20, 37, 1.0)] * ("video" in model.readers)
    media += [sound(3_000)] * ("audio" in model.readers)
    first: list[Any] = [" Look:\n"]
    for medium in media:
        first += [medium, " and\n"]
    return [
        Message("user", first),
        Message("assistant", "\n A red ball. "),
        Message("user", [PICTURES[1], "\tAnd this? "]),
    ]


def published(model: AnyModal, talk: list[Message], **settings: Any) -> list[int]:
    """The ids that transformers' tokenizer gives, with media as the model's processor has them."""
    tokenizer: Any = model.language.tokenizer

    def content(message: Message) -> Any:
        if message.role == "system":
            return str(message.content[0])
        return [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": getattr(part, "kind", "")}
            for part in message.content
        ]

    values = [{"role": each.role, "content": content(each)} for each in talk]
    text = tokenizer.apply_chat_template(values, tokenize=False, **settings)
    media = [medium for message in talk for medium in message.media]
    marks = "|".join(map(re.escape, model.language.template.media.values()))
    text = re.sub(marks, lambda _: written(model, media.pop(0)), text)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def written(model: AnyModal, medium: Media) -> str:
    """Mark of a medium in a text, as the model's processor writes it."""
    name = model.prompts.encoders[type(medium)]
    placeholder = model.readers[name].placeholder
    runs = model.prompts.positions_of(name, medium)
    texts = [placeholder * run.count if isinstance(run, SoftRun) else run for run in runs]
    return "".join(texts)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_chat_is_what_the_published_template_writes(
    models: dict[str, AnyModal], name: str
) -> None:
    model = models[name]
    talks = [*([*s, *conversation(model)] for s in ([], [SYSTEM])), [Message("user", "Hello")]]
    for talk in talks:
        ids = model.prompts.build(talk, reply=True).ids
        assert ids == published(model, talk, add_generation_prompt=True, enable_thinking=False)


def test_a_picture_where_a_template_takes_text_alone_is_refused(
    models: dict[str, AnyModal],
) -> None:
    talk = [Message("system", ["As here:", PICTURES[0]]), Message("user", "Hello")]
    with pytest.raises(ValueError, match="media item of a system message exactly once; give media"):
        models["gemma-4-large"].prompts.build(talk, reply=True)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_last_reply_is_learned_behind_what_a_prompt_ends_with(
    models: dict[str, AnyModal], name: str
) -> None:
    model = models[name]
    talk = conversation(model)
    for asked in (talk[:1], talk):
        learned = model.prompts.build([*asked, Message("assistant", "Yes.")], reply=False)
        prompt = model.prompts.build(asked, reply=True)
        assert learned.ids[: len(prompt.ids)] == prompt.ids
        own = learned.labels[len(prompt.ids) :]
        assert model.language.decode([each for each in own if each != IGNORED]).strip() == "Yes."
        assert own[0] != IGNORED
        text = model.language.tokenizer.decode(prompt.ids)
        assert text.count("<|channel>") == (name in CLOSED), "of earlier replies there is none"


def test_a_result_s_picture_stands_behind_its_text(models: dict[str, AnyModal]) -> None:
    model = models["gemma-4-small"]
    language = model.language
    before = language.tokenizer.chat_template, language.template
    language.tokenizer.chat_template = GEMMA_4
    language.template = language._template(language.stops)
    try:
        call = ToolCall("look", '{"at": "sky"}')
        talk = [
            Message("user", [PICTURES[1], "See?"]),
            Message("assistant", [call]),
            Message("tool", [PICTURES[0], "blue"]),
        ]
        prompt = model.prompts.build(talk, reply=True)
        text = language.tokenizer.decode(prompt.ids)
        assert re.fullmatch(
            r"<\|turn>user\n<\|image>(<\|image\|>)+<image\|>See\?<turn\|>\n<\|turn>model\n"
            r'<\|tool_call>call:look\{at:<\|"\|>sky<\|"\|>\}<tool_call\|><\|tool_response>'
            r'response:look\{value:<\|"\|>blue<\|"\|>\}<tool_response\|>'
            r"<\|image>(<\|image\|>)+<image\|>",
            text,
        )
        assert [item.media for item in prompt.media] == [PICTURES[1], PICTURES[0]]
        answered = [*talk, Message("assistant", "Yes."), Message("user", "So?")]
        whole = language.tokenizer.decode(model.prompts.build(answered, reply=True).ids)
        assert whole == text + "Yes.<turn|>\n<|turn>user\nSo?<turn|>\n<|turn>model\n"
    finally:
        language.tokenizer.chat_template, language.template = before
