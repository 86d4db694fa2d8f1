"""Builds a conversation message by message, with the attributes that its replies must show."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.loose_requests import with_surroundings
from anymodal.toybox.grammar.phrases.questions import ANSWER
from anymodal.toybox.grammar.phrases.replies import REPLY, REPLY_CHANGED, REPLY_NEXT, REPLY_TAIL
from anymodal.toybox.grammar.referring import PRONOUNS, referring_phrase
from anymodal.toybox.grammar.requests import question, yes_no_question
from anymodal.toybox.grammar.rules import mended
from anymodal.toybox.grammar.scenes import SceneSampler, shows_held_out
from anymodal.toybox.grammar.types import DialogueTurn, Entry, MediaItem, ReferenceDialogue
from anymodal.toybox.grammar.words import (
    Attributes,
    as_typed,
    capitalize,
    value_phrase,
    with_article,
)
from anymodal.toybox.scene import VALUES


class DialogueBuilder:
    """A conversation in the making.

    Args:
        scenes: random draws.
        forgets: what stood before it is no longer shown.
    """

    def __init__(self, scenes: SceneSampler, forgets: bool = False) -> None:
        self.scenes, self.forgets = scenes, forgets
        self.alone = False  # whether words count on all media, as "the first picture"
        self.facts: dict[str, str] = {}  # that the user has told, by kind
        self.focus: int | None = None  # the item that "it" means, where it is clear
        self.turns: list[DialogueTurn] = []
        self._entries: list[Entry] = []
        self.answers: list[tuple[dict[str, str], ...]] = []

    def add_request(self, text: str, media: Sequence[MediaItem] = ()) -> None:
        """Add a user's message: media, then words, in one of ten with irrelevant talk around."""
        if self.scenes.chance(0.1):
            text = with_surroundings(self.scenes, text)
        self._add_turn("user", (*media, mended(text)))

    def add_typed(self, text: str, media: Sequence[MediaItem] = ()) -> None:
        """Add a user's message as people type it: with slips and short forms."""
        text = as_typed(self.scenes, mended(text))
        self._add_turn("user", (*media, self.scenes.typed(text)))

    @property
    def entries(self) -> list[Entry]:
        """The conversation's media so far, in order."""
        return list(self._entries)

    def _add_turn(self, role: str, parts: tuple[str | MediaItem, ...]) -> None:
        self.turns.append(turn := DialogueTurn(role, parts))
        for item in turn.media:
            self._entries.append(Entry(len(self._entries), item, role))

    def refer(
        self, entry: Entry, entries: Sequence[Entry] | None = None, *, content: bool = True
    ) -> str:
        """Words that name an item, among the conversation's or among some others."""
        focus = self.focus if entries is None else None
        text = referring_phrase(self.scenes, entries or self.entries, entry, focus, content=content)
        self.alone = self.alone or (entries is None and text not in PRONOUNS)
        return text

    def add_media_reply(
        self, media: Sequence[MediaItem], *, is_edit: bool = False, source: Entry | None = None
    ) -> None:
        """Add a reply that announces media by their captions, and holds them.

        Args:
            media: what it holds.
            is_edit: whether it may say that something has changed.
            source: an item that they are made from, as far as their modality allows.
        """
        draw = self.scenes
        if source is not None:
            media = [source.made_into(item) for item in media]
        parts: list[str | MediaItem] = []
        for item in media:
            templates = REPLY_NEXT[item.modality] if parts else REPLY[item.modality]
            if is_edit and not parts and draw.chance(0.3):
                templates = REPLY_CHANGED
            # The caption in the reply's words is what heads learn to turn into conditioning.
            text = draw.choice(templates).replace("{x}", item.caption)
            parts += [text if parts else capitalize(text), item]
        if draw.chance(0.1):
            parts.append(draw.choice(REPLY_TAIL))
        self._add_turn("assistant", tuple(parts))
        self.answers.append(tuple(item.attributes for item in media))
        self.focus = self._entries[-1].number if len(media) == 1 else None

    def add_reply(self, text: str, expected: dict[str, str] | None = None) -> None:
        """Add a reply in words, with the attributes that they must state; None if they are free."""
        text = text.replace("a orange", "an orange")
        self._add_turn("assistant", (text,))
        self.answers.append(() if expected is None else (expected,))

    def add_description(self, attributes: dict[str, str], modality: str) -> None:
        """Add a reply that describes a media item."""
        self.add_reply(describe(attributes, modality, self.scenes.rng), attributes)

    def add_question(
        self,
        attributes: dict[str, str],
        modality: str,
        media: Sequence[MediaItem] = (),
        before: str = "",
    ) -> None:
        """Add a question about one of some attributes, and its answer.

        Args:
            attributes: those that can be asked about.
            modality: of what they are read off, or "text".
            media: shown with the question.
            before: words before it.
        """
        if self.scenes.chance(0.3):
            self.add_yes_no_question(attributes, media, before)
            return
        name = self.scenes.choice(list(attributes))
        self.add_request(f"{before}{question(self.scenes, modality, name)}", media)
        answer = self.scenes.choice(ANSWER[name])
        answer = answer.replace("{v}", value_phrase(name, attributes[name]))
        self.add_reply(capitalize(answer), {name: attributes[name]})

    def add_yes_no_question(
        self, attributes: dict[str, str], media: Sequence[MediaItem] = (), before: str = ""
    ) -> None:
        """Add a question whether one of some attributes has a value, and its answer."""
        name = self.scenes.choice(list(attributes))
        value = attributes[name]
        verdict = "yes" if self.scenes.chance(0.5) else "no"
        guess = value if verdict == "yes" else self.other_value(name, attributes)
        guess_words, actual = with_article(name, guess), with_article(name, value)
        self.add_request(f"{before}{yes_no_question(self.scenes, name, guess)}", media)
        # Both values stand side by side before the verdict: comparing them in its own words is
        # easier for a small model than across the conversation.
        reply = f"Is it {guess_words}? It is {actual}, so {verdict}."
        self.add_reply(reply, {"answer": verdict, name: value})

    def other_value(self, name: str, attributes: Attributes) -> str:
        """Another value of an attribute, one of the training split if there is one."""
        others = [other for other in VALUES[name] if other != attributes[name]]
        seen_values = [value for value in others if not shows_held_out({**attributes, name: value})]
        return self.scenes.choice(seen_values or others)

    def build(self, kind: str, from_input: Collection[str] = ()) -> ReferenceDialogue:
        """The conversation so far.

        Args:
            kind: of the conversation.
            from_input: attributes of the last answer that only the user's media show.
        """
        return ReferenceDialogue(
            tuple(self.turns),
            kind,
            tuple(self.answers),
            tuple(name for name in ("answer", *VALUES) if name in from_input),
            self.forgets,
            self.alone,
        )
