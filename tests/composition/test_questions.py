"""A projection that reads what is said beside a medium: InstructBLIP's Q-Former, and what it asks
of prompts, caches, sessions, training and files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from anymodal import AnyModal
from anymodal.chat.session import Session
from anymodal.composition import own_weights
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CheckpointError
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.kv_cache import PrefixCache
from anymodal.projection import InstructQFormerProjection, Projection, Words
from anymodal.tools.convert.importers import convert
from anymodal.tools.plan.budget import read_budget
from anymodal.tools.plan.plan import make_plans
from anymodal.training.objectives import Dialogue
from anymodal.types import Features, Message, Target
from tests.support import huggingface_models
from tests.support.composed import write_asking_model, write_model
from tests.support.huggingface_models import bert_words
from tests.support.runs import text_loss
from tests.support.tiny import SLOTS, felt, picture

WHAT, WHERE = "what is this?", "where is it?"
SMALL = {"num_tokens": 5, "width": 16, "depth": 2, "heads": 4}


def build(context: int = 128, **changes: Any) -> InstructQFormerProjection:
    torch.manual_seed(0)
    sizes = {"widths": {"image": 12}, "output_width": 24, **SMALL, **changes}
    return InstructQFormerProjection(tokenizer=Words(bert_words()), context=context, **sizes).eval()


def seen(count: int = 1) -> Features:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 6, 12, generator=generator).expand(count, -1, -1)
    return Features(values, torch.ones(count, 6, dtype=torch.bool))


def asked(projection: Projection, *texts: str) -> Tensor:
    with torch.no_grad():
        return projection("image", seen(len(texts)), texts)


def near(one: Tensor, two: Tensor) -> bool:
    return bool(torch.allclose(one, two, atol=1e-5, rtol=1e-4))


class TestTheProjection:
    def test_what_is_asked_changes_every_soft_token(self) -> None:
        what, where, nothing = asked(build(), WHAT, WHERE, "")
        for one, two in ((what, where), (what, nothing), (where, nothing)):
            assert ((one - two).abs().amax(dim=-1) > 1e-3).all()

    def test_questions_of_a_batch_are_independent(self) -> None:
        """The shorter ones are filled up to the longest."""
        texts = ["", WHAT, "a " * 60, "?"]
        together = asked(build(), *texts)
        for row, text in zip(together, texts, strict=True):
            assert near(asked(build(), text)[0], row)

    def test_without_texts_nothing_is_said(self) -> None:
        projection = build()
        with torch.no_grad():
            assert torch.equal(projection("image", seen(2)), asked(projection, "", ""))
            several = projection.forward_many({"image": seen()}, {"image": [WHAT]})
            assert torch.equal(several["image"], asked(projection, WHAT))
            alone = projection.forward_many({"image": seen()}, {})["image"]
            assert torch.equal(alone, asked(projection, ""))

    def test_other_than_one_text_for_each_is_refused(self) -> None:
        with pytest.raises(ValueError, match="2 texts beside 1 items; give one for each"):
            build()("image", seen(), ["a", "b"])

    def test_a_long_text_is_cut_where_its_tokenizer_cuts(self) -> None:
        """That is before its end, where questions mostly stand."""
        projection = build(context=8)
        end = "b c d e f g"
        assert torch.equal(asked(projection, "a " * 900 + end), asked(projection, end))
        assert not near(asked(projection, f"{end} a"), asked(projection, end))

    @pytest.mark.parametrize("context", [2, 513])
    def test_a_context_has_its_limits(self, context: int) -> None:
        with pytest.raises(ValueError, match=f"context={context} tokens of text; give 3 to 512"):
            build(context=context)

    def test_special_tokens_that_are_typed_stay_text(self) -> None:
        words = Words(bert_words())
        marks = {words.tokenizer.convert_tokens_to_ids(mark) for mark in ("[CLS]", "[SEP]")}
        for typed in ("[SEP]", "[CLS] a", "[PAD]", "[MASK]", "[DEC]", "a[DEC]b[SEP]"):
            (ids,), (real,) = words.read([typed], 128)
            assert all(real) and marks == {ids[0], ids[-1]}
            assert not set(ids[1:-1]) & set(words.tokenizer.all_special_ids) - {1}, typed

    @settings(max_examples=60, deadline=None)
    @given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=3))
    def test_any_text_is_read(self, texts: list[str]) -> None:
        soft = asked(build(), *texts, "🙂 \x00\u202e" * 300)
        assert soft.shape == (len(texts) + 1, 5, 24) and soft.isfinite().all()

    def test_a_step_reaches_its_words(self) -> None:
        projection = build().train()
        before = {name: value.clone() for name, value in projection.state_dict().items()}
        projection("image", seen(2), [WHAT, WHERE]).square().mean().backward()
        torch.optim.SGD(projection.parameters(), lr=1.0).step()
        changed = {n for n, value in projection.state_dict().items() if not value.equal(before[n])}
        assert {f"qformer.embeddings.{n}_embeddings.weight" for n in ("word", "position")} < changed
        assert "qformer.encoder.layer.0.intermediate.dense.weight" in changed, "the text's own"

    def test_a_tokenizer_that_cannot_fill_up_is_refused(self) -> None:
        tokenizer = bert_words()
        tokenizer.pad_token = None
        with pytest.raises(ValueError, match="has no padding token"):
            Words(tokenizer)


class TestInstructBlip:
    """The one of transformers, tiny and with random weights."""

    @pytest.fixture(scope="class")
    def theirs(self) -> Any:
        torch.manual_seed(0)
        config = huggingface_models.instructblip()[0].config
        config.qformer_config.intermediate_size = 4 * config.qformer_config.hidden_size
        model = hf.InstructBlipForConditionalGeneration(config).eval()
        with torch.no_grad():
            model.query_tokens.normal_()  # zeros until they are trained
        return model

    def ours(self) -> InstructQFormerProjection:
        sizes = {"num_tokens": 3, "width": 32, "depth": 2, "heads": 2}
        return build(widths={"image": 32}, output_width=16, **sizes)

    @torch.no_grad()
    def test_the_language_model_gets_what_theirs_gets(self, theirs: Any, tmp_path: Path) -> None:
        theirs.save_pretrained(tmp_path / "theirs")
        convert("instructblip", tmp_path / "theirs", tmp_path / "out")
        ours = self.ours()
        weights = checkpoint.load_weights(tmp_path / "out" / checkpoint.WEIGHTS)
        ours.load_state_dict({n.removeprefix("projection."): v for n, v in weights.items()})
        pixels = torch.randn(3, 3, 32, 32)
        texts = [WHAT, "where?", ""]
        found = bert_words()(texts, padding=True, return_tensors="pt")
        given = theirs.get_image_features(pixels, found["input_ids"], found["attention_mask"])
        values = theirs.vision_model(pixels).last_hidden_state
        features = Features(values, torch.ones(values.shape[:2], dtype=torch.bool))
        torch.testing.assert_close(ours("image", features, texts), given.pooler_output)
        assert (given.pooler_output[0] - given.pooler_output[1]).abs().max() > 1e-3

    def test_positions_that_were_saved_are_left_out(self, theirs: Any, tmp_path: Path) -> None:
        """Older versions of transformers wrote them, beside the weights."""
        state = {name: value.clone() for name, value in theirs.state_dict().items()}
        state["qformer.embeddings.position_ids"] = torch.arange(512)[None]
        torch.save(state, tmp_path / "old.bin")
        convert("instructblip", tmp_path / "old.bin", tmp_path / "out")
        weights = checkpoint.load_weights(tmp_path / "out" / checkpoint.WEIGHTS)
        assert weights.keys() == {f"projection.{name}" for name in self.ours().state_dict()}

    def test_a_q_former_without_words_is_refused(self, tmp_path: Path) -> None:
        huggingface_models.write(huggingface_models.blip2, tmp_path / "blip2")
        with pytest.raises(CheckpointError, match=r"word_embeddings.weight, so it is no checkpoin"):
            convert("instructblip", tmp_path / "blip2", tmp_path / "out")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's parts, a tokenizer among them, and its configuration."""
    return write_asking_model(tmp_path_factory.mktemp("asking")).parent


