"""`anymodal convert`: published weights, as they were downloaded, to a folder of safetensors."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from anymodal.cli.process import quick_start

KINDS = (
    *("imagebind", "nextgpt", "gill", "gill-retrieval", "gill-decision", "onellm", "blip2"),
    *("instructblip", "qformer", "qwen-vl"),
    *("mobilevlm", "mobilevlm-v2", "mplug-owl2", "docowl", "openflamingo", "cogvlm", "cogagent"),
    *("llama-adapter-v2", "llava-next", "moe-llava", "gguf"),
)
DTYPES = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal convert`."""
    parser.epilog = (
        "No code in the checkpoint runs. The licence of the weights stays with them: it is in the "
        "folder's manifest and is logged whenever they are loaded. A GGUF file becomes a language "
        "model's folder, its weights unpacked (pip install 'anymodal[gguf]')."
    )
    add = parser.add_argument
    add("kind", choices=KINDS, help="whose weights they are; gguf: a file of llama.cpp")
    add(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="the file, as imagebind_huge.pth or model.gguf, or a folder of safetensors or of "
        "pytorch_model*.bin",
    )
    add("folder", type=Path, metavar="FOLDER", help="where to; replaced as a whole")
    add(
        "--tokenizer",
        metavar="TOKENIZER",
        help="a folder or a name: CLIP's, for imagebind to read texts; the checkpoint's own, for "
        "the rows of its signal tokens",
    )
    add("--only", nargs="+", default=[], metavar="MODALITY", help="take these modalities' alone")
    add(
        "--dtype",
        choices=DTYPES,
        help="what a GGUF file's weights become; else its own, float32 where it is quantised",
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder, and say what it holds and under which licence."""
    from anymodal.io.checkpoint import MANIFEST, notice

    # What is there is replaced as a whole, so it must be something that this command wrote.
    if args.folder.exists() and not (args.folder / MANIFEST).is_file():
        raise ValueError(f"{args.folder} is there and holds no such model; name another folder")
    if args.dtype is not None and args.kind != "gguf":
        raise ValueError("--dtype is for gguf; other weights keep their precision")
    origin, summary = {"imagebind": _imagebind, "gguf": _gguf}.get(args.kind, _system)(args)
    size = sum(path.stat().st_size for path in args.folder.rglob("*") if path.is_file())
    print(f"{args.folder}: {summary}, {size / 1e6:.1f} MB")
    print(notice(str(args.folder), origin))
    return 0


def _imagebind(args: argparse.Namespace) -> tuple[Mapping[str, object], str]:
    with quick_start():
        from anymodal.encoders.imagebind.convert import convert_imagebind

    if args.only:
        raise ValueError("--only is for systems; ImageBind.from_pretrained takes modalities")
    origin = convert_imagebind(args.checkpoint, args.folder, args.tokenizer)
    if args.tokenizer is None:
        print("no tokenizer lies beside it, so it reads no texts; --tokenizer adds one")
    return origin, f"preset {origin['preset']}"


def _system(args: argparse.Namespace) -> tuple[Mapping[str, object], str]:
    with quick_start():
        from anymodal.tools.convert.importers import convert
        from anymodal.tools.convert.systems import SYSTEMS

    origin = convert(args.kind, args.checkpoint, args.folder, args.tokenizer, args.only)
    if SYSTEMS[args.kind].rows and not origin["rows"]:
        print(
            "the rows of the signal tokens are left out, since their ids are unknown; give "
            "--tokenizer"
        )
    return origin, f"weights of {args.kind} to start from (`weights:` of a model)"


def _gguf(args: argparse.Namespace) -> tuple[Mapping[str, object], str]:
    with quick_start():
        from anymodal.io.checkpoint import replacing_folder, write_manifest
        from anymodal.io.sources import write_card
        from anymodal.language.model import LanguageModel

    if args.only or args.tokenizer:
        raise ValueError(
            "a GGUF file has one model and its tokenizer: leave --only, --tokenizer out"
        )
    file: Path = args.checkpoint
    folder, name = (file, None) if file.is_dir() else (file.parent, file.name)
    language = LanguageModel.from_pretrained(str(folder), gguf_file=name, dtype=args.dtype)
    # The manifest says what a later `from_pretrained` of the folder can't know.
    origin = {"file": language.name, **language.source}
    with replacing_folder(args.folder) as temporary:
        language.save_pretrained(temporary)
        write_card(temporary, language.source)
        write_manifest(temporary, {"language": origin})
    return origin, f"a language model, {type(language.model).__name__}"
