"""The package in each way that it is installed, in fresh environments that see no checkout."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCES = ("anymodal", "encoders", "decoders")
LIMIT = 64 * 10**6
"""Bytes that the shipped models may take."""

IMPORTS = """
import importlib.util, sys
import anymodal.cli, anymodal.encoders, anymodal.decoders
assert anymodal.encoders.__name__ == "anymodal.encoders", anymodal.encoders.__name__
assert anymodal.decoders.__name__ == "anymodal.decoders", anymodal.decoders.__name__
for name in ("types", "toybox.scene", "encoders.imagebind", "decoders.diffusion"):
    print(importlib.util.find_spec(f"anymodal.{name}").origin)
assert "torch" not in sys.modules, "importing the command line imports torch"
assert "encoders" not in sys.modules and "decoders" not in sys.modules
"""


def run(*command: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command without a network and without the surrounding environment's paths."""
    hidden = ("PYTHON", "PIP_", "VIRTUAL_ENV")
    env = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    env |= {
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, text=True, capture_output=True
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from, so that builds leave nothing in the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    skipped = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skipped)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a source distribution."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", out, source, cwd=out)
    (sdist,) = out.glob("*.tar.gz")
    offline = ("--no-deps", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "wheel", *offline, "-w", out, sdist, cwd=out)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of this environment without AnyModal, and without what adds it to the path."""
    folder = tmp_path_factory.mktemp("dependencies")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for entry in (entry for path in paths for entry in Path(path).iterdir()):
        if entry.suffix != ".pth" and "anymodal" not in entry.name.lower():
            (folder / entry.name).symlink_to(entry)
    return folder


def environment(folder: Path, dependencies: Path) -> Path:
    """A new environment that sees the dependencies; the path of its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{dependencies}\n")
    return python


@pytest.mark.parametrize("mode", ["plain", "editable", "wheel"])
def test_installed(
    mode: str, source: Path, wheel: Path, dependencies: Path, tmp_path: Path
) -> None:
    python = environment(tmp_path / "venv", dependencies)
    before = run(python, "-c", "import anymodal", cwd=tmp_path, check=False)
    assert "No module named 'anymodal'" in before.stderr, "the environment sees a checkout"
    what = {"plain": [source], "editable": ["-e", source], "wheel": [wheel]}[mode]
    offline = ("--no-deps", "--no-build-isolation")
    run(python, "-m", "pip", "install", *offline, *what, cwd=tmp_path)
    home = source if mode == "editable" else tmp_path / "venv"
    for path in run(python, "-c", IMPORTS, cwd=tmp_path).stdout.splitlines():
        assert Path(path).resolve().is_relative_to(home.resolve())
    run(python, "-c", IMPORTS, cwd=source)  # from the root of a checkout, by way of the links
    for name in ("encoders", "decoders"):
        bare = run(python, "-c", f"import {name}", cwd=source, check=False)
        assert "ImportError" in bare.stderr and f"import anymodal.{name}" in bare.stderr
    command = run(python.parent / "anymodal", "--version", cwd=tmp_path)
    assert command.stdout.strip() == f"anymodal {version()}"


def version() -> str:
    found = re.search(r'__version__ = "(.+)"', (ROOT / "anymodal" / "__init__.py").read_text())
    assert found is not None
    return found[1]


def shipped(root: Path) -> set[str]:
    """The files of the shipped models, relative to the package."""
    files = (root / "anymodal" / "checkpoints").rglob("*")
    return {path.relative_to(root).as_posix() for path in files if path.is_file()}


def data_files(root: Path) -> set[str]:
    """The files of the web page and of the measuring sets, relative to the package."""
    folders = (root / "anymodal" / "serving" / "page", root / "anymodal" / "toybox" / "sets")
    return {path.relative_to(root).as_posix() for folder in folders for path in folder.iterdir()}


def test_wheel_holds_each_file_once(source: Path, wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        meta = archive.read(f"anymodal-{version()}.dist-info/METADATA").decode()
    assert max(Counter(names).values()) == 1
    modules = {
        (path if folder == "anymodal" else Path("anymodal") / path).as_posix()
        for folder in SOURCES
        for found in (source / folder).rglob("*.py")
        if (path := found.relative_to(source)).parts[:2] not in LINKS
    }
    assert set(names) == modules | {"anymodal/py.typed"} | shipped(source) | data_files(source)
    assert "License-Expression: Apache-2.0" in meta and "Requires-Python: >=3.11" in meta


LINKS = {("anymodal", "encoders"), ("anymodal", "decoders")}


def test_links_lead_to_the_folders_at_the_top() -> None:
    for name in ("encoders", "decoders"):
        assert os.readlink(ROOT / "anymodal" / name) == f"../{name}"


def test_packages_are_those_of_the_tree() -> None:
    found = set()
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).parent.parts
            if parts[:2] not in LINKS:
                found.add(".".join(parts if folder == "anymodal" else ("anymodal", *parts)))
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted(found)
    for name in found:
        top, *rest = name.split(".")
        path = ROOT.joinpath(top, *rest)
        assert (path / "__init__.py").is_file(), f"{name} has no __init__.py"


def test_shipped_models_are_small() -> None:
    size = sum((ROOT / name).stat().st_size for name in shipped(ROOT))
    assert size <= LIMIT, f"{size / 1e6:.1f} MB in anymodal/checkpoints"


def test_constraints_pin_every_requirement() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    known = {canonicalize_name(name): pin for name, pin in pins.items()}
    extras = PROJECT["project"]["optional-dependencies"]
    lists = [
        PROJECT["project"]["dependencies"],
        *extras.values(),
        PROJECT["build-system"]["requires"],
    ]
    for line in (line for wanted in lists for line in wanted):
        needed = Requirement(line)
        if needed.name != "anymodal":
            pin = known.get(canonicalize_name(needed.name))
            assert pin is not None, f"{needed.name} is not in constraints.txt"
            assert needed.specifier.contains(pin), f"{needed} excludes the pinned {pin}"
    assert "+" not in "".join(pins.values()), "a local version would bind to one build"


def test_every_import_of_the_package_is_required() -> None:
    """What is imported is named in pyproject.toml, not only brought along by something else."""
    distribution = {"PIL": "pillow", "yaml": "pyyaml", "c2pa": "c2pa-python"}
    extras = {k: v for k, v in PROJECT["project"]["optional-dependencies"].items() if k != "dev"}
    lines = [*PROJECT["project"]["dependencies"], *(line for v in extras.values() for line in v)]
    wanted = {re.split(r"[>=<\[ ]", line)[0] for line in lines}
    missing = set()
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                tops = {name.split(".")[0] for name in names} - {"anymodal"}
                missing |= {distribution.get(top, top) for top in tops - sys.stdlib_module_names}
    missing -= {"lmms_eval"}  # which loads this package, not the other way round
    assert missing <= wanted, f"not in dependencies: {missing - wanted}"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    ("target", "what"), [("demo", "."), ("test", ".[dev]"), ("docs", ".[dev]")]
)
def test_a_target_installs_what_it_needs(target: str, what: str, tmp_path: Path) -> None:
    done = run("make", "-n", f"VENV={tmp_path / 'venv'}", target, cwd=ROOT)
    installed = re.findall(r"--no-build-isolation -e '(.*)'", done.stdout)
    assert installed == [what]
