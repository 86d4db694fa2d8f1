"""Names of objects in texts, and CHAIR by its authors' rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from anymodal.config import ConfigError
from anymodal.metrics.chair import Chair
from anymodal.metrics.object_names import ObjectNames, singular
from tests.support.samples import figures, reply_of, sample

LINES = [
    "dog, puppy",
    "# of vehicles",
    "bird, baby bird  # not a person",
    "person, baby, people",
    "hot dog",
    "bench",
]


@pytest.fixture
def synonyms(tmp_path: Path) -> Path:
    path = tmp_path / "synonyms.txt"
    path.write_text("\n".join(LINES))
    return path


def test_the_longest_name_counts_and_plurals_are_the_same() -> None:
    names = ObjectNames(LINES)
    found = names.mentions("Two Puppies, a baby bird, hot dogs and people on benches; a dogma.")
    assert [each.name for each in found] == ["dog", "bird", "hot dog", "person", "bench"]
    assert found[0].word == "puppies"
    assert names.names_in(["a dog", "a puppy and a baby"]) == ["dog", "person"]
    assert [*map(singular, ("berries", "boxes", "glass", "bus", "cars", "gas"))] == [
        *("berry", "box", "glass", "bus", "car", "gas")
    ]
    for one, several in (("bus", "buses"), ("iris", "irises"), ("house", "houses")):
        assert singular(one) == singular(several)


def test_chair_counts_mentions_and_captions(synonyms: Path) -> None:
    pairs = [
        (sample("a", references=("a puppy", "dog on a bench")), reply_of("A dog and a bird.")),
        (sample("b", references=("a person",)), reply_of("People, people and a hot dog.")),
        (sample("c", references=("a bird",)), reply_of("A bird.")),
        (sample("d", references=("the sea",)), reply_of("Nothing.")),
    ]
    metric = Chair(synonyms)
    measured = figures(metric, pairs)
    assert measured == {
        "chair_i": pytest.approx(2 / 6), "chair_s": 2 / 4, "objects": 6 / 4,
        "recall": pytest.approx((1 / 2 + 1 + 1) / 3), "count": 4,
    }  # fmt: skip
    assert metric.tables()["not there"].rows == [["bird", 1], ["hot dog", 1]]
    assert figures(Chair(synonyms), pairs[3:])["chair_i"] == 0


def test_unusable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file of synonyms"):
        Chair(tmp_path / "gone.txt")
    for text, says in (("# nothing", "no names of objects"), ("a, b\nc, B", "'B' is of 'a' and")):
        (tmp_path / "s.txt").write_text(text)
        with pytest.raises(ConfigError, match=says):
            Chair(tmp_path / "s.txt")
