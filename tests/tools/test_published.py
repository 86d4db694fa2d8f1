"""Checkpoints with published keys become weights that a model starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anymodal import cli
from anymodal.composition import start_from
from anymodal.encoders import UniversalTrunk
from anymodal.heads import MapperHead
from anymodal.io.checkpoint import WEIGHTS, CheckpointError, load_weights, read_manifest
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import (
    LinearProjection,
    PooledProjection,
    Projection,
    QFormerProjection,
    UniversalProjection,
)
from anymodal.tools.convert import importers as published
from anymodal.tools.convert.importers import convert
from anymodal.tools.convert.systems import SYSTEMS
from anymodal.toybox.tokenizer import train_tokenizer
from tests.support import huggingface_models, tiny, universal_models
from tests.support.language_kinds import make

WIDE, HIDDEN = 16, 8


def mapper(queries: int, width: int) -> dict[str, Tensor]:
    """GILL's mapper by its published keys, which are PyTorch's own, at small size."""
    layer = torch.nn.Transformer(HIDDEN, 4, 1, 1, 4 * HIDDEN, batch_first=True, norm_first=True)
    return {
        "query_embs": torch.randn(1, queries, HIDDEN),
        **{f"fc.{k}": v for k, v in torch.nn.Linear(WIDE, HIDDEN).state_dict().items()},
        **{f"tfm.{k}": v for k, v in layer.state_dict().items()},
        **{f"model.{k}": v for k, v in torch.nn.Linear(HIDDEN, width).state_dict().items()},
    }


def under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in weights.items()}


def model_of(projection: type[Projection], counts: dict[str, int], **settings: Any) -> AnyModal:
    """A model with the tiny model's encoders and decoders, heads as published, and LoRA."""
    parts = tiny.compose()
    torch.manual_seed(1)
    language = make("llama-2", lora={"r": 2, "dropout": 0.0, "target_modules": ["q_proj"]})
    modalities = {
        name: Modality(
            encoder=parts.encoders[name],
            decoder=parts.decoders[name],
            head=MapperHead(
                input_width=WIDE,
                num_signal_tokens=count,
                spec=parts.decoders[name].spec,
                hidden_width=HIDDEN,
                depth=1,
            ),
            num_signal_tokens=count,
        )
        for name, count in counts.items()
    }
    widths = {name: parts.encoders[name].width for name in counts}
    made = projection(widths=widths, output_width=WIDE, **settings)
    return AnyModal(language, made, modalities)


def spec_of(model: AnyModal, name: str) -> tuple[int, int]:
    return model.decoders[name].spec.length, model.decoders[name].spec.width


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def nextgpt_like(model: AnyModal, vocabulary: int) -> dict[str, Tensor]:
    """NExT-GPT's keys; what a video would have stands there as well."""
    llama = "llama_model.base_model.model."
    width = model.encoders["image"].width
    lora = "model.layers.0.self_attn.q_proj.lora_"
    return {
        **under("llama_proj.", torch.nn.Linear(width, WIDE).state_dict()),
        **under("gen_text_hidden_fcs.0.", mapper(*spec_of(model, "image"))),
        **under("gen_text_hidden_fcs_audio.0.", mapper(*spec_of(model, "audio"))),
        **under("gen_text_hidden_fcs_video.0.", mapper(3, 5)),
        f"{llama}{lora}A.default.weight": torch.randn(2, WIDE),
        f"{llama}{lora}B.default.weight": torch.randn(WIDE, 2),
        f"{llama}model.embed_tokens.weight": torch.randn(vocabulary, WIDE),
        f"{llama}lm_head.weight": torch.randn(vocabulary, WIDE),
        f"{llama}model.norm.weight": torch.randn(WIDE),
    }


