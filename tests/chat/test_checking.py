"""Replies that are checked: claims are asked about, and the reply is corrected and says so."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from anymodal.chat.checking import ReplyChecker, answer_with_check
from anymodal.chat.claims import ClaimSettings
from anymodal.chat.session import Session
from anymodal.types import (
    ClaimChecked,
    Done,
    Event,
    MediumStarted,
    Message,
    TextDelta,
    TokenUsage,
)
from tests.support.tiny import picture, tiny_model

WHAT = [picture(), "what is this?"]


class Says:
    """Somebody else who answers every question with one word."""

    def __init__(self, word: str) -> None:
        self.word, self.asked = word, list[Message]()

    def stream(self, conversation: Any, *, seed: Any = None, **text: Any) -> Generator[Event]:
        self.asked += conversation
        yield Done(Message("assistant", self.word, usage=TokenUsage(7, 2, 3)))


def checked(
    draft: Message, checker: ReplyChecker, answers: Sequence[str] = (), shown: bool = True
) -> list[Event]:
    """The events of a draft that is checked, by a model that gives these answers in turn."""
    left = iter(answers)

    def events() -> Iterator[Event]:
        yield TextDelta(draft.text)
        for medium in draft.media:
            yield MediumStarted(0, medium.kind)
        yield Done(draft)

    def ask(conversations: Any, choices: Any) -> list[Message]:
        return [Message("assistant", next(left)) for _ in conversations]

    messages = [Message("user", WHAT if shown else "what?")]
    return list(answer_with_check(events(), messages, checker, ask, 0))  # type: ignore[arg-type]


def test_wrong_sentences_are_dropped_and_told() -> None:
    other = Says("No, it isn't.")
    checker = ReplyChecker(other, correction="drop")
    *before, delta, done = tiny_model().stream(WHAT, check=checker)
    assert [type(event) for event in before] == [ClaimChecked]
    assert isinstance(delta, TextDelta) and isinstance(done, Done)
    message, check = done.message, done.message.check
    assert message.text == delta.text == "I can't tell." and check is not None
    assert check.draft == "This is a ball." and check.removed == ("This is a ball.",)
    assert check.added == ("I can't tell.",)
    assert [claim.text for claim in check.wrong] == ["This is a ball."]
    assert check.draft_seconds > 0 and check.check_seconds > 0
    assert "checked 1 claims in" in str(check) and "taken out: This is a ball." in str(check)
    draft, answer = tiny_model().chat(WHAT).usage, TokenUsage(7, 2, 3)
    assert draft is not None and check.usage == answer and message.usage == draft + answer
    (question,) = other.asked
    assert question.media == [picture()]
    assert question.text == "This is a ball. Is that right? Answer yes or no."


def test_what_is_right_stays_and_a_model_can_check_itself() -> None:
    reply = tiny_model().chat(WHAT, check=ReplyChecker(Says("Yes.")))
    assert reply.text == "This is a ball." and reply.check is not None
    assert not reply.check.wrong and str(reply.check).endswith("all right")
    own = tiny_model().chat(WHAT, check=True, seed=1).check
    assert own is not None and own.usage.prompt > 0
    assert len(own.claims) == 1 and 0 <= own.claims[0].probability <= 1
    assert tiny_model().chat(WHAT).check is None


def test_a_reply_is_written_again() -> None:
    draft = Message("assistant", "A ball. It is red.\nNice!")
    answers = ["yes", "no", "yes", "A ball. It is blue.\nNice!"]
    *claims, delta, done = checked(draft, ReplyChecker(), answers)
    assert [claim.number for claim in claims if isinstance(claim, ClaimChecked)] == [1, 2, 3]
    assert isinstance(done, Done) and done.message.check is not None
    assert delta == TextDelta("A ball. It is blue.\nNice!")
    assert done.message.check.removed == ("It is red.",)
    assert done.message.check.added == ("It is blue.",)
    split = ReplyChecker(claims=ClaimSettings("{reply}"))
    answers = ["- It is red.", "no", " "]
    done = checked(Message("assistant", "A red ball."), split, answers)[-1]
    assert isinstance(done, Done) and done.message.text == "I can't tell."
    drop = ReplyChecker(correction="drop")
    done = checked(draft, drop, ["yes", "no", "yes"])[-1]
    assert isinstance(done, Done) and done.message.text == "A ball.\nNice!"


@pytest.mark.parametrize(
    ("draft", "shown", "reason"),
    [
        (Message("assistant", "A ball."), False, "no media were shown"),
        (Message("assistant", ["Here: ", picture()]), True, "the reply makes media"),
        (Message("assistant", "Which one?"), True, "the reply states nothing"),
    ],
)
def test_what_can_not_be_checked_is_told(draft: Message, shown: bool, reason: str) -> None:
    events = checked(draft, ReplyChecker(), shown=shown)
    assert isinstance(events[-1], Done) and events[-1].message.content == draft.content
    check = events[-1].message.check
    assert check is not None and check.skipped.startswith(reason) and "not checked" in str(check)
    assert TextDelta(draft.text) in events


def test_unusable_settings_are_refused() -> None:
    model = tiny_model()
    for settings, says in (
        ({"check": 3}, "check=3; give True"),
        ({"check": True, "tools": [len]}, "leave check or tools out"),
        ({"check": True, "choices": ["a", "b"]}, "choices tells nothing"),
        ({"check": True, "top_logprobs": 1}, "top_logprobs tells nothing"),
    ):
        with pytest.raises(ValueError, match=says):
            model.stream(WHAT, **settings)
    with pytest.raises(ValueError, match="check reads one conversation's reply at a time"):
        model.chat([WHAT, WHAT], check=True)  # type: ignore[call-overload]
    for more, says in (
        ({"correction": "drpo"}, "did you mean 'drop'"),
        ({"correction": "drop", "claims": ClaimSettings("{reply}")}, "takes whole sentences out"),
        ({"prompt": "again"}, "lacks {claims}"),
        ({"nothing_left": " "}, "nothing_left is empty"),
    ):
        with pytest.raises(ValueError, match=says):
            ReplyChecker(**more)  # type: ignore[arg-type]


def test_a_session_keeps_what_was_corrected(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    checker = ReplyChecker(Says("no"), correction="drop")
    session = Session(tiny_model(), tmp_path, 1, check=checker)
    session.attach(tmp_path / "a.png")
    list(session.ask("what is this?"))
    assert session.messages[1].text == "I can't tell."
    with pytest.raises(ValueError, match="choices tells nothing"):
        session.configure(choices=["a", "b"])
    assert "choices" not in session.text
