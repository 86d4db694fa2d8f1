"""Published benchmarks on tiny files in their layouts, with figures counted by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from anymodal.config import ConfigError
from anymodal.evaluation.benchmark_run import BenchmarkResults, run_benchmark
from anymodal.evaluation.benchmarks import BENCHMARKS, benchmark_class
from anymodal.evaluation.benchmarks.base import BenchmarkSource
from anymodal.metrics.samples import EvaluationSample
from tests.support import benchmark_files as files
from tests.support.tiny import picture

Answer = Callable[[str, Sequence[Any]], object]


def run(name: str, path: Path, out: Path, answer: Answer, **settings: Any) -> BenchmarkResults:
    judge = settings.pop("judge", None)
    return run_benchmark(
        files.job(name, path, out, **settings),
        files.named(answer),
        files.named(judge) if judge is not None else None,
    )[0]


def read(name: str, path: Path, tmp_path: Path, **source: Any) -> list[EvaluationSample]:
    return benchmark_class(name)(BenchmarkSource(path, tmp_path / "unpacked", **source)).read()[0]


def asked(sample: EvaluationSample) -> str:
    return sample.turns[0].text


def test_vqav2(tmp_path: Path) -> None:
    folder = files.write_vqav2(tmp_path / "vqa")
    answers = {"is it red?": "Yes.", "how many?": "The two"}
    results = run("vqav2", folder, tmp_path / "out", lambda t, _: answers[t.splitlines()[0]])
    # "The two" is 2, which two of ten said: each is compared with nine others, so it is one of them
    # twice and two of them eight times. Their "two" keeps its word: answers lose marks alone.
    second = (2 * 1 / 3 + 8 * 2 / 3) / 10
    assert results["metrics"]["vqa"] == {
        "accuracy": pytest.approx((1 + second) / 2),
        "accuracy, answer yes/no": 1.0,
        "accuracy, question is it": 1.0,
        "accuracy, answer number": pytest.approx(second),
        "accuracy, question how many": pytest.approx(second),
        "count": 2,
    }
    assert results["sizes"]["vqa"]["accuracy, answer yes/no"] == 1
    table = (tmp_path / "out" / "results.md").read_text().splitlines()
    number = next(line.split("|") for line in table if "accuracy, answer number" in line)
    assert number[3].strip() == "1"  # of two questions one is of this type
    (row,) = results["broken"]
    assert "question 2" in row["place"] and "--media" in row["error"]
    sample = read("vqav2", folder, tmp_path)[0]
    assert asked(sample) == "is it red?\nAnswer the question using a single word or phrase."


def test_scienceqa(tmp_path: Path) -> None:
    folder = files.write_scienceqa(tmp_path / "sqa")
    samples = read("scienceqa", folder, tmp_path)
    assert asked(samples[0]) == (
        "Question: Which is a solid?\nContext: N/A\nOptions: (A) water (B) rock\nAnswer:"
    )
    assert [len(sample.turns[0].files) for sample in samples] == [0, 1, 0]
    assert [sample.groups for sample in samples] == [
        ("NAT", "NO", "G1-6"), ("SOC", "TXT", "IMG", "G7-12"), ("LAN", "TXT", "G1-6")
    ]  # fmt: skip

    def answer(text: str, media: Sequence[Any]) -> str:
        if media:
            return "The answer is A."
        return "The answer is B." if "solid" in text else "no idea"

    results = run("scienceqa", folder, tmp_path / "out", answer)
    found = results["metrics"]["scienceqa"]
    assert found["accuracy"] == pytest.approx(1 / 3) and found["named"] == pytest.approx(2 / 3)
    assert (found["accuracy, NAT"], found["accuracy, TXT"], found["accuracy, G1-6"]) == (1, 0, 0.5)
    assert [row["place"] for row in results["broken"]] == ["problems.json, 12"]
    assert len(read("scienceqa", folder, tmp_path, split="train")) == 1


def test_scienceqa_as_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    medium = {"bytes": picture().encode(".png"), "path": "image.png"}
    rows = [files.problem(), files.problem(image=medium, hint="See.")]
    folder = tmp_path / "ScienceQA" / "data"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        table = arrow.Table.from_pylist(rows if split == "test" else rows[:1])
        parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    samples = read("scienceqa", folder.parent, tmp_path)
    assert [len(sample.turns[0].files) for sample in samples] == [0, 1]
    assert samples[1].turns[0].files[0].load() == picture()


def test_mme(tmp_path: Path) -> None:
    folder = files.write_mme(tmp_path / "MME_Benchmark_release_version")
    replies = iter(["Yes, there is.", "No.", "yes", "Yes", "ball it is", "no"])
    results = run("mme", folder, tmp_path / "out", lambda *_: next(replies), batch_size=1)
    assert results["metrics"]["mme"] == {
        "acc, existence": 75.0, "acc+, existence": 50.0, "score, existence": 125.0,
        "acc, code_reasoning": 50.0, "acc+, code_reasoning": 0.0, "score, code_reasoning": 50.0,
        "perception": 125.0, "cognition": 50.0, "unclear": pytest.approx(1 / 6), "count": 6,
    }  # fmt: skip
    assert [row["place"] for row in results["broken"]] == ["existence/c.txt"]
    assert asked(read("mme", folder, tmp_path)[0]).endswith("Please answer yes or no.")


def test_mmbench_rotates_options(tmp_path: Path) -> None:
    large = files.base64_picture(size=256)
    assert len(large) > 131_072  # more than Python's own limit of a cell
    rows = [
        files.mmbench_row(3, image=large, hint="Look well."),
        files.mmbench_row(4, image="3", C="a drum", answer="C"),
        files.mmbench_row(5, image="77"),
        files.mmbench_row(6, image=large, answer=""),
    ]
    path = files.write_mmbench(tmp_path / "MMBench_DEV_EN.tsv", rows)
    samples = read("mmbench", path, tmp_path)
    assert asked(samples[0]) == (
        "Hint: Look well.\nQuestion: What is it?\nOptions:\nA. a ball\nB. a bell\n"
        "Please select the correct answer from the options above."
    )
    assert [sample.choices for sample in samples[2:]] == [
        ("a ball", "a bell", "a drum"), ("a bell", "a drum", "a ball"),
        ("a drum", "a ball", "a bell"),
    ]  # fmt: skip
    # Always B: the question with two options is right once, so not in the circular sense.
    results = run("mmbench", path, tmp_path / "out", lambda *_: "B")
    found = results["metrics"]["mmbench"]
    assert (found["accuracy"], found["vanilla accuracy"], found["named"]) == (0, 0.5, 1)
    assert [row["error"] for row in results["broken"]] == [
        "its picture is that of row 77, which isn't there",
        "its answer is '', none of 2 options; "
        "the test split is scored by its authors' server alone",
    ]
    # By words, whatever the letters are.
    results = run("mmbench", path, tmp_path / "words", lambda t, _: "It is a drum"
                  if "drum" in t else "I see a bell")  # fmt: skip
    assert results["metrics"]["mmbench"]["accuracy"] == 1
    assert results["metrics"]["mmbench"]["accuracy, ability finegrained_perception"] == 1


def test_mmbench_s_options_stay_as_they_stand(tmp_path: Path) -> None:
    """Some are code or coordinates, which aren't to be written anew."""
    row = files.mmbench_row(3, image=files.base64_picture(), question='[{"a":1}]', A='{"a": 1.50}')
    row |= {"B": "['x','y']", "answer": "A"}
    first, *_ = read("mmbench", files.write_mmbench(tmp_path / "a.tsv", [row]), tmp_path)
    assert first.choices[:2] == ('{"a": 1.50}', "['x','y']")
    assert 'Question: [{"a":1}]\n' in str(first.turns[0].content[-1])


