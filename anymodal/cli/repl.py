"""A session by lines, of a terminal or a file: something to say, a file's path, or a `/command`."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from anymodal.cli.chat_commands import ChatCommands, paths_of
from anymodal.cli.reply_output import ReplyPrinter
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.chat.session import Session
    from anymodal.types import Event

PROMPT, CONTINUED = "you> ", "...> "
FAILED = 2
MARK = '"""'
"""What a text of several lines stands between."""
_BLOCK = re.compile(r'(/\w+\s+)?"""')


class Repl:
    """Reads lines and answers them.

    Args:
        session: the conversation.
        lines: to take; None to read them from a terminal. Those of a terminal may fail and the
            session goes on. Of others a command that fails ends it, since the lines behind count
            on it; a reply that fails is told, and the next line is taken without its files.
        printer: prints replies; where it prints them as JSON, all else goes to standard error.
    """

    def __init__(
        self,
        session: Session,
        lines: Iterable[str] | None = None,
        printer: ReplyPrinter | None = None,
    ) -> None:
        self.session, self.printer = session, printer or ReplyPrinter(session)
        self.as_json = self.printer.as_json
        self.lines = None if lines is None else iter(lines)
        output = sys.stderr if self.as_json else sys.stdout
        self.commands = ChatCommands(session, self.answer, output)
        self.status = 0

    def run(self) -> int:
        """Take lines until `/quit` or their end; 2 if one of a file's failed."""
        with contextlib.ExitStack() as stack:
            if self.lines is None:
                from anymodal.cli.line_editing import line_editing

                stack.enter_context(line_editing(self.commands.names))
                self._greet()
            while not self.commands.is_leaving:
                try:
                    line, is_text = self._read()
                except EOFError:
                    if self.lines is None:
                        print()
                    break
                except KeyboardInterrupt:
                    if self.lines is not None:
                        raise
                    print("\n(/quit or Ctrl-D leaves)")
                    continue
                if not self._try(line, is_text):
                    return FAILED
        return self.status

    def _greet(self) -> None:
        if sys.stdout.isatty():
            out = printable(str(self.session.out), None)
            self.commands.say(f"seed {self.session.seed}; media go to {out}; /help helps")
        for attachment in self.session.attached:
            self.commands.say_attached(attachment)

    def _try(self, line: str, is_text: bool) -> bool:
        """Do what a line says; False if that failed and the lines behind can't go on."""
        try:
            self.take(line, is_text)
        except KeyboardInterrupt:
            if self.lines is not None:
                raise
            print("\n(stopped; this reply is dropped, ask again or something else)")
        except BrokenPipeError:  # whoever reads has gone
            raise
        except Exception as error:  # whatever it is, a conversation at a terminal goes on
            self._report(error)
            return self.lines is None
        return True

    def take(self, line: str, is_text: bool = False) -> None:
        """Do what one line says; `is_text` if it is something to say, whatever it looks like."""
        paths = [] if is_text else paths_of(line)
        if paths:
            self.commands.attach_all(paths)
        elif line.startswith("/") and not is_text:
            self.commands.do(line)
        elif line:
            self.answer(self.session.ask(line))

    def answer(self, events: Iterator[Event]) -> None:
        """Print a reply. One that fails is told, and nothing else ends by it."""
        try:
            self.printer.print_replies(events)
        except BrokenPipeError:
            raise
        except Exception as error:
            self._report(error, "; this reply is dropped, the conversation is as it was")
            if self.as_json:
                print(json.dumps({"error": _one_line(error)}), flush=True)
            if self.lines is not None:
                self.status = FAILED
                # Else the next line's question would be about them.
                self.session.detach()

    def _read(self) -> tuple[str, bool]:
        """A line, or the lines between two marks as one, and whether it is text for certain.

        Raises:
            EOFError: there is none.
        """
        line = self._next(PROMPT).strip()
        start = _BLOCK.match(line)
        if start is None:
            return line, False
        while line.count(MARK) < 2:
            try:
                line += "\n" + self._next(CONTINUED)
            except EOFError:
                raise EOFError if self.lines is None else ValueError(f"{MARK} has no end") from None
        command = start.group(1) or ""
        return command + line[len(command) :].replace(MARK, "").strip(), not command

    def _next(self, prompt: str) -> str:
        if self.lines is None:
            return input(prompt if sys.stdout.isatty() else "")
        for line in self.lines:
            return line.rstrip("\r\n")
        raise EOFError

    def _report(self, error: Exception, note: str = "") -> None:
        is_plain = isinstance(error, ValueError | OSError) and str(error).strip()
        line = _one_line(error) + ("" if is_plain else note)
        print(f"anymodal: {printable(line, None)}", file=sys.stderr)


def _one_line(error: Exception) -> str:
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, ValueError | OSError) and message:
        return message
    return f"{type(error).__name__}: {message}"[:500]
