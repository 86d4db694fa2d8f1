"""Turns in the forms of ShareGPT, OpenAI, ms-swift and LLaMA-Factory, as roles and contents."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from anymodal.config import suggest
from anymodal.data.entry_keys import check_keys, is_empty

ROLES_BY_NAME = {
    **{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"},
    # Of whom people who shared their conversations talked to.
    **{"chatgpt": "assistant", "bing": "assistant", "bard": "assistant", "model": "assistant"},
    **{"system": "system", "developer": "system"},
}
_CALLS = ("tool_call", "function_call")
_RESULTS = ("tool", "tool_response", "observation", "function_response", "function")
TOOL_ROLES = {**dict.fromkeys(_CALLS, "assistant"), **dict.fromkeys(_RESULTS, "user")}
"""Roles of turns that call tools, and of what these give back: texts of the two sides."""
_KEYS = (
    *("from", "value", "role", "content", "output_modality", "caption", "input_modality"),
    *("loss", "weight", "tool_calls", "function_call"),
)
_CONTENTS = {"value", "content", "tool_calls", "function_call"}
_TOOL_KEYS = ("tool_call_id", "name")
_OF_TOOL = "of_tool"


def normal_turns(turns: object) -> list[dict[str, Any]]:
    """Turns with `role` and `content` each, beside what else they tell.

    Calls of tools are texts of the assistant, what tools give back is text of the user, and several
    in a row are one turn.

    Raises:
        ValueError: if it is no list of turns, or a key or a role isn't known.
    """
    if not isinstance(turns, list):
        raise ValueError(f"conversations are {turns!r}, not a list of turns")
    result: list[dict[str, Any]] = []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise ValueError(f"a turn is {turn!r}, not an object with 'from' and 'value'")
        for each in _pair(turn, number):
            check_keys(each, (*_KEYS, *_TOOL_KEYS), f"turn {number} comes")
            _add(result, each)
    return [{key: turn[key] for key in turn if key != _OF_TOOL} for turn in result]


def is_turn(value: object) -> bool:
    """Return whether a value that may be anything, such as JSON in a reply, is a turn of these
    roles.
    """
    if not isinstance(value, Mapping):
        return False
    who = value.get("from", value.get("role"))
    return who in [*ROLES_BY_NAME, *TOOL_ROLES] and bool(_CONTENTS & value.keys())


def _pair(turn: Mapping[str, Any], number: int) -> list[Mapping[str, Any]]:
    """A turn that holds what both said, as `{"human": …, "assistant": …}`, as two."""
    roles = [key for key in turn if key in ROLES_BY_NAME]
    sides = {ROLES_BY_NAME[key]: turn[key] for key in roles}
    if not roles or {"role", "from"} & turn.keys() or sides.keys() - {"user", "assistant"}:
        return [turn]
    check_keys(turn, roles, f"turn {number} comes")
    order = [role for role in ("user", "assistant") if role in sides]
    return [{"role": role, "content": sides[role]} for role in order]


def _add(turns: list[dict[str, Any]], turn: Mapping[str, Any]) -> None:
    """Add a turn, to the one before where both are of one side and a tool has part in them."""
    for old, new in (("from", "role"), ("value", "content")):
        if old in turn and new in turn:
            raise ValueError(f"a turn has both {old!r} and {new!r}; give it one")
    who = turn.get("from", turn.get("role"))
    role = _role(who)
    content = turn.get("value", turn.get("content"))
    calls = turn.get("tool_calls")
    if not is_empty(turn.get("function_call")):  # OpenAI's older name, of one alone
        calls = [*(calls or []), turn["function_call"]]
    if not is_empty(calls):
        content = "\n".join([*([content] if content else []), *_calls(calls)])
    rest = {key: turn[key] for key in _KEYS[4:-3] if key in turn}
    if not is_empty(turn.get("weight")):  # OpenAI's name of it
        if not is_empty(turn.get("loss")):
            raise ValueError("a turn has both 'loss' and 'weight'; give it one")
        rest["loss"] = turn["weight"]
    of_tool = who in TOOL_ROLES or not is_empty(calls)
    if of_tool and isinstance(content, dict | list) and not _has_parts(content):
        content = json.dumps(content, ensure_ascii=False)
    last = turns[-1] if turns else {}
    joins = last.get("role") == role and (of_tool or last.get(_OF_TOOL))
    if joins and isinstance(content, str) and isinstance(last["content"], str):
        if last.get("loss") != rest.get("loss"):
            raise ValueError("turns of tools that follow each other differ in 'loss'")
        last["content"] = "\n".join([last["content"], content])
        last[_OF_TOOL] = True
        return
    turns.append({"role": role, "content": content, _OF_TOOL: of_tool, **rest})


def _role(who: object) -> str:
    names = {**ROLES_BY_NAME, **TOOL_ROLES}
    role = names.get(who) if isinstance(who, str) else None
    if role is None:
        raise ValueError(f"a turn is from {who!r}{suggest(str(who), ROLES_BY_NAME)}")
    return role


def _has_parts(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(part, str) or (isinstance(part, Mapping) and "type" in part) for part in content
    )


def _calls(calls: object) -> list[str]:
    """OpenAI's calls of tools as texts: name and arguments of each."""
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise ValueError(f"tool_calls are {calls!r}, not a list of calls")
    texts = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"a call of a tool is {call!r}; give its function's name")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            with contextlib.suppress(ValueError):  # else it stays a text
                arguments = json.loads(arguments)
        body = {"name": function["name"], "arguments": arguments}
        texts.append(json.dumps(body, ensure_ascii=False))
    return texts


def learns(turn: Mapping[str, Any]) -> bool:
    """Return whether a turn is to be learned from, as its `loss` says.

    Raises:
        ValueError: if that is no truth value.
    """
    loss = turn.get("loss")
    if loss is None:
        return True
    if not isinstance(loss, int | float) or loss not in (0, 1):
        raise ValueError(f"a turn's loss is {loss!r}; true learns from it, and false doesn't")
    return bool(loss)


def tools_text(tools: object) -> str:
    """Descriptions of tools as text, as they stand: JSON, or a text of it."""
    if is_empty(tools):
        return ""
    if isinstance(tools, str):
        return "" if tools.strip() in ("", "[]", "{}", "null") else tools
    return json.dumps(tools, ensure_ascii=False)
