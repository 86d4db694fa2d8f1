"""Evaluation on samples of one's own: data, metrics against reference values, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.linalg import sqrtm
from torch import Tensor

from anymodal import cli
from anymodal.cli.validate import check
from anymodal.config import ConfigError
from anymodal.encoders import Encoder, ImageBindEncoder
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.evaluation.report import metric_table
from anymodal.evaluation.run import answer_all
from anymodal.evaluation.schema import read_evaluation
from anymodal.evaluation.store import Store
from anymodal.media import IMU, Image, Media, Video
from anymodal.metrics import (
    Accuracy,
    Bleu,
    Cider,
    ClipScore,
    FrechetDistance,
    KernelDistance,
    Metric,
    WordErrorRate,
    YesNo,
)
from anymodal.metrics.choices import named
from anymodal.metrics.samples import File, Sample, Turn, read_samples
from anymodal.metrics.words import words
from anymodal.model import AnyModal
from anymodal.types import Features, Message
from tests.support.composed import model_config, write_model
from tests.support.tiny import SAID, picture, sound, tiny_model

ASKED = (Turn("user", ("what is this?",)),)


def sample(name: object = "1", **known: Any) -> Sample:
    return Sample(str(name), ASKED, **known)


def said(*parts: Any) -> Message:
    return Message("assistant", list(parts))


def figures(metric: Metric, pairs: list[tuple[Sample, Message]]) -> dict[str, float]:
    for each, reply in pairs:
        metric.update(each, reply)
    return metric.compute()


def texts(metric: Metric, replies: list[str], references: list[list[str]]) -> dict[str, float]:
    return figures(
        metric,
        [
            (sample(place, references=tuple(told)), said(reply))
            for place, (reply, told) in enumerate(zip(replies, references, strict=True))
        ],
    )


# ---- Texts --------------------------------------------------------------------------------------


def test_words_lose_case_and_punctuation() -> None:
    assert words("A red-hot Ball; it’s 2 o'clock (don't!).") == [
        *("a", "red", "hot", "ball", "it's", "2", "o'clock", "don't"),
    ]
    assert words("Größe: приве́т") and words(" ... ") == []


def test_bleu_of_the_paper_and_of_the_library() -> None:
    # Papineni et al. 2002, section 2.1, example 2: a clipped precision of 2/7.
    two = ["The cat is on the mat.", "There is a cat on the mat."]
    found = texts(Bleu(n_gram=1), ["the the the the the the the"], [two])
    assert found == {"bleu_1": pytest.approx(2 / 7), "count": 1}
    # torchmetrics' documentation of BLEUScore: 0.7598.
    told = [["there is a cat on the mat", "a cat is on the mat"]]
    assert texts(Bleu(), ["The cat is on the mat."], told)["bleu_4"] == pytest.approx(0.7598, 1e-4)
    raw = texts(Bleu(normalize=False), ["The cat is on the mat."], told)
    assert raw["bleu_4"] < 0.7598


def test_word_error_rate_of_the_library() -> None:
    replies = ["this is the prediction", "there is an other sample"]
    told = [["This is the reference."], ["there is another one"]]
    # torchmetrics' documentation of WordErrorRate: 0.5, four errors in eight words.
    assert texts(WordErrorRate(), replies, told) == {"word_error_rate": 0.5, "count": 2}
    nearest = texts(WordErrorRate(), ["a b c"], [["x y z", "a b d"]])
    assert nearest["word_error_rate"] == pytest.approx(1 / 3)


CAPTIONS = {
    "a": ("A dog runs on the green grass.", ["a dog is running on grass", "the dog runs outside"]),
    "b": ("Two cats sleep.", ["two cats are asleep on a sofa", "cats sleeping on a couch"]),
    "c": ("a man rides a big horse", ["a man rides a big horse"]),
}


def test_cider_is_pycocoevalcaps_own() -> None:
    from pycocoevalcap.cider.cider import Cider as Published

    metric = Cider()
    replies, told = zip(*CAPTIONS.values(), strict=True)
    found = texts(metric, list(replies), list(told))
    plain = {k: (" ".join(words(r)), [" ".join(words(t)) for t in ts])
             for k, (r, ts) in CAPTIONS.items()}  # fmt: skip
    published, each = Published().compute_score(
        {key: told for key, (_, told) in plain.items()},
        {key: [reply] for key, (reply, _) in plain.items()},
    )
    assert found == {"cider": pytest.approx(published), "count": 3}
    assert each[2] == pytest.approx(10)  # the references' own words
    assert metric.compute() == found
    assert texts(Cider(), ["a dog"], [["a dog"]]) == {"count": 1}  # of which nothing can be told


def test_cider_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocoevalcap.cider.cider_scorer", None)
    with pytest.raises(ConfigError, match=r"anymodal\[eval\]"):
        Cider()


# ---- Closed questions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It's a CAT!", {"cat"}),
        ("a black cat", {"black cat"}),
        ("a black cat and another cat", {"black cat", "cat"}),
        ("catalogue", set()),
        ("a cat or a dog", {"cat", "dog"}),
    ],
)
def test_named_choices(text: str, found: set[str]) -> None:
    assert named(text, ["cat", "black cat", "dog"]) == found


def test_accuracy_counts_one_right_choice_alone() -> None:
    known = {"choices": ("cat", "dog", "fish", "owl"), "answer": "cat"}
    replies = ["A cat.", "a dog", "a cat or a dog", "no idea", "Cat"]
    pairs = [(sample(n, **known), said(reply)) for n, reply in enumerate(replies)]
    pairs.append((sample("open", answer="cat"), said("cat")))  # has no choices
    assert figures(Accuracy(), pairs) == {
        **{"accuracy": 2 / 5, "named": 3 / 5, "chance": pytest.approx(1 / 4)},
        "count": 5,
    }


def test_yes_and_no_on_a_table_counted_by_hand() -> None:
    table = [
        ("yes", "Yes, there is a dog."),  # right yes: 3
        ("yes", "yes"),
        ("yes", "I see a dog. No cat, though."),  # the first sentence; unclear, read as yes
        ("no", "Yes."),  # wrong yes: 1
        ("yes", "No."),  # wrong no: 2
        ("Yes", "There is NOT a dog"),
        ("no", "no, there is none"),  # right no: 2
        ("No.", "There is no dog in it."),
    ]
    pairs = [(sample(n, answer=a), said(reply)) for n, (a, reply) in enumerate(table)]
    pairs.append((sample("other", answer="a cat"), said("yes")))
    assert figures(YesNo(), pairs) == {
        "accuracy": pytest.approx(5 / 8),
        "precision": pytest.approx(3 / 4),
        "recall": pytest.approx(3 / 5),
        "f1": pytest.approx(2 * 0.75 * 0.6 / 1.35),
        "yes": 4 / 8,
        "unclear": 1 / 8,
        "count": 8,
    }


# ---- Media --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with random weights."""
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: place for place, token in enumerate(tokens)}
    size = {"height": 16, "width": 16}
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size)
    CLIPProcessor(pixels, CLIPTokenizer(vocab=vocab, merges=[])).save_pretrained(folder)
    trunk = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    end = {"bos_token_id": len(vocab) - 2, "eos_token_id": len(vocab) - 1, "pad_token_id": 0}
    words = {**trunk, **end, "vocab_size": len(vocab), "max_position_embeddings": 24}
    sight = {**trunk, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=words, vision_config=sight, projection_dim=4)
    CLIPModel(config).save_pretrained(folder)
    return folder


