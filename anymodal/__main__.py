"""`python -m anymodal` is the `anymodal` command."""

from __future__ import annotations

import sys

from anymodal.cli import main

sys.exit(main())
