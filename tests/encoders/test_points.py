"""Clouds of points from PLY and NPY files as other programs write them, and maps of normals."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as pil

from anymodal.media import Limits, Normal, PointCloud, load

RNG = np.random.default_rng(0)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(fmt: str, count: int, *properties: str, before: str = "", after: str = "") -> bytes:
    lines = [
        *("ply", f"format {fmt} 1.0", "comment made by hand", *before.split("|")),
        *(f"element vertex {count}", *(f"property {p}" for p in properties), *after.split("|")),
    ]
    return "\n".join([*filter(None, lines), "end_header\n"]).encode()


XYZ = ("float x", "float y", "float z")
FACES = "element face 1|property list uchar int vertex_indices"


@pytest.mark.parametrize("order", ["little", "big"])
def test_what_else_vertices_have_is_left_out(order: str) -> None:
    sign = "<" if order == "little" else ">"
    kinds = [("x", "f8"), ("nx", "f4"), ("y", "f8"), ("z", "f8"), ("green", "u1"),
             ("red", "u1"), ("blue", "u1"), ("alpha", "u1"), ("id", "i2")]  # fmt: skip
    table = np.zeros(2, [(name, sign + kind) for name, kind in kinds])
    table["x"], table["y"], table["z"] = [1, 2], [3, 4], [5, 6.5]
    table["red"], table["green"], table["blue"] = [7, 8], [9, 10], [11, 255]
    words = {"f8": "double", "f4": "float", "u1": "uint8", "i2": "short"}
    head = header(
        f"binary_{order}_endian", 2, *(f"{words[k]} {name}" for name, k in kinds), after=FACES
    )
    cloud = PointCloud.load(head + table.tobytes() + b"\3\0\0\0\0\1\0\0\0\1\0\0\0")
    assert cloud == PointCloud(
        np.array([[1, 3, 5], [2, 4, 6.5]], np.float32),
        np.array([[7, 9, 11], [8, 10, 255]], np.uint8),
    )


def test_text_with_other_line_ends_and_colours_as_floats() -> None:
    head = header("ascii", 2, *XYZ, "float red", "float green", "float blue", after=FACES)
    data = (head + b"1 2 3 0 0.5 1\n-1e3 0.25 7 1 1 1\n3 0 1 1\n").replace(b"\n", b"\r\n")
    cloud = PointCloud.load(data)
    assert cloud.points.tolist() == [[1, 2, 3], [-1000, 0.25, 7]]
    assert cloud.colors is not None and cloud.colors.tolist() == [[0, 128, 255], [255] * 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ply\nformat ascii 1.0\n", "without a header's end"),
        (header("binary", 1, *XYZ), "of the format 'binary'; save it as one of ascii"),
        (header("ascii", 1, *XYZ, before=FACES) + b"1 2 3", "first element is no vertex"),
        (header("ascii", 1, *XYZ[:2]) + b"1 2", "vertices without z"),
        (header("ascii", 1, *XYZ, "float x") + b"1 2 3 4", "twice"),
        (header("ascii", 1, *XYZ, "list uchar int n") + b"1 2 3 1 1", "with a 'property list"),
        (header("ascii", 3, *XYZ) + b"1 2 3\n4 5 6\n", "2 of 3 points are there"),
        (header("ascii", 2, *XYZ) + b"1 2 3\n4 5", "cannot be decoded"),
        (header("ascii", 1, *XYZ), "0 of 1 points"),
        (header("ascii", 1, *XYZ) + b"1 2 three", "cannot be decoded|cut short"),
        (header("ascii", 1, *XYZ) + b"1 nan 3", r"nan at index \(0, 1\)"),
        (header("ascii", 0, *XYZ), "holds no points"),
        (header("binary_little_endian", 2, *XYZ) + bytes(13), "1 of 2 points are there"),
        (header("binary_little_endian", 10**15, *XYZ), r"1,000,000,000,000,000 points.*max_points"),
        (header("ascii", 1, *XYZ, *(f"float {c}" for c in ("red", "green", "blue")))
         + b"0 0 0 9 0 0", "colours from 0 to 9; as floats they go from 0 to 1"),
        (npy(np.zeros((5, 4))), r"shape \(5, 4\), expected \(n, 3\)"),
        (npy(np.zeros((0, 3))), "holds no points"),
        (npy(np.full((5, 6), 200.0)), "divide them by 255"),
    ],
)  # fmt: skip
def test_bad_files(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointCloud.load(data)


def test_a_count_is_checked_before_its_points_are_read() -> None:
    head = npy(np.zeros((9, 3)))[:128]  # with none of the points behind it
    with pytest.raises(ValueError, match="has 9 points, over the limit of 8"):
        PointCloud.load(head, limits=Limits(max_points=8))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.booleans(), st.sampled_from(["ply", "npy"]))
def test_any_cloud_comes_back(count: int, colored: bool, suffix: str) -> None:
    points = RNG.normal(scale=1e6, size=(count, 3)).astype(np.float32)
    colors = RNG.integers(0, 256, (count, 3), dtype=np.uint8) if colored else None
    cloud = PointCloud(points, colors)
    assert load(cloud._encode(f".{suffix}"), kind="points") == cloud


def test_it_shows_some_of_its_points() -> None:
    cloud = PointCloud(RNG.normal(size=(4000, 3)), np.full((4000, 3), 255, np.uint8))
    svg = cloud._repr_html_()
    assert 1000 < svg.count("<circle") <= 1500 and "#ffffff" in svg
    places = [float(value) for value in re.findall(r'c[xy]="([^"]+)"', svg)]
    assert min(places) >= 0 and max(places) <= 320
    assert PointCloud(np.zeros((1, 3))).html().count("<circle") == 1
    assert repr(cloud) == "PointCloud(4,000 points, colours)"
    assert repr(PointCloud(np.zeros((1, 3)))) == "PointCloud(1 points)"


def test_normals_from_a_picture(tmp_path: Path) -> None:
    pixels = np.array([[[255, 128, 0]]], np.uint8)
    pil.fromarray(pixels).save(tmp_path / "a.png")
    normal = Normal.load(tmp_path / "a.png")
    np.testing.assert_allclose(normal.values, [[[1, 1 / 255, -1]]], atol=1e-6)
    assert Normal.load(normal.save(tmp_path / "b.png")) == normal
    assert load(tmp_path / "a.png").kind == "image"
    assert "normal, 1×1" in normal.html() and repr(normal) == "Normal(1×1)"
