"""A model that is composed learns to read one more modality, and nothing else of it changes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anymodal import media
from anymodal.chat.session import Session
from anymodal.config import ConfigError
from anymodal.data.captioned import Captioned
from anymodal.data.conversations import Conversations
from anymodal.encoders import Encoder, ImageBind
from anymodal.media import Media, MediaError
from anymodal.media.arrays import read_npy, write_npy
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.training.objectives import Binding
from anymodal.training.run import train_model
from anymodal.types import Done, Features, Message
from tests.support import tiny
from tests.support.composed import write_model
from tests.support.paths import ROOT as REPOSITORY
from tests.support.runs import text_loss

QUESTION = "what is this?"
QUICK = {"batch_size": 4, "optimizer": {"lr": 1e-2}}


@dataclass(eq=False)
class Pulse(Media):
    """A row of numbers."""

    beats: np.ndarray
    kind, suffix, saves = "pulse", ".pulse", (".pulse", ".npy")

    def html(self) -> str:
        return "<pre></pre>"

    def _encode(self, suffix: str) -> bytes:
        return write_npy(self.beats) if suffix == ".npy" else self.beats.tobytes()

    @classmethod
    def _decode(cls, blob: Any, fmt: Any, limits: Any, **hints: Any) -> Pulse:
        if fmt.group == "array":
            return cls(read_npy(blob, limits, ndim=1))
        if len(blob.data) % 4:
            raise MediaError(f"{blob.name} is cut short; record it anew")
        return cls(np.frombuffer(blob.data, np.float32).copy())


class PulseEncoder(Encoder):
    """Every number is a token."""

    media, width = Pulse, 8

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Linear(1, 8)
        self.joint = nn.Linear(8, 16)

    def prepare(self, media: Any) -> Tensor:
        return torch.from_numpy(media.beats)[:, None]  # (n,) -> (n, 1)

    def forward(self, batch: Tensor) -> Features:
        values = self.token(batch).tanh()
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return self.joint(self(batch).values.mean(1))


def pulse(seed: int = 0) -> Pulse:
    return Pulse(np.random.default_rng(seed).standard_normal(6).astype(np.float32))


@pytest.fixture
def model() -> AnyModal:
    return tiny.compose()


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def states(model: AnyModal) -> Tensor:
    """The hidden states of a conversation with a picture."""
    batch = model.prompts.lay_out([[Message("user", [tiny.picture(), QUESTION])]])
    ids, _, positions, places = batch.packed
    with torch.no_grad():
        return model.language(model.embed(batch.prompts, ids, places), positions=positions)


def test_what_the_model_knew_stays(model: AnyModal) -> None:
    before, old, prefix = states(model), weights(model), model.signals.names
    model.add_modality("pulse", Modality(PulseEncoder()), like="imu")
    assert torch.equal(states(model), before)
    new = model.state_dict()
    for name, value in old.items():
        kept = new[name][: len(value)] if name == "language.rows" else new[name]
        assert torch.equal(kept, value), name
    assert model.signals.names == [*prefix, "<|pulse|>"]
    assert model.language.decode([model.signals.placeholder("pulse")]) == ""
    assert model.prompts.encoders[Pulse] == "pulse"


def test_it_is_read_and_answered(model: AnyModal) -> None:
    model.add_modality("pulse", Modality(PulseEncoder()))
    reply = model.chat([pulse(), tiny.picture(), QUESTION], max_new_tokens=3, max_spans=0)
    assert reply.role == "assistant"
    soft = model.soft_tokens({"pulse": [pulse(0), pulse(1)]})["pulse"]
    assert soft.shape == (2, tiny.SLOTS, tiny.WIDTH)
    assert not torch.equal(soft[0], soft[1])


def test_it_is_saved_with_the_model_and_opened_again(tmp_path: Path) -> None:
    model = AnyModal.compose(write_model(tmp_path / "parts"))
    how = {"_target_": f"{__name__}.PulseEncoder"}
    model.add_modality("pulse", Modality(PulseEncoder()), like="imu", encoder=how)
    model.save_pretrained(tmp_path / "saved")
    again = AnyModal.from_pretrained(tmp_path / "saved", trusted_packages=["tests"])
    assert again.signals.names == model.signals.names
    asked = [pulse(), tiny.picture(), QUESTION]
    assert again.chat(asked, max_new_tokens=8).text == model.chat(asked, max_new_tokens=8).text
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    with pytest.raises(ConfigError, match="trusted_packages"):
        AnyModal.from_pretrained(tmp_path / "saved")


def test_its_files_open_by_content_that_its_class_knows(tmp_path: Path) -> None:
    plain, array = (pulse().save(tmp_path / name) for name in ("a.pulse", "a.npy"))
    assert Pulse.load(plain) == media.load(plain) == media.load(plain.read_bytes(), kind="pulse")
    assert Pulse.load(array) == media.load(array, kind="pulse") == pulse()
    with pytest.raises(MediaError, match="axes|readings"):
        media.load(array)  # what else saves such files, the name doesn't tell
    (tmp_path / "b.pulse").write_bytes(plain.read_bytes()[:-1])
    with pytest.raises(MediaError, match=r"b\.pulse is cut short"):
        media.load(tmp_path / "b.pulse")
    (tmp_path / "c.pulsar").write_bytes(plain.read_bytes())
    with pytest.raises(MediaError, match="of no known media format"):
        media.load(tmp_path / "c.pulsar")
    with pytest.raises(MediaError, match="loaded as pulse, which takes no rate="):
        media.load(plain, rate=3)
    with pytest.raises(MediaError, match="not image"):
        media.load(array, kind="image")


def test_its_files_are_trained_on_and_talked_about(model: AnyModal, tmp_path: Path) -> None:
    model.add_modality("pulse", Modality(PulseEncoder()))
    path = pulse().save(tmp_path / "a.pulse")
    entries = [{"pulse": "a.pulse", "caption": "a slow heart"}]
    (tmp_path / "talks.json").write_text(json.dumps(entries))
    asked, answered = Conversations(tmp_path / "talks.json")[0]
    assert asked.media == [pulse()] and answered.text == "a slow heart"
    session = Session(model, tmp_path / "out")
    session.attach(path)
    assert [event for event in session.ask(QUESTION) if isinstance(event, Done)]
    assert model.chat([path, QUESTION], max_new_tokens=2).role == "assistant"


@pytest.mark.extended  # slow
def test_it_is_chatted_with_from_where_one_works(tmp_path: Path) -> None:
    """By the command itself, with a module that lies in the folder and isn't installed."""
    shutil.copy(REPOSITORY / "examples" / "touch.py", tmp_path / "felt_touch.py")
    code = (
        "import felt_touch as t, numpy as np; from anymodal import AnyModal, Modality\n"
        "model = AnyModal.from_pretrained('nano')\n"
        "how = {'_target_': 'felt_touch.TouchEncoder'}\n"
        "model.add_modality('touch', Modality(t.TouchEncoder()), like='imu', encoder=how)\n"
        "model.save_pretrained('felt')\n"
        "t.Touch(np.zeros((20, 8, 8), np.float32)).save('a.touch')\n"
    )
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    made = subprocess.run([sys.executable, "-c", code], **run)
    assert made.returncode == 0, made.stderr
    command = [Path(sys.executable).with_name("anymodal"), "chat", "--model", "felt"]
    asked = ["--attach", "a.touch", "what do you feel?"]
    done = subprocess.run([*command, "--trust", "felt_touch", *asked], **run)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    assert not re.search(r"it/s|Warning", done.stderr), "a short work has no bars"
    done = subprocess.run([*command, "hello"], **run)
    assert done.returncode == 2 and "trusted_packages" in done.stderr
    done = subprocess.run([*command, "--trust", "felt_tuch", "hello"], **run)
    assert done.returncode == 2 and "there is no module 'felt_tuch'" in done.stderr


