"""`anymodal chat`: one question and its answer, or a session."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.options import add_limits, add_model, count, limits_of, open_model, session_seed
from anymodal.cli.process import quick_start
from anymodal.cli.terminal import WHITESPACE
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.chat.session import Attachment, Session
    from anymodal.chat.settings import MediaSettings, TextSettings
    from anymodal.media import Limits

PROMPT = "you> "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal chat`."""
    parser.epilog = "Without TEXT a session begins; /help lists what can be done there."
    add = parser.add_argument
    add("text", nargs="*", metavar="TEXT", help="what to say; without it, a session begins")
    add_model(parser)
    add_limits(parser)
    add("--attach", action="append", default=[], metavar="FILE", help="a file to go with it")
    add(
        "--out", default="anymodal-out", metavar="DIR", help="where media go (default: %(default)s)"
    )
    add("--seed", type=session_seed, help="makes replies repeatable (default: a new one each time)")
    add("--temperature", type=float, help="0 always takes the likeliest word (default: 0)")
    add("--top-p", type=float, help="keep the likeliest words of this total share (default: 1)")
    add("--max-new-tokens", type=count, help="the longest reply (default: 256)")
    add("--steps", type=count, help="denoising steps of media (default: the model's)")
    add("--guidance", type=float, help="strength of guidance of media (default: the model's)")


def run(args: argparse.Namespace) -> int:
    """Answer the text, or hold a session."""
    _take_any_byte()
    with quick_start():
        limits = limits_of(args)
        for file in args.attach:  # a wrong file is an error before the model is loaded
            from anymodal import media

            media.load(Path(file).expanduser(), limits=limits)
        session = _session(args, limits)
    for file in args.attach:
        session.attach(file)
    if args.text:
        reply(session, " ".join(args.text))
    else:
        Repl(session).run()
    return 0


def _session(args: argparse.Namespace, limits: Limits) -> Session:
    from anymodal.chat.session import Session
    from anymodal.config import ranges
    from anymodal.language.sampling import Sampling

    media_settings, text = _media_settings(args), _text_settings(args)
    ranges.check_sampling(media_settings)  # before the model is loaded
    Sampling.of(text)

    if sys.stderr.isatty():
        print(f"loading {args.model} …", end="\r", file=sys.stderr, flush=True)
    model = open_model(args, defer_decoders=True)
    if sys.stderr.isatty():
        # Clears the line that says `loading`.
        print("\x1b[K", end="", file=sys.stderr, flush=True)
    # The same for every modality: the options name none.
    sampling = dict.fromkeys(model.decoders, media_settings) if media_settings else None
    return Session(model, args.out, args.seed, sampling=sampling, limits=limits, **text)


def _media_settings(args: argparse.Namespace) -> MediaSettings:
    settings: MediaSettings = {}
    if args.steps is not None:
        settings["steps"] = args.steps
    if args.guidance is not None:
        settings["guidance"] = args.guidance
    return settings


def _text_settings(args: argparse.Namespace) -> TextSettings:
    settings: TextSettings = {}
    if args.temperature is not None:
        settings["temperature"] = args.temperature
    if args.top_p is not None:
        settings["top_p"] = args.top_p
    if args.max_new_tokens is not None:
        settings["max_new_tokens"] = args.max_new_tokens
    return settings


def reply(session: Session, text: str, instead: bool = False) -> None:
    """Ask, or ask instead of the last message; print the reply and the paths of its media."""
    from anymodal.cli.terminal import show_reply

    answer = session.edit(text) if instead else session.ask(text)
    with contextlib.closing(answer) as events:  # type: ignore[type-var]
        show_reply(events)
    for number, path in enumerate(session.turns[-1].reply_files, 1):
        print(f"  [{number}] {printable(str(path), None)}")


