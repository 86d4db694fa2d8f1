"""The `/commands` of a session."""

from __future__ import annotations

import contextlib
import glob
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from anymodal.cli.terminal import WHITESPACE
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.chat.session import Session
    from anymodal.chat.transcript import Attachment
    from anymodal.types import Event


class ChatCommands:
    """Commands by name; the first line of each one's docstring is its line of /help.

    Args:
        session: what they work on.
        answer: prints a reply.
        output: where what they say goes.
    """

    def __init__(
        self, session: Session, answer: Callable[[Iterator[Event]], None], output: TextIO
    ) -> None:
        self.session, self.answer, self.output = session, answer, output
        commands = (
            *(self.attach, self.attached, self.reference, self.detach),
            *(self.edit, self.retry, self.undo),
            *(self.reset, self.history, self.system, self.set, self.seed, self.save, self.load),
            *(self.help, self.quit),
        )
        self._commands = {command.__name__: command for command in commands}
        # Set by /quit, since a command can't break the loop.
        self.is_leaving = False

    @property
    def names(self) -> list[str]:
        """The commands' names, with the slash."""
        return [f"/{name}" for name in [*self._commands, "exit"]]

    def do(self, line: str) -> None:
        """Do a command.

        Raises:
            ValueError: there is none of that name, or what the command raises.
        """
        name, _, argument = line[1:].partition(" ")
        command = self.quit if name == "exit" else self._commands.get(name)
        if command is None:
            from anymodal.config import suggest

            raise ValueError(f"there is no /{name}{suggest(name, self._commands)}")
        command(argument.strip())

    def say(self, text: str) -> None:
        """Print a line or more."""
        print(text, file=self.output, flush=True)

    def say_attached(self, item: Attachment) -> None:
        """Tell of an attached file."""
        self.say(f"attached {printable(str(item.path), None)} ({item.media!r})")

    def attach_all(self, paths: list[Path]) -> None:
        """Attach files, all of them or none."""
        before = list(self.session.attached)
        try:
            items = [self.session.attach(path) for path in paths]
        except BaseException:
            self.session.attached = before
            raise
        for item in items:
            self.say_attached(item)

    def attach(self, argument: str) -> None:
        """FILE …: send files with the next message; *.png stands for all such files"""
        if not argument:
            raise ValueError("name the file: /attach FILE")
        self.attach_all(paths_of(argument) or _matches(argument))

    def attached(self, _: str) -> None:
        """List the attached files."""
        for item in self.session.attached:
            self.say_attached(item)
        if not self.session.attached:
            self.say("nothing is attached")

    def reference(self, argument: str) -> None:
        """MODALITY FILE: make the next reply's media from it, from a medium by number, or none."""
        name, _, value = argument.partition(" ")
        if not value.strip():
            raise ValueError("name a modality and a medium: /reference image FILE")
        refer(self.session, name, value)

    def detach(self, _: str) -> None:
        """Forget the attached files and references."""
        self.session.detach()

    def edit(self, argument: str) -> None:
        """TEXT: say this instead of the last message, with the same files."""
        if not argument:
            raise ValueError("say what the last message should have been: /edit TEXT")
        self.answer(self.session.edit(argument))

    def retry(self, argument: str) -> None:
        """[SEED]: answer the last message again, with this seed or a new one."""
        self.answer(self.session.retry(_seed_of(argument) if argument else None))

    def undo(self, _: str) -> None:
        """Take the last message and its reply back."""
        text = self.session.undo().question.text
        self.say(f"took back: {printable(text, 120)}")

    def reset(self, _: str) -> None:
        """Forget the conversation."""
        self.session.reset()

    def history(self, _: str) -> None:
        """Show the conversation."""
        messages = self.session.transcript()["messages"]
        for message in messages:
            parts = [_part_text(part) for part in message["content"]]
            self.say(f"{message['role']}: {printable(' '.join(parts), None, WHITESPACE)}")
        if not messages:
            self.say("nothing has been said yet")

    def system(self, argument: str) -> None:
        """TEXT: instructions before the conversation; - for none, without TEXT show them."""
        if argument:
            self.session.system = "" if argument == "-" else argument
        self.say(printable(self.session.system, None, WHITESPACE) or "there is no system prompt")

    def set(self, argument: str) -> None:
        """NAME VALUE: a setting, as temperature 0.7 or image.steps 8; alone, show the settings."""
        from anymodal.cli.chat_settings import apply_setting, describe_settings

        if argument:
            name, value = [*re.split(r"\s*=\s*|\s+", argument, maxsplit=1), ""][:2]
            if not value.strip():
                raise ValueError("name the setting and its value: /set temperature 0.7")
            apply_setting(self.session, name, value)
        self.say(printable(describe_settings(self.session), None, WHITESPACE))

    def seed(self, argument: str) -> None:
        """N: seed what follows; without N, show the seed."""
        if argument:
            self.session.seed = _seed_of(argument)
        self.say(f"seed {self.session.seed}")

    def save(self, argument: str) -> None:
        """FILE: write the conversation, to be loaded (.json) or read (.html, .md)."""
        if not argument:
            raise ValueError("name the file: /save FILE")
        self.say(f"saved {printable(str(self.session.save(argument)), None)}")

    def load(self, argument: str) -> None:
        """FILE: go on with a conversation that was saved as .json, with its seed and settings."""
        if not argument:
            raise ValueError("name the file: /load FILE")
        self.session.load(next(iter(paths_of(argument)), argument))
        self.say(f"loaded {len(self.session.turns)} turns; seed {self.session.seed}")

    def help(self, _: str) -> None:
        """List the commands."""
        for name, command in self._commands.items():
            line = (command.__doc__ or "").partition("\n")[0].rstrip(".")
            self.say(f"  /{name:<9} {line}")
        self.say('A text of several lines stands between """ and """.')

    def quit(self, _: str) -> None:
        """Leave (/exit and Ctrl-D do too)."""
        self.is_leaving = True


