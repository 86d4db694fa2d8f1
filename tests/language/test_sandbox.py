"""Chat templates: rendered as transformers does, and within a budget."""

from __future__ import annotations

import copy
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jinja2.exceptions import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from anymodal.language.chat_template import ChatTemplate
from anymodal.language.sandbox import render_template
from anymodal.language.sandbox_budget import MAX_TEMPLATE, BudgetError
from anymodal.language.template_forms import PLAIN_TEMPLATE
from tests.support.composed import small_tokenizer

TALK = [
    {"role": "system", "content": "\ue0000\ue001"},
    {"role": "user", "content": "\ue0001\ue001"},
    {"role": "assistant", "content": "\ue0002\ue001"},
    {"role": "user", "content": "\ue0003\ue001"},
]

GOOD = [
    PLAIN_TEMPLATE,
    # After the forms that published models use.
    "{% for m in messages %}\n    {{- '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim }}\n"
    "    {{- '<|im_end|>\\n' }}\n{% endfor %}\n"
    "{% if add_generation_prompt %}\n    {{ 'x' }}{% endif %}",
    "{% set ns = namespace(last=-1, found=false) %}{% for m in messages[::-1] %}"
    "{% set i = (messages|length - 1) - loop.index0 %}{% if m.role == 'user' and not ns.found %}"
    "{% set ns.last = i %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.last }}"
    "{% for m in messages %}{{ m.content ~ loop.index0 ~ (ns.last == loop.index0) }}{% endfor %}",
    "{% macro turn(m, sep='|') -%} {{ m.role|upper }}{{ sep }}{{ m.content }} {%- endmacro %}"
    "{% for m in messages if m.role in ('user', 'assistant') %}{{ turn(m, sep=':') }}"
    "{% else %}none{% endfor %}",
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{{ eos_token }}{% endgeneration %}{% else %}[{{ m.content }}]{% endif %}{% endfor %}",
    "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{% if loop.last %}"
    "{% break %}{% endif %}{{ m.content.strip().split('x')[-1].replace('a', 'b') }}{% endfor %}",
    "{{ messages | map(attribute='role') | list | join(', ') }}"
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
    "{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | first }}",
    "{{ messages[0] | tojson(indent=2) }}{{ {'a': [1, 2.5, none, true], 'é': '<'} | tojson }}",
    "{% if messages[0]['role'] == 'system' %}{% set s = messages[0].content %}"
    "{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{{ s if loop.index0 == 0 else '' }}{{ m['content'] }}{% endfor %}"
    "{{ tools is none }}{{ documents is defined }}{{ nothing is defined }}{{ nothing }}",
    "{% set tags = ['a', 'b'] + ['c'] %}{{ tags }}{{ '%s-%d' % ('x', 3) }}"
    "{{ '{}:{x}'.format(1, x=2) }}"
    "{{ 'ab' * 3 }}{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 5 }}{{ dict(a=1).items() | list }}{{ (1, 2) }}"
    "{% for k, v in {'p': 1, 'q': 2}.items() %}{{ k }}{{ v }}{% endfor %}{{ range(3) | list }}",
    "{% filter upper %}abc{% endfilter %}{% set x %}in {{ messages[1].content }}{% endset %}{{ x }}"
    "{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}"
    "{% macro both() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}"
    "{% call(y) both() %}{{ y }}{% endcall %}",
    "{{ enable_thinking }}{{ ('a', 'b')[0] ~ 3 ~ none }}{{ 'x' in 'xyz' }}{{ -3 | abs }}"
    "{{ 'abc'[1:] }}",
    "{% for m in messages %}{{ raise_exception('no system') if m.role == 'tool' }}{{ m.content }}"
    "{%- endfor -%}  \n {{ strftime_now('%Y') }}",
]


