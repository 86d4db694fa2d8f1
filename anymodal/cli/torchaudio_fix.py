"""Set aside torchaudio's compiled extension where it cannot load.

The last torchaudio on PyPI holds an extension that needs CUDA's libraries. Next to a torch
without CUDA its import fails, and so does that of every library that imports it; without the
extension it works. Run as `python -m anymodal.cli.torchaudio_fix`; doing so again changes nothing.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

COMMAND = "python -m anymodal.cli.torchaudio_fix"
ADVICE = (
    "torchaudio's extension needs CUDA, this torch has none, and together they cannot be "
    f"imported; run: {COMMAND}"
)

_CUDA_LIBRARY = b"libc10_cuda.so"


def state() -> str:
    """Compare torchaudio with torch by their files; neither is imported.

    Returns:
        "absent", "fine", "aside" (mended by `set_aside`) or "broken".
    """
    torchaudio = _folder("torchaudio")
    if torchaudio is None:
        return "absent"
    extensions = _extensions(torchaudio)
    # The names of needed libraries stand in the file; loading it is what fails.
    if any(_CUDA_LIBRARY in file.read_bytes() for file in extensions) and not _has_cuda():
        return "broken"
    aside = not extensions and any((torchaudio / "lib").glob("*.so.aside"))
    return "aside" if aside else "fine"


def set_aside() -> int:
    """Rename the extension's files if they cannot load, and say what was done."""
    status = state()
    torchaudio = _folder("torchaudio")
    if status != "broken" or torchaudio is None:
        print(f"torchaudio: {status}, nothing to do")
        return 0
    for file in _extensions(torchaudio):
        # Renamed, not deleted, so that it can be put back by hand.
        file.replace(file.with_name(file.name + ".aside"))
        print(f"set aside {file}")
    return 0


def _folder(package: str) -> Path | None:
    spec = find_spec(package)  # finds a package without running it, and so without its error
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _extensions(torchaudio: Path) -> list[Path]:
    return sorted((torchaudio / "lib").glob("*.so"))


def _has_cuda() -> bool:
    torch = _folder("torch")
    version = torch / "version.py" if torch is not None else None
    if version is None or not version.is_file():
        return False
    match = re.search(r"^cuda\b[^=]*=\s*(.+)$", version.read_text(), re.MULTILINE)
    return match is not None and match[1].strip() != "None"


if __name__ == "__main__":
    raise SystemExit(set_aside())
