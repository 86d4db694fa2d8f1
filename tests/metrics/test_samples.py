"""Samples in JSON Lines files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.config import ConfigError
from anymodal.media import IMU
from anymodal.metrics.samples import EvaluationSample, read_samples
from anymodal.types import Message
from tests.support.samples import ASKED, write_samples
from tests.support.tiny import picture


def test_samples_are_read(tmp_path: Path) -> None:
    picture().save(tmp_path / "cat.png")
    np.save(tmp_path / "walk.npy", np.zeros((6, 50), np.float32))
    talk = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"file": "walk.npy", "kind": "imu", "sample_rate": 50}, "?"]},
        {"role": "assistant", "content": ["walking"]},
        {"role": "user", "content": "sure?"},
    ]
    path = write_samples(
        tmp_path,
        {"prompt": [{"file": "cat.png"}, "what?"], "references": ["a cat"], "media": ["cat.png"]},
        "",
        {"id": "walk/1", "messages": talk, "choices": ["yes", "no"], "answer": "yes"},
        {"id": 7, "prompt": "draw a cat", "media": [{"file": "cat.png", "kind": "image"}]},
    )
    first, second, third = read_samples(path)
    assert [first.id, second.id, third.id] == ["1", "walk/1", "7"]
    assert first.conversation() == [Message("user", [picture(), "what?"])]
    assert first.references == ("a cat",) and first.media[0].load() == picture()
    assert [m.role for m in second.conversation()] == ["system", "user", "assistant", "user"]
    walk = second.conversation()[1].media[0]
    assert isinstance(walk, IMU) and walk.rate == 50
    assert "/" not in second.name and second.name != EvaluationSample("walk-1", ASKED).name
    assert len({each.seed(0) for each in (first, second, third)}) == 3
    assert first.seed(0) != first.seed(1)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('{"prompt": "a"', "line 2: not valid JSON"),
        ("[1]", "line 2: a sample is an object"),
        ({"promt": "a"}, "no key 'promt'; did you mean 'prompt'"),
        ({"references": ["a"]}, "either `prompt` or `messages`"),
        ({"prompt": "a", "messages": []}, "either `prompt` or `messages`"),
        ({"prompt": []}, "a text or a list of parts"),
        ({"prompt": [1]}, "a file is written"),
        ({"prompt": [{"file": "dog.png"}]}, "there is no file 'dog.png'"),
        ({"prompt": [{"file": "samples.jsonl", "knid": 1}]}, "did you mean 'kind'"),
        ({"prompt": [{"file": "samples.jsonl", "kind": "imag"}]}, "did you mean 'image'"),
        ({"prompt": "a", "media": ["dog.png"]}, "there is no file 'dog.png'"),
        ({"prompt": "a", "media": "dog.png"}, "media must be a list"),
        ({"prompt": "a", "references": "b"}, "references must be a list"),
        ({"prompt": "a", "references": ["..."]}, "references must hold words"),
        ({"prompt": "a", "caption": 3}, "caption must hold words"),
        ({"prompt": "a", "choices": ["cat", "dog"], "answer": "cta"}, "did you mean 'cat'"),
        ({"prompt": "a", "choices": ["A cat", "a cat!"]}, "are the same words"),
        ({"prompt": "a", "id": "one"}, "id 'one' is taken"),
        ({"messages": [{"role": "user"}]}, "`role` and `content`"),
        ({"messages": [{"role": "usr", "content": "a"}]}, "did you mean 'user'"),
        ({"messages": [{"role": "user", "content": "a", "x": 1}]}, "a message has no key 'x'"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "must be the user's"),
    ],
)
def test_wrong_data_is_answered_with_the_line(line: Any, match: str, tmp_path: Path) -> None:
    path = write_samples(tmp_path, {"id": "one", "prompt": "a"}, line)
    with pytest.raises(ConfigError, match=match) as caught:
        read_samples(path)
    assert "line 2" in str(caught.value)


def test_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no samples at"):
        read_samples(tmp_path / "nothing.jsonl")
    with pytest.raises(ConfigError, match="holds no samples"):
        read_samples(write_samples(tmp_path, "", "  "))
    (tmp_path / "samples.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_samples(tmp_path / "samples.jsonl")
