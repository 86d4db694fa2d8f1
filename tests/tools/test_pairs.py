"""Pairs of a model's own replies: scores, ties and duplicates, rows, the page, going on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers.normalizers import Lowercase

from anymodal.chat.claims import (
    ANSWERS,
    ClaimSettings,
    split_claims,
    statements_of,
    without_sentences,
    yes_probability,
)
from anymodal.cli.command_line import USAGE, main
from anymodal.config import ConfigError
from anymodal.data.preferences import Preferences
from anymodal.evaluation.comparison import copied_parts
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.evaluation.preference_rows import PairMessage, row_of_replies
from anymodal.evaluation.run import part_of_file, reply_file
from anymodal.language.choices import distinct_choices
from anymodal.media import Audio, Video
from anymodal.metrics import Cider, FrechetDistance, Metric, WordErrorRate
from anymodal.metrics.groups import ByGroup
from anymodal.metrics.judged import JudgeScore
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage
from anymodal.tools.pairs.configuration import PairMaking
from anymodal.tools.pairs.scorers import ClaimScorer, JudgeScorer, MetricScorer, ReplyScore, Scorer
from anymodal.tools.pairs.selection import Selection
from anymodal.toybox.pairs import OracleScorer, scene_prompts
from anymodal.types import ChoiceScore, Claim, Message
from tests.support.samples import write_samples
from tests.support.scripted import scripted_model
from tests.support.tiny import picture, tiny_model


def said(text: str, *more: Any) -> Message:
    return Message("assistant", [text, *more])


def asked(text: str = "what is this?", **more: Any) -> EvaluationSample:
    return EvaluationSample("a", (SampleMessage("user", (text,)),), **more)


def test_ties_and_near_duplicates_are_left_out() -> None:
    texts = ["a red ball lies here", "A red ball lies here.", "a drum", "a bell", "no"]
    replies = [*zip(map(said, texts), [3.0, 2.0, 1.0, 1.0, None], strict=True)]
    selection = Selection(pairs_per_prompt=9)
    pairs = selection.pairs(replies)
    assert [pair[:2] for pair in pairs] == [(0, 2), (0, 3), (1, 2), (1, 3)]
    assert [pair.margin for pair in pairs] == [2, 2, 1, 1]
    left_out = {"replies without a score": 1, "ties": 1, "near-duplicates": 1}
    assert selection.left_out == left_out
    assert len(Selection(margin=1.5, pairs_per_prompt=9).pairs(replies)) == 2
    assert len(Selection().pairs(replies)) == 1
    media = [said("", picture(n)) for n in (0, 0, 1)]
    pairs = Selection(pairs_per_prompt=9).pairs([*zip(media, (2.0, 1.0, 0.0), strict=True)])
    assert [pair[:2] for pair in pairs] == [(0, 2), (1, 2)]


def test_a_metric_scores_each_reply_alone() -> None:
    sample = asked(references=("a red ball",))
    scorer = MetricScorer(WordErrorRate(), best="lowest")
    scores = scorer.score([(sample, said("a red ball")), (sample, said("a ball"))])
    assert [score.value for score in scores] == [0, pytest.approx(-1 / 3)]
    assert scorer.metric.count == 0, "the metric itself takes nothing in"
    assert scorer.score([(asked(), said("a"))])[0].value is None
    with pytest.raises(ConfigError, match="has no figure 'wer'"):
        MetricScorer(WordErrorRate(), "wer").score([(sample, said("a"))])
    with pytest.raises(ConfigError, match="best='low'; did you mean 'lowest'"):
        MetricScorer(WordErrorRate(), best="low")


def test_cider_of_one_reply_is_that_among_all() -> None:
    captions = [("a red ball", "a ball lies there"), ("a drum", "two drums"), ("a big blue bell",)]
    samples = [asked(references=references) for references in captions]
    replies = [said(text) for text in ("a red ball", "a bell", "a big blue bell")]
    together, scorer = Cider(), MetricScorer(Cider())
    scorer.check(samples)
    for sample, reply in zip(samples, replies, strict=True):
        together.update(sample, reply)
    scores = scorer.score([*zip(samples, replies, strict=True)])
    values = [score.value or 0.0 for score in scores]
    assert sum(values) / 3 == pytest.approx(together.compute()["cider"])
    assert values[2] == pytest.approx(10) and values[0] != values[2]
    other = MetricScorer(Cider())
    other.check(samples[:2])
    assert other.metadata() != scorer.metadata(), "scores among others aren't taken for these"
    with pytest.raises(ConfigError, match="needs 2 or more samples with `references`"):
        MetricScorer(Cider()).check(samples[:1])


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (
            lambda: FrechetDistance(tiny_model().encoders["image"]),
            "FrechetDistance is computed over 2 or more replies",
        ),
        (JudgeScore, "take JudgeScorer"),
        (lambda: ByGroup(JudgeScore), "take JudgeScorer"),
    ],
)
def test_metrics_without_a_figure_of_one_reply_are_refused(
    build: Callable[[], Metric], says: str
) -> None:
    metric, samples = build(), [asked(media=(SampleFile(Path("a"), "image"),))] * 2
    with pytest.raises(ConfigError, match=says):
        MetricScorer(metric).check(samples)
    with pytest.raises(ConfigError, match=says):
        MetricScorer(metric).score([(sample, said("a")) for sample in samples])


def test_a_judge_says_scores(tmp_path: Path) -> None:
    (tmp_path / "judge.txt").write_text("Q {question} A {reply} R {references}")
    judge = ModelPredictor(scripted_model(["Score: ", "3", " no, score: ", "4.5"]))
    scorer = JudgeScorer(judge, tmp_path / "judge.txt")
    sample = asked(references=("x",))
    (score,) = scorer.score([(sample, said("a ball"))])
    assert score == ReplyScore(4.5, {"judge": "Score: 3 no, score: 4.5"})
    read = [scorer._read(said(text)).value for text in ("Score: -2", "Score - 4", "**Score:** 1/5")]
    assert read == [-2, 4, 1]
    (message,) = scorer._conversation(sample, said("a ball", picture()))
    assert message.content == ["Q what is this? A a ball R x", picture()]
    odd = asked("what is {reply}?", references=("{question}",))
    (message,) = scorer._conversation(odd, said("{references} {x}"))
    assert message.text == "Q what is {reply}? A {references} {x} R {question}"
    (score,) = JudgeScorer(judge, tmp_path / "judge.txt", "grade (.)").score([(sample, said("a"))])
    assert score.value is None
    (tmp_path / "judge.txt").write_text("{question}")
    for prompt, says in (("judge.txt", "lacks {reply}"), ("gone.txt", "there is no prompt")):
        with pytest.raises(ConfigError, match=says):
            JudgeScorer(judge, tmp_path / prompt)


def test_claims_are_sentences_or_what_a_model_writes_down() -> None:
    text = "A red ball. Is it 3.5 m long? It is!\nBlue\nBlue\n1. A cow."
    assert statements_of(text) == ["A red ball.", "It is!", "Blue", "1. A cow."]
    text = 'Dr. Lee, e.g., has 3.5 dogs. "It is red." 这是狗。它是红色的。这是猫吗？'
    assert statements_of(text) == [
        *("Dr. Lee, e.g., has 3.5 dogs.", '"It is red."', "这是狗。", "它是红色的。"),
    ]
    text = 'The sign (small.) reads "Stop!" in white. He says "Go!" E.g. now?! "No."'
    assert statements_of(text, questions=True) == [
        *('The sign (small.) reads "Stop!" in white.', 'He says "Go!"', "E.g. now?!", '"No."'),
    ]
    left = without_sentences("- a dog\n- a dog house\n\nSo. A cat.", ["- a dog", "So."])
    assert left == "- a dog house\n\nA cat."
    prompts: list[Message] = []

    def ask(conversations: Any, choices: Any) -> list[Message]:
        prompts.extend(conversation[0] for conversation in conversations)
        return [said("Here they are:\n- A ball.\n2) It is red.\n- A ball.")] * len(conversations)

    settings = ClaimSettings("{question}: {reply}")
    assert split_claims(ask, [("what?", "a red ball"), ("what?", " ")], settings) == [
        ["A ball.", "It is red."],
        [],
    ]
    assert [message.text for message in prompts] == ["what?: a red ball"]
    split_claims(ask, [("{reply}", "{claim}")], settings)
    assert prompts[-1].text == "{reply}: {claim}"
    with pytest.raises(ValueError, match="lacks {claim}"):
        ClaimSettings(question="Is it?")
    choices = [ChoiceScore("yes", 0.2, 0.0), ChoiceScore("No", 0.1, 0.0), ChoiceScore("x", 0.7, 0)]
    answer = Message("assistant", "yes", choices=tuple(choices))
    assert yes_probability(answer) == pytest.approx(2 / 3)
    for text in ("Yes. No.", "Yes, there is no ball", "It is so"):
        assert yes_probability(said(text)) == 1
    denials = ("That is incorrect.", "False", "Nope", "This is wrong")
    for text in ("It is not", "It isn't.", "I can’t tell", "", "**No**", *denials):
        assert yes_probability(said(text)) == 0


def test_claims_are_asked_of_a_model_to_which_case_is_nothing() -> None:
    model = copy.deepcopy(tiny_model())
    template = model.language.template
    template.tokenizer.backend_tokenizer.normalizer = Lowercase()
    template._texts.clear()  # as other tests' texts were encoded
    assert distinct_choices(model.language, ANSWERS) == ["yes", "no"]
    (score,) = ClaimScorer(model).score([(asked(), said("A ball."))])
    assert score.value in (0, -1)
    check = model.chat([picture(), "what is this?"], check=True).check
    assert check is not None and len(check.claims) == 1


@pytest.mark.parametrize(("word", "value"), [("no", -2.0), ("yes", 0.0)])
def test_denied_claims_add_up(word: str, value: float) -> None:
    predictor: Any = ModelPredictor(scripted_model([word]))
    predictor.tells_likelihoods = False  # as of an endpoint
    scorer = ClaimScorer(predictor)
    (score,) = scorer.score([(asked(), said("A ball. It is red."))])
    assert score.value == value
    first: Any = score.details["claims"]
    claim = Claim(**first[0])
    assert (claim.text, claim.right) == ("A ball.", word == "yes")
    assert claim.question == "A ball. Is that right? Answer yes or no."
    (line,) = scorer.score([(asked(), said("A ball"))])[0].details["claims"]  # type: ignore[misc, attr-defined]
    assert (line["text"], line["question"]) == ("A ball", claim.question)
    assert (claim.probability > 0.9) == (word == "yes")
    assert scorer.score([(asked(), said(" "))])[0].value is None, "silence isn't the best reply"
    with pytest.raises(ConfigError, match="split_prompt is for a splitter"):
        ClaimScorer(predictor, split_prompt="a.txt")


def test_the_toybox_s_oracle_counts_wrong_attributes(tmp_path: Path) -> None:
    seen, other = scene_prompts(tmp_path, "image", 2, seed=1)
    shown = seen.turns[0].files[0]
    scores = OracleScorer().score(
        [(seen, said(seen.references[0])), (seen, said(f"{seen.references[0]}, slow and red"))]
    )
    assert scores[0].value == 0 and scores[1].value is not None and scores[1].value < 0
    drawn = asked(caption=seen.references[0])
    right, wrong, none = OracleScorer().score(
        [(drawn, said("", file.load())) for file in (shown, other.turns[0].files[0])]
        + [(drawn, said("a picture"))]
    )
    assert right.value == 0 and wrong.value and wrong.value < 0 and none.value == -3
    assert scene_prompts(tmp_path, "image", 1, make=True)[0].turns[0].text.startswith("Show me a")


def test_a_clip_s_sound_stays_in_its_pair(tmp_path: Path) -> None:
    frames, sound = np.zeros((2, 16, 16, 3), np.uint8), Audio(np.zeros((1, 1600)), 16_000)
    clip = Video(frames, 10, sound).save(tmp_path / "clip.mp4")
    part = part_of_file(clip.name, Video(frames, 10, sound))
    asked_for: list[PairMessage] = [{"role": "user", "content": ["a bell"]}]
    parts = copied_parts(SampleMessage("assistant", (reply_file(tmp_path, part),)), tmp_path)
    row = row_of_replies(asked_for, parts, ["no"])
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row))
    sample: Any = Preferences(tmp_path / "pairs.jsonl", load_targets=True)[0]
    target: Any = sample.chosen[-1].content[0]
    assert target.media.sound is not None


class Length(Scorer):
    """Short replies are the best; counts how often it was asked."""

    calls = 0

    def metadata(self) -> str:
        return "length"

    def score(self, replies: Any) -> list[ReplyScore]:
        Length.calls += 1
        return [ReplyScore(-len(reply.text) - 9.0 * len(reply.media)) for _, reply in replies]


def test_pairs_are_made_kept_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(1).save(tmp_path / "a.png")
    write_samples(
        tmp_path,
        {"id": "seen", "prompt": [{"file": "a.png"}, "what is this?"]},
        {"id": "drawn", "prompt": "draw a ball", "caption": "a red ball"},
    )
    (data,) = tmp_path.glob("*.jsonl")
    out = tmp_path / "out"
    config = {
        **{"model": {"_target_": "tests.support.tiny.tiny_model"}, "data": str(data)},
        **{"output_dir": str(out), "replies": 3, "batch_size": 4, "pairs_per_prompt": 2},
        "settings": {"temperature": 3.0, "max_new_tokens": 12, "sampling": {"image": {"steps": 1}}},
        "scorers": {"length": {"_target_": "tests.tools.test_pairs.Length"}},
        **{"trusted_packages": ["tests"], "device": "cpu", "weights": {"length": 2.0}},
    }
    (tmp_path / "pairs.yaml").write_text(json.dumps(config))
    command = ["data", "pairs", str(tmp_path / "pairs.yaml")]
    assert main(command) == 0
    assert "near-duplicates" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines[:4]] == ["seen/0", "seen/1", "seen/2", "drawn/0"]
    assert all(line["total"] == 2 * line["scores"]["length"] for line in lines)
    pairs = Preferences(out / "pairs.jsonl", load_targets=True)
    samples: list[Any] = [*pairs]
    assert len(samples) == 4 and all(sample.margin > 0 for sample in samples)
    assert samples[0].chosen[0].media == [picture(1)]
    page = (out / "pairs.html").read_text()
    assert page.count('<section class="pair">') == 4 and "<h2>chosen: -" in page
    before, calls = (out / "pairs.jsonl").read_text(), Length.calls
    (out / "pairs.jsonl").unlink()
    assert main(command) == 0
    assert (out / "pairs.jsonl").read_text() == before and Length.calls == calls
    assert main([*command, "margin=1000"]) == USAGE
    assert "no pair is left of 2 prompts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"settings": {"temperature": 0}}, "settings.temperature is 0"),
        ({"replies": 1}, "replies=1; it must lie between 2 and"),
        ({"scorers": {}}, "scorers is empty"),
        ({"scorers": {"a": 3}}, "scorers.a must be a part"),
        ({"data": 3}, "data must be a part"),
        ({"weights": {"b": 1.0}}, "weights has no scorer 'b'"),
        ({"similarity": 0.0}, "similarity=0.0; it must be above 0"),
        ({"settings": {"temperature": 1.0, "choices": ["a"]}}, "few texts make no pairs"),
        ({"reply": 3}, "there is no key 'reply'; did you mean 'replies'"),
        ({"place": "here"}, "there is no key 'place'"),
        ({"trusted_packages": {"a": 1}}, "trusted_packages must be list, not"),
    ],
)
def test_settings_that_make_no_pairs_are_refused(change: dict[str, Any], says: str) -> None:
    scorers = {"a": {"_target_": "a.B"}}
    config = {"model": "nano", "data": "a.jsonl", "output_dir": "x", "scorers": scorers}
    with pytest.raises(ConfigError, match=says):
        PairMaking.from_config({**config, **change})
