"""Tables and arrays of readings."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from anymodal.media import (
    IMU,
)
from tests.support.media_files import (
    npy,
)

# Tables of an IMU


def table(header: str, row: str, count: int = 5, before: str = "") -> bytes:
    return (before + header + "\n" + "".join(row.format(i=i) + "\n" for i in range(count))).encode()


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("t,ax,ay,az,gx,gy,gz", "0.0{i},1,2,3,4,5,6"),
        ("time_ms;gyro_z;gyro_y;gyro_x;acc_z;acc_y;acc_x", "1{i}0;6;5;4;3;2;1"),
        ("timestamp_us,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z,mag", "{i}0000,1,2,3,4,5,6,x"),
        ("Time (ns)\tAccX\tAccY\tAccZ\tGyroX\tGyroY\tGyroZ", "{i}0000000\t1\t2\t3\t4\t5\t6"),
        ('"a.x","a.y","a.z","wx","wy","wz","t[ms]"', "1,2,3,4,5,6,{i}0"),
        ("seconds_elapsed,Accelerometer X,Accelerometer Y,Accelerometer Z,gx,gy,gz",
         "0.0{i},1,2,3,4,5,6"),
    ],
)  # fmt: skip
def test_columns_by_name_in_any_order(header: str, row: str) -> None:
    imu = IMU.load(table(header, row))
    assert imu.rate == pytest.approx(100) and imu.samples.shape == (6, 5)
    assert imu.samples[:, 2].tolist() == [1, 2, 3, 4, 5, 6]


def test_units_and_rates_may_be_stated() -> None:
    rows = ("ax,ay,az,gx,gy,gz", "1,0,0,180,0,0")
    stated = IMU.load(table(*rows, before="# sample_rate=50\n# units: g, deg/s\n"))
    assert stated.rate == 50
    assert stated.samples[:, 0] == pytest.approx([9.80665, 0, 0, math.pi, 0, 0])
    asked = IMU.load(table(*rows), sample_rate=50, units="g, °/s")
    assert asked == stated
    suffixed = IMU.load(table("ax_g,ay_g,az_g,gx (deg/s),gy_dps,gz_dps", rows[1]), sample_rate=50)
    assert suffixed == stated
    assert IMU.load(table(*rows, before="# fs: 50 units: g, deg/s\n")).rate == 50
    plain = IMU.load(table("ax [m/s^2],ay,az,gx [rad/s],gy,gz", "1,0,0,2,0,0"), sample_rate=9)
    assert plain.samples[[0, 3], 0].tolist() == [1, 2]


def test_uneven_times_become_even() -> None:
    times = np.cumsum([0, 10, 12, 8, 10, 20, 10, 10])  # ms, one sample lost
    rows = "".join(f"{t},{t},0,0,0,0,0\n" for t in times)
    imu = IMU.load(("t_ms,ax,ay,az,gx,gy,gz\n" + rows).encode())
    assert imu.rate == pytest.approx(100)
    np.testing.assert_allclose(imu.samples[0], np.arange(9) * 10, atol=1e-4)


def test_arrays_take_their_rate_from_argument_or_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(np.ones((6, 40))))
    with pytest.raises(ValueError, match=r"no sample rate: give load\(\.\.\., sample_rate=200\)"):
        IMU.load(path)
    (tmp_path / "a.json").write_text(json.dumps({"sample_rate": 50, "units": "g, dps"}))
    imu = IMU.load(path)
    assert imu.rate == 50 and imu.samples[0, 0] == pytest.approx(9.80665)
    assert IMU.load(path, sample_rate=20).rate == 20
    (tmp_path / "a.json").write_text("[")
    with pytest.raises(ValueError, match="no JSON object"):
        IMU.load(path)


HEAD = "t,ax,ay,az,gx,gy,gz"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (table("ax,ay,az,gx,gy,gz", "1,2,3,4,5,6"), "no sample rate: add a time column"),
        (table("t,ax,ay,az", "{i},1,2,3"), "no column for gx, gy, gz"),
        (table("1,2,3,4,5,6", "1,2,3,4,5,6"), "name the columns in a header"),
        (table("ax,acc_x,ay,az,gx,gy,gz", "1,1,2,3,4,5,6"), "two columns for ax"),
        (table(HEAD, "0.0{i},nan,0,0,0,0,0"), "line 2: ax='nan' is no finite number"),
        (table(HEAD, "0.0{i},1,0,0,0,0,oops"), "gz='oops'"),
        (table(HEAD, "0.0{i},1,0"), "line 2: 3 of 7 columns"),
        (table(HEAD, "5,1,0,0,0,0,0"), "time stands still"),
        (table(HEAD, "{i}0,1,0,0,0,0,0"), "name the column by its unit"),
        (table(HEAD, "", 0), "no rows below"),
        (table(HEAD, "0.0{i},1,0,0,0,0,0", before="# sample_rate=200\n"), "states 200 Hz"),
        (table("t_ms,ax,ay,az,gx,gy,gz", "{i}0,1,0,0,0,0,0") + b"9000,0,0,0,0,0,0\n", "a gap of"),
        (table("t_h,ax,ay,az,gx,gy,gz", "{i},1,0,0,0,0,0"), "unit 'h' is not known"),
        (table(HEAD, "0.0{i},1,0,0,0,0,0", before="# units: furlong, deg/s\n"), "furlong"),
        (table(HEAD, "0.0{i},1,0,0,0,0,0", before="# units: g\n"), "are not two"),
        (table(HEAD[2:], "1,2,3,4,5,6", before="# sample_rate=often\n"), "sample_rate='often'"),
        (b"dear diary,\n", "no column for ax"),
        (npy(np.ones((40, 5))), r"shape \(40, 5\), expected \(n, 6\)"),
        (npy(np.ones(40)), "2 axes"),
        (npy(np.ones((0, 6))), "no samples"),
        (npy(np.array([[1, None]])), "holds object, not plain numbers"),
        (npy(np.ones((40, 6)))[:-1], "cut short"),
    ],
)  # fmt: skip
def test_bad_tables(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IMU.load(data)


def test_an_array_with_nan_or_without_end() -> None:
    bad = np.ones((40, 6))
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match="nan in gx at sample 7"):
        IMU.load(npy(bad), sample_rate=100)
    with pytest.raises(ValueError, match="lasts 20,000"):
        IMU.load(npy(np.ones((2000, 6))), sample_rate=0.1)
    with pytest.raises(ValueError, match="sample_rate=0 is out of range"):
        IMU.load(npy(np.ones((20, 6))), sample_rate=0)
