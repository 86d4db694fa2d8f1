"""Replies that are checked: what a draft claims is asked about beside the media, and corrected."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Protocol, Unpack

from anymodal.chat.batch import reply_many
from anymodal.chat.claims import (
    Ask,
    ClaimSettings,
    fill_places,
    split_claims,
    statements_of,
    verify_claims,
    without_sentences,
)
from anymodal.config import suggest
from anymodal.core import ComposedModel
from anymodal.language.choices import distinct_choices
from anymodal.types import (
    Claim,
    ClaimChecked,
    Done,
    Event,
    Message,
    ReplyCheck,
    TextDelta,
    TokenUsage,
)

if TYPE_CHECKING:
    from anymodal.chat.settings import TextSettings

REWRITE, DROP = "rewrite", "drop"
CORRECTION_PROMPT = """\
Your last reply says things that what was shown doesn't bear out:
{claims}
Write the reply again. Change or leave out these things, keep what is right, and add nothing."""
"""Asks for the corrected reply, as Woodpecker's last step does (arXiv:2310.16045, section 3.5)."""
NOTHING_LEFT = "I can't tell."
_MAX_ANSWER = 256
"""Tokens of what is written beside the reply, or as many as the reply may have."""


class Verifier(Protocol):
    """A model that questions are put to, in this process or on a server."""

    def stream(
        self, conversation: object, *, seed: int | None = None, **text: Unpack[TextSettings]
    ) -> Generator[Event]:
        """Answer a conversation, see `ChatModel.stream`."""


@dataclass(frozen=True)
class ReplyChecker:
    """Checks replies and corrects them, in Woodpecker's manner.

    A draft's claims are asked about one by one, with yes or no, beside the media of the
    conversation. Where some aren't borne out, the reply is corrected. Yin et al. 2023,
    "Woodpecker: hallucination correction for multimodal large language models", arXiv:2310.16045;
    there a detector and a question model answer, here it is the model itself or another one.

    Args:
        verifier: answers the questions: a model with `chat`, one on a server (`RemoteModel`), or
            None for the model itself.
        claims: see `ClaimSettings`.
        correction: `rewrite` asks the model for another reply, and `drop` takes the sentences with
            wrong claims out, which models do that can't rewrite; it needs claims that are
            sentences.
        prompt: asks for the other reply; `{claims}` stands for the wrong ones, a line each.
        nothing_left: the reply where all of it was wrong.

    Raises:
        ValueError: for another correction, or a prompt without `{claims}`.
    """

    verifier: Verifier | None = None
    claims: ClaimSettings = field(default_factory=ClaimSettings)
    correction: str = REWRITE
    prompt: str = CORRECTION_PROMPT
    nothing_left: str = NOTHING_LEFT

    def __post_init__(self) -> None:
        if self.correction not in (REWRITE, DROP):
            hint = suggest(self.correction, (REWRITE, DROP))
            raise ValueError(f"correction={self.correction!r}{hint}; give {REWRITE} or {DROP}")
        if self.correction == DROP and self.claims.split_prompt is not None:
            raise ValueError(
                "correction='drop' takes whole sentences out, and split_prompt gives claims that "
                "aren't sentences of the reply; leave one of them out"
            )
        if "{claims}" not in self.prompt:
            raise ValueError("the prompt for the correction lacks {claims}, where they stand")
        if not self.nothing_left.strip():
            raise ValueError("nothing_left is empty; give a text that says that nothing is known")


def checker_of(value: ReplyChecker | bool | None) -> ReplyChecker | None:
    """The checker that `check=` stands for: none where it is False or None.

    Raises:
        ValueError: for anything else than a checker or a truth value.
    """
    if isinstance(value, ReplyChecker):
        return value
    if value is None or isinstance(value, bool):
        return ReplyChecker() if value else None
    raise ValueError(f"check={value!r}; give True, or a ReplyChecker")


def refuse_unchecked(text: TextSettings, tools: Sequence[object]) -> None:
    """Refuse what a reply that is checked can't have.

    Raises:
        ValueError: naming it.
    """
    if tools:
        raise ValueError(
            "check reads one reply, and a turn with tools has several; leave check or tools out"
        )
    for name in ("choices", "top_logprobs"):
        if text.get(name) is not None:
            raise ValueError(
                f"check may write the reply anew, so {name} tells nothing of it; leave check or "
                f"{name} out"
            )


def ask_model(model: Verifier, seed: int, max_new_tokens: int | None = None) -> Ask:
    """Puts questions to a model: in a batch to one of this process, one by one to any other.

    Args:
        model: answers.
        seed: of the answers.
        max_new_tokens: of the reply in question, which a correction of it may need too.
    """
    most = max(_MAX_ANSWER, max_new_tokens or 0)

    def ask(
        conversations: Sequence[list[Message]], choices: Sequence[str] | None
    ) -> Sequence[Message]:
        if isinstance(model, ComposedModel):
            each = None
            if choices is not None:
                each = [distinct_choices(model.language, choices)] * len(conversations)
            return reply_many(
                model,
                conversations,
                seeds=[seed] * len(conversations),
                max_new_tokens=most,
                modalities=[],
                choices=each,
            )
        return [_answer(model, conversation, seed, most) for conversation in conversations]

    return ask


