"""Models on a hub: pushed with a card, opened at a revision, over parts that stay the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import constants, hf_api
from transformers.utils import hub as transformers_hub

from anymodal import cli
from anymodal.composition.card import model_card
from anymodal.config import ConfigError
from anymodal.io import sources
from anymodal.io.checkpoint import CheckpointError
from anymodal.io.hub_repository import GENERATED
from anymodal.io.training_records import StageRecord
from anymodal.model import AnyModal
from tests.support import hub_server
from tests.support.hub_server import READ, WRITE, State
from tests.support.language_models import FAMILIES

LM = "base/lm"
RECORD: StageRecord = {
    "stage": "perceive",
    "trainable": ["projection.*"],
    "losses": {"text": 1.0},
    "data": ["me/pictures", "captions.json"],
    "step": 200,
    "batch_size": 8,
    "figures": {"loss": 1.25, "kind/accuracy": 0.75},
    "anymodal": "0.1.0",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[State]:
    """A hub with a language model, and this process as its client."""
    root = tmp_path / "hub"
    FAMILIES["llama-2"].write(root / LM)
    (root / LM / "README.md").write_text("---\nlicense: mit\n---\n")
    with hub_server.serving_state(root) as state:
        template = state.address + "/{repo_id}/resolve/{revision}/{filename}"
        patches = {
            "ENDPOINT": state.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_TOKEN_PATH": str(tmp_path / "token"),
        }
        for name, value in patches.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(hf_api.api, "endpoint", state.address)
        monkeypatch.setattr(transformers_hub, "_hf_api", None)  # it remembers an address
        for name, text in (("ENDPOINT", state.address), ("HUB_OFFLINE", "0"), ("TOKEN", WRITE)):
            monkeypatch.setenv(f"HF_{name}", text)
        sources._reachable.cache_clear()
        yield state
    sources._reachable.cache_clear()


@pytest.fixture
def model(hub: State) -> AnyModal:
    """A model over the hub's language model, with an encoder that has no files."""
    return AnyModal.compose(config())


def config() -> dict[str, Any]:
    return {
        "language": {
            "_target_": "anymodal.language.LanguageModel.from_pretrained",
            "path_or_name": LM,
        },
        "projection": {"_target_": "anymodal.projection.LinearProjection", "num_tokens": 2},
        "modalities": {"image": {"encoder": {"_target_": "tests.support.own_encoders.Colours"}}},
        "trusted_packages": ["tests"],
    }


def tree_of(hub: State, url: str) -> Path:
    """The files of a commit."""
    owner, name, _, commit = url.split("/")[-4:]
    return hub.commits[f"{owner}/{name}", commit]


def head_of(card: str) -> dict[str, Any]:
    _, head, _ = card.split("---\n", 2)
    return yaml.safe_load(head)


def test_what_was_trained_is_pushed_and_opened_over_pinned_parts(
    hub: State, model: AnyModal
) -> None:
    model.training_records = [RECORD]
    url = model.push_to_hub("me/talker", private=True, licence="apache-2.0", message="first")
    tree = tree_of(hub, url)
    assert hub.messages == ["first"] and "me/talker" in hub.private
    names = sorted(path.name for path in tree.iterdir())
    assert names == [
        *(".gitattributes", "README.md", "config.yaml", "manifest.json"),
        *("model.safetensors", "training.json"),
    ]
    saved = yaml.safe_load((tree / "config.yaml").read_text())
    assert saved["language"]["revision"] == hub_server.COMMIT
    assert sum(path.stat().st_size for path in tree.iterdir()) < 50_000

    again = AnyModal.from_pretrained("me/talker", trusted_packages=["tests"])
    assert again.name == "talker" and again.training_records == [RECORD]
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name
    # The base moves on, and the model stays with the commit that it was trained over.
    other = hub.root.parent / "other"
    torch.manual_seed(7)
    FAMILIES["llama-2"].write(other)
    hub.commits[LM, hub_server.COMMIT] = hub.root / LM
    hub.commits[LM, "a" * 40] = other
    hub.branches[LM, "main"] = "a" * 40
    shutil.rmtree(constants.HF_HUB_CACHE)
    again = AnyModal.from_pretrained("me/talker", trusted_packages=["tests"])
    assert torch.equal(model.language.embedding.weight, again.language.embedding.weight)
    # Where somebody changes what it names, it is refused.
    (tree / "config.yaml").write_text(
        (tree / "config.yaml").read_text().replace(hub_server.COMMIT, "a" * 40)
    )
    shutil.rmtree(constants.HF_HUB_CACHE)
    with pytest.raises(CheckpointError, match=r"(?s)parts differ.*language\.weights"):
        AnyModal.from_pretrained("me/talker", trusted_packages=["tests"])