def test_mmbench_with_its_own_rotations_and_a_judge(tmp_path: Path) -> None:
    first = files.mmbench_row(3, image=files.base64_picture())
    swapped = {"A": "a bell", "B": "a ball", "answer": "A"}
    rows = [first, files.mmbench_row(1_000_003, image="3", **swapped)]
    path = files.write_mmbench(tmp_path / "MMBench_DEV_EN.tsv", rows)
    samples = read("mmbench", path, tmp_path)
    assert [(sample.unit, sample.unit_size) for sample in samples] == [("3", 2)] * 2
    text = "the one that rings"
    alone = run("mmbench", path, tmp_path / "alone", lambda *_: text)
    assert alone["metrics"]["mmbench"]["named"] == 0

    def judge(question: str, _: Sequence[Any]) -> str:
        assert question.endswith(f"Answer: {text}\n\nLetter:")
        return "A" if "A. a bell" in question else "B"

    results = run("mmbench", path, tmp_path / "judged", lambda *_: text, judge=judge)
    assert results["metrics"]["mmbench"]["accuracy"] == 1


@pytest.mark.parametrize("has_java", [False, pytest.param(True, marks=pytest.mark.extended)])
def test_nocaps(has_java: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if has_java and shutil.which("java") is None:
        pytest.skip("no java")
    if not has_java:
        monkeypatch.setenv("PATH", str(tmp_path))
    folder = files.write_nocaps(tmp_path / "nocaps")
    results = run("nocaps", folder, tmp_path / "out", lambda *_: "a small ball stands on table 1")
    ((name, found),) = results["metrics"].items()
    assert name == ("nocaps" if has_java else "nocaps (words)")
    names = ["cider", "cider, in-domain", "cider, near-domain", "cider, out-domain"]
    sizes = results["sizes"][name]
    assert [*sizes] == names and sum(sizes.values()) == 2 * sizes["cider"]
    assert [name for name in found if name != "count"] == names
    assert found["cider, in-domain"] > found["cider, near-domain"]
    assert "no captions" in results["broken"][0]["error"]


def test_pope(tmp_path: Path) -> None:
    folder = files.write_pope(tmp_path / "pope")
    answers = {"snowboard": "Yes", "dog": "Yes", "person": "No", "tree": "There is no tree."}
    results = run("pope", folder, tmp_path / "out", lambda t, _: answers[t.split()[3]])
    found = results["metrics"]["pope"]
    for setting in ("coco random", "coco adversarial"):
        for name in ("accuracy", "precision", "recall", "f1", "yes"):
            assert found[f"{name}, {setting}"] == pytest.approx(0.5)
    assert results["sizes"]["pope"]["f1, coco random"] == 4
    assert found["count"] == 8 and "neither yes nor no" in results["broken"][0]["error"]


def test_imgedit_is_judged(tmp_path: Path) -> None:
    folder = files.write_imgedit(tmp_path / "imgedit")
    edited = picture(5)

    def edit(text: str, media: Sequence[Any]) -> object:
        assert len(media) == 1
        return "I can't." if text == "Make it smooth." else ["Here: ", edited]

    def judge(text: str, media: Sequence[Any]) -> str:
        assert media[1] == edited and len(media) == 2
        if text == "Rate the adjust edit: Make it red.":
            return "Brief reasoning: fine.\nPrompt Compliance: 4\nSeamlessness: 3\nFidelity: 5"
        return "Brief reasoning: poor. Score: 2 (Fair)."

    first = run("imgedit", folder, tmp_path / "out", edit)
    assert first["metrics"]["imgedit"] == {"count": 0}
    results = run("imgedit", folder, tmp_path / "out", edit, judge=judge)
    assert results["metrics"]["imgedit"] == {
        "score": 3.0, "score, adjust": 4.0, "score, style": 2.0, "mean of groups": 3.0,
        "count": 3, "missing": 1,
    }  # fmt: skip
    assert "no judge's prompt" in results["broken"][0]["error"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("judged: ") == 2 and page.count("data:image/png") >= 3


def test_imgedit_s_other_suite_has_its_prompt_in_a_program(tmp_path: Path) -> None:
    files.write_json(tmp_path / "UGE_edit.json", {"1": {"id": "a.jpg", "prompt": "Remove it."}})
    files.save_picture(tmp_path / "a.jpg")
    program = 'import os\n\nprompt = """\nTask: rate <edit_prompt>.\n"""\n\nos._exit(3)\n'
    (tmp_path / "UGE_bench.py").write_text(program)
    results = run(
        "imgedit", tmp_path, tmp_path / "out", lambda *_: [picture()], split="uge",
        judge=lambda text, _: "Score: 3." if text == "\nTask: rate Remove it..\n" else "no",
    )  # fmt: skip
    assert results["metrics"]["imgedit"]["score"] == 3


def test_replies_are_kept_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    folder = files.write_pope(tmp_path / "pope")
    asking = files.AnsweringBy(lambda *_: "yes")
    model = files.NamedPredictor("functions", lambda: asking)
    how = files.job("pope", folder, tmp_path / "out", max_samples=3)
    first, table = run_benchmark(how, model)
    again, _ = run_benchmark(how, model)
    assert again == first and asking.num_asked == 3
    kept = json.loads((tmp_path / "out" / "results.json").read_text())
    assert kept == first and "1 rows stand aside" in table
    # All of it, in batches of two: the second batch is asked as a whole, the first not again.
    run_benchmark(files.job("pope", folder, tmp_path / "out", batch_size=2), model)
    assert asking.num_asked == 3 + 6


def test_the_first_samples_are_whole_questions(tmp_path: Path) -> None:
    """Else a circular accuracy would be that of fewer passes, and be too high."""
    rows = [files.mmbench_row(n, image=files.base64_picture()) for n in (3, 4, 5)]
    more = {"A": "a bell", "B": "a ball", "answer": "A"}
    rows += [files.mmbench_row(1_000_000 + n, image="3", **more) for n in (3, 4, 5)]
    path = files.write_mmbench(tmp_path / "MMBench_DEV_EN.tsv", rows)
    for number, count in ((1, 2), (2, 2), (3, 4), (99, 6)):
        out = tmp_path / str(number)
        results = run("mmbench", path, out, lambda *_: "B", max_samples=number)
        found = results["metrics"]["mmbench"]
        assert (found["count"], found["accuracy"], found["vanilla accuracy"]) == (count, 0, 1)


def test_a_circular_question_with_a_broken_row_is_left_out(tmp_path: Path) -> None:
    rows = [files.mmbench_row(n, image=files.base64_picture()) for n in (3, 4)]
    more = {"A": "a bell", "B": "a ball", "answer": "A"}
    rows += [files.mmbench_row(1_000_003, image="3", **more)]
    rows += [files.mmbench_row(1_000_004, image="77", **more)]
    path = files.write_mmbench(tmp_path / "MMBench_DEV_EN.tsv", rows)
    results = run("mmbench", path, tmp_path / "out", lambda t, _: "B" if "A. a ball" in t else "A")
    found = results["metrics"]["mmbench"]
    assert (found["accuracy"], found["incomplete"]) == (1, 1)
    assert results["sizes"]["mmbench"]["accuracy"] == 1 and len(results["broken"]) == 1


@pytest.mark.parametrize(
    ("name", "write", "file", "place"),
    [
        ("scienceqa", files.write_scienceqa, "problems.json", ("11",)),
        ("nocaps", files.write_nocaps, "nocaps_val_4500_captions.json", ("images", 0)),
        ("nocaps", files.write_nocaps, "nocaps_val_4500_captions.json", ("annotations", 0)),
        ("nocaps", files.write_nocaps, "nocaps_val_4500_captions.json", ("images", 0, "id")),
        ("imgedit", files.write_imgedit, "basic_edit.json", ("1082",)),
        (
            "vqav2",
            files.write_vqav2,
            "v2_mscoco_val2014_annotations.json",
            ("annotations", 1, "answers", 0),
        ),
        (
            "vqav2",
            files.write_vqav2,
            "v2_OpenEnded_mscoco_val2014_questions.json",
            ("questions", 1, "question_id"),
        ),
    ],
)
def test_a_row_of_another_kind_stands_aside(
    name: str,
    write: Callable[[Path], Path],
    file: str,
    place: tuple[str | int, ...],
    tmp_path: Path,
) -> None:
    folder = write(tmp_path / "files")
    value = json.loads((folder / file).read_text())
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    for wrong in (None, 7, "x", [], {}):
        inner[place[-1]] = wrong
        files.write_json(folder / file, value)
        _, broken = benchmark_class(name)(BenchmarkSource(folder, tmp_path / "unpacked")).read()
        assert len(broken) >= 2, wrong  # each of these files has one broken row by itself


def test_a_prompt_of_one_s_own_stands_around_the_benchmark_s(tmp_path: Path) -> None:
    folder = files.write_pope(tmp_path)
    sample = read("pope", folder, tmp_path, prompt="{prompt} One word.")[0]
    assert asked(sample) == "Is there a snowboard in the image? One word."


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_is_not_there_is_named_with_the_place_to_get_it(name: str, tmp_path: Path) -> None:
    cls = benchmark_class(name)
    assert cls.home.startswith("https://")
    with pytest.raises(ConfigError, match="get the files from https"):
        cls(BenchmarkSource(tmp_path / "nowhere", tmp_path))
    with pytest.raises((ConfigError, ValueError)):
        cls(BenchmarkSource(tmp_path, tmp_path)).read()
    with pytest.raises(ConfigError, match="lacks {prompt}"):
        cls(BenchmarkSource(tmp_path, tmp_path, prompt="hi"))
    with pytest.raises(ConfigError, match="split is 'dev'"):
        cls(BenchmarkSource(tmp_path, tmp_path, split="dev")).read()


def test_questions_among_choices(tmp_path: Path) -> None:
    path = files.write_mmbench(
        tmp_path / "MMBench_DEV_EN.tsv", [files.mmbench_row(3, image=files.base64_picture())]
    )
    benchmark = benchmark_class("mmbench")(BenchmarkSource(path, tmp_path))
    sample = benchmark.among_choices(benchmark.read()[0][0])
    assert sample.chooses and sample.choices == ("A", "B")
    vqa = files.write_vqav2(tmp_path / "vqa")
    with pytest.raises(ConfigError, match="leave --choices out"):
        run("vqav2", vqa, tmp_path / "out", lambda *_: "yes", choices=True)


def test_names_lead_out_of_no_folder(tmp_path: Path) -> None:
    row = {"question_id": 1, "image": "../secret.png", "text": "?", "label": "yes"}
    save = files.save_picture(tmp_path / "secret.png")
    (tmp_path / "pope").mkdir()
    (tmp_path / "pope" / "coco_pope_random.json").write_text(json.dumps(row) + "\n")
    assert save.is_file()
    with pytest.raises(ConfigError, match="leads out of the benchmark's folder"):
        read("pope", tmp_path / "pope", tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'pope'"):
        benchmark_class("poppe")
