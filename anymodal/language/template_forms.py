"""Chat templates, and the forms in which they take the contents of a role, told by trials."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from anymodal.language.template_messages import ASSISTANT, MARKS
from anymodal.language.template_parts import MediaIds, Piece, content_parts

# For tokenizers without a template of their own: "user:\nhello</s>assistant:\n".
PLAIN_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ message.role + ':\n' + message.content + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
)

Rendered = Callable[[Sequence[Mapping[str, object]]], str]
"""Messages as a template renders them; ValueError where it refuses them."""

_MARK, _SPACE = MARKS[0] + "0" + MARKS[1], " \n"
_BEFORE = {ASSISTANT: ("user",), "tool": ("user", ASSISTANT)}
"""Roles that stand before one; behind a role that isn't here stands a user's."""
_CALL = {"id": "0" * 9, "type": "function", "function": {"name": "a", "arguments": {}}}


class TextForm(NamedTuple):
    """A template's form of a text: cut off white space at its ends, escapes as in JSON."""

    trims_start: bool = False
    trims_end: bool = False
    escapes: bool = False

    def of(self, text: str, is_first: bool = True, is_last: bool = True) -> str:
        """A text, or a piece of one, as the template would write it."""
        text = text.lstrip() if self.trims_start and is_first else text
        text = text.rstrip() if self.trims_end and is_last else text
        return json.dumps(text, ensure_ascii=False)[1:-1] if self.escapes else text


class RoleForm(NamedTuple):
    """The form in which a chat template takes the contents of a role.

    Attributes:
        takes_text: whether the template writes a content that is one text.
        takes_parts: whether it is given parts where media are the language model's own.
        text: what is done to such a text.
        part: what is done to each text among parts.
    """

    takes_text: bool = True
    takes_parts: bool = False
    text: TextForm = TextForm()
    part: TextForm = TextForm()

    def is_text(self, pieces: Sequence[Piece]) -> bool:
        """Return whether these pieces are given as one text."""
        has_own = any(isinstance(piece, MediaIds) for piece in pieces)
        return not self.takes_parts or (self.takes_text and not has_own)

    def formed(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Pieces as the template would write them, past which they go."""
        as_text, last = self.is_text(pieces), len(pieces) - 1
        return [
            piece
            if not isinstance(piece, str)
            else self.text.of(piece, place == 0, place == last)
            if as_text
            else self.part.of(piece)
            for place, piece in enumerate(pieces)
        ]

    def content(self, pieces: Sequence[Piece], number: int) -> str | list[dict[str, str]]:
        """A message's content as the template takes it, with marks for what isn't written by it.

        Args:
            pieces: of the message.
            number: of its first piece in the conversation.
        """
        parts = content_parts(pieces, number)
        return "".join(part["text"] for part in parts) if self.is_text(pieces) else parts


def role_form(role: str, takes_parts: bool, rendered: Rendered) -> RoleForm:
    """The form that a template takes contents of a role in.

    Args:
        role: of the message.
        takes_parts: whether the template is given contents as parts.
        rendered: renders messages.
    """

    def written(text: str, as_parts: bool) -> str:
        """A conversation with a message of such a text; nothing where it is refused."""

        def message(role: str, text: str, as_parts: bool) -> dict[str, object]:
            return {"role": role, "content": [{"type": "text", "text": text}] if as_parts else text}

        before = [message(other, "1", takes_parts) for other in _BEFORE.get(role, ())]
        after = [] if before or role == "user" else [message("user", "1", takes_parts)]
        if role == "tool":
            before[-1] |= {"content": "", "tool_calls": [_CALL]}
        try:
            return rendered([*before, message(role, text, as_parts), *after])
        except ValueError:
            return ""

    def text_form(as_parts: bool) -> TextForm:
        whole = written(_MARK, as_parts)
        if _MARK not in whole:
            return TextForm()
        return TextForm(
            written(_SPACE + _MARK, as_parts) == whole,
            written(_MARK + _SPACE, as_parts) == whole,
            _MARK + '\\"' in written(_MARK + '"', as_parts),
        )

    takes_text = _MARK in written(_MARK, False)
    part = text_form(True) if takes_parts else TextForm()
    return RoleForm(takes_text, takes_parts, text_form(False), part)


def template_text(template: object) -> str:
    """A tokenizer's template; of several the one that its model talks by.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(template, Mapping):
        template = template.get("default")
        if template is None:
            raise ValueError(
                "the tokenizer has several chat templates and none is the default one; set "
                "tokenizer.chat_template to the one that is meant"
            )
    if template is not None and not isinstance(template, str):
        kind = type(template).__name__
        raise ValueError(f"the tokenizer's chat_template is a {kind}; set it to a text in Jinja")
    return template or PLAIN_TEMPLATE
