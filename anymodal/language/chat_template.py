"""A conversation as token ids, in which no text can pose as a special token."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from jinja2.exceptions import TemplateError

from anymodal.config.printable import printable
from anymodal.distributed import locks
from anymodal.io.message_content import ToolCall
from anymodal.io.protocols import TextTokenizer
from anymodal.language.sandbox import render_template
from anymodal.language.sandbox_budget import BudgetError
from anymodal.language.special_tokens import reserved_ids, special_token_texts, unsaid_ids
from anymodal.language.template_forms import RoleForm, role_form, template_text
from anymodal.language.template_messages import (
    ASSISTANT,
    MARKS,
    TemplateMessage,
    TemplateSegment,
    ToolDefinition,
    call_value,
)
from anymodal.language.template_parts import (
    Piece,
    TemplateEncoders,
    cut_text,
    lay_out_parts,
)
from anymodal.language.template_tools import MOVED, TemplateTools
from anymodal.language.tool_calls import strings_in
from anymodal.language.tool_formats import ToolFormat

REMEMBERED, LONGEST_KEPT = 4096, 1000
"""Texts and frames whose ids are kept for another epoch, and characters of the longest."""

FrameIds = tuple[list[int], list[str], list[list[int]]]
"""Of a frame: ids of its opening, spaces that belong to contents, and ids between contents."""


class ChatTemplate:
    """Writes conversations in a tokenizer's own chat template, and encodes user text safely.

    The template is rendered around marks instead of contents and cut at the marks: only what the
    template itself wrote is read with special tokens, contents never pass through it; white space
    that it cuts off them is cut off here. Thinking is off in templates that know the switch, and
    the last reply stands behind what a prompt ends with, so that training and chatting see one
    form.

    Args:
        tokenizer: a Hugging Face tokenizer; without a template it gets `PLAIN_TEMPLATE`.
        stops: ids that end a reply, as far as they are known; the template's own is added.
        media: what it writes for media, by their types.
        as_parts: whether it is given parts, though it takes texts too.

    Attributes:
        takes_parts: whether it is given contents as lists of parts, and writes media itself.

    Raises:
        ValueError: if no special token ends an assistant's turn.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        stops: Collection[int],
        media: Mapping[str, str] | None = None,
        as_parts: bool = False,
    ) -> None:
        self.tokenizer, self.media = tokenizer, dict(media or {})
        self.jinja = template_text(tokenizer.chat_template)
        if tokenizer.chat_template is None and tokenizer.eos_token is None:
            raise ValueError(
                "the tokenizer has neither a chat template nor an end-of-sequence token, so no "
                "reply could end; set tokenizer.chat_template or tokenizer.eos_token"
            )
        self.reserved = reserved_ids(tokenizer)
        self._prepends = self._encode("a", split_special=True) != self._continued(
            "a", split_special=True
        )
        self.stops = frozenset(stops)
        self._forms: dict[str, RoleForm] = {}
        self._reply_openings: dict[tuple[str, ...], str] = {}
        self._tools = TemplateTools(self.jinja, self._write, self.media)
        self._closing = ""
        self.takes_parts = False
        self.takes_parts = bool(self.media) and (as_parts or self._wants_parts())
        self.stops |= {self._end_of_turn()}
        self.stops |= self._ends_of_calls()
        self.marks = self._plain_marks()
        self._texts: dict[str, list[int]] = {}
        self._frames: dict[tuple[object, ...], FrameIds] = {}

    def encode_text(self, text: str) -> list[int]:
        """The ids of a text that somebody typed; none of them is a special or an added token.

        The text begins as if something stood before it: with no space that isn't its own. Words
        that the template itself ends a message with get other ids than there, where the tokenizer
        has any.
        """
        ids = self._texts.get(text)  # asked once: another thread may make room meanwhile
        if ids is None:
            ids = self._encode_text(text)
            if len(text) <= LONGEST_KEPT:
                _make_room(self._texts)
                self._texts[text] = ids
        return list(ids)

    def encode_mark(self, text: str) -> list[int]:
        """The ids of a text of a part's own, such as a mark of media; special tokens are read."""
        return self._within(text, split_special=False)

    def _encode_text(self, text: str) -> list[int]:
        for mark in self.marks:
            if mark in text:
                # Cut within the mark, so that neither half reads as it.
                middle = text.index(mark) + len(mark) // 2
                return self.encode_text(text[:middle]) + self.encode_text(text[middle:])
        ids = self._within(text, split_special=True)
        if self.reserved.isdisjoint(ids):
            return ids
        # Tokenizers honour the split only for tokens marked special, and some hold special ones
        # in their base vocabulary too. Cutting in halves ends in pieces that are harmless.
        if len(text) < 2:
            return [token for token in ids if token not in self.reserved]
        middle = len(text) // 2
        return self.encode_text(text[:middle]) + self.encode_text(text[middle:])

    @cached_property
    def tools(self) -> ToolFormat | None:
        """The format of the model's tool calls; None if it calls none, or in a way not read here.

        Marks of several tokens that a reply's text would lose can't be read either.
        """
        fmt = self._tools.format
        if fmt is None or not self._tools.writes_tools:
            return None
        marks = [self._encode(mark, split_special=False) for mark in fmt.marks]
        return fmt if all(len(ids) == 1 or self.unsaid.isdisjoint(ids) for ids in marks) else None

    @cached_property
    def unsaid(self) -> frozenset[int]:
        """Special tokens, which a reply's text leaves out, `call_marks` excepted."""
        return unsaid_ids(self.tokenizer)

    @cached_property
    def call_marks(self) -> frozenset[int]:
        """Special tokens that a reply's text keeps, since they tell its calls of tools."""
        if (fmt := self.tools) is None:
            return frozenset()
        marks = [self._encode(mark, split_special=False) for mark in fmt.marks]
        own = {ids[0] for ids in marks if len(ids) == 1}
        return self.unsaid & own

    def _ends_of_calls(self) -> set[int]:
        """Special tokens that end a reply since a tool's result stands behind them."""
        fmt = self._tools.format
        ends = [self._encode(end, split_special=False) for end in (fmt.ends if fmt else ())]
        return {ids[0] for ids in ends if len(ids) == 1 and ids[0] in self.reserved}

    def require_tools(self) -> ToolFormat:
        """The format of the model's tool calls.

        Raises:
            ValueError: if it calls none, or in a way that isn't read here.
        """
        if (fmt := self.tools) is None:
            raise ValueError(
                "the language model's chat template has no tools, or writes their calls in no form "
                "that is read here; leave the tools out, or set another tokenizer.chat_template"
            )
        return fmt

    def render(
        self,
        messages: Sequence[tuple[str, Sequence[Piece]]],
        add_generation_prompt: bool,
        tools: Sequence[ToolDefinition] = (),
        calls: Sequence[Sequence[ToolCall]] = (),
    ) -> list[TemplateSegment]:
        """A conversation as segments in order; their ids joined are the prompt.

        Args:
            messages: (role, pieces) each; a piece is text, or ids that the framework inserts.
            add_generation_prompt: end with the opening of an assistant's turn.
            tools: that the assistant may call.
            calls: of tools, of each message; a message of calls alone has no content, and one of
                text and calls loses its text where the template has no place for it.

        Raises:
            ValueError: for no messages, a role that is no word, roles the template refuses, or a
                tool or call with a text that the tokenizer reads as a special token.
        """
        calls = calls or [()] * len(messages)
        messages = [(role, self._form(role).formed(pieces)) for role, pieces in messages]
        if any(calls) and not self._tools.keeps_text:
            messages = [
                (role, [each for each in pieces if not (of_message and isinstance(each, str))])
                for (role, pieces), of_message in zip(messages, calls, strict=True)
            ]
        first_role = messages[0][0] if messages else ASSISTANT
        self._check_plain([*tools, *(call_value(call) for each in calls for call in each)])
        frame = [
            TemplateMessage(role, bool(pieces) or not calls_of_message, calls_of_message)
            for (role, pieces), calls_of_message in zip(messages, calls, strict=True)
        ]
        if self.takes_parts:
            return self._render_parts(messages, add_generation_prompt, tools, calls)
        numbers = [at for at, (_, pieces) in enumerate(messages) if pieces or not calls[at]]
        messages = [messages[number] for number in numbers]
        roles = [role for role, _ in messages]
        opening, spaces, tail_ids = self._encode_frame(frame, add_generation_prompt, tools)
        segments = [TemplateSegment(list(opening), first_role, False, False, 0)]
        for number, (role, pieces), next_role, tail, space in zip(
            numbers, messages, [*roles[1:], ASSISTANT], tail_ids, spaces, strict=True
        ):
            supervised = role == ASSISTANT
            for place, piece in enumerate(pieces):
                if place == 0 and isinstance(piece, str):
                    piece = space + piece
                ids = self.encode_text(piece) if isinstance(piece, str) else list(piece)
                segments.append(TemplateSegment(ids, role, True, supervised, number))
            end = next((at + 1 for at, token in enumerate(tail) if token in self.stops), 0)
            segments.append(TemplateSegment(tail[:end], role, False, supervised, number))
            segments.append(TemplateSegment(tail[end:], next_role, False, False, number + 1))
        return [segment for segment in segments if segment.ids]

    def _encode_frame(
        self,
        messages: Sequence[TemplateMessage],
        add_generation_prompt: bool,
        tools: Sequence[ToolDefinition],
    ) -> FrameIds:
        """Encode the template's text around contents; cached, where no tool is in it."""
        key = (*((m.role, m.has_content) for m in messages), add_generation_prompt)
        plain = not tools and not any(message.calls for message in messages)
        cached = self._frames.get(key) if plain else None
        if cached is not None:
            return cached
        head, *tails = texts = self._frame(messages, add_generation_prompt, tools)
        if plain and not add_generation_prompt:
            texts[-2] += self._reply_opening([message.role for message in messages])
            head, *tails = texts
        # A space that ends what stands before a content belongs to its first word, as its token
        # does; and a reply's opening ends without it.
        bare = [text.rstrip(" ") for text in (head, *tails[:-1])]
        spaces = [
            text[len(stripped) :] for text, stripped in zip((head, *tails[:-1]), bare, strict=True)
        ]
        opening = self._encode(bare[0], split_special=False)
        tail_ids = [self._within(text, split_special=False) for text in (*bare[1:], tails[-1])]
        if plain:
            _make_room(self._frames)
            self._frames[key] = opening, spaces, tail_ids
        return opening, spaces, tail_ids

    def _encode(self, text: str, *, split_special: bool) -> list[int]:
        if not text:
            return []
        with locks.TOKENIZERS:
            encoding = self.tokenizer(
                text, add_special_tokens=False, split_special_tokens=split_special
            )
        return list(encoding["input_ids"])

    def _within(self, text: str, *, split_special: bool) -> list[int]:
        """The ids of a text within another, where SentencePiece would put a space before it."""
        return (self._continued if self._prepends else self._encode)(
            text, split_special=split_special
        )

    def _continued(self, text: str, *, split_special: bool) -> list[int]:
        newline = self._encode("\n", split_special=split_special)
        ids = self._encode("\n" + text, split_special=split_special)
        if ids[: len(newline)] == newline:
            return ids[len(newline) :]
        return self._encode(
            text, split_special=split_special
        )  # the line's end is part of a longer token

    def _check_plain(self, values: Sequence[object]) -> None:
        """Refuse what the template would write as it stands, and the tokenizer read as its own."""
        texts = strings_in(values)
        if not texts:
            return
        added = [text for text in self.tokenizer.get_added_vocab() if text.strip()]
        for word in (*added, *self.tokenizer.all_special_tokens, *self.marks, *MARKS, *MOVED):
            if any(word in text for text in texts):
                raise ValueError(
                    f"a tool, or a call of one, holds {word!r}, which means something to the "
                    "language model; write it in another way"
                )

    def _frame(
        self,
        messages: Sequence[TemplateMessage],
        add_generation_prompt: bool,
        tools: Sequence[ToolDefinition] = (),
    ) -> list[str]:
        """The template's own texts before, between and after contents: one more than these."""
        roles = [message.role for message in messages]
        for role in roles:
            if not role.isidentifier():
                raise ValueError(f"role {role!r} is no word; use system, user or assistant")
        if not roles:
            raise ValueError("a conversation needs at least one message")
        marks = [MARKS[0] + str(index) + MARKS[1] for index in range(len(roles))]
        values = [message.values(mark) for message, mark in zip(messages, marks, strict=True)]
        if self.takes_parts:
            for number, value in enumerate(values):
                form = self._form(str(value["role"]))
                value["content"] = form.content([""], number) if value["content"] else []
        remainder = self._rendered(values, add_generation_prompt, tools)
        frame = []
        for (role, has_content, _), mark in zip(messages, marks, strict=True):
            if not has_content:
                continue
            prefix, separator, remainder = remainder.partition(mark)
            if not separator or mark in remainder:
                raise ValueError(
                    f"the model's chat template does not write a {role} message exactly once and "
                    "in order; set another tokenizer.chat_template"
                )
            frame.append(prefix)
        return [*frame, remainder]

    def _rendered(
        self,
        messages: Sequence[Mapping[str, object]],
        add_generation_prompt: bool,
        tools: Sequence[ToolDefinition],
    ) -> str:
        """Messages as the template renders them, each result of a tool with the call it is of."""
        prepared = self._tools.prepared(messages)
        text = self._tools.settled(self._write(prepared, tools, add_generation_prompt))
        ends_open = messages[-1]["role"] == ASSISTANT and not add_generation_prompt
        return text + self._closing if ends_open else text

    def _write(
        self,
        messages: Sequence[Mapping[str, object]],
        tools: Sequence[ToolDefinition],
        add_generation_prompt: bool = False,
    ) -> str:
        """The template's text for these very messages."""
        roles = [str(message["role"]) for message in messages]
        try:
            return render_template(
                self.jinja,
                **special_token_texts(self.tokenizer),
                messages=[*messages],
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                enable_thinking=False,
            )
        except BudgetError as error:
            raise ValueError(
                f"the model's chat template asks for more than one may: {printable(str(error))}; "
                "set another tokenizer.chat_template"
            ) from error
        except TemplateError as error:
            raise ValueError(
                f"the model's chat template refuses the roles {', '.join(roles)}: "
                f"{printable(str(error))}"
            ) from error

    def _form(self, role: str) -> RoleForm:
        """The form in which the template takes contents of a role."""
        if role not in self._forms and role.isidentifier():
            render = partial(self._rendered, add_generation_prompt=False, tools=())
            self._forms[role] = role_form(role, self.takes_parts, render)
        return self._forms.get(role, RoleForm())

    def _reply_opening(self, roles: Sequence[str]) -> str:
        """Ending of a prompt that goes beyond what stands before a conversation's last reply.

        An empty thought, as a rule, which a template writes for a reply to come alone.
        """
        *before, last = roles
        if last != ASSISTANT or not before:
            return ""
        key = tuple(roles)
        if key not in self._reply_openings:
            _make_room(self._reply_openings)
            messages = [TemplateMessage(role) for role in roles]
            self._reply_openings[key] = ""
            with contextlib.suppress(ValueError):
                *_, past, _ = self._frame(messages, False)
                *_, to_come = self._frame(messages[:-1], True)
                if to_come.startswith(past):
                    self._reply_openings[key] = to_come[len(past) :]
        return self._reply_openings[key]

    def _wants_parts(self) -> bool:
        """Return whether the template writes no content that is a text."""
        try:
            self._frame([TemplateMessage(role) for role in ("user", ASSISTANT)], False)
        except ValueError:
            return True
        return False

    def _render_parts(
        self,
        messages: Sequence[tuple[str, Sequence[Piece]]],
        add_generation_prompt: bool,
        tools: Sequence[ToolDefinition],
        calls: Sequence[Sequence[ToolCall]],
    ) -> list[TemplateSegment]:
        """A conversation by a template that takes parts, as `render` gives it."""
        first, values = 0, []
        for (role, pieces), of_message in zip(messages, calls, strict=True):
            value = TemplateMessage(role, True, of_message).values("")
            values.append({**value, "content": self._form(role).content(pieces, first)})
            first += len(pieces)
        text = self._rendered(values, add_generation_prompt, tools)
        if not add_generation_prompt and not any(calls):
            mark = f"{MARKS[0]}{first - len(messages[-1][1])}{MARKS[1]}"
            opening = self._reply_opening([role for role, _ in messages])
            text = text.replace(mark, opening + mark, 1)
        parts = [*cut_text(text, messages, self.media)]
        encoders = TemplateEncoders(
            self.encode_text,
            partial(self._encode, split_special=False),
            partial(self._within, split_special=False),
        )
        return lay_out_parts(parts, messages, encoders, self.stops)

    def _end_of_turn(self) -> int:
        """The token that ends a reply; where a user's turn alone does (GLM), replies get it too."""
        roles = [TemplateMessage(role) for role in ("user", ASSISTANT, "user")]
        for messages in (roles[:2], roles):
            ids = self._encode(self._frame(messages, False)[2], split_special=False)
            # The first one, since more may follow it, as the end of the whole text (Phi-3).
            for token in ids:
                if token in self.stops | self.reserved:
                    is_own = messages is not roles
                    self._closing = "" if is_own else self.tokenizer.convert_ids_to_tokens(token)
                    return token
        raise ValueError(
            "the model's chat template ends an assistant's turn with no special token, so no "
            "reply could end; set a tokenizer.chat_template that writes eos_token there"
        )

    def _plain_marks(self) -> list[str]:
        """Words that end a message without a special token, as Llama 2's [/INST]."""
        words = set()
        for roles in (["user", ASSISTANT, "user"], ["system", "user"]):
            with contextlib.suppress(ValueError):  # some know no system
                for text in self._frame([TemplateMessage(role) for role in roles], True)[1:]:
                    ids = self._within(text, split_special=False)
                    plain = itertools.takewhile(lambda token: token not in self.reserved, ids)
                    words.add(self.tokenizer.decode(list(plain)).strip())
        return sorted(word for word in words if len(word) > 1)


def _make_room(cache: dict[Any, Any]) -> None:
    """Begin anew where too much is kept."""
    if len(cache) >= REMEMBERED:
        cache.clear()
