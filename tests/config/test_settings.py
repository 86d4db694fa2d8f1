"""Settings of the wrong name, type or range: one ValueError each, before anything is computed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anymodal.chat.batch import reply_many
from anymodal.chat.session import Session
from anymodal.cli import main
from anymodal.composition import validate_model
from anymodal.config import ConfigError, ranges
from anymodal.decoders import Decoder
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.evaluation.schema import Evaluation
from anymodal.language.sampling import Sampling
from anymodal.modality import SAMPLING, Modality
from anymodal.model import AnyModal
from tests.support.composed import model_config
from tests.support.tiny import tiny_model

NAN, INFINITY = float("nan"), float("inf")

OF_MEDIA: list[tuple[Any, str]] = [
    ({"image": {"stepz": 3}}, "no setting 'stepz'; did you mean 'steps'"),
    ({"image": {"guidence": 3}}, "did you mean 'guidance'"),
    ({"image": {"generator": None}}, "no setting 'generator'"),
    ({"image": {3: 3}}, "no setting 3"),
    ({"imag": {"steps": 3}}, "makes no 'imag'; it makes image, audio; did you mean 'image'"),
    ({"imu": {"steps": 3}}, "makes no 'imu'"),
    ({"steps": 3}, "makes no 'steps'"),
    ({"image": 3}, "settings are given by name"),
    ({"image": None}, "settings are given by name"),
    (3, "settings by modality"),
    ([], "settings by modality"),
    *(
        ({"image": {"steps": value}}, "steps=.*a whole number from 1 to 1000")
        for value in ("5", 0, -1, 10**9, True, 2.5, 5.0, None, NAN, [5], 1001)
    ),
    *(
        ({"image": {"guidance": value}}, "guidance=.*a number from 0 to 1000")
        for value in (NAN, INFINITY, -INFINITY, -0.5, 1e9, "4", True, None, 10**400)
    ),
]
OF_TEXT: list[tuple[dict[str, Any], str]] = [
    ({"temprature": 1}, "no setting 'temprature'; did you mean 'temperature'"),
    ({"max_tokens": 5}, "did you mean 'max_new_tokens'"),
    ({"nothing like it": 1}, "known: "),
    *(
        ({"temperature": value}, "temperature=.*greedy.*from 1e-06")
        for value in (1e-320, -1, NAN, INFINITY, "0.5", True, None, 1e300)
    ),
    *(({"top_p": value}, "top_p=.*to 1") for value in (NAN, 0, 1.1, -1, "1", True, 1e-320)),
    *(({"min_p": value}, "min_p=.*to 1") for value in (NAN, -0.1, 1.1, "1", True)),
    *(({"top_k": value}, "top_k=.*from 0") for value in (-1, 2.5, "3", True, NAN)),
    *(
        ({"max_new_tokens": value}, "max_new_tokens=.*from 1 to 1000000")
        for value in (0, -3, 1.5, "9", True, None, 10**9, INFINITY)
    ),
    *(
        ({"repetition_penalty": value}, "repetition_penalty=")
        for value in (0, -1, NAN, INFINITY, 1e-320, "1")
    ),
    *(({"max_spans": value}, "max_spans=") for value in (-1, 1.5, "1", True)),
]
SEEDS = (-1, 2**63, 2**64, 1.5, "1", True, NAN, [1, 2], b"1")


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return tiny_model()


class Computed(Exception):
    """Something was."""


@pytest.fixture
def idle(model: AnyModal, monkeypatch: pytest.MonkeyPatch) -> AnyModal:
    """The model, of which nothing may compute."""

    def refuse(*_: Any, **__: Any) -> None:
        raise Computed

    monkeypatch.setattr(model.language, "embed", refuse)
    for decoder in model.decoders.values():
        monkeypatch.setattr(decoder.family, "sample", refuse)
    return model


@pytest.mark.parametrize(
    "settings",
    [*({"sampling": each} for each, _ in OF_MEDIA), *(each for each, _ in OF_TEXT)],
    ids=str,
)
def test_wrong_settings_are_told_wherever_they_are_given(
    idle: AnyModal, settings: dict[str, Any], tmp_path: Path
) -> None:
    message = {str(k): m for k, m in [*(({"sampling": s}, m) for s, m in OF_MEDIA), *OF_TEXT]}
    match = message[str(settings)]
    with pytest.raises(ValueError, match=match):
        idle.chat("hello", **settings)
    with pytest.raises(ValueError, match=match):
        idle.stream("hello", **settings)  # at once, not with its first event
    with pytest.raises(ValueError, match=match):
        idle.chat([["hello"], ["hello"]], **settings)
    with pytest.raises(ValueError, match=match):
        Session(idle, tmp_path, **settings)
    with pytest.raises(ValueError, match=match):
        ModelPredictor(idle, **settings)


@pytest.mark.parametrize("seed", SEEDS, ids=repr)
def test_wrong_seeds_are_told(idle: AnyModal, seed: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed"):
        idle.chat("hello", seed=seed)
    with pytest.raises(ValueError, match="seed"):
        Session(idle, tmp_path, seed)
    if not isinstance(seed, list):
        with pytest.raises(ValueError, match="seed"):
            reply_many(idle, ["hello"], seeds=[seed])


def test_large_seeds_count_on(model: AnyModal) -> None:
    assert model.chat("draw and play a ball", seed=ranges.MOST_SEED).media
    assert len(model.chat([["hello"]] * 2, seed=ranges.MOST_SEED - 1)) == 2


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "2", True, None])
def test_wrong_batch_sizes_are_told(idle: AnyModal, batch_size: Any) -> None:
    with pytest.raises(ValueError, match="batch_size="):
        idle.chat([["hello"]], batch_size=batch_size)


@given(
    st.dictionaries(
        st.sampled_from(["steps", "guidance", "eta", "step"]) | st.text(max_size=8),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        max_size=3,
    )
)
def test_settings_are_in_range_or_refused(settings: dict[str, Any]) -> None:
    try:
        found = ranges.check_sampling(settings)
    except ValueError:
        return
    assert found.keys() <= {"steps", "guidance"}
    assert 1 <= found.get("steps", 1) <= ranges.MOST_STEPS
    assert 0 <= found.get("guidance", 0) <= ranges.MOST_GUIDANCE


@given(
    st.floats(1e-6, 1e6),
    st.floats(1e-6, 1),
    st.floats(0, 1),
    st.floats(0.01, 100),
    st.integers(0, 9),
)
def test_a_token_can_be_picked_with_every_setting_in_range(
    temperature: float, top_p: float, min_p: float, penalty: float, top_k: int
) -> None:
    import torch

    how = Sampling(1, temperature, top_p, top_k, min_p, penalty)
    scores = torch.tensor([1e4, -1e4, 3.0, -torch.inf, 0.0])
    token = how.pick(scores, [0, 2], torch.Generator().manual_seed(0))
    assert token != 3


def test_scores_that_are_not_finite_are_no_token() -> None:
    import torch

    for scores in (torch.tensor([0.0, torch.nan]), torch.tensor([0.0, torch.inf])):
        for how in (Sampling(), Sampling(temperature=1.0), Sampling(repetition_penalty=2.0)):
            with pytest.raises(ValueError, match="not finite, in torch.float16"):
                how.pick(scores.half(), [0], None)


# ---- In configurations and on the command line -------------------------------------------------


@pytest.mark.parametrize(
    ("sampling", "match"),
    [
        ({"stepz": 3}, "modalities.image.sampling: there is no setting 'stepz'; did you mean"),
        ({"steps": 0}, "steps=0"),
        ({"steps": 10**9}, "from 1 to 1000"),
        ({"guidance": NAN}, "guidance=nan"),
        ({"steps": "5"}, "steps='5'"),
    ],
)
def test_a_model_s_own_settings_are_checked_before_it_is_built(
    sampling: dict[str, Any], match: str
) -> None:
    config = model_config(Path("nowhere"))
    config["modalities"]["image"]["sampling"] = sampling
    with pytest.raises(ConfigError, match=match):
        validate_model(config)


def test_settings_left_out_have_their_defaults(model: AnyModal) -> None:
    known = model.modalities["image"]
    made = Modality(known.encoder, known.decoder, known.head, known.num_signal_tokens, {"steps": 3})
    assert made.sampling == {**SAMPLING, "steps": 3}
    with pytest.raises(ValueError, match="stepz"):
        Modality(known.encoder, known.decoder, known.head, known.num_signal_tokens, {"stepz": 3})


def test_settings_changed_in_the_model_are_checked_too(model: AnyModal) -> None:
    own = model.modalities["image"].sampling
    kept = copy.copy(own)
    try:
        own["steps"] = 0
        with pytest.raises(ValueError, match="steps=0"):
            model.chat("hello")
    finally:
        own.update(kept)


def test_a_decoder_may_take_settings_of_its_own() -> None:
    class Own(Decoder):
        __abstractmethods__ = frozenset()

        def sample(self, conditioning: Any, *, steps: int, guidance: float, eta: float = 0.0,
                   generator: Any = None, progress: Any = None) -> Any:  # fmt: skip
            return []

    Own.__abstractmethods__ = frozenset()
    assert Own().check_settings({"eta": 0.5, "steps": 3}) == {"eta": 0.5, "steps": 3}
    with pytest.raises(ValueError, match="eta=nan"):
        Own().check_settings({"eta": NAN})
    with pytest.raises(ValueError, match="no setting 'etta'; did you mean 'eta'"):
        Own().check_settings({"etta": 1})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"sampling": {"image": {"steps": 0}}}, "settings.sampling.image: steps=0"),
        ({"sampling": {"image": 3}}, "settings.sampling.image"),
        ({"sampling": 3}, "settings.sampling"),
        ({"temperature": 1e-320}, "temperature"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"tempratur": 1}, "did you mean 'temperature'"),
    ],
)
def test_an_evaluation_s_settings_are_checked(settings: dict[str, Any], match: str) -> None:
    given = {"model": "nano", "data": "a.jsonl", "metrics": {"b": {"_target_": "anymodal.x"}}}
    with pytest.raises(ConfigError, match=match):
        Evaluation.from_config({**given, "output_dir": "out", "settings": settings})


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("--seed", "-1", "no seed"),
        ("--seed", str(2**64), "no seed"),
        ("--seed", "1.5", "no seed"),
        ("--guidance", "nan", "guidance=nan"),
        ("--steps", "1000000000", "steps=1000000000"),
        ("--temperature", "1e-320", "temperature=1e-320"),
        ("--top-p", "nan", "top_p=nan"),
        ("--max-new-tokens", "1000000000", "max_new_tokens=1000000000"),
        ("--dtype", "bf17", "dtype='bf17'"),
        ("--device", "tpu9", "device='tpu9'"),
    ],
)
def test_wrong_options_of_chat_are_told_before_a_model_is_loaded(
    option: str, value: str, match: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("anymodal.composition.from_pretrained", lambda *_: 1 / 0)
    assert main(["chat", f"{option}={value}", "hello"]) == 2
    error = capsys.readouterr().err
    assert match in error and len(error.splitlines()) == 1


def test_yaml_writes_numbers_that_are_texts() -> None:
    """`1e-3` is a text in YAML 1.1; it is told, not compared."""
    config = model_config(Path("nowhere"))
    config["modalities"]["image"]["sampling"] = yaml.safe_load("{steps: 1e1}")
    with pytest.raises(ConfigError, match="steps='1e1'"):
        validate_model(config)
