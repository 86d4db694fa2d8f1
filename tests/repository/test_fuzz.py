"""The fuzzer itself: it notices what it looks for, draws the same again, and a bit of it runs."""

from __future__ import annotations

import ctypes
import random
import time
from pathlib import Path

import pytest

from tests.fuzz import configurations, corpus, media, mutations, pool

BOUNDS = pool.Bounds(seconds=0.5, memory=64 * pool.MIB)


def trial(index: int, context: None) -> tuple[str, str]:
    """One of each: right, refused, slow, crashed, greedy, and wrong."""
    if index == 1:
        raise ValueError("no")
    if index == 2:
        while True:
            pass
    if index == 3:
        ctypes.string_at(0)
    if index == 4:
        assert len(bytearray(b"x" * (80 * pool.MIB)))
    if index == 5:
        raise IndexError("oh")
    if index == 6:
        bytearray(BOUNDS.memory * 9)
    time.sleep(0.001)
    return "ok", ""


def test_what_is_wrong_is_noticed_and_the_rest_goes_on() -> None:
    found = {o.index: o for o in pool.run("tests.repository.test_fuzz:trial", None, 12, 2, BOUNDS)}
    assert sorted(found) == list(range(12))
    told = {index: found[index].result for index in range(7)}
    assert told == {0: "ok", 1: "refused", 2: "slow", 3: "crash", 4: "memory", 5: "error",
                    6: "memory"}  # fmt: skip
    assert all(found[index].result == "ok" for index in range(7, 12))
    assert "SIGSEGV" in found[3].words and "IndexError in test_fuzz.py:" in found[5].words


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> media.Context:
    files, _ = corpus.make_corpus(("python",))
    assert len(files) > 25
    return media.write_corpus(files, tmp_path_factory.mktemp("corpus"), seed=0)


def test_a_seed_makes_the_same_files_again(context: media.Context) -> None:
    first = [context.damaged(index) for index in range(200)]
    assert first == [context.damaged(index) for index in range(200)]
    assert {how for _, how, _ in first} == {"flip", "cut", "splice", "field"}
    other = media.Context(context.folder, context.names, seed=1)
    assert first != [other.damaged(index) for index in range(200)]


def test_fields_are_found_and_checksums_made_right(context: media.Context) -> None:
    for name in context.names:
        data = (context.folder / name).read_bytes()
        assert mutations.repair(data) == data
        textual = name.endswith((".csv", ".ply", ".ppm", ".npy", ".tga", ".mp3"))
        assert textual or len(mutations.find_fields(data)) > 3, name


def test_a_few_damaged_files(
    context: media.Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = media.run(context, 300, 1, tmp_path)
    assert [o for o in outcomes if o.fault] == [] and len(outcomes) == 300
    assert "wav" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_seed_makes_the_same_configurations_again(tmp_path: Path) -> None:
    context = configurations.context_of(tmp_path, seed=0)
    first = [context.mutated(index) for index in range(60)]
    assert first == [context.mutated(index) for index in range(60)]
    assert len({name for name, _, _ in first}) == min(60, len(context.names))


def test_a_configuration_is_tried_beside_the_others(tmp_path: Path) -> None:
    context = configurations.context_of(tmp_path, seed=0)
    before = sorted(tmp_path.rglob("*"))
    refused = next(i for i in range(999) if "delete at model" in context.mutated(i)[1])
    assert configurations.attempt(refused, context)[0] == "refused"
    assert sorted(tmp_path.rglob("*")) == before


def test_random_numbers_fit_their_fields() -> None:
    data = bytes(range(64))
    for seed in range(200):
        damaged = mutations.mutate(b"RIFF" + data * 4, b"x", random.Random(seed))[1]
        assert isinstance(damaged, bytes)
