"""Changes to a chat template's syntax tree that let the sandbox charge what it computes."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser


class Generation(Extension):
    """`{% generation %}`, by which templates mark what the assistant says, changes nothing here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse the block's body into a scope of its own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def rewrite(tree: nodes.Node, environment: Environment) -> None:
    """Put a charge wherever values are gone over, joined, or gathered."""

    def add_filter(node: nodes.Expr, name: str) -> nodes.Filter:
        call = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
        call.set_environment(environment)
        return call

    for node in [*tree.find_all(nodes.For)]:
        assert isinstance(node.iter, nodes.Expr)
        node.iter = add_filter(node.iter, "_charge_loop")
    for parent in [tree, *tree.find_all(nodes.Node)]:
        for name, value in list(parent.iter_fields()):
            if isinstance(value, list):
                value[:] = [_charge(item, add_filter) for item in value]  # others may hold it
            else:
                setattr(parent, name, _charge(value, add_filter))


def _charge(node: object, add_filter: Callable[[nodes.Expr, str], nodes.Filter]) -> object:
    if isinstance(node, nodes.Concat):
        return add_filter(nodes.List(node.nodes, lineno=node.lineno), "_concat")
    if isinstance(node, nodes.List | nodes.Dict):
        return add_filter(node, "_charge_size")
    if isinstance(node, nodes.Tuple) and node.ctx == "load":
        return add_filter(node, "_charge_size")
    return node
