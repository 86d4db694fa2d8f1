"""Versions of AnyModal's parts stand for their code, so a change of it is told in the table."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions

import pytest

from anymodal.io.code_versions import LIBRARIES
from anymodal.io.part_versions import PART_VERSIONS, WITHOUT_RESULTS, part_of, with_dependencies
from tests.support.part_sources import code_of, files_of, hash_of_part, imports_of
from tests.support.paths import ROOT

NO_RESULTS = {"huggingface_hub", "safetensors", "omegaconf"}
"""Libraries that fetch and read files, whose content is in a key."""


@pytest.mark.parametrize("part", PART_VERSIONS)
def test_a_changed_part_has_a_new_version(part: str) -> None:
    assert hash_of_part(part) == PART_VERSIONS[part].source, (
        f"the source of {part} has changed: raise its version in anymodal/io/part_versions.py if a "
        "result may differ, be it in its last bit, or what its metadata says; then renew the hash "
        "by `python -m tests.support.part_sources`"
    )


@pytest.mark.parametrize("part", PART_VERSIONS)
def test_a_part_names_the_parts_that_it_uses(part: str) -> None:
    used = set(with_dependencies(part))
    for name in (each for each in imports_of(part) if each.startswith("anymodal.")):
        allowed = part_of(name) in used or name.startswith((*WITHOUT_RESULTS, "anymodal.__"))
        assert allowed, f"{part} imports {name}, of no part that it uses"


def test_every_file_that_prepares_or_computes_belongs_to_a_part() -> None:
    files = {file for part in PART_VERSIONS for file in files_of(part)}
    for folder in ("encoders", "decoders", "media"):
        assert files >= set((ROOT / "anymodal" / folder).rglob("*.py")), folder


def test_the_versions_of_all_libraries_that_compute_are_in_a_key() -> None:
    names = packages_distributions()
    for part in PART_VERSIONS:
        for name in imports_of(part):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in NO_RESULTS | {"anymodal"}:
                libraries = {each.lower() for each in names.get(top, [top])}
                assert libraries & set(LIBRARIES), f"{part} imports {name}: add it to LIBRARIES"


def test_what_decides_nothing_is_not_hashed() -> None:
    plain = 'def f(x):\n    return x  # as it is\n\n\nA: None = """text"""\n'
    documented = (
        '"""A module."""\n\n\ndef f(\n    x: int,\n) -> int:\n    """Say\n    it."""\n'
        '    return x\n\n\nA: str = """text"""\n"""A."""\n'
    )
    assert code_of(plain) == code_of(documented)
    assert code_of(plain) != code_of(plain.replace("text", "test"))
    assert code_of(plain) != code_of(plain.replace("return x", "return -x"))
