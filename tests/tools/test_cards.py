"""Configurations for cards of 12, 24 and 80 GB: permissive, pinned, and as large as they say.

Parts are opened without weights at their published sizes, from a hub's cache that holds their
settings alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from anymodal.composition import model_metadata, validate_model
from anymodal.config import ConfigError, instantiate, load_config, resolve_target
from anymodal.data.mixture import Mixture
from anymodal.io.checkpoint import origins
from anymodal.io.sources import folder_of
from anymodal.language.model import LanguageModel
from anymodal.tools.plan.budget import read_budget
from anymodal.tools.plan.memory import weights_of
from anymodal.tools.plan.meta_models import build_run, compose_model, read_model
from anymodal.tools.plan.parts import list_parts
from anymodal.tools.plan.training import stays_on_disk, training
from anymodal.training.module import StageModule
from anymodal.training.run import FINISHED, read_run
from benchmarks import cards
from tests.support import hub_parts
from tests.support.paths import ROOT
from tests.support.recipe_data import write_recipe_data

CARDS = ("12gb", "24gb", "80gb")
BACKBONES = {
    "12gb-qwen3-vl": (2127, 2128),
    "24gb-qwen3-vl": (4437, 4438),
    "80gb-qwen3-vl": (8767, 8768),
}
"""Cards whose language model sees by itself, with its millions of parameters, from and to."""
STAGES = ("1-perceive", "2-express", "3-instruct")


UNPINNED = {"gradium/phonon-31m-en", "vibevoice/VibeVoice-1.5B-hf"}
"""Of these no commit is known here."""


def parts_of(card: str) -> dict[str, dict[str, Any]]:
    """A card's parts by their names on the hub."""
    config = load_config(ROOT / "configs" / "models" / f"{card}.yaml")
    nodes = [*config["parts"].values(), config["modalities"]["speech"]["speaker"]]
    named = {str(node.get("path_or_name", node.get("folder", ""))): node for node in nodes}
    return {name: node for name, node in named.items() if name}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub's cache with every part's settings and no weights, beside data for the stages."""
    home = tmp_path_factory.mktemp("cards")
    for card in (*CARDS, *BACKBONES):
        for name, node in parts_of(card).items():
            hub_parts.write(home / "hub", name, node.get("revision", "0" * 40))
    write_recipe_data(home, home / "hf" / "anymodal")
    (home / "configs").symlink_to(ROOT / "configs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(constants, "HF_HOME", str(home / "hf"))
        patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
        patch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(home / "hub"))
        yield home


@pytest.mark.parametrize("card", CARDS)
def test_parts_are_pinned_and_permissive(card: str, hub: Path) -> None:
    model = compose_model(read_model(f"configs/models/{card}.yaml"), {})
    metadata = model_metadata(model, False)
    sources = [part["source"] for part in metadata.values() if "source" in part]
    assert len(sources) == len(parts_of(card)) == 8
    for source in sources:
        assert source["licence"] in ("apache-2.0", "mit") and source["commercial_use"], source
        if source["name"] in UNPINNED:
            continue
        assert re.fullmatch("[0-9a-f]{40}", source["revision"])
        assert parts_of(card)[source["name"]]["revision"] == source["revision"]
        folder = folder_of(source["name"], source["revision"])
        assert folder is not None and folder.name == source["revision"]
    lines = origins(metadata)  # as opening the model logs them
    assert set(lines.values()) == {logging.INFO}
    for name in ("decoder.image", "decoder.audio", "decoder.video", "speaker.speech"):
        assert any(name in line and " under " in line for line in lines), name
    assert set(model.encoders) == {"image", "audio", "video", "imu"}
    assert set(model.decoders) == {"image", "video", "audio"} and set(model.speakers) == {"speech"}
    roles = {name: [s.role for s in part.references] for name, part in model.decoders.items()}
    assert roles == {"image": ["source"], "audio": ["source", "timbre"], "video": ["first"]}
    counts = {part.name: part.parameters for part in list_parts(model, {})}
    for name, (least, most) in PUBLISHED[card].items():
        assert least <= counts[name] / 1e6 <= most, (name, counts[name])


@pytest.mark.parametrize("card", BACKBONES)
def test_a_backbone_that_sees_takes_the_place_of_encoders(card: str, hub: Path) -> None:
    config = read_model(f"configs/models/{card}.yaml")
    validate_model(config)
    usual = read_model(f"configs/models/{card.partition('-')[0]}.yaml")
    left_out = {"picture_encoder", "film_encoder"}
    assert usual["parts"].keys() - config["parts"].keys() == left_out
    for name, node in config["parts"].items():
        assert name == "language" or node == usual["parts"][name]
    language = LanguageModel.from_pretrained(
        **{k: v for k, v in config["parts"]["language"].items() if k != "_target_"}, weights=False
    )
    assert {media.kind for media in language.readers} == {"image", "video"}
    least, most = BACKBONES[card]
    assert least <= sum(p.numel() for p in language.model.parameters()) / 1e6 <= most
    assert language.source["licence"] == "apache-2.0"
    # Beside what the usual card plans: its language model and encoders go, this one comes.
    usual_language = LanguageModel.from_pretrained(
        **{k: v for k, v in usual["parts"]["language"].items() if k != "_target_"}, weights=False
    )
    more = sum(weights_of(language).values()) - sum(weights_of(usual_language).values())
    chat = told()[cards.label(card.partition("-")[0])][0]
    assert chat + more / 1e9 < read_budget(card.partition("-")[0].upper()).bytes / 1e9


PUBLISHED = {
    card: {
        "language": language,
        "encoders.image": (420, 435),
        "encoders.video": (300, 330),
        "decoders.image.text_encoder": (4022, 4023),
        "decoders.image.transformer": (3870, 3890),
        "decoders.audio.transformer": (1500, 2500),
        "decoders.video.text_encoder": (5680, 5681),
        "decoders.video.transformer": (4990, 5010),
    }
    for card, language in (
        ("12gb", (1720, 1721)),
        ("24gb", (4022, 4023)),
        ("80gb", (8190, 8191)),
    )
}
PUBLISHED["80gb"]["speakers.speech"] = (2600, 2800)
"""Millions of parameters that their publishers tell, from and to."""


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("stage", STAGES)
def test_held_out_data_are_those_of_their_layouts(card: str, stage: str, hub: Path) -> None:
    run = read_run(f"configs/stages/{card}/{stage}.yaml")
    assert run.validation is not None and run.validation.restore_best
    names = set(run.data["datasets"])
    assert names == set(run.validation.sources()) == set(run.data["weights"])
    for name, node in run.validation.sources().items():
        source = instantiate(node, trusted_packages=run.trusted)
        sample = source[0]
        assert sample[-1].role == "assistant", name
        assert node != run.data["datasets"][name]


@pytest.mark.parametrize(
    "card", [CARDS[0], *(pytest.param(card, marks=pytest.mark.extended) for card in CARDS[1:])]
)
def test_stages_leave_room_for_what_passes_hold(card: str, hub: Path) -> None:
    """Without the passes, whose tracing takes minutes: `python benchmarks/cards.py` plans them."""
    made: dict[Path, Any] = {}
    budget = read_budget(card.upper()).bytes
    for stage in STAGES:
        run = read_run(f"configs/stages/{card}/{stage}.yaml")
        objective, data = build_run(run, made)
        model: Any = objective.model
        made[Path(run.output_dir) / FINISHED] = model
        assert isinstance(data, Mixture) and all(each[0] for each in data.datasets)
        StageModule(objective, run)
        trains = sum(p.nbytes for p in model.parameters() if p.requires_grad)
        held = sum(weights_of(model).values())
        assert stays_on_disk(model, run) is (stage != "1-perceive")
        waits = [d for d in model.decoders.values() if d.offload or run.feature_cache.dir]
        held -= sum(sum(weights_of(decoder).values()) for decoder in waits)
        assert held + 3 * trains < 0.9 * budget, stage  # gradients, and AdamW's two states


def told() -> dict[str, list[float]]:
    """The documents' gigabytes of each card: chat, then the stages."""
    table = cards.PAGE.read_text("utf-8").split(cards.BEGIN)[1].split(cards.END)[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert lines[0] == ["card", "chat", *(stage.partition("-")[2] for stage in STAGES)]
    return {row[0]: [float(cell) for cell in row[1:]] for row in lines[2:]}


@pytest.mark.parametrize("card", CARDS)
def test_the_documents_sizes_fit_and_are_the_configurations_own(card: str) -> None:
    sizes = told()
    assert sizes.keys() == {cards.label(card) for card in CARDS}
    room = read_budget(card.upper()).bytes / 1e9
    assert len(sizes[cards.label(card)]) == 4 and max(sizes[cards.label(card)]) <= room
    text = (ROOT / "configs" / "models" / f"{card}.yaml").read_text("utf-8")
    (planned,) = re.findall(r"--device \w+` plans ([\d.]+) GB", text)
    assert float(planned) == sizes[cards.label(card)][0]


@pytest.mark.extended  # slow
def test_the_documents_size_is_the_planners(hub: Path) -> None:
    """Of the smallest card's chat; the others take minutes."""
    (plan,) = cards.plans("12gb", [])
    assert float(cards.cell(plan)) == pytest.approx(told()["12 GB"][0], abs=0.11)


@pytest.mark.extended
def test_a_stage_is_planned_without_what_stays_on_disk(hub: Path) -> None:
    model, _ = build_run(read_run("configs/stages/12gb/1-perceive.yaml"), {})
    made = {Path("runs/12gb/1-perceive/model"): model}
    run = read_run(
        "configs/stages/12gb/2-express.yaml", ["batch_size=1", "accumulate_grad_batches=1"]
    )
    model, data = build_run(run, made)
    need = training(model, run, data)
    assert not need.unknown and need.peak < read_budget("12GB").bytes
    (told,) = need.assumed
    assert "anymodal cache" in told
    assert not any(who.startswith("decoders.") for _, who in need.sizes)


def test_what_a_card_has_no_room_for_is_quantised_or_waits(hub: Path) -> None:
    """Bits of a language model, by the key that the advice names."""
    model = compose_model(read_model("configs/models/12gb.yaml"), {})
    whole = weights_of(model)["weights", "language"]
    fewer = ["+parts.language.quantize=4bit"]
    model = compose_model(read_model("configs/models/12gb.yaml", fewer), {})
    quarter = weights_of(model)["weights", "language"]
    embedding = 151936 * 2048 * 2  # bytes that stay
    assert (quarter - embedding) / (whole - embedding) == pytest.approx(4.13 / 16, rel=0.01)
    with pytest.raises(ConfigError, match="can't change nano"):
        read_model("nano", fewer)


def test_what_is_missing_is_told(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub / "empty"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(hub / "empty"))
    for name, node in parts_of("12gb").items():
        from_pretrained = resolve_target(node["_target_"])
        with pytest.raises(FileNotFoundError, match=rf"hf download {name}"):
            from_pretrained(name, revision=node.get("revision"), weights=False)
