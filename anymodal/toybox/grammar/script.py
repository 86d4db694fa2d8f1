"""Writes a conversation turn by turn, with its answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.loose_requests import around
from anymodal.toybox.grammar.phrases.questions import ANSWER
from anymodal.toybox.grammar.phrases.replies import REPLY, REPLY_CHANGED, REPLY_NEXT, REPLY_TAIL
from anymodal.toybox.grammar.requests import question, yes_no_question
from anymodal.toybox.grammar.scenes import Scenes, shows_held_out
from anymodal.toybox.grammar.types import Dialogue, Medium, Turn
from anymodal.toybox.grammar.words import Draw, Facts, plain_value, sentence
from anymodal.toybox.scene import VALUES


class Script:
    """A conversation in the making."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes
        self.turns: list[Turn] = []
        self.answers: list[tuple[dict[str, str], ...]] = []

    def user(self, text: str, media: Sequence[Medium] = ()) -> None:
        """The user says something, with media before it, and at times something around it."""
        if self.scenes.chance(0.1):
            text = around(self.scenes, text)
        self.turns.append(Turn("user", (*media, text)))

    def make(self, media: Sequence[Medium], *, changed: bool = False) -> None:
        """The assistant says what it makes, and makes it."""
        draw = self.scenes
        parts: list[str | Medium] = []
        for medium in media:
            forms = REPLY_NEXT[medium.modality] if parts else REPLY[medium.modality]
            if changed and not parts and draw.chance(0.3):
                forms = REPLY_CHANGED
            parts += [sentence_start(draw.one(forms), medium, first=not parts), medium]
        if draw.chance(0.1):
            parts.append(draw.one(REPLY_TAIL))
        self.turns.append(Turn("assistant", tuple(parts)))
        self.answers.append(tuple(medium.told for medium in media))

    def say(self, text: str, told: dict[str, str] | None = None) -> None:
        """The assistant answers in words; `told` is what they must tell, None if they are free."""
        self.turns.append(Turn("assistant", (text,)))
        self.answers.append(() if told is None else (told,))

    def describe(self, told: dict[str, str], modality: str) -> None:
        """The assistant describes a medium."""
        self.say(describe(told, modality, self.scenes.rng), told)

    def ask(
        self, told: dict[str, str], modality: str, media: Sequence[Medium] = (), before: str = ""
    ) -> str:
        """A question about one attribute of what is told, and its answer; returns the attribute."""
        if self.scenes.chance(0.3):
            return self.verify(told, media, before)
        name = self.scenes.one(list(told))
        self.user(f"{before}{question(self.scenes, modality, name)}", media)
        self.say(value_answer(self.scenes, name, told[name]), {name: told[name]})
        return name

    def verify(self, told: dict[str, str], media: Sequence[Medium] = (), before: str = "") -> str:
        """A question whether an attribute has some value, and its answer; returns the attribute."""
        name = self.scenes.one(list(told))
        text, answer, facts = yes_no(self.scenes, name, told)
        self.user(f"{before}{text}", media)
        self.say(answer, facts)
        return name

    def dialogue(self, kind: str, from_input: Collection[str] = ()) -> Dialogue:
        """The conversation so far."""
        return Dialogue(
            tuple(self.turns),
            kind,
            tuple(self.answers),
            tuple(name for name in ("answer", *VALUES) if name in from_input),
        )


def sentence_start(form: str, medium: Medium, *, first: bool) -> str:
    """A reply's words before a medium: the form with the medium's caption."""
    text = form.replace("{x}", medium.caption)
    return sentence(text) if first else text


def value_answer(draw: Draw, name: str, value: str) -> str:
    """An answer that tells one attribute and no more."""
    return sentence(draw.one(ANSWER[name]).replace("{v}", plain_value(name, value)))


def yes_no(draw: Draw, name: str, told: Facts) -> tuple[str, str, dict[str, str]]:
    """A question whether an attribute has a value, its answer, and what the answer tells."""
    value = told[name]
    yes = draw.chance(0.5)
    others = [other for other in VALUES[name] if other != value]
    allowed = [other for other in others if not shows_held_out({**told, name: other})]
    asked = value if yes else draw.one(allowed or others)
    wondered, said = _called(name, asked), _called(name, value)
    verdict = "yes" if yes else "no"
    # What was asked and what it is come first, side by side: who has said both finds the verdict
    # in his own words.
    reply = f"Is it {wondered}? It is {said}, so {verdict}."
    return yes_no_question(draw, name, asked), reply, {"answer": verdict, name: value}


def _called(name: str, value: str) -> str:
    words = plain_value(name, value)
    return f"a {words}" if name == "thing" else words