def test_its_encoder_tells_how_it_is_built(tmp_path: Path) -> None:
    model = AnyModal.compose(write_model(tmp_path / "parts"))
    model.add_modality("pulse", Modality(PulseEncoder()))
    model.save_pretrained(tmp_path / "saved")
    again = AnyModal.from_pretrained(tmp_path / "saved", trusted_packages=["tests"])
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_typed_placeholders_stay_text(model: AnyModal) -> None:
    model.add_modality("pulse", Modality(PulseEncoder()))
    prompt = model.prompts.build([Message("user", ["a <|pulse|> b"])], reply=True)
    assert model.signals.placeholder("pulse") not in prompt.ids
    assert not prompt.media


@pytest.mark.parametrize(
    ("name", "like", "expected"),
    [
        ("pulse", "nothing", "nothing"),
        ("image", None, "share|known"),
        ("two words", None, "cannot name"),
    ],
)
def test_a_bad_name_changes_nothing(
    model: AnyModal, name: str, like: str | None, expected: str
) -> None:
    before = weights(model)
    with pytest.raises(ValueError, match=expected):
        model.add_modality(name, Modality(PulseEncoder()), like=like)
    assert weights(model).keys() == before.keys()
    assert Pulse not in model.prompts.encoders


def test_media_that_are_read_already_and_decoders_are_refused(model: AnyModal) -> None:
    with pytest.raises(ValueError, match="Image is read already, by 'image'"):
        model.add_modality("photo", Modality(model.encoders["image"]))
    whole = model.modalities["audio"]
    with pytest.raises(ValueError, match="no decoder"):
        model.add_modality("sound", whole)


