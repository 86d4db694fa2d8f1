"""Labels of pictures in files of COCO's annotations, as tools for labelling write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KIND = "image"
"""Of the files that COCO's annotations are about."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
_KEYS = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}


def coco_labels(path: Path) -> dict[str, list[str]] | None:
    """The categories of each picture in a file of COCO's instances, by the picture's name.

    None for a file that isn't one.

    Source: COCO, "Data format", section Object Detection.

    Raises:
        ValueError: if an annotation names a picture or a category that isn't there.
    """
    found = _read(path)
    if found is None:
        return None
    categories = {each["id"]: str(each["name"]) for each in found["categories"]}
    labels: dict[Any, list[str]] = {each["id"]: [] for each in found["images"]}
    for annotation in found["annotations"]:
        of, category = annotation["image_id"], annotation["category_id"]
        if of not in labels or category not in categories:
            what = f"picture {of!r}" if of not in labels else f"category {category!r}"
            raise ValueError(f"{path}: an annotation is of {what}, which the file doesn't have")
        labels[of].append(categories[category])
    by_name: dict[str, list[str]] = {}
    for each in found["images"]:  # joined files may have one twice
        by_name.setdefault(str(each["file_name"]), []).extend(labels[each["id"]])
    return by_name


def _read(path: Path) -> dict[str, Any] | None:
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    with path.open("rb") as file:
        # Else a list of rows, maybe a large one.
        if not file.read(4096).lstrip(_BLANK).startswith(b"{"):
            return None
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in _KEYS):
        return None
    for key, fields in _KEYS.items():
        for each in value[key]:
            if missing := [field for field in fields if field not in each]:
                raise ValueError(f"{path}: one of the {key} has no {missing[0]}")
    return value
