"""YAML: read within limits, and read back as it was written."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal import config
from anymodal.config.yaml_files import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    dump_yaml,
    parse_yaml,
    read_yaml,
)

LINES = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
LISTS = "\n".join(["a0: &a0 [x,x,x,x,x,x,x,x,x]", *LINES])
MERGES = "\n".join(
    ["a0: &a0 {x: 1, y: 2}", *(line.replace("[", "{<<: [").replace("]", "]}") for line in LINES)]
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LISTS, f"more than {MAX_NODES} values \\(line 5\\)"),
        (MERGES, f"more than {MAX_NODES} values"),
        ("[" * 100_000, f"more than {MAX_DEPTH} levels deep \\(line 1\\)"),
        ("- " * 100_000, f"more than {MAX_DEPTH} levels"),
        ("? " * 100_000, f"more than {MAX_DEPTH} levels"),
        ("{a: " * 60 + "1" + "}" * 60, f"more than {MAX_DEPTH} levels"),
        ("[" + "1," * 400_000, f"more than {MAX_NODES} values"),
        ("a: &a [*a]", r"\*a stands for nothing before it"),
        ("a: *b", r"\*b stands for nothing before it"),
        ("a: 1\na: 2", r"the key 'a' stands there twice \(line 2\)"),
        ("a: 1\n'a': 2", "the key 'a' stands there twice"),
        ("b: {a: 1, a: 1}", "the key 'a' stands there twice"),
        ("a: !!set {x}", "of type 'tag:yaml.org,2002:set'"),
        ("a: !!python/object/apply:os.getcwd []", "of type 'tag:yaml.org,2002:python"),
        ("a: !mine {x: 1}", "of type '!mine'"),
        ("a: !!bool maybe", "not of its type"),
        ("a: !!int ''", "not of its type"),
        ("a: " + "9" * 5000, "digits"),
        ("? [1, 2]\n: 3", "unhashable"),
        ('a: "\\ud800"', "character"),
        ("a: \0", "control characters"),
        ("--- 1\n--- 2", "another document"),
    ],
)
def test_too_much_or_too_strange_is_refused_at_once(text: str, message: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=f"it.yaml is not valid YAML: .*{message}"):
        parse_yaml(text, "it.yaml")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 1e-3),
        ("1_0E3", 1e4),
        (".5e1", 5.0),
        ("-1.e+2", -100.0),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("'1e5'", "1e5"),
        ("e5", "e5"),
        ("1:30", 90),
        ("yes", True),
        ("~", None),
        ("", None),
    ],
)
def test_words_are_what_omegaconf_takes_them_for(word: str, value: Any) -> None:
    assert parse_yaml(f"a: {word}", "it") == {"a": value}


def test_aliases_stand_for_what_they_name() -> None:
    text = "a: &a {b: 1, c: 2}\nd: *a\ne: {<<: *a, b: 3}\nf: &f x\ng: [*f, *f]\n1: 1\n'1': 2"
    plain = {"b": 1, "c": 2}
    found = parse_yaml(text, "it")
    assert found == {"a": plain, "d": plain, "e": {"b": 3, "c": 2}, "f": "x", "g": ["x", "x"]} | {
        1: 1,
        "1": 2,
    }


WORDS = st.sampled_from(["1e5", "=", "2024-01-01", "yes", "null", "<<", "0x1f", "1:2", "~", "\x85"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | WORDS
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
def test_what_is_written_reads_back(value: Any) -> None:
    assert parse_yaml(dump_yaml([value, value]), "it") == [value, value]


@given(st.text(max_size=60) | st.text("&*a:[]{}-? \n'\"!|>1e.<#%", max_size=40))
def test_wild_text_is_read_or_refused(text: str) -> None:
    try:
        parse_yaml(text, "it")
    except ValueError as error:
        assert str(error).startswith("it is not valid YAML: ") and "\n" not in str(error)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9")
    assert read_yaml(path) == {"a": "é"}
    path.write_bytes(b"a: \xe9")
    with pytest.raises(ValueError, match=r"a\.yaml is not valid YAML: it is not in UTF-8"):
        read_yaml(path)
    path.write_bytes(b"a: " + b"x" * MAX_BYTES)
    with pytest.raises(ValueError, match=r"a\.yaml is larger than 1 MiB"):
        read_yaml(path)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "", "/dev/zero"):
        with pytest.raises((ValueError, OSError), match="regular file|Is a directory"):
            read_yaml(tmp_path / name)


def test_a_configuration_is_read_within_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(LISTS)
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, overrides, message in (
        ("a.yaml", [], "more than"),
        ("pipe.yaml", [], "no regular file"),
        ("b.yaml", ["a=" + "[" * 5000], "levels deep"),
        ("c.yaml", [], "base must be a file's name"),
    ):
        (tmp_path / "b.yaml").write_text("a: 1")
        (tmp_path / "c.yaml").write_text("base: {a: 1}")
        with pytest.raises(config.ConfigError, match=message):
            config.load_config(tmp_path / name, overrides)
