"""Prompts of conversations: token ids, placeholders for media, and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter

from anymodal.language.chat_prompt import ChatPrompt, MediaReference, PromptRows, Span
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import pack
from anymodal.language.pointers import OutputKind, OwnPointers, PointedMedium
from anymodal.language.positions import axes_of
from anymodal.language.signal_tokens import Signals
from anymodal.language.template_messages import ToolDefinition
from anymodal.language.template_parts import MediaIds
from anymodal.media import Media
from anymodal.types import MediaPositions, Message, SoftRun, Target, ToolCall

Content = str | list[int]
"""A part of a message: text, or ids that stand for media."""

PositionsOf = Callable[[str, Media], MediaPositions]
"""How a media item of a modality stands in a prompt."""


@dataclass
class _Parts:
    """The media, texts beside them and targets of the messages so far."""

    media: list[Media] = field(default_factory=list)
    runs: list[list[SoftRun]] = field(default_factory=list)  # of each media item
    numbers: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    target_numbers: list[int] = field(default_factory=list)
    own_numbers: list[int] = field(default_factory=list)  # of media that the last reply can name
    # Numbers and media, to be shown with the next message.
    of_reply: list[tuple[int, Media]] = field(default_factory=list)
    count: int = 0  # of media so far, also of those that nobody reads

    def next_number(self) -> int:
        """Number one more medium."""
        self.count += 1
        return self.count - 1


class PromptBuilder:
    """Turns conversations into prompts.

    User text is tokenised piece by piece, so nothing that a user types can become a signal, a
    placeholder or a part of the chat template. Media that a reply contained are shown to the model
    at the head of the following message, where they can be referred to and edited.

    Args:
        language: tokenises text and renders the chat template.
        signals: the ids of spans and placeholders.
        encoders: modality by class of media, for those that have an encoder.
        positions_of: how an item of a modality stands in a prompt.
        reads_text: whether these depend on the text of their message.
        decoders: modality by class of media, for those that have a decoder.
        references: classes of media that media of a modality may be made from.
        speakers: modality by class of media, for those that are spoken. A reply has their words in
            its text, so its prompt leaves them out.
        media_first: whether a user's media stand before their message's words.
    """

    def __init__(
        self,
        language: LanguageModel,
        signals: Signals,
        encoders: Mapping[type[Media], str],
        positions_of: PositionsOf,
        reads_text: bool = False,
        decoders: Mapping[type[Media], str] | None = None,
        references: Mapping[str, Sequence[type[Media]]] | None = None,
        speakers: Mapping[type[Media], str] | None = None,
        media_first: bool = False,
    ) -> None:
        self.language, self.signals, self.media_first = language, signals, media_first
        self.speakers = dict(speakers or {})
        self.encoders, self.decoders = encoders, dict(decoders or {})
        self.references = dict(references or {})
        self.positions_of, self.reads_text = positions_of, reads_text
        self.kinds = self._output_kinds() if signals.pointers else {}
        self._span_ends = {signals.span(name)[-1] for name in self.kinds}

    def _output_kinds(self) -> dict[str, OutputKind]:
        """The outputs that others may be made from."""
        kinds = {
            name: OutputKind(media, self._takers(media)) for media, name in self.decoders.items()
        }
        return {name: kind for name, kind in kinds.items() if kind.outputs}

    def _takers(self, media: type[Media]) -> tuple[str, ...]:
        """The outputs that may be made from media of a class."""
        return tuple(n for n, classes in self.references.items() if issubclass(media, (*classes,)))

    def build(
        self, messages: Sequence[Message], *, reply: bool, tools: Sequence[ToolDefinition] = ()
    ) -> ChatPrompt:
        """The prompt of a conversation, ready for the assistant's next message if `reply`.

        Args:
            messages: the conversation.
            reply: whether the assistant's turn comes next.
            tools: that the assistant may call, as OpenAI's API has them.

        Raises:
            ValueError: for an empty conversation, a media item that no encoder reads, or tools that
                the chat template has no place for.
        """
        if not messages:
            raise ValueError("the conversation is empty; give at least one message")
        parts = _Parts()
        turns = [(message.role, self._contents(message, parts)) for message in messages]
        calls = [[part for part in each.content if isinstance(part, ToolCall)] for each in messages]
        if not reply and any(calls):
            raise ValueError("calls of tools can't be learned from; leave such messages out")
        prompt = ChatPrompt()
        segments = self.language.render_chat(
            turns, add_generation_prompt=reply, tools=tools, calls=calls
        )
        has_opened = False
        for segment in segments:
            ids = segment.ids
            has_opened = has_opened or (segment.is_content and segment.role != "system")
            prompt.opening += 0 if has_opened else len(ids)
            prompt.ids += ids
            learns = segment.supervised and messages[segment.message].supervised
            prompt.labels += self._labels(ids) if learns else [IGNORED] * len(ids)
        self._locate(prompt, parts)
        prompt.num_media = parts.count
        return prompt

    def lay_out(
        self, samples: Sequence[Sequence[Message]], share_rows: bool | None = True
    ) -> PromptRows:
        """Conversations in rows, several in each if `share_rows` and the model `packs`; None for
        what costs less.

        Raises:
            ValueError: for media that no encoder reads, or a conversation longer than the language
                model reads.
        """
        prompts = [self.build(messages, reply=False) for messages in samples]
        limit = self.language.max_positions
        if limit is not None and (length := max(len(prompt.ids) for prompt in prompts)) > limit:
            raise ValueError(
                f"the conversation takes {length} positions and the language model reads {limit}; "
                "cut it, or give fewer media"
            )
        ids, labels = [p.ids for p in prompts], [p.labels for p in prompts]
        language, axes = self.language, [p.axes for p in prompts]
        has_media = any(prompt.media for prompt in prompts)
        share_rows = share_rows if language.packs_positions(axes, has_media) else False
        device = language.device.type
        return PromptRows(prompts, pack(ids, labels, share_rows, language.width, device, axes))

    def _contents(self, message: Message, parts: _Parts) -> list[Content]:
        """A message's texts, placeholders and spans."""
        contents: list[Content] = []
        parts.own_numbers = []
        if message.role != "assistant":
            contents += [self._placeholders(*item, parts) for item in parts.of_reply]
            parts.of_reply = []
        content = self._without_speech(message)
        if self.media_first and message.role == "user":
            content = sorted(content, key=lambda part: not isinstance(part, Media))
        for part in content:
            if isinstance(part, str):
                contents.append(part)
            elif isinstance(part, ToolCall):
                pass  # the template writes it, behind the texts
            elif message.role == "assistant":
                contents += self._target(part, parts)
            else:
                assert not isinstance(part, Target), "targets stand in the assistant's messages"
                contents.append(self._placeholders(parts.next_number(), part, parts))
        parts.texts += [self._text_beside(message)] * (len(parts.media) - len(parts.texts))
        return contents

    def _without_speech(self, message: Message) -> list[str | Media | Target | ToolCall]:
        """The parts of a message without what speaks its text, which is then whole again."""
        if message.role != "assistant" or not self.speakers:
            return message.content
        parts: list[str | Media | Target | ToolCall] = []
        follows_speech = False
        for part in message.content:
            if type(part) in self.speakers:
                follows_speech = True
                continue
            if follows_speech and isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
            follows_speech = False
        return parts

    def _text_beside(self, message: Message) -> str:
        """The text that a message's soft tokens depend on.

        No later message is read: soft tokens are to stay as they are, with the keys and values of
        all that follows them.
        """
        if not self.reads_text:
            return ""
        texts = (part.strip() for part in message.content if isinstance(part, str))
        return " ".join(text for text in texts if text)

    def _target(self, part: Media | Target, parts: _Parts) -> list[Content]:
        """The span of what the assistant makes; nothing where no decoder makes it."""
        target = part
        if not isinstance(target, Target):
            target = Target(self.decoders.get(type(target), target.kind), "", target)
        number = parts.next_number()
        if later := [each for each in target.references if each >= number]:
            raise ValueError(
                f"a {target.modality} is made from medium {later[0]} of its conversation, and "
                f"{number} stand before it; they are counted from 0"
            )
        if target.media is not None and type(target.media) in self.encoders:
            parts.of_reply.append((number, target.media))
        if (modality := self._decoder_of(target)) is None:
            return []
        same = modality == target.modality
        parts.targets.append(target if same else dataclasses.replace(target, modality=modality))
        parts.target_numbers.append(number)
        ids = self._pointers(modality, target, parts) + self.signals.span(modality)
        if modality in self.kinds:
            parts.own_numbers.append(number)
            ids.append(self.signals.pointer(number))
        return [ids]

    def _pointers(self, modality: str, target: Target, parts: _Parts) -> list[int]:
        """The pointers of what a target is made from, as far as its decoder looks at such media.

        Raises:
            ValueError: for a medium that isn't shown yet, or no more by its pointer.
        """
        if not (self.signals.pointers and modality in self.references):
            return []
        numbers = {*parts.numbers, *parts.own_numbers}
        newest = max(numbers, default=-1)
        for number in target.references:
            if number not in numbers or newest - number >= self.signals.pointers:
                raise ValueError(
                    f"a {modality} is made from medium {number} of its conversation, and at that "
                    f"place only the last {self.signals.pointers} of {newest + 1} can be pointed at"
                )
        shown = dict(zip(parts.numbers, map(type, parts.media), strict=True))
        taken = (*self.references[modality],)
        return [
            self.signals.pointer(number)
            for number in target.references
            if number not in shown or issubclass(shown[number], taken)
        ]

    def pointed_media(self, prompt: ChatPrompt) -> dict[int, PointedMedium]:
        """The media of a prompt that a reply may name, by the ids that name them."""
        pointed: dict[int, PointedMedium] = {}
        media = sorted(prompt.media, key=attrgetter("number"))
        for item in media if self.signals.pointers else ():
            # The newest of a pointer is the one that it stands for.
            pointed[self.signals.pointer(item.number)] = PointedMedium(
                item.media, self._takers(type(item.media))
            )
        return {token: medium for token, medium in pointed.items() if medium.outputs}

    def own_pointers(self, prompt: ChatPrompt) -> OwnPointers:
        """Pointers of the media that a reply to a prompt makes."""
        return OwnPointers(prompt.num_media, self.kinds)

    def _decoder_of(self, target: Target) -> str | None:
        """The modality whose decoder makes a target, which names it or a kind of media, if any."""
        if target.modality in self.signals.counts:
            return target.modality
        if target.media is not None:
            return self.decoders.get(type(target.media))
        kinds = (name for cls, name in self.decoders.items() if cls.kind == target.modality)
        return next(kinds, None)

    def _placeholders(self, number: int, item: Media, parts: _Parts) -> list[int]:
        name = self.encoders.get(type(item))
        if name is None:
            names = ", ".join(sorted(cls.__name__ for cls in self.encoders))
            family = self.language.family
            why = None if family is None else family.unread.get(type(item))
            raise ValueError(
                f"no encoder of this model reads {type(item).__name__}; it reads {names}"
                + (f": {why}" if why else "")
            )
        positions = self.positions_of(name, item)
        runs = [run for run in positions if isinstance(run, SoftRun) and run.count]
        if not runs:
            raise ValueError(
                f"a {type(item).__name__} takes no position of the prompt, so nothing tells where "
                "it stands; let its encoder or the projection give it at least one"
            )
        parts.media.append(item)
        parts.runs.append(runs)
        parts.numbers.append(number)
        pointer = [self.signals.pointer(number)] if self.signals.pointers else []
        ids = [self._ids_of_run(name, run) for run in positions]
        joined = pointer + [token for each in ids for token in each]
        if name in self.signals.inputs:
            return joined
        first, last = positions[0], positions[-1]
        opens, closes = isinstance(first, str) and not pointer, isinstance(last, str)
        inner = ids[opens : len(ids) - closes]
        marks = str(first) if opens else "", str(last) if closes else ""
        tokens = pointer + [token for each in inner for token in each]
        return MediaIds(joined, type(item).kind, self._token_of(item), marks, tokens)

    def _ids_of_run(self, name: str, run: str | SoftRun) -> list[int]:
        if isinstance(run, str):
            return self.language.encode_mark(run)
        return [self.signals.placeholder(name)] * run.count

    def _labels(self, ids: list[int]) -> list[int]:
        # Only a span's first signal token is ever chosen; the rest follows by construction, and so
        # does its own pointer behind it.
        starts = self.signals.starts
        return [
            IGNORED
            if (self.signals.is_signal(token) and token not in starts) or last in self._span_ends
            else token
            for last, token in zip([None, *ids], ids, strict=False)
        ]

    def _token_of(self, media: Media) -> int:
        """The placeholder of a media item."""
        return self.signals.placeholder(self.encoders[type(media)])

    def _is_beside(self, item: Media, media: Sequence[Media]) -> bool:
        """Return whether an item's soft tokens are others beside some of these media."""
        reader = self.language.readers.get(type(item))
        if reader is None or reader.beside is None:
            return False
        # Where an encoder reads media of a kind, the model itself knows nothing of them.
        own = {type(each) for each in media if self.encoders[type(each)] not in self.signals.inputs}
        return type(item) in own and any(issubclass(each, reader.beside) for each in own)

    def _locate(self, prompt: ChatPrompt, parts: _Parts) -> None:
        """Find the places of media and of targets among the ids."""
        media, targets = parts.media, parts.targets
        # By their tokens, which kinds may share: a template may write pictures before what else a
        # message has.
        places: dict[int, list[int]] = {t: [] for t in self.signals.placeholders.values()}
        for place, token in enumerate(prompt.ids):
            if token in places:
                places[token].append(place)
        for token, own in places.items():
            pairs = zip(media, parts.runs, strict=True)
            counts = [sum(r.count for r in rs) for m, rs in pairs if self._token_of(m) == token]
            if len(own) != sum(counts):
                names = [n for n, each in self.signals.placeholders.items() if each == token]
                raise ValueError(
                    f"for {' and '.join(map(repr, names))}, the prompt has {len(own)} placeholders "
                    f"and its {len(counts)} media items take {sum(counts)}; does the chat template "
                    "drop or repeat a message?"
                )
        starts = [i for i, token in enumerate(prompt.ids) if token in self.signals.starts]
        if len(starts) != len(targets):
            raise ValueError(
                f"the prompt has {len(starts)} signal spans for {len(targets)} media to make; "
                "does the chat template drop or repeat a message?"
            )
        placed: list[tuple[int, SoftRun]] = []
        each = zip(media, parts.runs, parts.texts, parts.numbers, strict=True)
        for item, runs, text, number in each:
            name = self.encoders[type(item)]
            own, filled = places[self._token_of(item)], []
            start = own[0]
            for run in runs:
                placed.append((own[0], run))
                filled += own[: run.count] if run.filled else []
                del own[: run.count]
            beside = self._is_beside(item, media)
            prompt.media.append(MediaReference(name, item, start, text, number, filled, beside))
        prompt.media.sort(key=attrgetter("start"))
        by_itself = (item.modality not in self.signals.inputs for item in prompt.media)
        prompt.looks_ahead = self.language.reads_across and any(by_itself)
        placed.sort(key=itemgetter(0))
        prompt.axes = axes_of(placed, len(prompt.ids), self.language.num_axes)
        spans = zip(targets, starts, parts.target_numbers, strict=True)
        prompt.spans += [Span(*each) for each in spans]
