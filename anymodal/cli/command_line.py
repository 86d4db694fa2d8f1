"""The `anymodal` command line: finds the command, runs it, and turns errors into one line."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from anymodal import __version__
from anymodal.cli.process import leave

COMMANDS = {
    "chat": ("anymodal.cli.chat", "talk with a model, in words and with files"),
    "demo": (
        "anymodal.cli.demo",
        "a scripted chat through every modality, with an HTML report",
    ),
    "serve": ("anymodal.cli.serve", "answer requests over HTTP, in the manner of OpenAI's API"),
    "mcp": ("anymodal.cli.mcp", "a model as tools of any agent, over MCP"),
    "batch": ("anymodal.cli.batch", "answer a file of requests, without a server"),
    "train": ("anymodal.cli.train", "train as configurations say"),
    "cache": ("anymodal.cli.cache", "fill the feature cache of a training run ahead of it"),
    "export": ("anymodal.cli.export", "put a model and all its parts into one folder"),
    "push": ("anymodal.cli.push", "upload a model to the hub, with a card"),
    "eval": ("anymodal.cli.eval", "measure a model, on the Toybox or on one's own samples"),
    "data": ("anymodal.cli.data", "inspect, validate, split and convert data sets"),
    "embed": ("anymodal.cli.embed", "embeddings of files, of any kind that a model reads"),
    "convert": ("anymodal.cli.convert", "published weights to a folder of safetensors"),
    "toybox": ("anymodal.cli.toybox", "write samples of the Toybox as ordinary files"),
    "validate": ("anymodal.cli.validate", "check configurations, building nothing"),
    "plan": ("anymodal.cli.plan", "how much memory a model or a training run takes"),
    "ls": ("anymodal.cli.ls", "list models, configurations, or a model's modalities"),
    "doctor": ("anymodal.cli.doctor", "check the installation, with advice"),
}
"""Every command: the module that holds it, imported when it is called, and a line of help."""

USAGE, INTERRUPTED = 2, 130


class UsageError(ValueError):
    """A command line that can't be understood."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def entry() -> NoReturn:
    """Run the process's own command line, and end the process."""
    leave(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status is 0, 2 for an error, 130 for Ctrl-C."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    os.environ.setdefault("TQDM_DELAY", "1")  # no bars, of libraries either, for a second's work
    sys.path.append("")  # parts of one's own lie where one works; what is installed wins
    debug = "--debug" in argv
    try:
        return _run(argv)
    except KeyboardInterrupt:
        if debug:
            raise
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone; see Python's library docs, SIGPIPE
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USAGE
    except Exception as error:
        line = _readable(error)
        if debug or line is None:
            raise
        from anymodal.config.printable import printable

        print(f"anymodal: {printable(line, None)}", file=sys.stderr)
        return USAGE


def _run(argv: list[str]) -> int:
    name = next((item for item in argv if not item.startswith("-")), None)
    if name is not None and name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}{_suggest(name, COMMANDS)}")
    parser, command = _parsers(name)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        # With the options of the task at hand, which argparse's own message doesn't list.
        raise UsageError(_unknown_argument(_task_parser(command, argv), argv, unknown[0]))
    if name is None:
        parser.print_help()
        return 0
    from anymodal.cli.terminal import log_to_terminal  # with logging, which no help needs

    with log_to_terminal():
        status: int = importlib.import_module(COMMANDS[name][0]).run(args)
    return status


def _parsers(command_name: str | None) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The whole parser and that of one command; only that one gets its arguments."""
    parser = _Parser(
        prog="anymodal",
        description="Models that take any modality in and give any modality out.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"anymodal {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    command: argparse.ArgumentParser = parser
    for name, (module, line) in COMMANDS.items():
        # No abbreviations: what one means would change with the next option that is added.
        subparser = commands.add_parser(
            name, help=line, description=line[0].upper() + line[1:] + ".", allow_abbrev=False
        )
        if name == command_name:
            command = subparser
            importlib.import_module(module).add_arguments(command)
            # Given after the command it must not be reset by this parser's own default.
            command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS)
    return parser, command


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, with its arguments; for the documents."""
    return _parsers(name)[1]


def _task_parser(command: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the task that is named, where a command has several."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers: dict[str, argparse.ArgumentParser] = action.choices
            return next(parsers[word] for word in argv if word in parsers)
    return command


def _unknown_argument(parser: argparse.ArgumentParser, argv: Sequence[str], word: str) -> str:
    """An error about an argument that a task doesn't take."""
    if word.startswith("-"):
        options = parser._option_string_actions
        return f"{parser.prog} takes no {word!r}{_suggest(word, options)}"
    place = len(argv) - 1 - list(argv[::-1]).index(word)
    option, value = _option_before(argv[:place])
    if isinstance(parser._option_string_actions.get(option), argparse._AppendAction):
        return (
            f"{option} takes one value at a time; write {option} {value} {option} {word}, and "
            "whatever belongs to no option before all of them"
        )
    behind = f" behind {option}; write it before all options" if option else ""
    return f"{parser.prog} takes no {word!r}{behind} (see {parser.prog} --help)"


def _option_before(argv: Sequence[str]) -> tuple[str, str]:
    """The last option of a command line, and the value behind it; empty where there is none."""
    for place in reversed(range(len(argv))):
        if argv[place].startswith("-"):
            option, equals, value = argv[place].partition("=")
            return option, value if equals else " ".join(argv[place + 1 : place + 2])
    return "", ""


def _suggest(word: str, choices: Iterable[str]) -> str:
    choices = list(choices)
    near = difflib.get_close_matches(word.split("=")[0], choices, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(choices)}"


def _readable(error: Exception) -> str | None:
    """One line for a user about an error that they can mend; None for a fault of ours."""
    from anymodal.cli import torchaudio_fix

    if torchaudio_fix.state() == "broken":  # whatever was imported, this is why it failed
        return torchaudio_fix.ADVICE
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name!r} is missing; `anymodal doctor` tells what to install"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    if isinstance(error, ValueError | OSError | FloatingPointError):  # the last: a run's bad steps
        return " ".join(str(error).split()) or type(error).__name__
    return None
