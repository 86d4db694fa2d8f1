"""What is changed in a chat template before it is compiled, so that it can be charged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension


class Generation(Extension):
    """`{% generation %}`, by which templates mark what the assistant says, changes nothing here."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node:
        """What is inside of it, in a scope of its own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def rewrite(tree: nodes.Node, environment: Environment) -> None:
    """Put a charge wherever values are gone over, joined, or gathered."""

    def filtered(node: Any, name: str) -> nodes.Filter:
        made = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
        made.set_environment(environment)
        return made

    for node in [*tree.find_all(nodes.For)]:
        node.iter = filtered(node.iter, "_counted")
    for parent in [tree, *tree.find_all(nodes.Node)]:
        for name, value in list(parent.iter_fields()):
            if isinstance(value, list):
                value[:] = [_replaced(item, filtered) for item in value]  # others may hold it
            else:
                setattr(parent, name, _replaced(value, filtered))


def _replaced(node: Any, filtered: Callable[[Any, str], nodes.Filter]) -> Any:
    if isinstance(node, nodes.Concat):
        return filtered(nodes.List(node.nodes, lineno=node.lineno), "_joined")
    if isinstance(node, nodes.List | nodes.Dict):
        return filtered(node, "_made")
    if isinstance(node, nodes.Tuple) and node.ctx == "load":
        return filtered(node, "_made")
    return node
