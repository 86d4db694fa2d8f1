"""Chat templates, which may be a stranger's program, rendered within a budget.

Jinja's sandbox keeps a template from the machine, not from looping for ever or filling the memory.
Here every loop, call, filter and operator is charged to a budget before it is done.
"""

from __future__ import annotations

import datetime
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice

from jinja2 import Template, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from anymodal.language.sandbox_budget import (
    ITEMS,
    LETTERS,
    MAX_BITS,
    MAX_NUMBER,
    MAX_TEMPLATE,
    BudgetError,
    TemplateBudget,
    numbers_in,
)
from anymodal.language.sandbox_syntax import Generation, rewrite

_LEFT_OUT = ("lipsum", "cycler", "joiner")
_NO_FILTERS = ("pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr", "filesizeformat")


_FORMATS = ("format", "format_map", "%", "strftime_now", "_now")
_HARMLESS = frozenset(
    (
        *("length", "count", "first", "last", "default", "d", "items", "trim", "lower", "upper"),
        *("capitalize", "title", "select", "reject", "selectattr", "rejectattr", "map", "int"),
        *("_charge_loop", "_concat", "_charge_size"),
    )
)
"""Filters whose results are no larger than their arguments."""


def render_template(source: str, **values: object) -> str:
    """Render a chat template with plain values.

    Raises:
        TemplateError: if it is no template, or refuses the values.
        BudgetError: if it would take too long, or too much memory.
    """
    sandbox = _sandbox()
    return sandbox.render(_compiled(source), values)


@cache
def _sandbox() -> Sandbox:
    return Sandbox()


@lru_cache(64)
def _compiled(source: str) -> Template:
    return _sandbox().compile_template(source)


class _Names(Namespace):
    """A namespace without names that begin with an underscore."""

    def __setitem__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            raise SecurityError(f"it sets {name!r}, and no name may begin with an underscore")
        Namespace.__setitem__(self, name, value)


