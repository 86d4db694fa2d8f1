"""A model's card, of the facts that its folder has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anymodal.composition.folders import read_config
from anymodal.config import HERE
from anymodal.config.printable import printable
from anymodal.config.yaml_files import read_yaml
from anymodal.io.checkpoint import CARD, CONFIG, WEIGHTS, read_manifest, replacing, with_components
from anymodal.io.hub_repository import GENERATED
from anymodal.io.results import markdown_table
from anymodal.io.sources import REPOSITORY
from anymodal.io.training_records import StageRecord, read_stages

Parts = Mapping[str, Mapping[str, Any]]


def write_model_card(folder: Path, name: str, licence: str | None = None) -> None:
    """Write the card of a saved model, unless it has one that somebody wrote.

    Args:
        folder: of the model.
        name: of the model, as owner/name.
        licence: of what was trained, by its name on the hub; None for not told.
    """
    path = folder / CARD
    if path.exists() and GENERATED not in path.read_text("utf-8", "replace"):
        return
    with replacing(path) as temporary:
        temporary.write_text(model_card(folder, name, licence), "utf-8")


def model_card(folder: Path, name: str, licence: str | None = None) -> str:
    """The card of a saved model: metadata for the hub, and what a user has to know.

    Args:
        folder: of the model.
        name: of the model, as owner/name.
        licence: of what was trained, by its name on the hub; None for not told.
    """
    config, parts, records = read_config(folder), read_manifest(folder), read_stages(folder)
    modalities = config["modalities"]
    reads = [key for key, node in modalities.items() if node.get("encoder")]
    makes = [k for k, node in modalities.items() if node.get("decoder") or node.get("speaker")]
    sections = [
        f"---\n{_metadata(parts, records, makes, licence)}\n---",
        f"{GENERATED}\n\n# {name}",
        f"A model composed with AnyModal. It reads text{_and(reads)} and "
        f"answers with text{_and(makes)}.",
        _usage(name, folder),
        f"## Parts and their licences\n\n{_part_table(parts)}\n\n{_licence_note(parts, licence)}",
        *_training(records),
    ]
    return "\n\n".join(sections) + "\n"


def local_parts(folder: Path) -> list[str]:
    """Parts of a saved model that lie elsewhere on this machine, so that nobody else can open it.

    Returns:
        `PART at PATH` of each.
    """
    return list(_local(read_yaml(folder / CONFIG), ""))


def _local(node: object, place: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        opens = str(node.get("_target_", "")).endswith(".from_pretrained")
        for key, value in node.items():
            label = f"{place}.{key}".lstrip(".")
            if isinstance(value, str) and not value.startswith(HERE) and key != "_target_":
                is_path = Path(value).is_absolute() or (opens and Path(value).exists())
                if is_path and "\n" not in value:
                    yield f"{place} at {value}"
            yield from _local(value, label)
    elif isinstance(node, list):
        for item in node:
            yield from _local(item, place)


def _metadata(
    parts: Parts, records: list[StageRecord], makes: list[str], licence: str | None
) -> str:
    from huggingface_hub import ModelCardData

    names = [str(part.get("source", {}).get("name") or "") for part in parts.values()]
    bases = sorted({name for name in names if REPOSITORY.fullmatch(name)})
    data = {name for record in records for name in record["data"] if REPOSITORY.fullmatch(name)}
    return ModelCardData(
        library_name="anymodal",
        license=licence,
        tags=["anymodal", "multimodal"],
        pipeline_tag="any-to-any" if makes else None,
        base_model=bases or None,
        datasets=sorted(data) or None,
    ).to_yaml()


def _and(names: list[str]) -> str:
    if not names:
        return ""
    head = "".join(f", {name}" for name in names[:-1])
    return f"{head} and {names[-1]}"


def _usage(name: str, folder: Path) -> str:
    config = read_yaml(folder / CONFIG)
    size = (folder / WEIGHTS).stat().st_size / 1e6
    trained = f"This repository holds what was trained ({size:.1f} MB). Opening it"
    note = "This repository holds all of its parts."
    if any(_pinned(config)):
        note = (
            f"{trained} fetches the parts below from their own repositories, at the revisions "
            "named there, and refuses any others."
        )
    if local_parts(folder):
        note = f"{trained} needs the parts below, which lie on the machine that wrote it."
    packages = sorted({each for each in _packages(config) if each != "anymodal"})
    trust, more = "".join(f" --trust {each}" for each in packages), ""
    if packages:
        more = f", trusted_packages={packages}".replace("'", '"')
        note += f" It runs code of {', '.join(packages)}, which you need and have to trust."
    code = f'model = AnyModal.from_pretrained("{name}"{more})\nprint(model.chat("Hello").text)'
    shell = f"pip install anymodal\nanymodal chat --model {name}{trust}"
    return (
        f"## How to use it\n\n```sh\n{shell}\n```\n\n"
        f"```python\nfrom anymodal import AnyModal\n\n{code}\n```\n\n{note}"
    )


def _packages(node: object) -> Iterator[str]:
    """Packages whose classes a configuration builds."""
    if isinstance(node, Mapping):
        package = str(node.get("_target_", "")).partition(".")[0]
        if package.isidentifier():
            yield package
        for value in node.values():
            yield from _packages(value)
    elif isinstance(node, list):
        for item in node:
            yield from _packages(item)


def _pinned(node: object) -> Iterator[str]:
    """Revisions of the hub that a configuration names."""
    if isinstance(node, Mapping):
        if isinstance(node.get("revision"), str):
            yield node["revision"]
        for value in node.values():
            yield from _pinned(value)
    elif isinstance(node, list):
        for item in node:
            yield from _pinned(item)


def _source(part: Mapping[str, Any]) -> dict[str, Any]:
    return {**part, **(part.get("source") or {})}


def _part_table(parts: Parts) -> str:
    rows = []
    for label, part in with_components(parts).items():
        source = _source(part)
        kind = str(source.get("class", "")).rpartition(".")[2]
        cells = (source.get("name") or kind, source.get("revision"), source.get("licence"))
        shown = [printable(str(cell)) if cell else "–" for cell in cells]
        rows.append([printable(label), *shown])
    return markdown_table(["part", "from", "revision", "licence"], rows)


def _licence_note(parts: Parts, licence: str | None) -> str:
    parts = with_components(parts)
    forbids = [name for name, part in parts.items() if _source(part).get("commercial_use") is False]
    unknown = [name for name, part in parts.items() if not _source(part).get("licence")]
    trained = f"What was trained is under {licence}." if licence else (
        "The licence of what was trained isn't told."
    )  # fmt: skip
    notes = [trained]
    if forbids:
        notes.append(f"The licence of {', '.join(forbids)} doesn't allow commercial use.")
    if unknown:
        notes.append(f"The licence of {', '.join(unknown)} is unknown: ask who published it.")
    return " ".join(notes)


def _training(records: list[StageRecord]) -> Iterator[str]:
    if not records:
        yield "## Training\n\nNothing is recorded of how it was trained."
        return
    rows = [
        [
            record["stage"],
            ", ".join(record["trainable"]),
            ", ".join(f"{name} {weight:g}" for name, weight in record["losses"].items()),
            ", ".join(record["data"]) or "–",
            f"{record['step']} × {record['batch_size']}",
        ]
        for record in records
    ]
    heads = ["stage", "trained", "losses", "data", "steps × batch size"]
    yield f"## Training\n\n{markdown_table(heads, [list(map(_plain, row)) for row in rows])}"
    measured = [record for record in records if record["figures"]]
    if measured:
        last = measured[-1]
        figures = [[_plain(name), f"{value:.4g}"] for name, value in last["figures"].items()]
        table = markdown_table(["figure", "value"], figures)
        stage = _plain(last["stage"])
        yield f"Held-out figures of the last validation, in stage {stage}:\n\n{table}"
    else:
        yield "No held-out figures are recorded."


def _plain(text: str) -> str:
    """A text of somebody's, as it may stand in a cell."""
    return printable(text).replace("<", "&lt;")
