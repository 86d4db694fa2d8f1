"""Tiny data sets in the layouts of those that the stages of configs/stages/12gb name."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anymodal.media import Audio, Image, Video

CAPTION = "a small dog runs over wet sand to the sea"
"""About 40 tokens of the small tokenizer, which has hardly more pieces than letters."""
TALK = "what is this, and where is it going? say it in some words. " * 6
COUNT = 40
MUSIC = {
    "ytid": "abc", "start_s": 30, "end_s": 40, "audioset_positive_labels": "/m/04rlf",
    "aspect_list": "['slow']", "caption": CAPTION, "author_id": 1, "is_balanced_subset": False,
    "is_audioset_eval": True,
}  # fmt: skip
"""A row of MusicCaps."""
_SCORES = ("aesthetic score", "motion score", "temporal consistency score")


def write_recipe_data(home: Path, hub: Path) -> None:
    """Write what the hub has below `hub`, as fetched files are kept, and the rest below `home`."""
    media = home / "media"
    media.mkdir(parents=True)
    grey = np.full((384, 384, 3), 127, np.uint8)
    image = Image(grey).save(media / "a.png").read_bytes()
    audio = Audio(np.zeros((1, 160000), np.float32), 16000).save(media / "a.wav").read_bytes()
    video = Video(np.stack([grey[:256, :256]] * 16), 8.0)
    _write_conceptual_captions(hub / "pixparse--cc3m-wds" / "main", image)
    sounds = {"bytes": audio, "path": "Yabc.wav"}
    row = {"audiocap_id": 1, "youtube_id": "abc", "start_time": 30, "caption": CAPTION}
    for split in ("train", "validation"):
        folder = hub / "OpenSound--AudioCaps" / "main" / "data"
        _write_parquet(folder / f"{split}-00000-of-00001.parquet", {**row, "audio": sounds})
    talk = {"conversations": _turns(f"<image>\n{TALK}", TALK), "data_source": "made here"}
    for shard in (0, 1):
        name = f"allava_instruct_laion4v/train-0000{shard}-of-00002.parquet"
        path = hub / "lmms-lab--LLaVA-OneVision-Data" / "main" / name
        _write_parquet(path, {"id": "1", "image": {"bytes": image, "path": None}, **talk})
    edit = {
        **{"img_id": "1", "turn_index": 1, "instruction": CAPTION},
        **{f"{key}_img": {"bytes": image, "path": None} for key in ("source", "mask", "target")},
    }
    for split in ("train", "dev"):
        folder = hub / "osunlp--MagicBrush" / "main" / "data"
        _write_parquet(folder / f"{split}-00000-of-00001.parquet", edit)
    for split in ("train", "held-out"):
        _write_lines(home / "data" / "musiccaps" / f"{split}.jsonl", MUSIC)
    _write_videos(home / "data", video, talk)
    _write_movements(home / "data" / "hapt")


def _write_conceptual_captions(folder: Path, image: bytes) -> None:
    """Shards as img2dataset writes them: picture, caption, and what it knows of both."""
    folder.mkdir(parents=True)
    sizes = {"width": 384, "height": 384, "original_width": 384, "original_height": 384}
    told = {"url": "https://example.org/a.png", "status": "success", "error_message": None, **sizes}
    for split in ("train", "validation"):
        with tarfile.open(folder / f"cc3m-{split}-0000.tar", "w") as shard:
            for number in range(COUNT):
                key = f"{number:09d}"
                note = json.dumps({"caption": CAPTION, "key": key, "exif": "{}", **told}).encode()
                files = {"jpg": image, "txt": CAPTION.encode(), "json": note}
                for suffix, content in files.items():
                    member = tarfile.TarInfo(f"{key}.{suffix}")
                    member.size = len(content)
                    shard.addfile(member, io.BytesIO(content))


def _write_parquet(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row] * COUNT), path)


def _write_lines(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((json.dumps(row) + "\n") * COUNT)


def _turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def _write_videos(folder: Path, video: Video, talk: dict[str, Any]) -> None:
    """LLaVA-Video-178K's rows, and OpenVid-1M's."""
    source = folder / "llava-video" / "academic_source"
    source.mkdir(parents=True)
    video.save(source / "a.mp4")
    row = {"id": "1", "video": "academic_source/a.mp4", "data_source": "0_30_s_academic_v0_1"}
    described = {"conversations": _turns("<image>\nPlease describe it.", CAPTION)}
    scores = {**dict.fromkeys(_SCORES, 5.0), "camera motion": "pan_left"}
    clip = {"video": "a.mp4", "caption": CAPTION, **scores, "frame": 90, "fps": 30.0, "seconds": 3}
    for split in ("train", "held-out"):
        _write_lines(folder / "llava-video" / "captions" / f"{split}.jsonl", {**row, **described})
        _write_lines(
            folder / "llava-video" / "questions" / f"{split}.jsonl", {**row, **talk, **row}
        )
        _write_lines(folder / "openvid" / f"{split}.jsonl", clip)


def _write_movements(folder: Path) -> None:
    """HAPT as `examples/activity/hapt.py` prepares it."""
    folder.mkdir(parents=True)
    header = "t (s),ax (g),ay (g),az (g),gx (rad/s),gy (rad/s),gz (rad/s),label"
    rows = [f"{place / 50:.2f},0,0,1,0,0,0,{1 + place // 1000}" for place in range(2000)]
    (folder / "person01-01.csv").write_text("\n".join([header, *rows]) + "\n")
    for split in ("train", "validation"):
        (folder / f"{split}.jsonl").write_text(json.dumps({"imu": "person01-01.csv"}) + "\n")