def test_nextgpt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(LinearProjection, {"image": 4, "audio": 8}, num_tokens=1)
    tokenizer = train_tokenizer(["a"], 261)
    signals = SYSTEMS["nextgpt"].signals
    tokenizer.add_tokens(["<Img>", *signals["image"], "<Vid>"])
    tokenizer.add_tokens([*signals["video"], *signals["audio"]])
    tokenizer.save_pretrained(tmp_path / "words")
    weights = nextgpt_like(model, len(tokenizer) + 2)
    torch.save(weights, tmp_path / "pytorch_model.pt")
    argv = ["convert", "nextgpt", tmp_path / "pytorch_model.pt", tmp_path / "out"]
    more = ["--tokenizer", tmp_path / "words", "--only", "image", "audio"]
    assert cli.main([str(item) for item in (*argv, *more)]) == 0
    assert "not for commercial use" in capsys.readouterr().out
    saved = load_file(tmp_path / "out" / WEIGHTS)
    assert not any("video" in name for name in saved)
    start_from(model, tmp_path / "out")
    assert "not for commercial use" in caplog.text
    state = model.state_dict()
    for name in ("image", "audio"):
        assert torch.equal(state[f"projection.maps.{name}.weight"], weights["llama_proj.weight"])
    assert torch.equal(
        state["heads.image.tfm.decoder.layers.0.linear1.weight"],
        weights["gen_text_hidden_fcs.0.tfm.decoder.layers.0.linear1.weight"],
    )
    assert torch.equal(
        state["heads.audio.query_embs"], weights["gen_text_hidden_fcs_audio.0.query_embs"]
    )
    llama = "llama_model.base_model.model."
    lora = "model.layers.0.self_attn.q_proj.lora_B.default.weight"
    assert torch.equal(state[f"language.model.{lora}"], weights[f"{llama}{lora}"])
    for index, signal in enumerate([*signals["image"], *signals["audio"]]):
        place = tokenizer.convert_tokens_to_ids(signal)
        for ours, theirs in (("rows", "model.embed_tokens"), ("output_rows", "lm_head")):
            row = weights[f"{llama}{theirs}.weight"][place]
            assert torch.equal(state[f"language.{ours}"][index], row)
    assert read_manifest(tmp_path / "out")["nextgpt"]["rows"] == [
        "language.output_rows",
        "language.rows",
    ]


def test_rows_without_a_tokenizer_are_left_out(tmp_path: Path) -> None:
    model = model_of(LinearProjection, {"image": 4, "audio": 8}, num_tokens=1)
    torch.save(nextgpt_like(model, 300), tmp_path / "file.pt")
    assert convert("nextgpt", tmp_path / "file.pt", tmp_path / "out")["rows"] == []
    train_tokenizer(["a"], 261).save_pretrained(tmp_path / "words")
    with pytest.raises(ValueError, match=r"lacks 36 signals, as \[IMG0\]"):
        convert("nextgpt", tmp_path / "file.pt", tmp_path / "out", tmp_path / "words")


def test_gill(tmp_path: Path) -> None:
    model = model_of(PooledProjection, {"image": 8}, num_tokens=4)
    linear = torch.nn.Linear(model.encoders["image"].width, 4 * WIDE).state_dict()
    weights = {
        **under("model.visual_embeddings.", linear),
        **under("model.gen_text_hidden_fcs.0.", mapper(*spec_of(model, "image"))),
        "model.input_embeddings.weight": torch.randn(8, WIDE),
        "model.ret_text_hidden_fcs.0.weight": torch.randn(3),
    }
    saved = {"epoch": 3, "state_dict": under("module.", weights)}
    torch.save(saved, tmp_path / "pretrained_ckpt.pth.tar")
    convert("gill", tmp_path / "pretrained_ckpt.pth.tar", tmp_path / "out")
    start_from(model, tmp_path / "out")
    state = model.state_dict()
    assert torch.equal(state["projection.maps.image.bias"], linear["bias"])
    assert torch.equal(state["language.rows"][:8], weights["model.input_embeddings.weight"])
    assert torch.equal(
        state["heads.image.fc.weight"], weights["model.gen_text_hidden_fcs.0.fc.weight"]
    )


def test_what_gill_finds(tmp_path: Path) -> None:
    """Its retrieval is in the checkpoint, its choice in a file of its own."""
    linears = {name: torch.nn.Linear(3, 2).state_dict() for name in ("text", "visual", "choice")}
    weights = {
        **under("model.ret_text_hidden_fcs.0.model.", linears["text"]),
        **under("model.visual_fc.", linears["visual"]),
        "model.logit_scale": torch.tensor(2.5),
        "model.visual_embeddings.bias": torch.randn(3),
    }
    torch.save({"state_dict": under("module.", weights)}, tmp_path / "all.pth.tar")
    torch.save({"epoch": 1, "state_dict": under("1.", linears["choice"])}, tmp_path / "d.pth.tar")
    convert("gill-retrieval", tmp_path / "all.pth.tar", tmp_path / "retrieval")
    convert("gill-decision", tmp_path / "d.pth.tar", tmp_path / "decision")
    read = load_file(tmp_path / "retrieval" / WEIGHTS) | load_file(tmp_path / "decision" / WEIGHTS)
    wanted = {
        **under("heads.image.found.", linears["text"]),
        **under("decoders.image.visual_fc.", linears["visual"]),
        **under("heads.image.decision.", linears["choice"]),
        "decoders.image.logit_scale": torch.tensor(2.5),
    }
    assert read.keys() == wanted.keys()
    assert all(torch.equal(read[name].float(), wanted[name]) for name in wanted)