def test_perceive_trains_its_entries_alone(model: AnyModal) -> None:
    model.add_modality("pulse", Modality(PulseEncoder()), like="imu")
    before = weights(model)
    talks = [
        [Message("user", [pulse(seed), QUESTION]), Message("assistant", ["This is a ball."])]
        for seed in range(4)
    ]
    settings = {**QUICK, "loggers": False}
    trained = ["projection.*.pulse*"]
    with torch.no_grad():
        first = text_loss(model, talks)
    assert train_model(model, talks, trainable=trained, losses={"text": 1}, steps=8, **settings)
    with torch.no_grad():
        last = text_loss(model, talks)
    assert last < first
    after = model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed
    assert all(".pulse" in name and name.startswith("projection.") for name in changed)
    assert not model.training


def scenes(count: int = 8) -> list[dict[str, Captioned]]:
    return [
        {
            "pulse": Captioned("pulse", pulse(seed), str(seed)),
            "imu": Captioned("imu", tiny.felt(seed), str(seed)),
        }
        for seed in range(count)
    ]


def test_binding_to_another_encoder_leaves_it_frozen(model: AnyModal, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder, anchor = PulseEncoder(), model.encoders["imu"]
    before, own = weights(anchor), weights(encoder)
    bind = Binding({"pulse": encoder, "imu": anchor}, ["pulse"], anchor="imu")
    data = scenes()
    batch = bind.collate(data)
    assert len(batch["pulse"][2].unique()) == 8
    with torch.no_grad():
        first = bind.named_losses(batch)["pulse"]
    settings = {**QUICK, "loggers": False, "batch_size": 8, "output_dir": tmp_path / "bind"}
    train_model(bind, data, trainable=["pulse.*"], losses={"pulse": 1}, steps=20, **settings)
    with torch.no_grad():
        assert bind.named_losses(batch)["pulse"] < first
    assert all(torch.equal(value, before[name]) for name, value in anchor.state_dict().items())
    assert any(not torch.equal(value, own[name]) for name, value in encoder.state_dict().items())
    assert (tmp_path / "bind" / "checkpoints" / "last.ckpt").is_file()
    bind.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()


def test_samples_without_the_pair_are_left_out(model: AnyModal) -> None:
    bind = Binding({"pulse": PulseEncoder(), "imu": model.encoders["imu"]}, ["pulse"], anchor="imu")
    data = scenes(3)
    del data[1]["imu"]
    assert len(bind.collate(data)["pulse"][0]) == 2
    assert bind.collate([{}]) == {}


def test_binding_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match="no encoder for radar; there are pulse"):
        Binding({"pulse": PulseEncoder()}, ["pulse"], anchor="radar")
    with pytest.raises(ValueError, match="tokenizer"):
        Binding({"pulse": PulseEncoder()}, ["pulse"])
    binder = ImageBind.preset("nano", modalities=["imu"])
    with pytest.raises(ValueError, match="tokenizer"):
        Binding(binder, ["imu"])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"batchsize": 3}, "batchsize"),
        ({"trainable": ["nothing.*"]}, "matches no parameter"),
        ({"losses": {"txt": 1}}, "did you mean 'text'"),
    ],
)
def test_a_wrong_setting_is_refused(
    model: AnyModal, changed: dict[str, Any], expected: str
) -> None:
    settings: dict[str, Any] = {"losses": {"text": 1}, "trainable": ["projection.*"], **changed}
    talks = [[Message("user", ["hello"]), Message("assistant", ["Hello!"])]]
    with pytest.raises(ConfigError, match=expected):
        train_model(model, talks, steps=1, **settings)
