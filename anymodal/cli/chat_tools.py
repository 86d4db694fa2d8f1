"""Options of `anymodal chat` for tools that replies may call."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from anymodal.cli.options import count
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.types import ToolCall


def add_tools(parser: argparse.ArgumentParser) -> None:
    """Add `--tool`, `--mcp`, `--allow-calls`, `--max-calls` and `--check`."""
    add = parser.add_argument
    add(
        "--tool",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="a Python function of yours that the model may call; may be given several times",
    )
    add(
        "--mcp",
        action="append",
        default=[],
        metavar="SERVER",
        help="an MCP server whose tools the model may call: its URL, or its command in quotes; may "
        "be given several times",
    )
    add("--allow-calls", action="store_true", help="run calls of tools without asking")
    add("--max-calls", type=count, metavar="N", help="the most calls for a message (default: 8)")
    add(
        "--check",
        action="store_true",
        help="ask the model whether what it says of files is so, and correct the reply; takes a "
        "question for each sentence",
    )


def tool_arguments(
    args: argparse.Namespace, stack: contextlib.ExitStack, is_interactive: bool
) -> dict[str, Any]:
    """Arguments of a session for its tools and checks.

    Args:
        args: the command's.
        stack: closes connections to MCP servers.
        is_interactive: whether somebody can be asked before a call.

    Raises:
        ValueError: for what is no tool, or calls that nobody could allow.
    """
    check = {"check": True} if args.check else {}
    if not (args.tool or args.mcp):
        for option in ("allow_calls", "max_calls"):
            if getattr(args, option):
                name = option.replace("_", "-")
                raise ValueError(f"--{name} is for tools; name some by --tool or --mcp")
        return check
    if not (args.allow_calls or is_interactive):
        raise ValueError(
            "nobody can be asked here before a call of a tool; --allow-calls runs them without "
            "asking"
        )
    from anymodal.chat.mcp_client import McpTools
    from anymodal.chat.tools import ToolLimits

    tools: list[Any] = [_function(name) for name in args.tool]
    for server in args.mcp:
        address = server if "://" in server else shlex.split(server)
        tools.append(stack.enter_context(McpTools(address)))
    limits = ToolLimits(max_calls=args.max_calls) if args.max_calls else None
    approve = None if args.allow_calls else ask_before_call
    return {**check, "tools": tools, "tool_limits": limits, "approve_call": approve}


def _function(name: str) -> object:
    """The function of `MODULE:FUNCTION`."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"--tool {name} names no function; write MODULE:FUNCTION")
    try:
        function = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"there is no module {module!r}, neither in this folder nor among what is installed"
        ) from None
    if not callable(function):
        raise ValueError(f"the module {module} has no function {attribute!r}")
    return function


def ask_before_call(call: ToolCall) -> bool:
    """Ask on the terminal whether a call may run."""
    print(f"  run {printable(call.name)} {printable(call.arguments, 500)}? [y/N] ", end="",
          file=sys.stderr, flush=True)  # fmt: skip
    return sys.stdin.readline().strip().lower() in ("y", "yes")
