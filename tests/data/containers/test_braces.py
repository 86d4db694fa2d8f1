"""Ranges and choices in names, as a shell reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.data.containers.braces import expand_braces, files_of


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-{008..011}.tar", ["a-008.tar", "a-009.tar", "a-010.tar", "a-011.tar"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("{x}", ["{x}"]),
        ("{}", ["{}"]),
        ("{1..}", ["{1..}"]),
        ("a", ["a"]),
        ("{a,}", ["a", ""]),
    ],
)
def test_patterns(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern) == names


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.from_regex(r"\A(?:[a-z]{1,2}|\{0{0,2}[0-9]{1,2}\.\.0{0,2}[0-9]{1,2}\}|\{x,y\})\Z"),
        min_size=1,
        max_size=3,
    )
)
def test_a_shell_reads_them_alike(parts: list[str]) -> None:
    pattern = "-".join(parts)
    done = subprocess.run(["bash", "-c", f"echo {pattern}"], capture_output=True, text=True)
    assert expand_braces(pattern) == done.stdout.split()


@given(st.text(max_size=30))
def test_any_text_has_names_or_is_refused(pattern: str) -> None:
    try:
        names = expand_braces(pattern)
    except ValueError as error:
        assert "more than" in str(error)
        return
    if not re.search(r"\{[^{}]*\}", pattern):
        assert names == [pattern]
    assert names


@pytest.mark.parametrize("pattern", ["{0..99999999}", "{1..1000}" * 3, "{0..9" + "9" * 15 + "}"])
def test_a_range_has_an_end(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"more than 1,000,000 files; check its ranges"):
        expand_braces(pattern)


def test_globs_are_sorted_and_names_that_are_there_are_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "x[1].csv", "{1,2}.csv"):
        (tmp_path / name).touch()
    names = [Path(name).name for name in files_of(f"{tmp_path}/*.csv")]
    assert names == ["a.csv", "b.csv", "x[1].csv", "{1,2}.csv"]
    for name in ("x[1].csv", "{1,2}.csv"):
        assert files_of(f"{tmp_path}/{name}") == [f"{tmp_path}/{name}"]
    with pytest.raises(FileNotFoundError, match="no file matches"):
        files_of(f"{tmp_path}/*.tar")
    with pytest.raises(ValueError, match="isn't read in a URL"):
        files_of("s3://bucket/*.tar")