def cosine(folder: Path, caption: str, pixels: np.ndarray) -> float:
    """100 times the cosine, from the parts of the model."""
    from transformers import CLIPModel, CLIPProcessor

    model, processor = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    given = processor(text=[caption], images=[pixels], return_tensors="pt")
    with torch.inference_mode():
        found = model(**given)
    return 100 * float((found.image_embeds * found.text_embeds).sum())


def test_clip_score_is_the_cosine_by_hand(clip: Path) -> None:
    captions = ["a ball", "a bell", "the sea", "oh", "zebra", "quick"]
    shown = [picture(n, 24) for n in range(len(captions))]
    by_hand = [cosine(clip, c, p.pixels) for c, p in zip(captions, shown, strict=True)]
    assert max(by_hand) > 1, "nothing to compare"
    pairs = [
        (sample(n, caption=c), said("Look: ", p))
        for n, (c, p) in enumerate(zip(captions, shown, strict=True))
    ]
    pairs += [(sample("none", caption="a ball"), said("I can't")), (sample("not"), said("hi"))]
    assert figures(ClipScore(str(clip)), pairs) == {
        "clip_score": pytest.approx(np.mean([max(0, x) for x in by_hand]), abs=1e-3),
        "count": 7,
        "missing": 1,
    }


def test_clip_score_of_a_clip_is_the_mean_over_its_frames(clip: Path) -> None:
    frames = np.stack([picture(n, 16).pixels for n in range(5)])
    by_hand = [cosine(clip, "zebra", frames[place]) for place in (0, 2, 4)]
    metric = ClipScore(str(clip), frames=3)
    found = figures(metric, [(sample(caption="zebra"), said(sound(), Video(frames, 5.0)))])
    assert found["clip_score"] == pytest.approx(max(0, np.mean(by_hand)), abs=1e-3)


