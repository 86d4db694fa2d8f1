"""`{concepts-picture}`: the drawing of a model, in the page itself, in the theme's colours.

There are two of it, a wide one and a tall one for phones; the style sheet shows one of them.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).resolve().parents[1] / "_static"


class ConceptsPicture(SphinxDirective):
    """Both drawings, inline."""

    def run(self) -> list[nodes.Node]:
        drawings = []
        for name in ("concepts-wide.svg", "concepts-tall.svg"):
            self.env.note_dependency(str(FOLDER / name))
            drawings.append((FOLDER / name).read_text("utf-8"))
        return [nodes.raw("", f'<div class="concepts">{"".join(drawings)}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("concepts-picture", ConceptsPicture)
    return {"parallel_read_safe": True}
