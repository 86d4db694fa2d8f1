"""`python -m anymodal` is the `anymodal` command."""

from __future__ import annotations

from anymodal.cli.command_line import entry

entry()