def onellm_keys(modality: str) -> list[str]:
    """Of one modality, as the published checkpoint calls them."""
    linear = [f"{name}.{modality}.{place}.{kind}" for name in ("clip_proj1", "clip_proj2")
              for place in (0, 1) for kind in ("weight", "bias")]  # fmt: skip
    router = [
        f"routers.{modality}.{layer}.{k}" for layer in ("fc1", "fc2") for k in ("weight", "bias")
    ]
    tokens = [f"{name}.{modality}" for name in ("resample_tokens", "start_tag", "end_tag")]
    return [*linear, *router, *tokens]


def test_onellm(tmp_path: Path) -> None:
    """Modalities by its own names: three are called otherwise here, and one is left out."""
    names = {
        "image": "image",
        "audio": "audio",
        "point": "points",
        "rgbd": "depth",
        "rgbn": "normal",
    }
    small = {"width": WIDE, "depth": 1, "heads": 2, "num_tokens": 3, "tags": True}
    ours = dict.fromkeys(names.values(), WIDE)
    given = UniversalProjection(widths=ours, output_width=WIDE, **small).state_dict()
    weights = {key: value for key, value in given.items() if key.startswith("resample_layers.")}
    for theirs, name in names.items():
        keys = zip(onellm_keys(theirs), onellm_keys(name), strict=True)
        weights |= {key: given[known] for key, known in keys}
    assert len(weights) == len(given)
    weights |= {key: torch.ones(1) for key in onellm_keys("fmri")}
    torch.save({"model": {**under("llma.", weights), "llma.norm.weight": torch.ones(3)}},
               tmp_path / "one.pth")  # fmt: skip
    convert("onellm", tmp_path / "one.pth", tmp_path / "all")
    found = load_weights(tmp_path / "all" / WEIGHTS)
    assert found.keys() == {f"projection.{name}" for name in given}
    for name, value in given.items():
        assert torch.equal(found[f"projection.{name}"], value), name

    convert("onellm", tmp_path / "one.pth", tmp_path / "out", only=["image"])
    model = model_of(UniversalProjection, {"image": 4, "audio": 4}, **small)
    before = {k: v.clone() for k, v in model.projection.state_dict().items()}
    start_from(model, tmp_path / "out")
    for name, value in model.projection.state_dict().items():
        assert torch.equal(value, (before if ".audio" in name else given)[name]), name


