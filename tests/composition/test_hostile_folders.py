"""Model folders of strangers: each is refused in a line, in no time, and nothing else happens."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from anymodal import config
from anymodal.cli import main
from anymodal.cli.terminal import log_to_terminal
from anymodal.composition import validate_model
from anymodal.composition.validate import is_part
from anymodal.io import checkpoint
from anymodal.io.recorded import Recorded
from anymodal.model import AnyModal
from tests.support import tiny
from tests.support.composed import model_config


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with all of its parts."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    model = tiny.compose()
    model.language.enable_lora(r=2)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def in_config(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        path = folder / checkpoint.CONFIG
        held = yaml.safe_load(path.read_text())
        change(held)
        path.write_text(yaml.safe_dump(held))

    return edit


def in_json(name: str, **values: Any) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return edit


def written(name: str, content: bytes | str) -> Callable[[Path], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def large(name: str, size: int = 300 << 20) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        with open(folder / name, "ab") as file:
            file.truncate(size)  # sparse: it takes no room

    return edit


def pipe(name: str) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return edit


def link(name: str, target: str) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return edit


def index(file: str) -> Callable[[Path], Any]:
    """Weights of the language model in a file that an index names."""

    def edit(folder: Path) -> None:
        (folder / "language" / "model.safetensors").unlink()
        text = json.dumps({"metadata": {}, "weight_map": {"model.norm.weight": file}})
        (folder / "language" / "model.safetensors.index.json").write_text(text)

    return edit


def header(length: int, extra: int = 0) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        with open(folder / checkpoint.WEIGHTS, "wb") as file:
            file.write(struct.pack("<Q", length))
            file.truncate(8 + length + extra if extra else 100)

    return edit


def target(dotted: str, **arguments: Any) -> Callable[[dict[str, Any]], Any]:
    node = {"_target_": dotted, **arguments}
    return lambda held: held["modalities"]["imu"].update(encoder=node)


def lora(**settings: Any) -> Callable[[Path], Any]:
    return in_config(lambda held: held["lora"].update(settings))


def projection(**settings: Any) -> Callable[[Path], Any]:
    def change(held: dict[str, Any]) -> None:
        held["projection"] = {
            "_target_": "anymodal.projection.UniversalProjection",
            **{"num_tokens": 3, "width": 16, "depth": 1, "heads": 2},
            **settings,
        }

    return in_config(change)


def image(**settings: Any) -> Callable[[Path], Any]:
    return in_config(lambda held: held["modalities"]["image"].update(settings))


def renamed(key: str, name: str) -> Callable[[Path], Any]:
    def change(held: dict[str, Any]) -> None:
        held.setdefault(key, {})[name] = held["modalities"]["imu"]["encoder"]
        if key == "modalities":
            held[key][name] = {"encoder": held[key][name]}

    return in_config(change)


BOMB = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
)
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
PREFIX = "anymodal.encoders."

ATTACKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    # Names that become files and modules.
    "part ..": (renamed("parts", "../out"), "cannot name a part"),
    "part /": (renamed("parts", "a/b"), "cannot name a part"),
    "part absolute": (renamed("parts", "/tmp/x"), "cannot name a part"),
    "part empty": (renamed("parts", ""), "cannot name a part"),
    "part newline": (renamed("parts", "a\n"), "cannot name a part"),
    "part not ASCII": (renamed("parts", "ä"), "cannot name a part"),
    "part escape": (renamed("parts", "a\x1b[31m"), r"\\x1b.* cannot name a part"),
    "part long": (renamed("parts", "a" * 300), "cannot name a part"),
    "modality ..": (renamed("modalities", "../out"), "cannot name a modality"),
    "modality dotted": (renamed("modalities", "a.b"), "cannot name a modality"),
    "modality of torch": (renamed("modalities", "keys"), "torch's modules have that"),
    "modality a number": (in_config(lambda c: c["modalities"].update({3: {}})), "cannot name"),
    # Sizes, depth and kinds of files.
    "aliases": (written("config.yaml", BOMB), "more than 50000 values"),
    "deep YAML": (written("config.yaml", "[" * 100_000), "levels deep"),
    "large YAML": (large("config.yaml"), "bytes|larger"),
    "YAML tags": (written("config.yaml", "a: !!python/name:os.system"), "of type"),
    "deep manifest": (written("manifest.json", "[" * 10**6), "not a readable manifest"),
    "large manifest": (large("manifest.json"), "no such file needs more"),
    "manifest of lists": (written("manifest.json", '{"parts": {"a": [1]}}'), "not a readable"),
    "deep part": (written("language/config.json", '{"a":' * 10**5), "nests too deep"),
    "large part": (large("language/config.json"), "no such file needs more"),
    "large card": (large("language/README.md"), "no such file needs more"),
    "large template": (large("language/chat_template.jinja"), "no such file needs more"),
    "large tokenizer": (large("language/tokenizer.json"), "no such file needs more"),
    "large settings": (large("language/tokenizer_config.json"), "no such file needs more|bytes"),
    "large index": (large("image-decoder/model_index.json"), "no such file needs more"),
    "pipe config": (pipe("config.yaml"), "no model at"),
    "pipe manifest": (pipe("manifest.json"), "no regular file"),
    "pipe weights": (pipe("model.safetensors"), "no regular file"),
    "pipe part": (pipe("language/config.json"), "no regular file"),
    "pipe tokenizer": (pipe("language/tokenizer.json"), "no regular file"),
    "device": (link("language/tokenizer.json", "/dev/zero"), "no regular file"),
    "device weights": (link("model.safetensors", "/dev/zero"), "no regular file"),
    "system": (link("language/README.md", "/proc/self/environ"), "no regular file"),
    # Weights.
    "huge header": (header(1 << 40), "truncated or not"),
    "large header": (header(80 << 20, 100), "header of 83,886,080 bytes"),
    "negative header": (header(2**64 - 1), "truncated or not"),
    "pickle": (written("model.safetensors", b"\x80\x04cposix\nsystem\n."), "truncated or not"),
    "index ..": (index("../../secret.safetensors"), "outside of"),
    "index absolute": (index("/etc/passwd"), "outside of"),
    "index backslash": (index("..\\..\\secret.safetensors"), "outside of"),
    "index drive": (index("C:/secret.safetensors"), "outside of"),
    "index a list": (
        written("language/model.safetensors.index.json", '{"weight_map": [1]}'),
        "no 'weight_map'",
    ),
    # Amounts.
    "num_signal_tokens": (image(num_signal_tokens=30_000_000), "4,096 is the most"),
    "steps": (image(sampling={"steps": 10**9}), "from 1 to 1000"),
    "guidance": (image(sampling={"guidance": float("nan")}), "from 0 to 1000"),
    "num_tokens": (projection(num_tokens=10**9), "65,536 is the most"),
    "depth": (projection(depth=10**6), "4,096 is the most"),
    "width": (projection(width=10**9), "65,536 is the most"),
    "a wide projection": (projection(width=65_536, depth=4096), "weights hold no more"),
    "many tokens": (projection(num_tokens=65_536, width=4096), "weights hold no more"),
    "memory": (in_config(lambda c: c.update(history_turns=10**9)), "is the most"),
    "order": (in_config(lambda c: c.update(media_first="yes")), "true or false"),
    "notice": (in_config(lambda c: c.update(history_notice=7)), "must be a text"),
    "memory text": (in_config(lambda c: c.update(history_turns="x" * 10)), "number of turns"),
    "rank": (lora(r=10**6), "is the most"),
    "another rank": (lora(r=4096), "adapters of rank r=4096"),
    "layers": (in_json("language/config.json", num_hidden_layers=10**7), "is the most"),
    "hidden": (in_json("language/config.json", hidden_size=10**12), "is the most"),
    "vocabulary": (in_json("language/config.json", vocab_size=10**15), "is the most"),
    # Patterns.
    "pattern": (lora(target_modules="(a+)+$"), "names of modules"),
    "patterns": (lora(target_modules=["(.*)*x"]), "names of modules"),
    # What a configuration names.
    "weights elsewhere": (in_config(lambda c: c.update(weights=["/etc"])), "has 'weights'"),
    "base": (in_config(lambda c: c.update(base="/etc/hosts")), "no 'base'"),
    "trusted_packages": (
        in_config(lambda c: (c.update(trusted_packages=["os"]), target("os.getcwd")(c))),
        "outside the allowed",
    ),
    "os": (in_config(target("os.system", command="true")), "outside the allowed"),
    "a function": (in_config(target(f"{PREFIX}load_tokenizer", path="x")), "no part of a model"),
    "a helper": (
        in_config(target(f"{PREFIX}imagebind.encoder.views", model=1)),
        "no part of a model",
    ),
    "another module": (in_config(target(f"{PREFIX}imagebind.json.loads", s="1")), "."),
    "torch": (in_config(target("torch.load", f="x")), "outside the allowed"),
    "data": (
        in_config(target("anymodal.data.conversations.Conversations", path="x")),
        "outside the allowed",
    ),
    "a method": (in_config(target(f"{PREFIX}ImageBind.save_pretrained", folder="x")), "a method"),
    "no weights": (
        in_config(lambda c: c["language"].update(weights=False)),
        "has no values; leave 'weights: false' out",
    ),
    "a base": (in_config(target(f"{PREFIX}Encoder")), "no part of a model"),
    "a list": (in_config(lambda c: c.update(language=[1])), "must name what builds it"),
    "a target of a list": (in_config(target(["a"])), "dotted path"),  # type: ignore[arg-type]
    "an unhashable part": (
        in_config(lambda c: c["modalities"]["imu"].update(encoder={"_part_": ["x"]})),
        "_part_|parts",
    ),
    "trained": (in_config(lambda c: c.update(trained=[1])), "a list of parts"),
    # Programs.
    "template": (written("language/chat_template.jinja", LOOP), "asks for more than one may"),
    "template text": (written("language/chat_template.jinja", "{{ 'a' * 10**9 }}"), "asks for"),
    "template in the configuration": (
        in_config(lambda c: c["language"].update(chat_template=LOOP)),
        "asks for more than one may",
    ),
    "custom code": (
        in_json(
            "language/config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"}, model_type="x"
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_folder_is_refused(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attack, message = ATTACKS[name]
    attack(folder)
    before = set(folder.parent.rglob("*"))
    start = time.process_time()
    with pytest.raises((ValueError, OSError), match=message) as caught:
        AnyModal.from_pretrained(folder)
    assert time.process_time() - start < 8
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 3000
    assert set(folder.parent.rglob("*")) == before


def test_what_it_is_made_of_opens(folder: Path) -> None:
    assert AnyModal.from_pretrained(folder).chat("draw", max_new_tokens=2) is not None


def test_an_export_writes_nowhere_else(folder: Path, tmp_path: Path) -> None:
    ATTACKS["part .."][0](folder)
    assert main(["export", str(folder), str(tmp_path / "x" / "y")]) == 2
    assert not (tmp_path / "x").exists() and not (tmp_path / "out").exists()


def test_what_a_terminal_obeys_is_not_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = '---\nlicense: "mit\\e]0;owned\\a\\e[2J\\u202e"\n---\n'  # as YAML escapes them
    (folder / "language" / "README.md").write_text(card)
    with log_to_terminal():
        AnyModal.from_pretrained(folder)
    shown = capsys.readouterr()
    assert r"under mit\x1b]0;owned" in shown.err
    text = shown.err + shown.out  # progress bars have escapes of their own
    assert not {"\x07", "\u202e"} & set(text) and "\x1b]" not in text and "\x1b[2J" not in text


def reachable() -> list[str]:
    """Everything that is callable by a dotted path inside of the trusted packages."""
    names = []
    for root in config.TRUSTED:
        package = importlib.import_module(root)
        places = [
            m.name for m in pkgutil.walk_packages(getattr(package, "__path__", []), root + ".")
        ]
        for place in (root, *places):
            module = importlib.import_module(place)
            for name in (n for n in dir(module) if n[0] != "_"):
                names.append(f"{place}.{name}")
                found = getattr(module, name)
                if inspect.isclass(found):
                    names += [f"{place}.{name}.{n}" for n in dir(found) if n[0] != "_"]
    return names


def test_a_configuration_reaches_parts_alone() -> None:
    callables, parts = 0, set()
    for name in reachable():
        try:
            found = config.resolve_target(name)
        except (config.ConfigError, TypeError):
            continue
        callables += 1
        if is_part(found):
            owner = getattr(found, "__self__", found)
            assert issubclass(owner, Recorded) and not inspect.isabstract(owner)
            assert found is owner or found.__name__ in ("from_pretrained", "preset")
            parts.add(owner.__name__)
    assert callables > 100, "most of what can be called is no part"
    assert {"ImageBind", "LanguageModel", "MapperHead", "UniversalProjection"} <= parts
    assert len(parts) < 60


def test_the_users_own_configuration_reaches_what_it_allows(whole: Path) -> None:
    held = model_config(whole)
    held["modalities"]["imu"]["encoder"] = {"_target_": "tests.support.composed.Shared"}
    with pytest.raises(config.ConfigError, match="outside the allowed"):
        validate_model(held)
    validate_model(held, ["tests"])


def test_a_real_size_is_no_attack() -> None:
    """What published models' configurations say stays below the limits."""
    from anymodal.io.folder_check import _check_numbers

    large = {
        "num_hidden_layers": 126,
        "hidden_size": 18432,
        "vocab_size": 262_208,
        "max_position_embeddings": 10_485_760,
        "num_experts": 512,
        "n_routed_experts": 384,
        "model_max_length": 10**30,
        "rope_theta": 10**9,
        "id2label": {str(n): n for n in range(3)},
    }
    _check_numbers(Path("config.json"), large)