class Brightness(Encoder):
    """The mean of a picture's red, as its only feature."""

    width, media = 1, Image

    def prepare(self, media: Any) -> Tensor:
        return torch.tensor([media.pixels[..., 0].mean()])

    def forward(self, batch: Tensor) -> Features:
        return Features(batch[:, None], torch.ones(len(batch), 1, dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return batch


def flat(value: int) -> Image:
    return Image(np.full((4, 4, 3), value, np.uint8))


def against(folder: Path, real: list[Any], made: list[Any]) -> list[tuple[Sample, Message]]:
    """Samples with real media in files, and replies with those that were made."""
    folder.mkdir(exist_ok=True)
    paths = [medium.save(folder / str(place)) for place, medium in enumerate(real)]
    return [
        (sample(n, media=(File(path, path.name),)), said(medium))
        for n, (path, medium) in enumerate(zip(paths, made, strict=True))
    ]


def test_frechet_distance_of_two_known_gaussians(tmp_path: Path) -> None:
    # Means 10 and 30, standard deviations sqrt(2) * (2, 4): 20² + 2 * (4 - 2)² = 408.
    pairs = against(tmp_path, [flat(8), flat(12)], [flat(26), flat(34)])
    found = figures(FrechetDistance(Brightness(), batch_size=1), pairs)
    assert found == {
        "frechet_distance": pytest.approx(400 + (math.sqrt(32) - math.sqrt(8)) ** 2),
        **{"real": 2, "made": 2, "count": 2},
    }


def reader(name: str) -> Encoder:
    return ImageBindEncoder(tiny_model().encoders["image"].model, name)


def embeddings(name: str, media: list[Any]) -> np.ndarray:
    encoder = reader(name)
    with torch.inference_mode():
        found = encoder.embed(torch.stack([encoder.prepare(medium) for medium in media]))
    return found.double().numpy()


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real))


def clip_of(seed: int) -> Video:
    return Video(np.stack([picture(10 * seed + n).pixels for n in range(4)]), 4.0)


@pytest.mark.parametrize(
    ("name", "make", "count"), [("image", picture, 40), ("audio", sound, 20), ("video", clip_of, 6)]
)
def test_frechet_distance_is_the_closed_form(
    name: str, make: Any, count: int, tmp_path: Path
) -> None:
    real = [make(n) for n in range(count)]
    kept = [m.load(m.save(tmp_path / f"x{n}{m.suffix}")) for n, m in enumerate(real)]
    made = [make(n + 100) for n in range(count)]
    metric = FrechetDistance(reader(name), batch_size=7)
    found = figures(metric, against(tmp_path / "files", real, made))
    # Singular covariances, as of 20 media in 16 dimensions, leave the root some slack.
    expected = frechet(embeddings(name, kept), embeddings(name, made))
    assert found["frechet_distance"] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    same = figures(FrechetDistance(reader(name)), against(tmp_path / "same", real, kept))
    assert same["frechet_distance"] == pytest.approx(0, abs=1e-4)


def test_kernel_distance_is_the_unbiased_discrepancy(tmp_path: Path) -> None:
    real, made = [picture(n) for n in range(9)], [picture(n + 50, 8) for n in range(9)]
    x, y = embeddings("image", real), embeddings("image", made)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    pairs = against(tmp_path, real, made)
    encoder = tiny_model().encoders["image"]
    found = figures(KernelDistance(encoder, subsets=2), pairs)
    assert found["kernel_distance"] == pytest.approx(
        within(x) + within(y) - 2 * kernel(x, y).mean(), rel=1e-4
    )
    assert found["spread"] == pytest.approx(0, abs=1e-6)
    some = [figures(KernelDistance(encoder, subset_size=4), pairs) for _ in range(2)]
    assert some[0] == some[1] and some[0]["spread"] > 0


def test_distances_tell_what_was_not_made(tmp_path: Path) -> None:
    pairs = against(tmp_path, [flat(n) for n in range(3)], [flat(5), sound(), "nothing"])
    metric = FrechetDistance(Brightness())
    assert figures(metric, pairs) == {"real": 3, "made": 1, "count": 3, "missing": 2}
    wrong = sample(media=(File(sound().save(tmp_path / "a.wav"), "a.wav"),))
    with pytest.raises(ValueError, match=r"a\.wav is Audio"):
        metric.update(wrong, said(flat(1)))
    assert metric.compute()["count"] == 3