def test_the_card_tells_what_a_user_has_to_know(
    hub: State, model: AnyModal, tmp_path: Path
) -> None:
    model.training_records = [RECORD, {**RECORD, "stage": "a <b>|c", "figures": {}}]
    model.save_pretrained(tmp_path / "saved")
    card = model_card(tmp_path / "saved", "me/talker", "apache-2.0")
    assert head_of(card) == {
        "library_name": "anymodal",
        "license": "apache-2.0",
        "tags": ["anymodal", "multimodal"],
        "base_model": [LM],
        "datasets": ["me/pictures"],
    }
    code = 'AnyModal.from_pretrained("me/talker", trusted_packages=["tests"])'
    assert GENERATED in card and code in card and "--model me/talker --trust tests" in card
    assert "holds what was trained" in card and "from their own repositories" in card
    assert f"| language      | {LM}" in card and "| mit " in card
    assert "The licence of encoder.image is unknown" in card
    assert "| perceive" in card and "200 × 8" in card and "captions.json" in card
    assert "| kind/accuracy |  0.75 |" in card and "a &lt;b>\\|c" in card
    assert str(tmp_path) not in card


@pytest.mark.extended
def test_pushes_keep_a_card_of_ones_own_and_go_to_a_branch(
    hub: State, model: AnyModal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tree_of(hub, model.push_to_hub("me/talker"))
    (tree / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    (tree / "old.safetensors").write_bytes(b"an older part")
    with torch.no_grad():
        next(model.projection.parameters()).add_(1)  # type: ignore[union-attr]
    second = tree_of(hub, model.push_to_hub("me/talker"))
    assert (second / "README.md").read_text().endswith("# Mine\n")
    assert not (second / "old.safetensors").exists()
    # By the command line, of a folder, to a branch.
    model.save_pretrained(tmp_path / "saved")
    argv = ["push", str(tmp_path / "saved"), "me/new", "--revision", "trial", "--licence", "mit"]
    assert cli.main(argv) == 0
    url = capsys.readouterr().out.strip().splitlines()[-1]
    assert head_of((tree_of(hub, url) / "README.md").read_text())["license"] == "mit"
    assert not (tmp_path / "saved" / "README.md").exists()
    again = AnyModal.from_pretrained("me/new", trusted_packages=["tests"], revision="trial")
    assert torch.equal(again.state_dict()["language.rows"], model.state_dict()["language.rows"])
    with pytest.raises(CheckpointError, match=r"me/new at revision main|no manifest.json"):
        AnyModal.from_pretrained("me/new", trusted_packages=["tests"])


@pytest.mark.extended
def test_refusals_say_what_to_do(
    hub: State, model: AnyModal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model.push_to_hub("me/talker", private=True)
    assert AnyModal.from_pretrained("me/talker", trusted_packages=["tests"]).name == "talker"
    for token, error, match in (
        (READ, PermissionError, "your token may not write to me/talker"),
        ("wrong", PermissionError, "the hub doesn't know who you are: log in with `hf auth login`"),
        (None, PermissionError, "set HF_TOKEN"),
    ):
        with pytest.raises(error, match=match):
            monkeypatch.delenv("HF_TOKEN")
            if token is not None:
                monkeypatch.setenv("HF_TOKEN", token)
            try:
                model.push_to_hub("me/talker")
            finally:
                monkeypatch.setenv("HF_TOKEN", WRITE)
    with pytest.raises(PermissionError, match="a name whose owner \\(you\\)"):
        model.push_to_hub("you/talker")
    with pytest.raises(ValueError, match="a hub's names are owner/name"):
        model.push_to_hub("talker")
    for name, more, match in (
        ("me/nothing", {}, "the hub has no model me/nothing; if it is private, log in"),
        ("me/talker", {"revision": "v9"}, "me/talker has no revision v9"),
        (LM, {}, "base/lm is no model of AnyModal: it has no manifest.json"),
        ("nano", {"revision": "v1"}, "leave it out"),
    ):
        with pytest.raises(CheckpointError, match=match):
            AnyModal.from_pretrained(name, **more)
    model.push_to_hub("me/secret", private=True)
    with pytest.raises(PermissionError, match="the hub refuses your token"):
        AnyModal.from_pretrained("me/secret", token="wrong")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(CheckpointError, match="if it is private, log in"):
        AnyModal.from_pretrained("me/secret")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="offline mode is on"):
        AnyModal.from_pretrained("me/unseen")
    with pytest.raises(ConnectionError, match="offline mode is on"):
        model.push_to_hub("me/talker")
    assert AnyModal.from_pretrained("me/talker", trusted_packages=["tests"]).name == "talker"


def test_parts_of_this_machine_are_no_use_to_others(hub: State, tmp_path: Path) -> None:
    FAMILIES["llama-2"].write(tmp_path / "lm")
    local = config()
    local["language"]["path_or_name"] = str(tmp_path / "lm")
    model = AnyModal.compose(local)
    with pytest.raises(ConfigError, match="others can't open language at .*lm: name the hub's"):
        model.push_to_hub("me/talker")
    assert not (hub.root / "me").exists(), "nothing was created"
    model.save_pretrained(tmp_path / "saved")
    card = model_card(tmp_path / "saved", "saved")
    assert "needs the parts below, which lie on the machine that wrote it" in card
    model.save_pretrained(tmp_path / "whole", with_parts=True)
    assert "holds all of its parts" in model_card(tmp_path / "whole", "whole")