@pytest.fixture
def parts(home: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged or written to."""
    folder = Path(shutil.copytree(home, tmp_path / "parts"))
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(text.replace(str(home), str(folder)))
    return folder


@pytest.fixture(scope="module")
def model(home: Path) -> AnyModal:
    torch.manual_seed(1)
    return AnyModal.compose(home / "model.yaml")


def texts_of(model: AnyModal, *talk: Message) -> list[str]:
    return [item.text for item in model.prompts.build(talk, reply=False).media]


class TestPrompts:
    def test_media_stand_beside_what_their_message_says(self, model: AnyModal) -> None:
        shown = Message("user", [f"\n{WHAT} ", picture(), "", "and \n", felt(), "that?"])
        assert texts_of(model, shown) == ["what is this? and that?"] * 2
        assert texts_of(model, Message("user", [picture()])) == [""]

    def test_a_later_message_is_another_one(self, model: AnyModal) -> None:
        """What a reply made is shown, and asked about, with the next one."""
        made = Message("assistant", ["a ball", Target("image", "a ball", picture(1))])
        talk = [Message("user", [picture(), WHAT]), made, Message("user", ["redder"])]
        assert texts_of(model, *talk[:2]) == [WHAT]
        assert texts_of(model, *talk) == [WHAT, "redder"]

    def test_a_projection_that_reads_no_texts_knows_media_alone(self, tmp_path: Path) -> None:
        model = AnyModal.compose(write_model(tmp_path))
        talk = [Message("user", [picture(), WHAT]), Message("user", [picture(), WHERE])]
        prompt = model.prompts.build(talk, reply=False)
        assert {item.key for item in prompt.media} == {picture().digest()}
        soft: dict[Any, Tensor] = {}
        packed = model.prompts.lay_out([talk]).packed
        model.embed([prompt], packed.ids, packed.places, soft)
        assert soft.keys() == {picture().digest()}

    def test_each_item_gets_its_own_text(self, model: AnyModal) -> None:
        """In rows of several conversations, of several modalities, known or not."""
        talks = [
            [Message("user", [picture(), felt(), WHAT]), Message("user", [picture(1), WHERE])],
            [Message("user", [WHERE, picture()]), Message("user", [felt()])],
        ]
        batch = model.prompts.lay_out(talks)
        ids, _, _, places = batch.packed
        with torch.no_grad():
            soft: dict[Any, Tensor] = {}
            together = model.embed(batch.prompts, ids, places)
            assert near(model.embed(batch.prompts, ids, places, soft), together)
            assert len(soft) == 5
            for (row, start), prompt in zip(places, batch.prompts, strict=True):
                for item in prompt.media:
                    media, texts = {item.modality: [item.media]}, {item.modality: [item.text]}
                    alone = model.soft_tokens(media, texts)[item.modality][0]
                    first = start + item.start
                    assert near(together[row, first : first + SLOTS], alone)
                    assert near(soft[item.key], alone)


class TestTurns:
    def test_a_later_question_leaves_an_earlier_ones_soft_tokens(self, model: AnyModal) -> None:
        cache = PrefixCache(model.language)
        talk = [Message("user", [picture(), WHAT])]
        how: dict[str, Any] = {"seed": 3, "max_new_tokens": 4, "cache": cache}
        talk.append(model.chat(talk, **how))
        (key,), (before,) = list(cache.soft), list(cache.soft.values())
        held = keys_and_values(cache)
        assert key == (picture().digest(), WHAT)
        talk.append(Message("user", [picture(), WHERE]))
        with encoding(model) as batches:
            talk.append(model.chat(talk, **how))
        assert batches == [1] and len(cache.soft) == 2
        assert torch.equal(cache.soft[key], before)
        assert not near(cache.soft[picture().digest(), WHERE], before)
        read = len(model.prompts.build(talk[:1], reply=True).ids)
        for one, two in zip(held, keys_and_values(cache), strict=True):
            assert torch.equal(one[..., :read, :], two[..., :read, :])
        # And as if it had been read at once.
        alone = model.chat(talk[:3], seed=3, max_new_tokens=4)
        assert alone.text == talk[3].text
        talk.append(Message("user", [WHERE]))
        model.chat(talk, **how)
        assert len(cache.soft) == 2, "nothing was shown"

    def test_a_medium_with_the_same_text_is_known(self, model: AnyModal) -> None:
        cache = PrefixCache(model.language)
        talk = [Message("user", [picture(), WHAT])]
        with encoding(model) as batches:
            for _ in range(3):
                talk += [model.chat(talk, seed=0, max_new_tokens=2, cache=cache)]
                talk += [Message("user", [WHAT, picture()])]
        assert batches == [1] and len(cache.soft) == 1

    def test_conversations_of_a_list_ask_apart(self, model: AnyModal) -> None:
        """The same picture with two questions; each is answered as alone."""
        talks = [[picture(), WHAT], [picture(), WHERE], [picture(), WHAT]]
        with encoding(model) as batches:
            together = model.chat(talks, seed=[5, 6, 5], max_new_tokens=4)
        assert batches == [1], "one picture, whatever is asked about it"
        for talk, seed, reply in zip(talks, (5, 6, 5), together, strict=True):
            assert model.chat(talk, seed=seed, max_new_tokens=4).text == reply.text

    def test_an_edit_asks_anew(self, model: AnyModal, tmp_path: Path) -> None:
        session = Session(model, tmp_path / "out", 7, max_new_tokens=3)
        session.attach(picture().save(tmp_path / "a.png"))
        list(session.ask(WHAT))
        (before,) = session.cache.soft.values()
        list(session.edit(WHERE))
        ((key, after),) = session.cache.soft.items()
        assert key == (picture().digest(), WHERE) and not near(before, after)
        other = Session(model, tmp_path / "out", 7, max_new_tokens=3)
        other.attach(tmp_path / "a.png")
        list(other.ask(WHERE))
        assert other.turns[0].reply.text == session.turns[0].reply.text
        assert near(after, other.cache.soft[key])


def keys_and_values(cache: PrefixCache) -> list[Tensor]:
    return [part.clone() for layer in cache.past.layers for part in (layer.keys, layer.values)]


@contextmanager
def encoding(model: AnyModal) -> Iterator[list[int]]:
    """How many pictures the model's encoder is given, batch by batch."""
    batches: list[int] = []
    watch = model.encoders["image"].register_forward_hook(
        lambda _part, inputs, _output: batches.append(len(inputs[0]))
    )
    try:
        yield batches
    finally:
        watch.remove()


def test_training_reads_questions_and_keeps_features_by_their_media(model: AnyModal) -> None:
    said = Message("assistant", ["a ball"])
    talks = [[Message("user", [picture(), text]), said] for text in (WHAT, WHERE)]
    fresh = text_loss(model, talks)
    dialogue = Dialogue(model)
    dialogue.feature_cache = FeatureCache()
    with encoding(model) as batches:
        for _ in range(2):
            batch = dialogue.collate(talks)
            dialogue.prefetch(batch)
            torch.testing.assert_close(dialogue.named_losses(batch)["text"], fresh)
    assert batches == [1], "one picture, whatever is asked about it"
    text_loss(model, talks).backward()
    words = model.projection.qformer.embeddings.word_embeddings.weight
    assert words.grad.abs().max() > 0
    model.zero_grad()


class TestFiles:
    def test_saved_with_and_without_its_parts(self, parts: Path, tmp_path: Path) -> None:
        (parts / "hub" / "README.md").write_text("---\nlicense: bsd-3-clause\n---\n")
        model = AnyModal.compose(parts / "model.yaml")
        with torch.no_grad():
            for weight in own_weights(model).values():
                weight.add_(torch.randn_like(weight), alpha=0.1)
        told = {"image": [picture()]}, {"image": [WHAT]}
        model.save_pretrained(tmp_path / "own")
        model.save_pretrained(tmp_path / "whole", with_parts=True)
        words = tmp_path / "whole" / "projection-tokenizer" / "qformer_tokenizer"
        assert (words / "tokenizer.json").is_file()
        (tmp_path / "whole").rename(tmp_path / "moved")
        for folder in ("own", "moved"):
            if folder == "moved":
                shutil.rmtree(parts)
            again = AnyModal.from_pretrained(tmp_path / folder)
            with torch.no_grad():
                one, two = (each.soft_tokens(*told)["image"] for each in (model, again))
            assert near(one, two)
            assert again.projection.tokenizer.source["licence"] == "bsd-3-clause"

    def test_another_tokenizer_is_refused(self, parts: Path, tmp_path: Path) -> None:
        AnyModal.compose(parts / "model.yaml").save_pretrained(tmp_path / "model")
        AnyModal.from_pretrained(tmp_path / "model")
        manifest = checkpoint.read_manifest(tmp_path / "model")["projection"]
        assert manifest["class"] == "anymodal.projection.words.Words"
        path = parts / "hub" / "qformer_tokenizer" / "tokenizer.json"
        text = path.read_text().replace('"what"', '"zwhat"')
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"projection.words.ids \d+ to \d+: .* saved"):
            AnyModal.from_pretrained(tmp_path / "model")

    def test_a_missing_one_is_told_with_the_way_to_it(self, parts: Path) -> None:
        for file in (parts / "hub" / "qformer_tokenizer").iterdir():
            file.unlink()
        with pytest.raises(FileNotFoundError, match=r"lacks qformer_tokenizer/tokenizer.json or"):
            AnyModal.compose(parts / "model.yaml")
        with pytest.raises(FileNotFoundError, match=r"hf download tiny/words --revision v1"):
            Words.from_pretrained("tiny/words", revision="v1", subfolder="q")

    def test_it_is_planned_without_weights(self, home: Path, tmp_path: Path) -> None:
        run = {
            "model": {"_target_": "anymodal.AnyModal.compose", "config": str(home / "model.yaml")},
            "data": {"_target_": "tests.support.composed.talks", "count": 4},
            "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
            **{"output_dir": "x", "steps": 1, "batch_size": 2, "trusted_packages": ["tests"]},
        }
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
        (told,) = make_plans([str(tmp_path / "run.yaml")], [], read_budget("24GB"), context=64)
        (part,) = (part for part in told.parts if part.name == "projection")
        whole = AnyModal.compose(home / "model.yaml").projection
        assert part.trainable == sum(weight.numel() for weight in whole.parameters())
        assert told.fits and not told.need.unknown


