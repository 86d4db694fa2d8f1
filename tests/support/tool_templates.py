"""Chat templates that write calls of tools as published ones do, and replies that call one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CONTENT = "{{ m.content or '' }}"


@dataclass(frozen=True)
class ToolTemplate:
    """A chat template, and a reply that calls `weather` for the city "12" and 3 days.

    Attributes:
        template: in Jinja.
        reply: the one that calls.
        marks: special tokens.
        parallel: whether one reply may call twice.
        keeps_text: whether a message that calls has its text.
    """

    template: str
    reply: str
    marks: Sequence[str] = ()
    parallel: bool = True
    keeps_text: bool = True


def template(call: str, opening: str = "", closing: str = "", result: str = "") -> str:
    """Turns between marks, with calls of a form within the assistant's."""
    result = result or "<|user|><tool_response>{{ m.content }}</tool_response><|end|>"
    return (
        "{% if tools %}<|system|>{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|end|>"
        "{% endif %}{% for m in messages %}{% if m.role == 'tool' %}"
        + result
        + "{% else %}{{ '<|' + m.role + '|>' }}{{ m.content or '' }}{% if m.tool_calls %}"
        + opening
        + "{% for c in m.tool_calls %}{% set f = c.function %}"
        + call
        + "{% endfor %}"
        + closing
        + "{% endif %}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>"
        "{% if messages[-1].role == 'tool' %}<|told|>{% endif %}{% endif %}"
    )


EACH = "{% for k, v in f.arguments.items() %}"
PLAIN = "{{ v if v is string else v | tojson }}"
JSON = '{"name": "weather", "arguments": {"city": "12", "days": 3}}'

# In the style of Gemma 4's: results stand within the message that calls, before its text, and a
# turn with results alone stays open.
GEMMA_4 = (
    "{%- macro value(v) -%}"
    "{%- if v is string -%}{{ '<|\"|>' + v + '<|\"|>' }}{%- else -%}{{ v | tojson }}{%- endif -%}"
    "{%- endmacro -%}{%- set state = namespace(open=false) -%}"
    "{%- if tools -%}{{ '<|turn>system\n' }}{%- for tool in tools -%}"
    "{{ '<|tool>declaration:' + tool.function.name + '{}<tool|>' }}{%- endfor -%}{{ '<turn|>\n' }}"
    "{%- endif -%}{%- for m in messages -%}"
    "{%- if not (state.open and m.role == 'assistant') -%}"
    "{{ '<|turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}{%- endif -%}"
    "{%- for c in m.tool_calls or [] -%}{{ '<|tool_call>call:' + c.function.name + '{' }}"
    "{%- for k, v in c.function.arguments | dictsort -%}"
    "{{ k + ':' + value(v) + ('' if loop.last else ',') }}{%- endfor -%}{{ '}<tool_call|>' }}"
    "{%- endfor -%}{%- for r in m.tool_responses or [] -%}"
    "{{ '<|tool_response>response:' + r.name + '{value:' + value(r.response) }}"
    "{{- '}<tool_response|>' }}{%- endfor -%}"
    "{%- if m.content is string -%}{{ m.content | trim }}{%- else -%}"
    "{%- for part in m.content -%}{%- if part.type == 'text' -%}{{ part.text | trim }}"
    "{%- else -%}{{ '<|' + part.type + '|>' }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- set state.open = m.tool_responses is defined and not m.content -%}"
    "{%- if not state.open -%}{{ '<turn|>\n' }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt and not state.open -%}{{ '<|turn>model\n' }}{%- endif -%}"
)
GEMMA_4_MARKS = (
    *("<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>"),
    *("<|tool_response>", "<tool_response|>", '<|"|>'),
)