class Sandbox(ImmutableSandboxedEnvironment):
    """Renders chat templates as transformers does, within a budget."""

    # Operators whose result can be far larger than their operands.
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        self.budget = TemplateBudget()
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants would be computed while it is compiled, out of budget
            finalize=pass_context(lambda _, value: self._charge_output(value)),
            extensions=[Generation, "jinja2.ext.loopcontrols"],
            cache_size=0,
        )
        for name in _LEFT_OUT:
            self.globals.pop(name)
        self.globals |= {
            "range": self._range,
            "raise_exception": _refuse,
            "strftime_now": _now,
            "dict": dict,
            "namespace": _Names,
        }
        self._plain = ImmutableSandboxedEnvironment()
        self._plain.filters["tojson"] = _to_json
        self._plain.filters |= {"_charge_loop": self._charge_loop, "_concat": self._concat}
        self._plain.filters["_charge_size"] = self._charge_size
        for name in _NO_FILTERS:
            del self._plain.filters[name]
        self.filters = {name: self._guarded(name) for name in self._plain.filters}
        # What is computed one by one goes on to be.
        self.filters |= {"_charge_loop": pass_context(lambda _, value: self._charge_loop(value))}

    def render(self, template: Template, values: Mapping[str, object]) -> str:
        """Render a compiled template within the budget.

        Raises:
            TemplateError: if it refuses the values, or takes more than the budget.
        """
        self.budget.begin()
        try:
            text: str = template.render(values)
        except TemplateError:
            raise
        except RecursionError as error:
            raise BudgetError("it calls itself without end") from error
        except Exception as error:  # whatever a program of somebody else's may raise
            raise TemplateError(f"{type(error).__name__}: {str(error)[:200]}") from error
        return text

    def compile_template(self, source: str) -> Template:
        """Compile a template.

        Raises:
            TemplateError: if it is too long or no template.
        """
        if len(source) > MAX_TEMPLATE:
            raise TemplateError(f"it has {len(source):,} letters, and {MAX_TEMPLATE:,} is the most")
        self.budget.begin()
        try:
            return self.from_string(source)
        except TemplateError:
            raise
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
            raise TemplateError(f"it nests too deep: {type(error).__name__}") from error

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        rewrite(tree, self)
        return tree

    # ---- Charges -------------------------------------------------------------------------------

    def concat(self, parts: Iterable[str]) -> str:
        """Join what a block wrote."""
        texts: list[str] = []
        for part in parts:
            self.budget.spend(1, len(part))
            texts.append(part)
        return "".join(texts)

    def _charge_output(self, value: object) -> object:
        self.budget.spend(1, self.budget.size(value))
        return value

    def _charge_loop(self, value: object) -> object:
        """The values of a loop, charged beforehand where their number is known."""
        if isinstance(value, Undefined):
            return value
        if isinstance(value, str | list | tuple | dict | range):
            self.budget.spend(1 + len(value))
            return value
        return self._charge_each(value) if isinstance(value, Iterable) else value

    def _charge_each(self, values: Iterable[object]) -> Iterator[object]:
        for value in values:
            self.budget.spend()
            yield value

    def _concat(self, parts: Sequence[object]) -> str:
        self.budget.spend(1, self.budget.size(parts))
        return "".join(map(str, parts))

    def _as_lists(self, values: Iterable[object]) -> list[object]:
        """Values, of which iterators are read into lists."""
        return [
            self._up_to(value)
            if isinstance(value, Iterator | range) and not isinstance(value, LoopContext)
            else value
            for value in values
        ]

    def _up_to(self, values: Iterable[object]) -> list[object]:
        items = list(islice(self._charge_each(values), ITEMS + 1))  # one more tells an endless one
        if len(items) > ITEMS:
            raise BudgetError(f"a list of it holds more than {ITEMS:,} values")
        return items

    def _charge_size(self, value: object) -> object:
        self.budget.spend(1)
        self.budget.size(value)
        return value

    def _range(self, *args: int) -> range:
        numbers = range(*args)
        if len(numbers) > ITEMS:
            raise BudgetError(f"range() gives {len(numbers):,} numbers, and {ITEMS:,} is the most")
        return numbers

    def _allow(self, name: str, owner: object, arguments: Sequence[object]) -> None:
        """Refuse a call whose result could be too large, by the sizes of its arguments."""
        values = [owner, *arguments]
        most = max(numbers_in(arguments), default=0)
        if most > MAX_NUMBER:
            raise BudgetError(f"it hands {most} to {name}, and {MAX_NUMBER:,} is the most")
        sizes = sorted((self.budget.size(value) for value in values), reverse=True)
        texts = [value for value in values if isinstance(value, str)]
        if name in _FORMATS and any(re.search(r"\d{5}", value) for value in texts):
            raise BudgetError(f"{name} of it asks for a width of more than {MAX_NUMBER:,}")
        largest, second = [*sizes, 1, 1][:2]
        if largest * max(second, most if most > 1 else 1) > 10 * LETTERS:
            raise BudgetError(f"{name} of it could make more than {10 * LETTERS:,} letters")
        self.budget.spend(1 + (largest + second) // 1000)

    def _guarded(self, name: str) -> Callable[..., object]:
        """A filter that is charged for its arguments and its result."""

        @pass_context
        def wrapper(
            context: Context, value: object = None, *args: object, **more: object
        ) -> object:
            value, *arguments = self._as_lists([value, *args])
            if name not in _HARMLESS:
                self._allow(name, value, [*arguments, *more.values()])
            self.budget.spend()
            result = self._plain.call_filter(
                name, value, arguments, more, context=context, eval_ctx=context.eval_ctx
            )
            if isinstance(result, str | list | dict):
                self.budget.spend(0, self.budget.size(result) if isinstance(result, str) else 0)
                self.budget.size(result)
            return result

        return wrapper

    # Names as in Jinja: a template may pass keywords of any other name.
    def call(__self, __context: Context, __obj: object, *args: object, **kwargs: object) -> object:
        """Call what a template calls: a macro, a method, a loop within itself."""
        args = tuple(__self._as_lists(args))
        arguments = [*args, *kwargs.values()]
        if isinstance(__obj, LoopContext):
            args = (__self._charge_loop(args[0]), *args[1:]) if args else args
        __self.budget.spend()
        if not isinstance(__obj, LoopContext | Macro | BlockReference) and __obj not in _GATHERS:
            owner = getattr(__obj, "__self__", None)
            wrapped = getattr(__obj, "__wrapped__", None)  # how the sandbox hands out str.format
            owner = getattr(wrapped, "__self__", owner)
            name = getattr(__obj, "__name__", type(__obj).__name__)
            sized = isinstance(owner, str | bytes | list | tuple | dict | int)
            if name != "_range":
                __self._allow(name, owner if sized else None, arguments)
        result = super().call(__context, __obj, *args, **kwargs)
        if isinstance(result, str | list | tuple | dict | int):
            size = __self.budget.size(result)
            __self.budget.spend(1, size if isinstance(result, str) else 0)
        return result

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Compute an operation whose result can be larger than what it is of."""
        self.budget.spend()
        numbers = [value for value in (left, right) if isinstance(value, int)]
        if len(numbers) == 2:
            self._check_bits(operator, *numbers)
        elif operator == "*" and numbers:
            sequence = right if isinstance(left, int) else left
            if isinstance(sequence, str | bytes | list | tuple):
                letters = self.budget.size(sequence) * max(numbers[0], 0)
                if letters > LETTERS or len(sequence) * max(numbers[0], 0) > LETTERS:
                    raise BudgetError(f"it repeats a value {numbers[0]} times")
                self.budget.spend(0, letters)
        elif operator == "%" and isinstance(left, str | bytes):
            self._allow("%", left, [right])
        elif operator == "+" and isinstance(left, str | list | tuple):
            letters = self.budget.size([left, right])
            self.budget.spend(letters // 1000, letters if isinstance(left, str) else 0)
        return _OPERATORS[operator](left, right)

    def _check_bits(self, operator: str, left: int, right: int) -> None:
        if operator == "**":
            bits = left.bit_length() * abs(right) if abs(left) > 1 else 1
        else:
            bits = left.bit_length() + right.bit_length()
        if bits > MAX_BITS:
            raise BudgetError(f"it computes a number of {bits} bits, and {MAX_BITS:,} is the most")


_OPERATORS: dict[str, Callable[[object, object], object]] = {
    "+": operator.add,
    "*": operator.mul,
    "**": operator.pow,
    "%": operator.mod,
}


def _refuse(message: object) -> None:
    raise TemplateError(str(message)[:1000])


def _now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


_GATHERS = (dict, _Names)
"""Calls that only put together what they are given."""


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers writes it: nothing is escaped for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