@torch.no_grad()
def test_onellms_own_tokenizers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of sound and movement: convolutions and positions, as published at small width."""
    universal = {name: universal_models.MODALITIES[name] for name in ("image", "audio", "imu")}
    huggingface_models.write(huggingface_models.clip, tmp_path / "clip")
    width, path = 32, str(tmp_path / "clip")
    ours = UniversalTrunk.from_pretrained(path, universal)
    names = {"weight": "conv.weight", "bias": "conv.bias"}
    published = {
        f"llma.conv1.{modality}.{theirs}": torch.randn_like(value)
        for modality in ("audio", "imu")
        for theirs, name in names.items()
        if (value := ours.tokenizers[modality].state_dict().get(name)) is not None
    } | {
        f"llma.positional_embedding.{modality}": torch.randn_like(
            ours.tokenizers[modality].positions
        )
        for modality in ("audio", "imu")
    }
    assert "llma.conv1.imu.bias" not in published
    others = {
        "llma.resample_tokens.image": torch.ones(1, 3, 8),
        "llma.conv1.point.conv1.weight": torch.ones(width, 6, 1, 1),
        "llma.positional_embedding.point": torch.ones(1025, width),
        "llma.conv1.fmri.weight": torch.ones(3),
    }
    torch.save({"model": {**published, **others}}, tmp_path / "one.pth")
    convert("onellm", tmp_path / "one.pth", tmp_path / "out")
    folder = tmp_path / "out" / "tokenizers"
    started = UniversalTrunk.from_pretrained(path, universal, tokenizers=folder)
    assert "under the LLaMA 2 Community License" in caplog.text
    state = started.state_dict()
    for modality in ("audio", "imu"):
        conv = published[f"llma.conv1.{modality}.weight"]
        assert torch.equal(state[f"tokenizers.{modality}.conv.weight"], conv)
        positions = published[f"llma.positional_embedding.{modality}"]
        assert torch.equal(state[f"tokenizers.{modality}.positions"], positions)
    # As its own code puts them together: convolved, the class token before, positions on all.
    readings = torch.randn(1, 6, 40)
    tokens = torch.nn.functional.conv1d(readings, published["llma.conv1.imu.weight"]).mT
    tokens = torch.cat([started.class_embedding.expand(1, 1, -1), tokens], dim=1)
    hidden = started.pre_norm(tokens + published["llma.positional_embedding.imu"])
    wanted = started.post_norm(started.encoder(inputs_embeds=hidden).last_hidden_state)
    torch.testing.assert_close(started.features("imu", readings[:, None]).values, wanted)
    started.save_pretrained(tmp_path / "saved")
    again = UniversalTrunk.from_pretrained(tmp_path / "saved", tokenizers=tmp_path / "gone")
    assert torch.equal(again.state_dict()["tokenizers.imu.conv.weight"], state[
        "tokenizers.imu.conv.weight"])  # fmt: skip
    longer = {"imu": {"samples": 41}}
    with pytest.raises(CheckpointError, match=r"imu.positions: \(32, 32\) saved, \(33, 32\) in"):
        UniversalTrunk.from_pretrained(path, longer, tokenizers=folder)
    convert("onellm", tmp_path / "one.pth", tmp_path / "out", only=["image"])
    assert not folder.exists()


def test_the_q_former(tmp_path: Path) -> None:
    small = {"width": WIDE, "depth": 2, "heads": 2, "num_tokens": 3}
    theirs = QFormerProjection(widths={"image": 16}, output_width=WIDE, **small)
    weights = {
        name.replace(".image", ""): value.contiguous()
        for name, value in theirs.state_dict().items()
    }
    (tmp_path / "blip2").mkdir()
    save_file(weights, tmp_path / "blip2" / "model-1.safetensors")
    for kind, same in (("blip2", True), ("qformer", False)):
        convert(kind, tmp_path / "blip2", tmp_path / "out" / kind)
        model = model_of(QFormerProjection, {"image": 4}, **small)
        start_from(model, tmp_path / "out" / kind)
        state = model.projection.state_dict()
        assert torch.equal(state["query_tokens.image"], weights["query_tokens"])
        linear = state["language_projection.image.weight"]
        assert torch.equal(linear, weights["language_projection.weight"]) is same


def test_of_a_folder_only_what_is_taken_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several files, some of them of the language model alone."""
    small = {"width": WIDE, "depth": 1, "heads": 2, "num_tokens": 3}
    theirs = QFormerProjection(widths={"image": 16}, output_width=WIDE, **small).state_dict()
    weights = {name.replace(".image", ""): value.contiguous() for name, value in theirs.items()}
    language = {f"language_model.{index}": torch.ones(9) for index in range(5)}
    (tmp_path / "blip2").mkdir()
    half = dict(list(weights.items())[::2])
    rest = {name: value for name, value in weights.items() if name not in half}
    save_file(half, tmp_path / "blip2" / "model-1.safetensors")
    save_file({**rest, **language}, tmp_path / "blip2" / "model-2.safetensors")
    save_file({"language_model.9": torch.ones(9)}, tmp_path / "blip2" / "model-3.safetensors")
    read: list[str] = []
    whole = published.FolderTensors.__getitem__
    monkeypatch.setattr(
        published.FolderTensors,
        "__getitem__",
        lambda self, name: read.append(name) or whole(self, name),
    )
    convert("blip2", tmp_path / "blip2", tmp_path / "out")
    assert set(read) == set(weights)
    assert len(load_weights(tmp_path / "out" / WEIGHTS)) == len(weights)
    (tmp_path / "blip2" / "model-3.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"model-3.safetensors is truncated"):
        convert("blip2", tmp_path / "blip2", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no safetensors or pytorch_model"):
        convert("blip2", tmp_path / "empty", tmp_path / "again")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of gill; it holds 1 tensors, as 'a'"):
        convert("gill", tmp_path / "other.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    model = model_of(PooledProjection, {"image": 8}, num_tokens=4)
    (tmp_path / "out").mkdir()
    save_file({"heads.image.fc.bias": torch.ones(3)}, tmp_path / "out" / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"heads.image.fc.bias: \(3,\) saved, \(8,\)"):
        start_from(model, tmp_path / "out")
    save_file({"language.model.x": torch.ones(3)}, tmp_path / "out" / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"only in the checkpoint: language.model.x"):
        start_from(model, tmp_path / "out")


def test_all_kinds_can_be_asked_for() -> None:
    from anymodal.cli.convert import KINDS

    assert set(KINDS) == {"imagebind", "gguf", *SYSTEMS}
