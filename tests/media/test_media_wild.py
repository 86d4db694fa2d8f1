"""Wild bytes are a medium or a `ValueError`, nothing else, and soon."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anymodal.media import (
    Limits,
    Media,
    load,
)
from tests.support.imu_tables import HEAD
from tests.support.media_files import (
    VALID,
)
from tests.support.paths import ROOT as REPOSITORY

# Wild bytes: a medium or a ValueError, nothing else, and soon

WILD = settings(
    deadline=20_000, max_examples=150, suppress_health_check=[HealthCheck.too_slow], database=None
)

STARTS = [data[:16] for _, data in VALID.values()] + [b"RF64....WAVE", b"OggS..theora", b"ID3\4"]


def tried(data: bytes, kind: str | None = None) -> None:
    try:
        medium = load(data, kind=kind, limits=Limits(max_seconds=60, max_decoded_bytes=2**24))
    except ValueError as error:
        assert len(str(error)) > 20
    else:
        assert medium.digest()


@WILD
@given(st.sampled_from(STARTS), st.binary(max_size=400), st.sampled_from([None, *Media.kinds]))
@example(b"", b"a" * 300, None)
def test_random_bytes_after_a_good_start(start: bytes, rest: bytes, kind: str | None) -> None:
    tried(start + rest, kind)


@WILD
@given(st.binary(max_size=200), st.sampled_from([None, *Media.kinds]))
def test_random_bytes(data: bytes, kind: str | None) -> None:
    tried(data, kind)


@WILD
@given(st.sampled_from(sorted(VALID)), st.floats(0, 1))
def test_prefixes_of_good_files(name: str, share: float) -> None:
    data = VALID[name][1]
    tried(data[: int(share * len(data))])


@WILD
@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    st.booleans(),
)
def test_good_files_with_wrong_bytes(
    name: str, changes: list[tuple[float, int]], near_start: bool
) -> None:
    data = bytearray(VALID[name][1])
    reach = min(len(data), 200) if near_start else len(data)
    for place, value in changes:
        data[min(int(place * reach), len(data) - 1)] = value
    tried(bytes(data))


@WILD
@given(st.text(max_size=300), st.booleans())
def test_wild_text(text: str, headed: bool) -> None:
    tried(((HEAD + "\n" if headed else "") + text).encode("utf-8", "surrogatepass"), "imu")


def test_import_is_light() -> None:
    code = (
        "import sys, anymodal.media; heavy = {'torch', 'av', 'PIL', 'scipy', 'soundfile'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = REPOSITORY
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