def _answer(
    model: Verifier, conversation: list[Message], seed: int, max_new_tokens: int
) -> Message:
    events = model.stream(conversation, seed=seed, max_new_tokens=max_new_tokens)
    with contextlib.closing(events):
        return next(event.message for event in events if isinstance(event, Done))


def answer_with_check(
    answer: Generator[Event],
    messages: Sequence[Message],
    checker: ReplyChecker,
    ask_itself: Ask,
    seed: int,
) -> Generator[Event]:
    """Answer, check the draft and correct it.

    The draft's text is held back, its media's events aren't. Then come a `ClaimChecked` of each
    claim, the text as one `TextDelta`, and `Done`, whose message has a `ReplyCheck`. A draft that
    makes media is told as it is, since its claims may be about these, and so is one where nothing
    was shown. The usage of the reply counts the draft, the questions and the correction, as far as
    who answers tells it; that of the check counts all but the draft.

    Args:
        answer: the events of the draft.
        messages: the conversation.
        checker: how.
        ask_itself: puts questions to the model that answers.
        seed: of the questions to another verifier.
    """
    began, used = time.monotonic(), list[TokenUsage]()
    ask_itself = _counted(ask_itself, used)
    held: list[TextDelta] = []
    draft = yield from _hold_text(answer, held)
    check = ReplyCheck(draft.text, draft_seconds=time.monotonic() - began)
    if skipped := _reason_to_skip(messages, draft):
        yield from held
        draft.check = dataclasses.replace(check, skipped=skipped)
        yield Done(draft)
        return
    ask = ask_itself
    if checker.verifier is not None:
        ask = _counted(ask_model(checker.verifier, seed), used)
    began = time.monotonic()
    media = [medium for message in messages for medium in message.media]
    questions = [message.text for message in messages if message.role == "user"]
    (claims,) = split_claims(ask_itself, [(questions[-1], draft.text)], checker.claims)
    (checked,) = verify_claims(ask, [(media, claims)], checker.claims)
    check = dataclasses.replace(
        check, claims=tuple(checked), check_seconds=time.monotonic() - began
    )
    for number, claim in enumerate(checked, 1):
        yield ClaimChecked(claim, number, len(checked))
    text = draft.text
    if check.wrong:
        began = time.monotonic()
        text, draft.finish_reason = _corrected(draft, messages, check.wrong, checker, ask_itself)
        removed, added = _changes(draft.text, text)
        check = dataclasses.replace(
            check, removed=removed, added=added, correction_seconds=time.monotonic() - began
        )
    usage = sum(used, TokenUsage())
    draft.content, draft.check = [text], dataclasses.replace(check, usage=usage)
    if draft.usage is not None:
        draft.usage += usage
    yield TextDelta(text)
    yield Done(draft)


def _counted(ask: Ask, used: list[TokenUsage]) -> Ask:
    """Questions as before, whose answers' usage is noted."""

    def ask_and_count(
        conversations: Sequence[list[Message]], choices: Sequence[str] | None
    ) -> Sequence[Message]:
        answers = ask(conversations, choices)
        used.extend(answer.usage for answer in answers if answer.usage is not None)
        return answers

    return ask_and_count


def _hold_text(events: Generator[Event], held: list[TextDelta]) -> Generator[Event, None, Message]:
    """Pass on a draft's events but its text and the last, whose message comes back."""
    with contextlib.closing(events):
        for event in events:
            if isinstance(event, Done):
                return event.message
            if isinstance(event, TextDelta):
                held.append(event)
            else:
                yield event
    raise AssertionError("a reply ends with Done")


def _reason_to_skip(messages: Sequence[Message], draft: Message) -> str:
    if not any(message.media for message in messages):
        return "no media were shown"
    if draft.media:
        return "the reply makes media, which it may be about"
    return "" if statements_of(draft.text) else "the reply states nothing"


def _corrected(
    draft: Message,
    messages: Sequence[Message],
    wrong: Sequence[Claim],
    checker: ReplyChecker,
    ask: Ask,
) -> tuple[str, str | None]:
    """The corrected text, and why it ended."""
    if checker.correction == DROP:
        text = without_sentences(draft.text, [claim.text for claim in wrong])
        finish_reason = draft.finish_reason
    else:
        claims = "\n".join(f"- {claim.text}" for claim in wrong)
        told = fill_places(checker.prompt, {"claims": claims})
        (reply,) = ask([[*messages, Message("assistant", draft.text), Message("user", told)]], None)
        text, finish_reason = reply.text.strip(), reply.finish_reason
    return (text if statements_of(text) else checker.nothing_left), finish_reason


def _changes(before: str, after: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences that only the one text has, and those that only the other has."""
    old, new = (statements_of(text, questions=True) for text in (before, after))
    removed: list[str] = []
    added: list[str] = []
    for kind, *places in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind != "equal":
            removed += old[places[0] : places[1]]
            added += new[places[2] : places[3]]
    return tuple(removed), tuple(added)