class Repl:
    """A session at the terminal: a line is something to say, a file's path, or a `/command`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        commands = (
            *(self.attach, self.attached, self.detach, self.edit, self.reset, self.history),
            *(self.seed, self.save, self.help, self.quit),
        )
        self.commands = {command.__name__: command for command in commands}
        # Set by /quit, since a command can't break the loop.
        self.leaving = False

    def run(self) -> None:
        """Read and answer lines until `/quit` or the end of the input."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives `input` editing and history
        out = printable(str(self.session.out), None)
        print(f"seed {self.session.seed}; media go to {out}; /help helps")
        for attachment in self.session.attached:
            _print_attachment(attachment)
        while not self.leaving:
            try:
                line = input(PROMPT).strip()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print("\n(/quit or Ctrl-D leaves)")
                continue
            try:
                self.take(line)
            except KeyboardInterrupt:
                print("\n(stopped; this reply is dropped, ask again or something else)")
            except Exception as error:  # whatever a turn ends in, the conversation goes on
                print(f"anymodal: {printable(_line(error), None)}", file=sys.stderr)

    def take(self, line: str) -> None:
        """Do what one line says."""
        path = _as_path(line)
        if path is not None:
            self.attach(str(path))
        elif line.startswith("/"):
            name, _, argument = line[1:].partition(" ")
            if name not in self.commands:
                from anymodal.config import suggest

                raise ValueError(f"there is no /{name}{suggest(name, self.commands)}")
            self.commands[name](argument.strip())
        elif line:
            reply(self.session, line)

    # What follows are the commands; the first line of each one's docstring is its line of /help.

    def attach(self, argument: str) -> None:
        """FILE: send a file with the next message (its path alone does it too)."""
        if not argument:
            raise ValueError("name the file: /attach FILE")
        _print_attachment(self.session.attach(_as_path(argument) or argument))

    def attached(self, _: str) -> None:
        """List the attached files."""
        for attachment in self.session.attached:
            _print_attachment(attachment)
        if not self.session.attached:
            print("nothing is attached")

    def detach(self, _: str) -> None:
        """Forget the attached files."""
        self.session.detach()

    def edit(self, argument: str) -> None:
        """TEXT: say this instead of the last message, with the same files."""
        if not argument:
            raise ValueError("say what the last message should have been: /edit TEXT")
        reply(self.session, argument, instead=True)

    def reset(self, _: str) -> None:
        """Forget the conversation."""
        self.session.reset()

    def history(self, _: str) -> None:
        """Show the conversation."""
        for message in self.session.transcript()["messages"]:
            parts = [
                part["text"] if "text" in part else f"[{part.get('file', part['kind'])}]"
                for part in message["content"]
            ]
            print(f"{message['role']}: {printable(' '.join(parts), None, WHITESPACE)}")
        if not self.session.turns:
            print("nothing has been said yet")

    def seed(self, argument: str) -> None:
        """N: seed what follows; without N, show the seed."""
        if argument:
            try:
                self.session.seed = int(argument)
            except ValueError as error:
                raise ValueError(f"{argument!r} is no seed; give a whole number") from error
        print(f"seed {self.session.seed}")

    def save(self, argument: str) -> None:
        """FILE: write the conversation to a JSON file."""
        if not argument:
            raise ValueError("name the file: /save FILE")
        print(f"saved {printable(str(self.session.save(argument)), None)}")

    def help(self, _: str) -> None:
        """List the commands."""
        for name, command in self.commands.items():
            line = (command.__doc__ or "").partition("\n")[0].rstrip(".")
            print(f"  /{name:<9} {line}")

    def quit(self, _: str) -> None:
        """Leave (Ctrl-D does too)."""
        self.leaving = True


def _line(error: Exception) -> str:
    """An error that ended a turn, on one line."""
    message = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError) and message:
        return message
    kind = type(error).__name__
    return f"{kind}: {message}"[:500] + "; this reply is dropped, the conversation is as it was"


def _print_attachment(attachment: Attachment) -> None:
    print(f"attached {printable(str(attachment.path), None)} ({attachment.media!r})")


def _take_any_byte() -> None:
    """Read bytes that aren't in the terminal's encoding as surrogates, not as an error."""
    with contextlib.suppress(AttributeError, OSError):  # no terminal, or one that was read from
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]


def _as_path(line: str) -> Path | None:
    """The path that a line is, as typed or as a terminal pastes a dragged file; else None."""
    readings = [line]
    with contextlib.suppress(ValueError):
        # A terminal quotes the name of a file that is dragged onto it.
        words = shlex.split(line)
        readings += words if len(words) == 1 else []
    for reading in readings:
        path = Path(reading.removeprefix("file://")).expanduser()
        # A word that happens to be a file's name is something to say.
        is_path = "/" in reading or path.suffix
        with contextlib.suppress(OSError, ValueError):
            if is_path and path.is_file():
                return path
    return None
