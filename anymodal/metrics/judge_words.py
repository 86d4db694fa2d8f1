"""The score that a judge states, in whatever words."""

from __future__ import annotations

import re

_END = r"[-+]?\d+(?:\.\d+)?"
_GLOSS = r"(?:[ \t]*\([^()\n]*\))?"
_NAMED = r"(?:\b(?:scale|ranges?|ranging|from|between|of)\b[ \t:]*)+"
_RANGE = re.compile(
    rf"(?P<lead>{_NAMED})?(?<![\w.])(?P<low>{_END}){_GLOSS}"
    rf"(?P<joint>[ \t]*(?:-|–|—|…|\.\.+|\b(?:to|through|and)\b)[ \t]*)"
    rf"(?P<high>{_END})(?![\d.]*\d){_GLOSS}",
    re.I,
)
_LIMIT = re.compile(
    rf"(?P<value>\d\W{{0,4}})?(?:\bout of\b|/|\bmax(?:imum)?\b\.?|\bat most\b|\bup to\b)"
    rf"[ \t:=]*{_END}",
    re.I,
)
_LEGEND = re.compile(rf"[(\[][ \t]*(?:{_END}[ \t]*[=:][^\d\n()\[\]]*){{2,}}[)\]]")
_POINTS = re.compile(r"\b\d+[- ]point[ \t]+(?=scale\b)", re.I)

_NO_SCORE = r"[ \t]*points?[ \t]+(?:off|less)|[ \t]+(?:could|might|would|means?|needs?|requires?)\b"
"""Behind a number that is taken off, or whose meaning alone is told."""
_NUMBER = (
    r"(?P<score>(?:(?<!\w)[-+])?(?:\d+(?:\.\d+)?|\.\d+))" + rf"(?!\.?\d|[*_`\"']*(?:{_NO_SCORE}))"
)
_LIMITS: tuple[str, ...] = (
    "max",
    "maximum",
    "highest",
    "best",
    "top",
    "full",
    "perfect",
    "possible",
)
_LIMITS += ("min", "minimum", "lowest", "worst")
_LABEL = (
    "".join(f"(?<!{word}[ _])" for word in _LIMITS)
    + r"(?<![^\W_\d])(?:scores?|ratings?|grades?|boxed)(?![^\W_\d])"
)
_WHOLE = r"\b(?:overall|final|total)[ _-]?(?:score|rating|grade)\b"
_OF = r"(?:[ \t]+(?:for|of|on)[ \t]+[^\d\n:=.]{1,40}(?:[ \t]\d+)?)?"
_SAYS = (
    r"[\s\"'`*_)\]}>]*(?:[:=>|→{]|[-–—](?=\s)|\b(?:is|was|would be|equals)\b)[\s\"'`*_(\[{<$\\]*"
)
_LINKS = (
    r"(?:[^\w.!?]|\b(?:a|about|an|answer|around|as|at|be|clear|deserves|edit|exactly|fair|final|for"
    r"|gets|given|good|grade|i|image|is|it|just|me|my|of|only|overall|perfect|picture|points|rating"
    r"|reply|response|roughly|score|should|solid|strong|that|the|this|to|was|we|weak|would)\b)*?"
)
_VERDICT = (
    r"(?<![^\W\d])(?:g[ai]ve[sn]?|giving|rate[sd]?|grade[sd]?|grading|award(?:s|ed)?|score[sd]?"
    r"|scoring|assign(?:s|ed)?|deserve[sd]?|scale|verdict)(?![^\W\d])"
)
_STATEMENTS = [
    re.compile(pattern, re.I | re.M)
    for pattern in (
        _WHOLE + _OF + _SAYS + _NUMBER,  # Overall score: 4
        _LABEL + _OF + _SAYS + _NUMBER,  # Score: 4; the score is **4**; "score": 4
        _LABEL + _LINKS + _NUMBER,  # a score of 4
        _VERDICT + _LINKS + _NUMBER,  # I'd give it a 4
        _NUMBER + rf"\W{{0,4}}(?:/|\bout of\b)\W{{0,4}}{_END}(?=\W*(?:stars?|points?|$))",  # 4/5
        _NUMBER + r"\W{0,4}(?:stars?|points?)\b",  # 4 stars
        r"^\W*?" + _NUMBER + r"\W*\Z",  # a last line of it alone
        r"\A\W*?" + _NUMBER + r"[*_`]*(?:,|[ \t]*[-–—])[ \t]",  # 4, since a dog is missing
    )
]
"""From the clearest to the vaguest, so that a number in a reason isn't taken where a score is
named."""


def stated_score(text: str) -> float | None:
    """The score that a judge states, or None.

    Read are `Score: 4`, `score of 4/5`, `4 out of 5`, `**4**`, `{"score": 4}`, `I'd give it a 4`
    and the like. An echo of the scale ("Score (1-5): 4", "from 1 (wrong) to 5 (right)") is no
    score. An overall score goes before others; of several alike the last counts.
    """
    text = without_scales(text)
    for pattern in _STATEMENTS:
        if stated := [match["score"] for match in pattern.finditer(text)]:
            return float(stated[-1])
    return None


def without_scales(text: str) -> str:
    """A text without the ends of scales and ranges; `4/5` and `4 out of 5` stay."""
    text = _LEGEND.sub("", text.replace("−", "-"))
    text = _RANGE.sub(_without_range, _POINTS.sub("", text))
    return _LIMIT.sub(lambda found: found[0] if found["value"] else "", text)


def _without_range(found: re.Match[str]) -> str:
    lead, joint = found["lead"] or "", found["joint"]
    word = joint.strip().lower()
    low, high = float(found["low"]), float(found["high"])
    if word == "and":
        is_range = "between" in lead.lower()
    elif word.isalpha():
        is_range = bool(lead) or low <= 1
    else:
        # "4 - 5 things" is no range, where neither a word nor a bracket makes it one.
        before, after = found.string[: found.start()], found.string[found.end() :]
        is_bracketed = before.rstrip().endswith(("(", "[", "<", "{"))
        is_range = bool(lead) or joint == word or (is_bracketed and after.lstrip()[:1] in ")]>}")
    if not is_range or low >= high:
        return found[0]
    # The word itself may be what the score follows: "On a scale of 1 to 5: 4".
    return "scale " if "scale" in lead.lower() else ""