def test_published_distances_say_what_to_install() -> None:
    from torchmetrics.utilities.imports import _TORCH_FIDELITY_AVAILABLE

    if _TORCH_FIDELITY_AVAILABLE:
        pytest.skip("it is installed, and its weights would be fetched")
    for metric in (FrechetDistance, KernelDistance):
        with pytest.raises(ConfigError, match="torch-fidelity"):
            metric()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Bleu(n_gram=0), "n_gram=0"),
        (lambda: KernelDistance(Brightness(), subsets=0), "subsets=0"),
        (lambda: KernelDistance(Brightness(), subset_size=1), "subset_size=1"),
        (lambda: FrechetDistance(Brightness(), batch_size=0), "batch_size=0"),
        (lambda: ClipScore("nowhere", frames=0), "frames=0"),
    ],
)
def test_metrics_refuse_what_cannot_work(make: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_a_metric_says_which_key_is_missing() -> None:
    with pytest.raises(ConfigError, match="1 or more samples with `choices` and `answer`, and 0"):
        Accuracy().check([sample(answer="cat")])
    with pytest.raises(ConfigError, match="2 or more samples with `references`, and 1 of 2"):
        Cider().check([sample(1, references=("a",)), sample(2)])
    assert figures(YesNo(), []) == {"count": 0}


# ---- Data ---------------------------------------------------------------------------------------


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "samples.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), "utf-8")
    return path


def test_samples_are_read(tmp_path: Path) -> None:
    picture().save(tmp_path / "cat.png")
    np.save(tmp_path / "walk.npy", np.zeros((6, 50), np.float32))
    talk = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"file": "walk.npy", "kind": "imu", "sample_rate": 50}, "?"]},
        {"role": "assistant", "content": ["walking"]},
        {"role": "user", "content": "sure?"},
    ]
    path = write(
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
    assert "/" not in second.name and second.name != Sample("walk-1", ASKED).name
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
    path = write(tmp_path, {"id": "one", "prompt": "a"}, line)
    with pytest.raises(ConfigError, match=match) as caught:
        read_samples(path)
    assert "line 2" in str(caught.value)


def test_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no samples at"):
        read_samples(tmp_path / "nothing.jsonl")
    with pytest.raises(ConfigError, match="holds no samples"):
        read_samples(write(tmp_path, "", "  "))
    (tmp_path / "samples.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_samples(tmp_path / "samples.jsonl")


# ---- Asking -------------------------------------------------------------------------------------


class Counting(ModelPredictor):
    """The tiny model's answers, until it is stopped."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__(tiny_model(), max_new_tokens=24)
        self.calls, self.stop = 0, stop

    def __call__(self, conversations: Any, seeds: Any) -> Any:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        return super().__call__(conversations, seeds)


def open_store(folder: Path) -> Store:
    return Store(folder, {"answerer": "tiny"}, lambda record: record["id"])


@pytest.fixture
def asked(tmp_path: Path) -> list[Sample]:
    picture().save(tmp_path / "a.png")
    path = write(
        tmp_path,
        {"id": "seen", "prompt": [{"file": "a.png"}, "what is this?"]},
        {"id": "drawn", "prompt": "draw a ball"},
        {"id": "both", "prompt": ["draw and play a ball"]},
        {"id": "hello", "prompt": "hello"},
    )
    return read_samples(path)


def media_of(folder: Path) -> dict[str, Media]:
    return {path.name: Media.load(path) for path in (folder / "media").iterdir()}


def test_a_stopped_run_ends_as_a_straight_one(asked: list[Sample], tmp_path: Path) -> None:
    how: dict[str, Any] = {"seed": 3, "batch_size": 2}
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert answer_all(Counting(), asked, open_store(straight), **how) == []
    with pytest.raises(KeyboardInterrupt):
        answer_all(Counting(stop=1), asked, open_store(stopped), **how)
    kept = (stopped / "samples.jsonl").read_text()
    (stopped / "samples.jsonl").write_text(kept + '{"id": "both", "re')  # killed while writing
    again = Counting()
    answer_all(again, asked, open_store(stopped), **how)
    assert again.calls == 1
    assert open_store(stopped).records == open_store(straight).records
    assert media_of(stopped) == media_of(straight)
    assert len(media_of(straight)) == 3
    done = Counting()
    answer_all(done, asked, open_store(stopped), **how)
    assert done.calls == 0
    replies = {key: record["reply"] for key, record in open_store(stopped).records.items()}
    assert replies["seen"] == ["This is a ball."] and replies["hello"] == SAID["hello"]
    other = tmp_path / "other"
    answer_all(Counting(), asked, open_store(other), seed=4, batch_size=2)
    assert media_of(other) != media_of(straight)


def test_what_changed_is_asked_anew(asked: list[Sample], tmp_path: Path) -> None:
    how: dict[str, Any] = {"seed": 0, "batch_size": 1}
    out = tmp_path / "out"
    answer_all(Counting(), asked, open_store(out), **how)
    picture(1).save(tmp_path / "a.png")
    next((out / "media").iterdir()).unlink()
    again = Counting()
    answer_all(again, asked, open_store(out), **how)
    assert again.calls == 2
    assert len(open_store(out).records) == 4
    with pytest.raises(ValueError, match="choose another folder"):
        Store(out, {"answerer": "other"}, lambda record: record["id"])


def test_a_bad_sample_fails_alone(asked: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    Video(np.zeros((4, 16, 16, 3), np.uint8), 4.0).save(tmp_path / "clip.gif")
    bad = [
        Sample("broken", (Turn("user", (File(tmp_path / "bad.png", "bad.png"), "?")),)),
        Sample("gone", (Turn("user", (File(tmp_path / "gone.png", "gone.png"), "?")),)),
        Sample("unread", (Turn("user", (File(tmp_path / "clip.gif", "clip.gif"), "?")),)),
    ]
    store = open_store(tmp_path / "out")
    failed = answer_all(Counting(), [*bad, *asked], store, seed=0, batch_size=7)
    assert [each["id"] for each in failed] == ["broken", "gone", "unread"]
    assert "bad.png" in failed[0]["error"] and "reads Video" in failed[2]["error"]
    assert set(store.records) == {"seen", "drawn", "both", "hello"}
    with pytest.raises(ValueError, match="all 3 samples failed; broken"):
        answer_all(Counting(), bad, store, seed=0, batch_size=2)


# ---- The command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in a folder, parts and all."""
    folder = tmp_path_factory.mktemp("model")
    config = write_model(folder, tiny_model())
    # Modalities in the tiny model's own order, which its signals' rows have.
    config.write_text(yaml.safe_dump(model_config(folder), sort_keys=False))
    model = AnyModal.compose(config)
    model.load_state_dict(tiny_model().state_dict())
    model.save_pretrained(folder / "tiny", with_parts=True)
    return folder / "tiny"


def metric(name: str, **how: Any) -> dict[str, Any]:
    return {"_target_": f"anymodal.metrics.{name}", **how}


@pytest.fixture
def job(model: Path, tmp_path: Path) -> dict[str, Any]:
    """An evaluation of every kind of sample."""
    picture().save(tmp_path / "a.png")
    sound().save(tmp_path / "a.wav")
    what = "what is this?"
    ball = {"prompt": [{"file": "a.png"}, what], "references": ["this is a ball"]}
    write(
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
    check(Path(config))
    assert cli.main(["eval", "files", config, "device=cpu"]) == 0
    told = capsys.readouterr().out
    out = tmp_path / "out"
    results = json.loads((out / "results.json").read_text())
    assert told == (out / "results.md").read_text() == metric_table(results) + "\n"
    found = results["metrics"]
    assert (results["count"], results["failed"]) == (5, [])
    assert found["choices"] == {"accuracy": 1.0, "named": 1.0, "chance": 0.5, "count": 1}
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
        ({"metrics": {"x": {"n": 1}}}, "x must be a part"),
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


class Length(Metric):
    """Letters in a reply."""

    def __init__(self) -> None:
        self.letters = 0

    def _update(self, sample: Sample, reply: Message) -> bool:
        self.letters += len(reply.text)
        return True

    def _compute(self) -> dict[str, float]:
        return {"letters": self.letters}


def given_samples() -> list[Sample]:
    return [sample(1, answer="yes"), sample(2, answer="no")]


def test_data_and_model_may_be_parts(job: dict[str, Any], tmp_path: Path) -> None:
    job |= {
        "data": {"_target_": f"{__name__}.given_samples"},
        "model": {"_target_": "anymodal.AnyModal.from_pretrained", "path": job["model"]},
        "metrics": {"pope": metric("YesNo"), "length": {"_target_": f"{__name__}.Length"}},
        "trusted_packages": [__name__],
    }
    assert read_evaluation(save(job, tmp_path)).samples() == given_samples()
    assert cli.main(["eval", "files", save(job, tmp_path)]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["metrics"]["pope"]["count"] == 2
    assert results["metrics"]["length"]["letters"] > 0
    assert results["model"] == "anymodal.AnyModal.from_pretrained"


def test_one_configuration_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", "files", "seed=1"]) == 2
    assert "name one configuration" in capsys.readouterr().err