class Old(Projection):
    """One of a user's, that knows nothing of texts."""

    def __init__(self, *, widths: dict[str, int], **rest: Any) -> None:
        super().__init__(num_tokens=SLOTS, **rest)
        self.maps = nn.ModuleDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = nn.Linear(width, self.output_width * self.num_tokens)

    def _project(self, modality: str, features: Features) -> Tensor:
        values, _ = features
        return self.maps[modality](values.mean(dim=1)).unflatten(-1, (self.num_tokens, -1))

    def forward(self, modality: str, features: Features) -> Tensor:  # type: ignore[override]
        return super().forward(modality, features)

    def forward_many(self, features: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return super().forward_many(features)


class Reading(Old):
    """And one that says it reads texts, but doesn't."""

    reads_text = True

    def forward(
        self, modality: str, features: Features, texts: Sequence[str] | None = None
    ) -> Tensor:
        return Projection.forward(self, modality, features, texts)


def test_a_projection_from_before_goes_on_working(parts: Path) -> None:
    config = json.loads(json.dumps(yaml.safe_load((parts / "model.yaml").read_text())))
    config["projection"] = {"_target_": "tests.composition.test_questions.Old"}
    model = AnyModal.compose(config, trusted_packages=["tests"])
    talk = [Message("user", [picture(), WHAT]), Message("assistant", ["a ball"])]
    text_loss(model, [talk]).backward()
    model.chat([picture(), WHAT], seed=0, max_new_tokens=2)
    model.soft_tokens({"image": [picture()]}, {"image": [WHAT]})


def test_one_that_cannot_do_what_it_says_is_told() -> None:
    projection = Reading(widths={"image": 12}, output_width=24)
    with pytest.raises(NotImplementedError, match="Reading reads texts without _project_beside"):
        projection("image", seen(), [WHAT])
