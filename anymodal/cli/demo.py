"""`anymodal demo`: the scripted conversation, printed, measured, and written as an HTML report."""

from __future__ import annotations

import argparse
from pathlib import Path

from anymodal.cli.options import add_model, open_model, session_seed
from anymodal.cli.process import quick_start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal demo`."""
    add = parser.add_argument
    add("--out", type=Path, default=Path("anymodal-demo"), metavar="DIR",
        help="where inputs, outputs and index.html go (default: %(default)s)")  # fmt: skip
    add_model(parser)
    add("--seed", type=session_seed, default=0, help="decides everything (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Hold the conversation through the same session as the chat."""
    with quick_start():
        from anymodal.chat.session import Session
        from anymodal.cli.repl import PROMPT
        from anymodal.cli.reply_output import ReplyPrinter
        from anymodal.toybox import demo, demo_script

        session = Session(open_model(args), args.out / "outputs", args.seed)
    files = demo.write_inputs(demo_script.SCRIPT, args.out / "inputs", args.seed)
    checks = []
    for step, attachments in zip(demo_script.SCRIPT, files, strict=True):
        for file in attachments:
            session.attach(file)
            print(f"{PROMPT}{file}")
        print(f"{PROMPT}{step.text}")
        ReplyPrinter(session).print_replies(session.ask(step.text))
        checks.append(demo.check_reply(step, session.turns[-1]))
        for check in checks[-1]:
            print(f"  {check}")
        print()
    # As JSON too, so that what was said can be compared by a program.
    session.save(args.out / "transcript.json")
    report = demo.write_conversation(args.out / "index.html", session.turns, checks)
    print(f"{demo.accuracy_sentence(checks)} Open {report}")
    print("To go on yourself: anymodal chat, or anymodal chat --web for a page in the browser")
    return 0
