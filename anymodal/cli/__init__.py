"""The `anymodal` command line: one module a command."""

from anymodal.cli.command_line import main

__all__ = ["main"]
