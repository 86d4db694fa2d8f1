"""Some media that a question compares: their labels in replies, and the words that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.comparisons import ALREADY_NAMED, PROPERTIES
from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA, ORDINALS
from anymodal.toybox.grammar.rules import tidy
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import capitalize, value_phrase, with_article
from anymodal.toybox.scene import VALUES

_THEY = {2: ("they", "they", "they", "the two", "these", "these two", "those two"),
         3: ("they", "these", "the three", "all three")}  # fmt: skip
_THEM = {2: ("them", "them", "the two", "these two", "these", "those two"),
         3: ("them", "these", "the three", "all three", "these three")}  # fmt: skip
_SHORT_KINDS = {"image": ("img", "pic", "image"), "audio": ("track", "sound", "audio"),
                "video": ("clip", "vid", "video"), "imu": ("log", "movement")}  # fmt: skip
_PHONE = ("my phone", "my phone's movement", "what my phone recorded", "my movement")

_ONE_OF = re.compile(r"\[([^\]]*)\]")


def labels_of(entries: Sequence[Entry]) -> list[str]:
    """A name for each of some items: its kind where all differ, else its place."""
    kinds = [entry.item.modality for entry in entries]
    if len(set(kinds)) == len(kinds):
        return [KINDS_OF_MEDIA[kind][0] for kind in kinds]
    return list(ORDINALS[: len(kinds)])


def joined_values(name: str, values: Sequence[str]) -> str:
    """Values of an attribute as the oracle of texts reads them together."""
    return " and ".join(value for value in VALUES[name] if value in values)


@dataclass(frozen=True)
class Compared:
    """Items that a question compares.

    Args:
        builder: the conversation.
        entries: the items, in the conversation's order.
        media: those of them that are shown with the question.
        among: the items that words must tell them from; themselves where "they" is clear.
        lead_in: words before the question.
        at_hand: whether the question before was of them.
    """

    builder: DialogueBuilder
    entries: Sequence[Entry]
    media: Sequence[MediaItem] = ()
    among: Sequence[Entry] = ()
    lead_in: str = ""
    at_hand: bool = False

    @property
    def is_clear(self) -> bool:
        """True where "they" can mean no other items."""
        return self.at_hand or not self.among

    @property
    def labels(self) -> list[str]:
        """The items' names in replies: of two among several, their places among all of a kind."""
        if not self.among or len(self.modalities) > 1:
            return labels_of(self.entries)
        kind = self.entries[0].item.modality
        alike = [entry.number for entry in self.among if entry.item.modality == kind]
        return [ORDINALS[alike.index(entry.number)] for entry in self.entries]

    @property
    def modalities(self) -> set[str]:
        """The items' modalities."""
        return {entry.item.modality for entry in self.entries}

    def values(self, name: str) -> list[str]:
        """The items' values of an attribute."""
        return [entry.item.attributes[name] for entry in self.entries]

    def each(self, name: str) -> str:
        """A clause that says an attribute of each: "the first is red, the second is blue"."""
        parts = zip(self.labels, self.values(name), strict=True)
        return ", ".join(f"the {label} is {with_article(name, value)}" for label, value in parts)

    def spoken(self, name: str) -> str:
        """An attribute as people call it: the size of sounds is a pitch, of movements a force."""
        if name == "size" and self.modalities == {"audio"}:
            return "pitch" if self.builder.scenes.chance(0.75) else name
        return "strength" if name == "size" and self.modalities == {"imu"} else name

    def ask(
        self,
        templates: Sequence[str],
        name: str | None = None,
        slots: Mapping[str, str] | None = None,
        *,
        in_order: bool = False,
    ) -> list[Entry]:
        """Add a question; the answer is the items in the order in which it may name them.

        Args:
            templates: questions, of which one is drawn.
            name: an attribute that the words for the items must not tell.
            slots: texts of the template's other slots.
            in_order: name the items in the conversation's order.
        """
        draw, slots = self.builder.scenes, dict(slots or {})
        text = draw.choice(templates)
        while text[0].isdigit() and text[1:3] == ": ":  # its weight; "1: " stands for none
            if draw.chance(0.5 if text[0] == "2" else 0.7):
                text = text[3:]
                break
            text = draw.choice(templates)
        entries = list(self.entries)
        if not in_order and draw.chance(0.4):
            entries = draw.shuffled(entries)
        if not self.is_clear and not any(slot in text for slot in ("{s}", "{o}", "{a}", "{b}")):
            text = draw.choice(ALREADY_NAMED).replace("{t}", text)
        text = _ONE_OF.sub(lambda match: draw.choice(match[1].split("|")), text)
        if "{p}" in text:
            slots["p"] = draw.choice(PROPERTIES[slots.get("p") or self.spoken(name or "thing")])
        if any(slot in text for slot in ("{a}", "{b}", "{s}", "{o}")):
            slots |= self._names(entries, name)
        for slot, words in slots.items():
            text = text.replace(f"{{{slot}}}", words)
        self.builder.add_typed(tidy(self.lead_in + text), self.media)
        self.builder.focus = None
        return entries

    def _names(self, entries: Sequence[Entry], name: str | None) -> dict[str, str]:
        """Words for the items: a and b each, s and o all."""
        draw = self.builder.scenes
        told = [value_phrase(name, value) for value in self.values(name)] if name else []
        words = [self._name(entry, told) for entry in entries]
        for _ in range(3):
            if len(set(words)) == len(words):
                break
            words = [self._name(entry, told) for entry in entries]
        slots = dict(zip("abc", words, strict=False))
        count = len(words)
        if self.is_clear and draw.chance(0.8):
            return slots | {"s": draw.choice(_THEY[count]), "o": draw.choice(_THEM[count])}
        both = f"{', '.join(words[:-1])} and {words[-1]}"
        return slots | {"s": both, "o": both}

    def _name(self, entry: Entry, told: Sequence[str]) -> str:
        """Words for one of the items, which don't tell some values."""
        draw = self.builder.scenes
        all_of_them = list(self.among or self.entries)
        choice = draw.rng.random()
        if choice < 0.25 and (words := self._of_author(entry, all_of_them, told)):
            return words
        if 0.25 < choice < 0.4 and (words := self._numbered(entry, all_of_them)):
            return words
        for _ in range(4):
            words = self.builder.refer(entry, all_of_them)
            if not any(value in words for value in told):
                return words
        return self.builder.refer(entry, all_of_them, content=False)

    def _of_author(self, entry: Entry, entries: list[Entry], told: Sequence[str]) -> str | None:
        """ "mine", "your drum", "my phone": where no other item is meant."""
        draw = self.builder.scenes
        own = [each for each in entries if each.role == entry.role]
        whose = "my" if entry.role == "user" else "your"
        if len(own) == 1 and len(entries) > 1 and draw.chance(0.5):
            return draw.choice(("mine", "my one") if whose == "my" else ("yours", "your one"))
        if entry.item.modality == "imu":
            only = [each.item.modality for each in entries].count("imu") == 1
            return draw.choice(_PHONE) if only else None
        shown = entry.item.attributes
        if value_phrase("thing", shown["thing"]) in told:
            return None
        if [each.item.attributes.get("thing") for each in own].count(shown["thing"]) > 1:
            return None
        if len({each.role for each in entries}) == 1 and draw.chance(0.6):
            whose = "the"
        return f"{whose} {value_phrase('thing', shown['thing'])}"

    def _numbered(self, entry: Entry, entries: list[Entry]) -> str | None:
        """ "#1", "clip 2", "the 2nd pic": its place among those of its kind."""
        draw, kind = self.builder.scenes, entry.item.modality
        alike = [each for each in entries if each.item.modality == kind]
        if len(alike) < 2 or len(alike) > 4:
            return None
        place = alike.index(entry)
        noun = draw.choice(_SHORT_KINDS[kind])
        forms = [f"{noun} {place + 1}", f"the {('1st', '2nd', '3rd', '4th')[place]} {noun}",
                 f"{noun} #{place + 1}", f"{noun} number {place + 1}"]  # fmt: skip
        if len(alike) == len(entries):
            forms += [f"#{place + 1}", f"number {place + 1}", f"no. {place + 1}"]
        return draw.choice(forms)

    def answer(self, name: str, verdict: str = "", which: str = "") -> None:
        """Add a reply that says an attribute of each item, then a verdict or which item it is."""
        expected = {name: joined_values(name, self.values(name))}
        reply = capitalize(self.each(name))
        if verdict:
            expected, reply = {"answer": verdict, **expected}, f"{reply}, so {verdict}"
        elif which:
            article = "" if which == "neither" else "the "
            expected, reply = {"which": which, **expected}, f"{reply}, so {article}{which}"
        self.builder.add_reply(f"{reply}.", expected)
