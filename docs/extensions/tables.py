"""`{family-table} NAME`: a table of what is tested, from the registries of the tests."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tests.support.family_table import TABLES, table


class FamilyTable(SphinxDirective):
    """One of `tests.support.family_table`'s tables."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if self.arguments[0] not in TABLES:
            raise self.error(f"there is no table {self.arguments[0]!r}; there are {list(TABLES)}")
        return self.parse_text_to_nodes(table(self.arguments[0]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("family-table", FamilyTable)
    return {"parallel_read_safe": True}