@pytest.mark.parametrize("source", GOOD)
@pytest.mark.parametrize("prompt", [False, True])
def test_it_writes_what_transformers_writes(source: str, prompt: bool) -> None:
    more: dict[str, Any] = {
        "add_generation_prompt": prompt,
        "enable_thinking": False,
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    (expected,), _ = render_jinja_template([TALK], chat_template=source, **more)
    found = render_template(source, messages=TALK, tools=None, documents=None, **more)
    assert found == expected


GROW = "{% set x = 'abcdefgh' %}"
LOOPS = "{% for i in range(99999) %}"
HOSTILE = {
    "a long loop": "{% for i in range(10**9) %}{% endfor %}",
    "a loop in a loop": LOOPS * 2 + "{% endfor %}" * 2,
    "loops left at once": LOOPS * 2 + "{% break %}" + "{% endfor %}" * 2,
    "repeated text": "{{ 'a' * 10**9 }}",
    "repeated from the left": "{{ 10**9 * 'a' }}",
    "a repeated list": "{{ ([1] * 10**9) | length }}",
    "a repeated tuple": "{{ ((1, 2) * 10**9) | length }}",
    "repeated bytes": "{{ 'a'.encode() * 10**9 }}",
    "repeated markup": "{{ ('a' | safe) * 10**9 }}",
    "a macro that calls itself twice": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}"
    "{% endif %}{% endmacro %}{{ m(40) }}",
    "a macro without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a block within itself": "{% block a %}{{ self.a() }}{% endblock %}",
    "a loop within itself": "{% for x in [1, 1] recursive %}{% if loop.depth < 30 %}"
    "{{ loop([1, 1]) }}{% endif %}{% endfor %}",
    "doubled by ~": GROW + "{% set x = x ~ x %}" * 40 + "{{ x | length }}",
    "doubled by +": GROW + "{% set x = x + x %}" * 40 + "{{ x | length }}",
    "doubled by a block": GROW + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
    "doubled in a namespace": "{% set n = namespace(s='a') %}{% for i in range(60) %}"
    "{% set n.s = n.s ~ n.s %}{% endfor %}",
    "a doubled list": "{% set x = [1] %}" + "{% set x = x + x %}" * 40,
    "lists in lists": "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
    "tuples in tuples": "{% set x = (1,) %}" + "{% set x = (x, x) %}" * 40 + "{{ {x: 1} }}",
    "mappings in mappings": "{% set x = {} %}" + "{% set x = {'a': x, 'b': x} %}" * 40 + "{{ x }}",
    "mappings by a call": "{% set x = {} %}" + "{% set x = dict(a=x, b=x) %}" * 40 + "{{ x }}",
    "namespaces": "{% set x = 1 %}" + "{% set x = namespace(a=x, b=x) %}" * 40 + "{{ x }}",
    "a namespace in itself": "{% set x = namespace(a=1) %}{% set x.a = x %}{{ x }}",
    "a large power": "{{ (-9) ** (10**8) }}",
    "squares of squares": "{% set n = namespace(v=3) %}{% for i in range(90) %}"
    "{% set n.v = n.v * n.v %}{% endfor %}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a width given": "{{ '%*d' % (10**9, 1) }}",
    "format": "{{ '{:1000000000d}'.format(1) }}",
    "format with a width": "{{ '{:{w}}'.format(1, w=10**9) }}",
    "format_map": "{{ '{a:999999999}'.format_map({'a': 1}) }}",
    "the filter format": "{{ '%999999999d' | format(1) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "center": "{{ 'a' | center(10**9) }}",
    "center, mapped": "{{ ['a'] | map('center', 10**9) | list }}",
    "indent": "{{ ('a\n' * 100000) | indent(10000) }}",
    "tojson": "{{ [1] | tojson(indent=10**9) }}",
    "batch": "{{ [1] | batch(10**9, 0) | list }}",
    "slice": "{{ [1] | slice(10**9) | list }}",
    "replace": GROW + "{% set x = x.replace('a', x * 9) %}" * 20,
    "the filter replace": "{% filter replace('a', 'a' * 10) %}" * 15 + "a" + "{% endfilter %}" * 15,
    "join": "{{ range(100000) | map('string') | join('x' * 1000000) }}",
    "join of a text": "{{ ('x' * 1000000).join(range(100000) | map('string')) }}",
    "strip": "{{ ('a' * 1900000).strip('b' * 1900000) }}",
    "translate": "{{ ('a' * 100000).translate({97: 'b' * 10000}) }}",
    "bytes of a number": "{{ (1).to_bytes(10**9) }}",
    "a call block": "{% macro f() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call f() %}" * 40
    + "x"
    + "{% endcall %}" * 40,
    "compared lists": "{% set a = [1] %}{% set b = [1] %}"
    + "{% set a = [a, a] %}{% set b = [b, b] %}" * 40
    + "{{ a == b }}",
    "copied lists": "{% for i in range(100000) %}{% set y = range(100000) | list %}{% endfor %}",
    "parentheses": "{{ " + "(" * 50000 + "1" + ")" * 50000 + " }}",
    "sums": "{{ " + "+".join("1" * 60000) + " }}",
    "attributes": "{{ a" + ".a" * 60000 + " }}",
    "filters": "{{ 1" + "|string" * 30000 + " }}",
    "loops in loops": "{% for i in [1] %}" * 500 + "{% endfor %}" * 500,
    "a long template": "a" * (MAX_TEMPLATE + 1),
    "braces": "{{" * 100000,
    "another file": "{% include '/etc/hosts' %}",
    "a parent": "{% extends '/etc/hosts' %}",
    "python": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a hidden name": "{% set n = namespace() %}{% set n.__class__ = 1 %}",
    "lipsum": "{{ lipsum(n=1000) }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_loop_or_fill_the_memory_is_refused(name: str) -> None:
    start = time.process_time()
    with pytest.raises(TemplateError):
        render_template(HOSTILE[name], messages=TALK)
    assert time.process_time() - start < 5


def test_python_is_out_of_reach() -> None:
    for source in ("{{ '{0.__class__}'.format('') }}", "{{ raise_exception.__globals__ }}"):
        assert render_template(source) == ""


def test_a_long_conversation_is_no_attack() -> None:
    talk = [{"role": ("user", "assistant")[i % 2], "content": "x"} for i in range(3000)]
    for source in GOOD[:4]:
        assert render_template(source, messages=talk, eos_token="</s>", bos_token="")


def test_budgets_of_threads_are_their_own() -> None:
    source = "{% for i in range(50000) %}{% endfor %}ok"
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: render_template(source), range(24))) == {"ok"}


def test_a_tokenizer_with_such_a_template_says_so() -> None:
    tokenizer = small_tokenizer()
    tokenizer.chat_template = LOOPS * 2 + "{% endfor %}" * 2
    with pytest.raises(ValueError, match="asks for more than one may: it takes more than"):
        ChatTemplate(tokenizer, [])
    tokenizer.chat_template = "{{ raise_exception('\x1b[31m') }}"
    with pytest.raises(ValueError, match=r"refuses the roles user, assistant: \\x1b\[31m"):
        ChatTemplate(tokenizer, [])
    tokenizer.chat_template = {"default": PLAIN_TEMPLATE, "tool_use": "x"}
    template = ChatTemplate(tokenizer, [])
    assert template.jinja == PLAIN_TEMPLATE
    again = pickle.loads(pickle.dumps(copy.copy(template).jinja))
    assert again == PLAIN_TEMPLATE
    with pytest.raises(BudgetError):
        render_template("{{ 'a' * 10**9 }}")
