"""Log-probabilities of tokens as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anymodal.language.model import LanguageModel
from anymodal.language.token_text import token_bytes, token_text
from anymodal.types import TokenLogprob

Json = dict[str, Any]
_LEAST = -9999.0  # OpenAI's stand-in for what JSON has no number for


def chat_logprobs(language: LanguageModel, logprobs: Sequence[TokenLogprob]) -> Json:
    """Those of chat completions."""

    def token_json(token: int, logprob: float) -> Json:
        return {
            "token": token_text(language, token),
            "logprob": max(logprob, _LEAST),
            "bytes": token_bytes(language, token),
        }

    content = [
        {
            **token_json(each.token, each.logprob),
            "top_logprobs": [token_json(*pair) for pair in each.top],
        }
        for each in logprobs
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(
    language: LanguageModel, logprobs: Sequence[TokenLogprob], offset: int = 0
) -> Json:
    """Those of completions; `offset` is where the text of the first one begins."""
    tokens = [token_text(language, each.token) for each in logprobs]
    offsets = []
    for text in tokens:
        offsets.append(offset)
        offset += len(text)
    return {
        "tokens": tokens,
        "token_logprobs": [max(each.logprob, _LEAST) for each in logprobs],
        "top_logprobs": [
            {token_text(language, token): value for token, value in each.top} for each in logprobs
        ],
        "text_offset": offsets,
    }
