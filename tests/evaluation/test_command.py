"""`anymodal eval files`: a configuration, from samples to results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from anymodal import cli
from anymodal.cli.validate import check_configuration
from anymodal.config import ConfigError
from anymodal.evaluation.report import metric_table
from anymodal.evaluation.run import run_evaluation
from anymodal.evaluation.schema import Evaluation
from anymodal.media import Media
from anymodal.metrics import (
    Metric,
)
from anymodal.metrics.samples import EvaluationSample
from anymodal.types import Message
from tests.support.samples import sample, write_samples
from tests.support.tiny import picture, sound


def metric(name: str, **how: Any) -> dict[str, Any]:
    return {"_target_": f"anymodal.metrics.{name}", **how}


@pytest.fixture
def job(model: Path, tmp_path: Path) -> dict[str, Any]:
    """An evaluation of every kind of sample."""
    picture().save(tmp_path / "a.png")
    sound().save(tmp_path / "a.wav")
    what = "what is this?"
    ball = {"prompt": [{"file": "a.png"}, what], "references": ["this is a ball"]}
    write_samples(
        tmp_path,
        {**ball, "choices": ["ball", "bell"], "answer": "ball"},
        {**ball, "prompt": [{"file": "a.wav"}, what], "references": ["This is a bell!", "a ball"]},
        {"id": "draw", "prompt": "draw a ball", "caption": "a ball", "media": ["a.png"]},
        {"id": "play", "prompt": "draw and play a ball", "media": ["a.png", "a.png"]},
        {"id": "pope", "prompt": "hello", "answer": "no"},
    )
    encoder = {
        "_target_": "anymodal.encoders.ImageBindEncoder",
        "modality": "image",
        "model": {"_part_": "bind"},
    }
    bind = {
        "_target_": "anymodal.encoders.ImageBind.from_pretrained",
        "folder": str(model / "binder"),
    }
    return {
        "model": str(model),
        "data": str(tmp_path / "samples.jsonl"),
        "output_dir": str(tmp_path / "out"),
        "batch_size": 3,
        "parts": {"bind": bind, "encoder": encoder},
        "metrics": {
            "bleu": metric("Bleu"),
            "word_error_rate": metric("WordErrorRate"),
            "choices": metric("Accuracy"),
            "pope": metric("YesNo"),
            "frechet": metric("FrechetDistance", encoder={"_part_": "encoder"}),
        },
        "settings": {"max_new_tokens": 24, "sampling": {"image": {"steps": 1}}},
    }


def save(job: dict[str, Any], tmp_path: Path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return str(path)


def test_the_command_measures_a_model_on_files(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = save(job, tmp_path)
    check_configuration(Path(config))
    assert cli.main(["eval", "files", config, "device=cpu"]) == 0
    told = capsys.readouterr().out
    out = tmp_path / "out"
    results = json.loads((out / "results.json").read_text())
    assert told == (out / "results.md").read_text() == metric_table(results) + "\n"
    found = results["metrics"]
    assert (results["count"], results["failed"]) == (5, [])
    assert found["choices"] == {
        **{"accuracy": 1.0, "accuracy_low": pytest.approx(0.2065, abs=1e-4), "accuracy_high": 1.0},
        **{"named": 1.0, "chance": 0.5, "count": 1},
    }
    assert found["word_error_rate"] == {"word_error_rate": pytest.approx(1 / 8), "count": 2}
    assert 0 < found["bleu"]["bleu_4"] < 1
    assert found["pope"]["yes"] == found["pope"]["unclear"] == 1
    assert found["frechet"]["real"] == 3 and found["frechet"]["made"] == 2
    assert found["frechet"]["frechet_distance"] > 0
    assert "| choices: accuracy " in told and "| word_error_rate " in told
    assert len(list((out / "media").iterdir())) == 3
    # Once more, from what is kept: the same to the bit.
    assert cli.main(["eval", "files", config, "batch_size=2"]) == 0
    assert json.loads((out / "results.json").read_text()) == results
    assert cli.main(["eval", "files", config, "seed=1"]) == 2
    assert "another seed" in capsys.readouterr().err


def test_what_fails_is_told(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF0000WAVEnothing")
    sound().save(tmp_path / "b.wav")
    line = {"id": "odd", "prompt": "draw a ball", "media": ["b.wav"]}
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write("\n" + json.dumps(line))
    assert cli.main(["eval", "files", save(job, tmp_path)]) == 0
    told = capsys.readouterr()
    assert "2 samples or measurements failed" in told.err and "2 failed:" in told.out
    failed = json.loads((tmp_path / "out" / "results.json").read_text())["failed"]
    assert [(each["id"], each.get("metric")) for each in failed] == [
        ("2", None),
        ("odd", "frechet"),
    ]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"metrics": {}}, "metrics is empty"),
        ({"metrics": {"x": {"n": 1}}}, "metrics.x must be a part"),
        ({"metrics": {"x": metric("Blue")}}, "no 'Blue' there; did you mean 'Bleu'"),
        ({"metrics": {"x": metric("Bleu", ngram=2)}}, "takes no 'ngram'; did you mean 'n_gram'"),
        ({"metrics": {"x": metric("ClipScore", model="x", frames=0)}}, "frames=0"),
        ({"metrics": {"x": {"_target_": "os.getcwd"}}}, "outside the allowed packages"),
        ({"metrics": {"x": {"_target_": "anymodal.language.sampling.Sampling"}}}, "not a Metric"),
        ({"metrics": {"x": metric("Cider")}, "data": "one.jsonl"}, "metrics.x: needs 2 or more"),
        ({"settings": {"max_tokens": 1}}, "did you mean 'max_new_tokens'"),
        ({"settings": {"temperature": -1}}, "temperature=-1"),
        ({"settings": {"temperature": "hot"}}, "settings: temperature="),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_sizes": 1}, "did you mean 'batch_size'"),
        ({"seed": -1}, "seed=-1"),
        ({"model": "nowhere"}, "no model at nowhere"),
        ({"data": "nowhere.jsonl"}, "no samples at nowhere.jsonl"),
        ({"data": 3}, "data must be a part"),
        ({"model": {"_part_": "bind"}}, "'bind' is not under `parts`"),
        (
            {"data": {"_target_": "builtins.list"}, "trusted_packages": ["builtins"]},
            "gives no samples",
        ),
        ({"settings": {"sampling": {"smell": {}}}}, "makes no 'smell'"),
        ({"settings": {"choices": "per_row"}}, "give a list of texts, or 'per_sample'"),
        ({"settings": {"choices": ["a", "b"]}}, "'no' of sample pope is none of the choices"),
    ],
)
def test_a_job_that_cannot_work(
    change: dict[str, Any],
    match: str,
    job: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.jsonl").write_text('{"prompt": "a", "references": ["b"]}')
    assert cli.main(["eval", "files", save({**job, **change}, tmp_path)]) == 2
    assert match in " ".join(capsys.readouterr().err.split())


def test_replies_among_choices(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ["This is a ball.", "Hello!", "ball", "bell"]
    write_samples(
        tmp_path,
        {"prompt": [{"file": "a.png"}, "what is this?"], "answer": "This is a ball."},
        {"prompt": "hello", "references": ["hello"]},
        {"prompt": "hello", "choices": ["Look", "Hello!"], "answer": "Look"},
    )
    job |= {"metrics": {"kind": metric("ClassificationReport")}, "settings": {"choices": task}}
    config = save(job, tmp_path)
    check_configuration(Path(config))
    assert cli.main(["eval", "files", config]) == 0
    text = capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    figures = results["metrics"]["kind"]
    assert figures["accuracy"] == pytest.approx(2 / 3) and figures["log_loss"] > 1
    tables = results["tables"]["kind"]
    assert tables["confusion"]["columns"][1:] == [*task, "Look"]
    assert [row[-2:] for row in tables["classes"]["rows"] if row[0] == "Look"] == [[1, 0]]
    assert "kind: confusion\n\n| answer" in text
    lines = (tmp_path / "out" / "samples.jsonl").read_text().splitlines()[1:]
    shares = [[share for _, share, _ in json.loads(line)["choices"]] for line in lines]
    assert [len(each) for each in shares] == [4, 4, 2]
    assert all(sum(each) == pytest.approx(1) for each in shares)
    # Other choices are another question.
    other = save({**job, "settings": {"choices": [*task, "a bat"]}}, tmp_path)
    assert cli.main(["eval", "files", other]) == 0
    own = save({**job, "settings": {"choices": "per_sample"}}, tmp_path)
    assert cli.main(["eval", "files", own]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["metrics"]["kind"]["count"] == 1


class Length(Metric):
    """Letters in a reply."""

    def __init__(self) -> None:
        self.letters = 0

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        self.letters += len(reply.text)
        return True

    def _compute(self) -> dict[str, float]:
        return {"letters": self.letters}


def given_samples() -> list[EvaluationSample]:
    return [sample(1, answer="yes"), sample(2, answer="no")]


def test_data_and_model_may_be_parts(job: dict[str, Any], tmp_path: Path) -> None:
    job |= {
        "data": {"_target_": f"{__name__}.given_samples"},
        "model": {"_target_": "anymodal.AnyModal.from_pretrained", "path": job["model"]},
        "metrics": {"pope": metric("YesNo"), "length": {"_target_": f"{__name__}.Length"}},
        "trusted_packages": [__name__],
    }
    assert Evaluation.read(save(job, tmp_path)).samples() == given_samples()
    assert cli.main(["eval", "files", save(job, tmp_path)]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["metrics"]["pope"]["count"] == 2
    assert results["metrics"]["length"]["letters"] > 0
    assert results["model"] == "anymodal.AnyModal.from_pretrained"


def test_replies_that_were_cut_off_are_named(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job["settings"]["max_new_tokens"] = 2
    for _ in range(2):  # the second one reads what the first one kept
        assert cli.main(["eval", "files", save(job, tmp_path)]) == 0
        told = capsys.readouterr()
        assert "5 replies were cut off by max_new_tokens: " in told.out
        assert "set settings.max_new_tokens higher" in told.err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "draw" in results["truncated"] and len(results["truncated"]) == 5


def test_media_of_one_s_own_package_are_read(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smelling.py").write_text(
        "from anymodal.media import Image\n\n\nclass Smell(Image):\n    kind = 'smell'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    picture().save(tmp_path / "a.png")
    write_samples(tmp_path, {"prompt": [{"file": "a.png", "kind": "smell"}, "hm?"], "answer": "no"})
    config = save({**job, "trusted_packages": ["smelling"]}, tmp_path)
    check_configuration(Path(config))
    with pytest.raises(ConfigError, match="no module 'smeling'"):
        run_evaluation(config, ["trusted_packages=[smeling]"])
    kinds = Media.kinds.pop("smell")
    assert kinds.__module__ == "smelling"


def test_one_configuration_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", "files", "seed=1"]) == 2
    assert "name one configuration" in capsys.readouterr().err
