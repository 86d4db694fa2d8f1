"""Claims of a reply: what it states, sentence by sentence, and whether media bear it out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from anymodal.media import Media
from anymodal.types import Claim, Message

SPLIT_PROMPT = """\
Write down each fact that the reply states about what was shown, as a short sentence of its own, in
a line of its own that begins with "- ". Leave out opinions and guesses, and add nothing.

Question: {question}
Reply: {reply}"""
"""Asks a model for the claims of a reply, as RLAIF-V has them divided (arXiv:2405.17220,
section 3.2)."""
QUESTION = "{claim} Is that right? Answer yes or no."
"""Asks whether a claim is right."""
ANSWERS = ("yes", "Yes", "no", "No")

_ABBREVIATIONS = ("Dr", "Mr", "Mrs", "Ms", "Prof", "St", "vs", "approx", r"[Ee]\.g", r"[Ii]\.e")
_NO_ABBREVIATION = "".join(rf"(?<!\b{each})" for each in _ABBREVIATIONS)
# A number of a list belongs to what follows.
_SENTENCE = re.compile(
    r"(?:\d+[.)][ \t]+(?=\S))?\S.*?"
    # Marks are tried once in a row, or many would take long. Behind a quote or a bracket a sentence
    # may go on: `It reads "Stop!" in white.`
    rf"(?:(?<![.!?])(?:{_NO_ABBREVIATION}\.|[!?])[.!?]*+(?:[\"'”’)\]]+(?!\s+[a-zß-ÿ]))?(?=\s|$)|"
    r"[。！？]+[”』」）]*|(?=\n|$))"
)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+(.+)$", re.M)
_WORDS = re.compile(r"\w+")
_PLACE = re.compile(r"\{\w+\}")
_DENIAL = re.compile(
    r"\b(?:no|not|cannot|nope|never|none|neither|nothing|incorrect|wrong|false|untrue|inaccurate)\b|"
    r"n['’]t\b"
)

Ask = Callable[[Sequence[list[Message]], Sequence[str] | None], Sequence[Message]]
"""Answers conversations; each reply is one of the choices where some are given and the model tells
their likelihoods."""


@dataclass(frozen=True)
class ClaimSettings:
    """Settings by which claims are found and asked about.

    Args:
        split_prompt: asks a model for the claims of a `{reply}` to a `{question}`, a line each, as
            `SPLIT_PROMPT`; None takes each sentence of the reply for a claim.
        question: asks about a `{claim}`; one that is a question itself stays as it is.
        threshold: the least probability of yes at which a claim is right.
        likelihoods: take the probabilities of yes and no as answers, where the model tells them;
            False reads what it answers, which suits one that gives its reason first.

    Raises:
        ValueError: for texts without their places, or a threshold that is no probability.
    """

    split_prompt: str | None = None
    question: str = QUESTION
    threshold: float = 0.5
    likelihoods: bool = True

    def __post_init__(self) -> None:
        if self.split_prompt is not None and "{reply}" not in self.split_prompt:
            raise ValueError("the prompt that splits replies lacks {reply}, where the reply stands")
        if "{claim}" not in self.question:
            raise ValueError("the question about claims lacks {claim}, where the claim stands")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold={self.threshold}; give a probability between 0 and 1")


def split_claims(
    ask: Ask, replies: Sequence[tuple[str, str]], settings: ClaimSettings
) -> list[list[str]]:
    """The claims of replies, each without repetitions.

    Args:
        ask: answers the split prompt, where there is one.
        replies: question and reply of each.
        settings: how.
    """
    if settings.split_prompt is None:
        return [statements_of(reply) for _, reply in replies]
    places = [place for place, (_, reply) in enumerate(replies) if reply.strip()]
    prompts = [
        fill_places(
            settings.split_prompt, dict(zip(("question", "reply"), replies[n], strict=True))
        )
        for n in places
    ]
    answers = ask([[Message("user", prompt)] for prompt in prompts], None) if prompts else ()
    claims: list[list[str]] = [[] for _ in replies]
    for place, answer in zip(places, answers, strict=True):
        claims[place] = _unique(_BULLET.findall(answer.text) or answer.text.splitlines())
    return claims


def fill_places(template: str, texts: Mapping[str, str]) -> str:
    """A template with texts in their places, such as `{reply}`.

    Braces within the texts stay as they are, and so do other words in braces of the template.
    """
    return _PLACE.sub(lambda place: texts.get(place[0][1:-1], place[0]), template)


def statements_of(text: str, questions: bool = False) -> list[str]:
    """The sentences of a text that state something, and with `questions` those that ask."""
    sentences = [each.strip() for each in _SENTENCE.findall(text)]
    return _unique(each for each in sentences if questions or not each.endswith(("?", "？")))


def without_sentences(text: str, sentences: Iterable[str]) -> str:
    """A text without some of its sentences, and without the lines that then are empty."""
    dropped, lines = {*sentences}, list[str]()
    for line in text.splitlines():
        left = _SENTENCE.sub(lambda found: "" if found[0].strip() in dropped else found[0], line)
        if left == line:
            lines.append(line)
        elif left.strip():
            lines.append(" ".join(left.split()))
    return "\n".join(lines).strip()


def _unique(texts: Iterable[str]) -> list[str]:
    stripped = (text.strip() for text in texts)
    return list(dict.fromkeys(text for text in stripped if _WORDS.search(text)))


def verify_claims(
    ask: Ask, claims: Sequence[tuple[Sequence[Media], Sequence[str]]], settings: ClaimSettings
) -> list[list[Claim]]:
    """Ask about claims, each by a question with yes or no beside the media.

    Args:
        ask: answers the questions.
        claims: of each reply the media that it is about, and its claims.
        settings: how.
    """
    questions = [
        [Message("user", [*media, _question(claim, settings.question)])]
        for media, several in claims
        for claim in several
    ]
    choices = ANSWERS if settings.likelihoods else None
    answers = iter(ask(questions, choices) if questions else ())
    return [
        [_checked(claim, next(answers), settings) for claim in several] for _, several in claims
    ]


def _question(claim: str, template: str) -> str:
    if claim.endswith(("?", "？")):
        return claim
    # A line of a list has no full stop, and would run into the question.
    ended = f"{claim}." if claim[-1:].isalnum() and template.startswith("{claim} ") else claim
    return fill_places(template, {"claim": ended})


def _checked(claim: str, answer: Message, settings: ClaimSettings) -> Claim:
    probability = yes_probability(answer)
    question = _question(claim, settings.question)
    return Claim(claim, question, probability, probability >= settings.threshold)


def yes_probability(answer: Message) -> float:
    """The probability of yes in an answer: of its choices, or 1 and 0 by its first sentence.

    A text that begins with yes or no is that; another one is read as POPE reads it
    (arXiv:2305.10355): one that denies is a no, also by "wrong" or "incorrect", and so is one
    without a word.
    """
    by_answer = {"yes": 0.0, "no": 0.0}
    for choice in answer.choices:
        name = choice.text.strip().lower()
        if name in by_answer:
            by_answer[name] += choice.probability
    if total := sum(by_answer.values()):
        return by_answer["yes"] / total
    first = answer.text.strip().partition(".")[0].lower()
    word = next(iter(_WORDS.findall(first)), "no")
    return float(word == "yes" or (word != "no" and not _DENIAL.search(first)))