def _part_text(part: Mapping[str, str]) -> str:
    """A part of a transcript's message, in a line of /history."""
    if "text" in part:
        return part["text"]
    if "call" in part:
        return f"[{part['call']} {part['arguments']}]"
    return f"[{part.get('file', part['kind'])}]"


def refer(session: Session, name: str, value: str) -> None:
    """Let a modality's media of the next reply be made from a file, a medium of the conversation by
    its number, or nothing; a role may stand behind the name, of a file beside others.

    Raises:
        FileNotFoundError: the file isn't there.
        ValueError: it is no medium.
    """
    from anymodal import media

    value = value.strip()
    name, _, role = name.partition(".")
    if role:
        from anymodal.decoders.references import Reference

        others = session.references.get(name, [])
        others = others if isinstance(others, list) else [others]
        medium = media.load(_path_of(value), limits=session.limits).freeze()
        session.references[name] = [*others, Reference(medium, role)]
        return
    if value == "none":
        session.references[name] = []
        return
    try:
        session.references[name] = int(value)
    except ValueError:
        path = _path_of(value)
        media.load(path, limits=session.limits)  # so that a wrong one is told at once
        session.references[name] = path


def _path_of(value: str) -> Path:
    return next(iter(paths_of(value)), Path(value).expanduser())


def paths_of(line: str) -> list[Path]:
    """The files that a line names, as typed or as a terminal pastes dragged ones; else none."""
    whole = _as_path(line)
    if whole is not None:
        return [whole]
    # A terminal quotes the names of files that are dragged onto it.
    paths = [_as_path(word) for word in _words(line)]
    return [path for path in paths if path is not None] if all(paths) else []


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an apostrophe
        return []


def _as_path(text: str) -> Path | None:
    """The path of a file that is there; a word that happens to be its name is something to say."""
    if text.startswith("file://"):
        from urllib.parse import unquote

        # An address has an encoded path behind the host, which is this machine.
        name = unquote(text.removeprefix("file://"), errors="surrogateescape")
        text = name.removeprefix("localhost")
    path = Path(text)
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # the last: ~ of nobody
        path = path.expanduser()
        if ("/" in text or path.suffix) and path.is_file():
            return path
    return None


def _matches(argument: str) -> list[Path]:
    """The files of an argument with names and patterns.

    Raises:
        FileNotFoundError: a pattern fits no file. A name alone is for the loader to refuse.
    """
    words = _words(argument) or [argument]
    if not any(glob.has_magic(word) for word in words) and len(words) < 2:
        return [Path(argument)]
    paths: list[Path] = []
    for word in words:
        path = _as_path(word)
        if path is None and not glob.has_magic(word):
            path = Path(word)
        matches = sorted(glob.glob(str(Path(word).expanduser()))) if path is None else []
        if path is None and not matches:
            raise FileNotFoundError(f"no file fits {word}")
        paths += [path] if path is not None else [Path(match) for match in matches]
    return paths


def _seed_of(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no seed; give a whole number") from error
