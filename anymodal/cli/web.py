"""`anymodal chat --web`: the web page and its server on this machine."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path
from urllib.parse import urlencode

from anymodal.cli.options import limits_of, open_model
from anymodal.cli.process import quick_start
from anymodal.cli.serve import listen, run_server, url_of
from anymodal.cli.serving_options import import_server
from anymodal.composition.folders import check_model_path
from anymodal.config.printable import printable

HOST = "127.0.0.1"
_IN_PAGE = {"steps": "steps", "guidance": "guidance", "seed": "seed", "temperature": "temperature",
            "max_new_tokens": "maxTokens", "system": "system"}  # fmt: skip
"""Options that the page takes, and what it calls them."""
_TERMINAL = {"text": "TEXT", "prompts": "--prompts", "json": "--json", "attach": "--attach",
             "set": "--set", "top_p": "--top-p", "stop": "--stop", "logprobs": "--logprobs",
             "choice": "--choice", "reference": "--reference", "server": "--server",
             "api_key": "--api-key", "n": "--n", "tool": "--tool", "mcp": "--mcp",
             "check": "--check", "allow_calls": "--allow-calls",
             "max_calls": "--max-calls"}  # fmt: skip
"""Options that mean something in a terminal alone, and how they are written."""


def run(args: argparse.Namespace) -> int:
    """Serve the page until it is told to end.

    Raises:
        ValueError: for an option that means something in a terminal alone, or a port in use.
    """
    values = {**vars(args), "n": None if args.n == 1 else args.n}
    for name, label in _TERMINAL.items():
        # By identity: --logprobs 0 asks for something.
        if not (values[name] is None or values[name] is False or values[name] == []):
            raise ValueError(f"--web opens a page, where {label} means nothing; leave one of them")
    check_model_path(args.model)
    # Before the model is loaded, since a port in use is an error at once.
    with listen(HOST, args.port) as listener:
        with quick_start():
            create_app = import_server()

            from anymodal.serving.api.settings import ServerSettings, read_api_keys
            from anymodal.serving.served import ServedModel

            settings = ServerSettings(limits=limits_of(args), api_keys=read_api_keys(None))
            model = open_model(args)
            model.name = Path(args.model).name
            app = create_app([ServedModel(model.name, model)], settings)
        url = url_of(listener)
        print(f"chat with {printable(model.name)} at {url}/ (Ctrl-C ends it)", flush=True)
        if has_display():
            webbrowser.open(url + page_address(args))
        run_server(app, listener)
    return 0


def page_address(args: argparse.Namespace) -> str:
    """The page's path, with the settings that the options give to new conversations."""
    values = {page: getattr(args, name) for name, page in _IN_PAGE.items()}
    settings = {name: value for name, value in values.items() if value not in (None, "")}
    return f"/#new&{urlencode(settings)}" if settings else "/"


def has_display() -> bool:
    """Whether a window can be opened; without one `webbrowser` would start a text browser."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
