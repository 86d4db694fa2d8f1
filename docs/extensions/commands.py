"""`{commands}`: every command of `anymodal` with its arguments, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from anymodal.cli.command_line import COMMANDS, command_parser


def parser_markdown(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A parser as Markdown: purpose, usage, arguments, epilogue."""
    yield (parser.description or "").strip()
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').strip()}\n```"
    rows = [row for action in parser._actions if (row := _row(action)) is not None]
    if rows:
        yield "\n".join(f"{name}\n: {text}\n" for name, text in rows)
    if parser.epilog:
        yield parser.epilog % {"prog": parser.prog}


def _row(action: argparse.Action) -> tuple[str, str] | None:
    """An argument's name and meaning; None for `--help`, `--debug` and subcommands."""
    hidden = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    if hidden or action.help == argparse.SUPPRESS or action.dest == "debug":
        return None
    metavar = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    if not action.option_strings:
        name = f"`{action.metavar or action.dest}`"
    else:
        name = ", ".join(f"`{flag} {metavar}`".replace(" `", "`") for flag in action.option_strings)
    text = (action.help or "") % {**vars(action), "prog": ""}
    if action.choices:
        text += f" One of {', '.join(f'`{choice}`' for choice in action.choices)}."
    if action.option_strings and action.required:
        text += " Required."
    return name, text.strip() or "–"


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        text = []
        for name in COMMANDS:
            parser = command_parser(name)
            text += [f"## anymodal {name}", *parser_markdown(parser)]
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction):
                    for task, inner in action.choices.items():
                        text += [f"### anymodal {name} {task}", *parser_markdown(inner)]
        return self.parse_text_to_nodes("\n\n".join(text), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
