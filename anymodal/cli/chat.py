"""`anymodal chat`: one question and its answer, or a session."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymodal.cli.chat_server import add_server, check_server_options, open_remote_model
from anymodal.cli.chat_tools import add_tools, tool_arguments
from anymodal.cli.options import (
    add_limits,
    add_model,
    count,
    limits_of,
    open_model,
    port,
    session_seed,
    whole,
)
from anymodal.cli.process import quick_start

if TYPE_CHECKING:
    from anymodal.chat.responder import Responder
    from anymodal.chat.session import Session
    from anymodal.chat.settings import MediaSettings, TextSettings
    from anymodal.media import Limits

EPILOG = (
    "Without TEXT a session begins; /help lists what can be done there. Where standard input is no "
    "terminal, its lines are taken as if they were typed, without a prompt: a command that fails, "
    "as /attach of a missing file, ends the run with status 2."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal chat`."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("text", nargs="*", metavar="TEXT", help="what to say; without it, a session begins")
    add_model(parser)
    add_server(parser)
    add_tools(parser)
    add_limits(parser)
    add("--attach", action="append", default=[], metavar="FILE", help="a file to go with it")
    add(
        "--reference",
        action="append",
        default=[],
        metavar="MODALITY[.ROLE]=FILE|N|none",
        help="what media of the first reply are made from, where their decoder looks at any: a "
        "file, or a medium of the conversation by its number; image.mask=FILE tells in white which "
        "part of an image is made anew",
    )
    add(
        "--prompts",
        metavar="FILE",
        help="take the session's lines from a file; - is standard input",
    )
    add(
        "--json",
        action="store_true",
        help="print each reply as one line of JSON: text, content, files, seed, finish_reason, "
        "usage and choices; all else goes to standard error",
    )
    add(
        "--out", default="anymodal-out", metavar="DIR", help="where media go (default: %(default)s)"
    )
    add("--system", default="", metavar="TEXT", help="instructions before the conversation")
    add("--seed", type=session_seed, help="makes replies repeatable (default: a new one each time)")
    add("--temperature", type=float, help="0 always takes the likeliest word (default: 0)")
    add("--top-p", type=float, help="keep the likeliest words of this total share (default: 1)")
    add("--max-new-tokens", type=count, help="the longest reply (default: 256)")
    add(
        "--choice",
        action="append",
        default=[],
        metavar="TEXT",
        help="reply with the likeliest of such texts, and tell the probability of each; give it "
        "several times",
    )
    add(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end a reply where this appears; may be given several times",
    )
    add(
        "--n",
        type=count,
        default=1,
        metavar="N",
        help="answer each message N times, at seeds that follow one another; the conversation goes "
        "on with the first reply (default: %(default)s)",
    )
    add(
        "--logprobs",
        type=whole,
        metavar="K",
        help="print each token's log-probability, and K of the likeliest tokens at its place",
    )
    add("--steps", type=count, help="denoising steps of media (default: the model's)")
    add("--guidance", type=float, help="strength of guidance of media (default: the model's)")
    add("--web", action="store_true", help="chat in a page of the browser, served on this machine")
    add(
        "--port",
        type=port,
        default=8000,
        help="of the page (default: %(default)s; 0 takes a free one)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of text or media, as top_k=50, or image.steps=8 for one modality; "
        "may be given several times",
    )


def run(args: argparse.Namespace) -> int:
    """Answer the text, or hold a session."""
    if args.web:
        from anymodal.cli import web

        return web.run(args)
    _check_text(args)
    if args.server is None:
        from anymodal.composition.folders import check_model_path

        check_model_path(args.model)  # before anything is imported for it
    if args.text and args.prompts is not None:
        raise ValueError("TEXT and --prompts both say what to ask; give one of them")
    # Opened before the model is loaded, since a wrong name is an error at once.
    with _lines_of(args.prompts) as lines, contextlib.ExitStack() as stack:
        with quick_start():
            limits = limits_of(args)
            check_server_options(args)
            for file in args.attach:  # likewise
                from anymodal import media

                media.load(Path(file).expanduser(), limits=limits)
            more = tool_arguments(args, stack, is_interactive=_is_terminal(sys.stdin))
            session = _session(args, limits, more)
        for file in args.attach:
            session.attach(file)
        for item in args.reference:
            from anymodal.cli.chat_commands import refer

            refer(session, *_assignment("--reference", item))
        from anymodal.cli.repl import Repl
        from anymodal.cli.reply_output import ReplyPrinter

        printer = ReplyPrinter(session, as_json=args.json, number=args.n)
        if args.text:
            printer.print_replies(session.ask(" ".join(args.text)))
            return 0
        return Repl(session, lines, printer).run()


def _check_text(args: argparse.Namespace) -> None:
    """Refuse the name of a file as something to say.

    Raises:
        ValueError: a word by itself names one.
    """
    for word in args.text:
        if Path(word).suffix and Path(word).is_file():
            files = " ".join(f"--attach {each}" for each in (*args.attach, word))
            raise ValueError(
                f"{word} is a file, and stands where words do; write TEXT {files}, or quote it "
                "with other words"
            )


@contextlib.contextmanager
def _lines_of(prompts: str | None) -> Iterator[Iterable[str] | None]:
    """The lines to take: of a file, of standard input, or None for a terminal's."""
    if prompts is not None and prompts != "-":
        # Bytes that aren't UTF-8 are read as surrogates, as those of a terminal are.
        with open(Path(prompts).expanduser(), encoding="utf-8-sig", errors="surrogateescape") as f:
            yield f
        return
    with contextlib.suppress(AttributeError, OSError):  # none, or one that was read from
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    is_terminal = sys.stdin is not None and sys.stdin.isatty()
    yield None if is_terminal and prompts is None else sys.stdin


def _is_terminal(stream: object) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def _session(args: argparse.Namespace, limits: Limits, more: dict[str, Any]) -> Session:
    from anymodal.chat.session import Session
    from anymodal.config import ranges
    from anymodal.language.sampling import Sampling

    media_settings, text = _media_settings(args), _text_settings(args)
    ranges.check_sampling(media_settings)  # before the model is loaded
    Sampling.of(text)

    if sys.stderr.isatty():
        print(f"loading {args.model} …", end="\r", file=sys.stderr, flush=True)
    model: Responder = (
        open_model(args, defer_decoders=True) if args.server is None else open_remote_model(args)
    )
    if sys.stderr.isatty():
        # Clears the line that says `loading`.
        print("\x1b[K", end="", file=sys.stderr, flush=True)
    # The same for every modality: the options name none.
    modalities = model.modalities_with(media_settings) if media_settings else []
    sampling = dict.fromkeys(modalities, media_settings) or None
    session = Session(
        model,
        args.out,
        args.seed,
        sampling=sampling,
        limits=limits,
        system=args.system,
        **more,
        **text,
    )
    if args.set:
        from anymodal.cli.chat_settings import apply_setting

        for item in args.set:
            apply_setting(session, *_assignment("--set", item))
    return session


def _assignment(option: str, item: str) -> tuple[str, str]:
    """The name and the value that an option assigns.

    Raises:
        ValueError: it assigns none.
    """
    name, equals, value = item.partition("=")
    if not equals:
        raise ValueError(f"{option} {item} gives no value; write NAME=VALUE")
    return name, value


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
    if args.choice:
        settings["choices"] = args.choice
    if args.stop:
        settings["stop"] = args.stop
    if args.logprobs is not None:
        settings["top_logprobs"] = args.logprobs
    return settings