CALLING = "[TOOL_CALLS]"
DEEP = [
    f"<｜tool▁{name}｜>" for name in ("calls▁begin", "call▁begin", "sep", "call▁end", "calls▁end")
]
SMALL_GEMMA = (
    *("<start_function_call>", "<end_function_call>", "<escape>"),
    *("<start_function_response>", "<end_function_response>"),
)
TOOL_TEMPLATES = {
    "hermes": ToolTemplate(
        template("<tool_call>{{ f | tojson }}</tool_call>"),
        f"<tool_call>{JSON}</tool_call>",
    ),
    "hermes, special": ToolTemplate(
        template("<tool_call>{{ f | tojson }}</tool_call>"),
        f"<tool_call>{JSON}</tool_call>",
        ["<tool_call>", "</tool_call>"],
    ),
    "qwen 3.5": ToolTemplate(
        template(
            "<tool_call>\n<function={{ f.name }}>\n"
            + EACH
            + "<parameter={{ k }}>\n"
            + PLAIN
            + "\n</parameter>\n{% endfor %}</function>\n</tool_call>"
        ),
        "<tool_call>\n<function=weather>\n<parameter=city>\n12\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
    ),
    "glm 4.6": ToolTemplate(
        template(
            "<tool_call>{{ f.name }}\n"
            + EACH
            + "<arg_key>{{ k }}</arg_key>\n<arg_value>"
            + PLAIN
            + "</arg_value>\n{% endfor %}</tool_call>"
        ),
        "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>12</arg_value>\n"
        "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
        ["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>"],
    ),
    "gemma 4": ToolTemplate(
        GEMMA_4,
        '<|tool_call>call:weather{city:<|"|>12<|"|>,days:3}<tool_call|>',
        GEMMA_4_MARKS,
    ),
    "functiongemma": ToolTemplate(
        template(
            "<start_function_call>call:{{ f.name + '{' }}"
            "{% for k, v in f.arguments.items() %}{{ k }}:"
            "{{ '<escape>' + v + '<escape>' if v is string else v | tojson }}"
            "{{ '' if loop.last else ',' }}{% endfor %}}<end_function_call>",
            result="<start_function_response>response:{{ m.name }}{value:<escape>"
            "{{ m.content | trim }}<escape>}<end_function_response>",
        ),
        "<start_function_call>call:weather{city:<escape>12<escape>,days:3}<end_function_call>",
        SMALL_GEMMA,
    ),
    "mistral small 3.1": ToolTemplate(
        template(
            "{{ (f | tojson)[:-1] }}{% if c.id | length != 9 %}"
            "{{ raise_exception('Tool call IDs have 9 letters') }}{% endif %}"
            """{{ ', "id": "' + c.id + '"}' }}{{ '' if loop.last else ', ' }}""",
            CALLING + "[",
            "]",
            result='[TOOL_RESULTS]{"content": {{ m.content }}, '
            '"call_id": "{{ m.tool_call_id }}"}[/TOOL_RESULTS]',
        ).replace(CONTENT, "{% if not m.tool_calls %}{{ m.content }}{% endif %}"),
        f"{CALLING}[{JSON}]",
        [CALLING, "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
        keeps_text=False,
    ),
    "ministral 3": ToolTemplate(
        template(CALLING + "{{ f.name }}[ARGS]{{ f.arguments | tojson }}"),
        CALLING + 'weather[ARGS]{"city": "12", "days": 3}',
        [CALLING, "[ARGS]"],
    ),
    "deepseek v3.1": ToolTemplate(
        template(
            f"{DEEP[1]}{{{{ f.name + '{DEEP[2]}' + f.arguments + '{DEEP[3]}' }}}}", DEEP[0], DEEP[4]
        ),
        "".join([*DEEP[:2], "weather", DEEP[2], '{"city": "12", "days": 3}', *DEEP[3:]]),
        DEEP,
    ),
    "deepseek v3": ToolTemplate(
        template(
            f"{DEEP[1]}function{DEEP[2]}"
            "{{ f.name + '\n```json\n' + f.arguments + '\n```' }}" + DEEP[3],
            DEEP[0],
            DEEP[4],
        ),
        "".join(
            [
                *(*DEEP[:2], "function", DEEP[2], "weather\n```json\n"),
                *('{"city": "12", "days": 3}', "\n```", *DEEP[3:]),
            ]
        ),
        DEEP,
    ),
    "phi 4": ToolTemplate(
        template("<|tool_call|>{{ f | tojson }}<|/tool_call|>"),
        f"<|tool_call|>[{JSON}]<|/tool_call|>",
        ["<|tool_call|>", "<|/tool_call|>"],
    ),
    "llama 3.1": ToolTemplate(
        template(
            '{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}',
            result="<|user|>{{ m.content | tojson }}<|end|>",
        ).replace(CONTENT, "{% if not m.tool_calls %}{{ m.content }}{% endif %}"),
        JSON.replace("arguments", "parameters"),
        parallel=False,
        keeps_text=False,
    ),
}
