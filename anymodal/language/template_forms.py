"""Chat templates, and the forms in which they take the contents of a role, told by trials."""

from __future__ import annotations

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


class Trims(NamedTuple):
    """Whether white space is cut off a text's start and its end."""

    start: bool = False
    end: bool = False

    def of(self, text: str) -> str:
        """A text without the white space that is cut off."""
        text = text.lstrip() if self.start else text
        return text.rstrip() if self.end else text


class RoleForm(NamedTuple):
    """The form in which a chat template takes the contents of a role.

    Attributes:
        takes_text: whether the template writes a content that is one text.
        takes_parts: whether it is given parts where media are the language model's own.
        text: what is cut off such a text.
        part: what is cut off each text among parts.
    """

    takes_text: bool = True
    takes_parts: bool = False
    text: Trims = Trims()
    part: Trims = Trims()

    def is_text(self, pieces: Sequence[Piece]) -> bool:
        """Return whether these pieces are given as one text."""
        has_own = any(isinstance(piece, MediaIds) for piece in pieces)
        return not self.takes_parts or (self.takes_text and not has_own)

    def trimmed(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Pieces without the white space that the template would cut off."""
        if not self.is_text(pieces):
            return [self.part.of(each) if isinstance(each, str) else each for each in pieces]
        last = len(pieces) - 1
        start, end = self.text
        return [
            Trims(start and place == 0, end and place == last).of(each)
            if isinstance(each, str)
            else each
            for place, each in enumerate(pieces)
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

        before = _BEFORE.get(role, ())
        after = () if before or role == "user" else ("user",)
        try:
            return rendered(
                [
                    *(message(other, "1", takes_parts) for other in before),
                    message(role, text, as_parts),
                    *(message(other, "1", takes_parts) for other in after),
                ]
            )
        except ValueError:
            return ""

    def trims(as_parts: bool) -> Trims:
        whole = written(_MARK, as_parts)
        if _MARK not in whole:
            return Trims()
        texts = _SPACE + _MARK, _MARK + _SPACE
        return Trims(*(written(text, as_parts) == whole for text in texts))

    takes_text = _MARK in written(_MARK, False)
    part = trims(True) if takes_parts else Trims()
    return RoleForm(takes_text, takes_parts, trims(False), part)


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
