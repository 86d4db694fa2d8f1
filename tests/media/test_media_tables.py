"""Tables of an IMU as apps, robots and spreadsheets write them, and texts that are none."""

from __future__ import annotations

import io
import json
import math
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anymodal.media import IMU, Limits, MediaError, load
from anymodal.media.imu_columns import Columns, find_columns
from anymodal.media.imu_units import ACCELERATION, ROTATION, TIME, factor, parse_units

HEAD = "t,ax,ay,az,gx,gy,gz"
ROWS = "".join(f"{i / 100},1,2,3,4,5,6\n" for i in range(50))
G, DEGREE = 9.80665, math.pi / 180


def table(header: str, row: str, count: int = 50, step: int = 1) -> str:
    """A table whose rows have `{i}` multiplied by `step`."""
    return header + "\n" + "".join(row.format(i=i * step) + "\n" for i in range(count))


def is_right(medium: Any, rate: float = 100, scale: tuple[float, float] = (1, 1)) -> None:
    """Samples of 1 to 6 in other units, at a rate."""
    assert isinstance(medium, IMU)
    assert medium.rate == pytest.approx(rate, rel=1e-3)
    wanted = np.repeat(scale, 3) * np.arange(1, 7)
    np.testing.assert_allclose(medium.samples, wanted[:, None] + np.zeros(medium.samples.shape),
                               rtol=1e-5)  # fmt: skip


# Encodings, decimal commas, delimiters


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, end: str, tmp_path: Path) -> None:
    text = table("t (s);ax (m/s²);ay (m/s²);az (m/s²);gx (°/s);gy (°/s);gz (°/s)",
                 "{i}e-2;1;2;3;4;5;6").replace("\n", end)  # fmt: skip
    data = text.encode(encoding)
    is_right(load(data), scale=(1, DEGREE))
    (tmp_path / "a.csv").write_bytes(data)
    is_right(load(tmp_path / "a.csv"), scale=(1, DEGREE))


def test_a_byte_order_mark_of_the_other_end() -> None:
    is_right(load(b"\xfe\xff" + (HEAD + "\n" + ROWS).encode("utf-16-be")))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "   "])
def test_delimiters(delimiter: str) -> None:
    is_right(load((HEAD + "\n" + ROWS).replace(",", delimiter).encode()))


@pytest.mark.parametrize(
    "text",
    [
        (HEAD + "\n" + ROWS).replace(",", ";").replace(".", ","),
        (HEAD + "\n" + ROWS).replace(",", "\t").replace(".", ","),
        "sep=;\n" + (HEAD + "\n" + ROWS).replace(",", ";").replace(".", ","),
        '"sep=\t"\n' + (HEAD + "\n" + ROWS).replace(",", "\t"),
        table('"t","ax","ay","az","gx","gy","gz"', '"{i}E-2","1","2","3","4","5","6"'),
        table('"t", "ax", "ay", "az", "gx", "gy", "gz"', '"{i}e-2", "1", "2", "3", "4", "5", "6"'),
        table(HEAD + ",", "{i}e-2,1,2,3,4,5,6,"),
        table(HEAD, "{i}e-2,1,2,3,4,5,6,,"),
        "\n\n  \n" + HEAD + "\n\n" + ROWS.replace("\n", "\n\n") + ",,,,,,\n",
        "# recorded by hand\n" + HEAD + "\n# start\n" + ROWS + "// end\n",
        "Device: phone\nStart: 2024-01-01 10:00:00\n\n" + HEAD + "\n" + ROWS,
        "#" + HEAD + "\n" + ROWS,
        "# " + HEAD.replace(",", " ") + "\n" + ROWS.replace(",", " "),
        "%" + HEAD + "\n" + ROWS,
        f"# {HEAD}\n{HEAD}\n{ROWS}",
    ],
)
def test_dialects(text: str) -> None:
    is_right(load(text.encode()))


def test_a_line_of_units_below_the_names() -> None:
    below = "s,km/h,g,g,g,deg/s,deg/s,deg/s"
    names = "Time,GPS Speed,AccelerometerX,AccelerometerY,AccelerometerZ,GyroX,GyroY,GyroZ"
    is_right(load(table(names + "\n" + below, "{i}e-2,9,1,2,3,4,5,6").encode()), scale=(G, DEGREE))
    shimmer = [
        "Timestamp_Unix",
        "Accel_LN_X",
        "Accel_LN_Y",
        "Accel_LN_Z",
        "Gyro_X",
        "Gyro_Y",
        "Gyro_Z",
    ]
    lines = [
        '"sep=\t"',
        "\t".join(f"Shimmer_8665_{name}_CAL" for name in shimmer),
        "ms\tm/(s^2)\tm/(s^2)\tm/(s^2)\tdeg/s\tdeg/s\tdeg/s\t",
        *(f"{1.6e12 + 10 * i}\t1\t2\t3\t4\t5\t6\t" for i in range(50)),
    ]
    is_right(load("\n".join(lines).encode()), scale=(1, DEGREE))


def test_commas_and_points_are_not_mixed() -> None:
    with pytest.raises(MediaError, match=r"line 3: a decimal point in a table of the other \(0.01"):
        load(b"t;ax;ay;az;gx;gy;gz\n0,00;1;1;1;1;1;1\n0.01;1;1;1;1;1;1\n")
    with pytest.raises(MediaError, match="decimal commas needs ; or a tab between its columns"):
        load((HEAD + "\n0,01,1,0,2,0,3,0,1,0,2,0,3,0\n").encode())


# Names, as devices and programs write them

ANGULAR = ",".join(f"field.angular_velocity.{a}" for a in "xyz")
LINEAR = ",".join(f"field.linear_acceleration.{a}" for a in "xyz")
NAMED = {
    "EuRoC": (
        "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
        "a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]",
        "1403636500{i:02d}0000000,4,5,6,1,2,3", (1, 1),
    ),
    "rostopic echo -p": (
        f"%time,field.header.seq,field.header.stamp,field.header.frame_id,field.orientation.x,"
        f"field.orientation.w,{ANGULAR},field.angular_velocity_covariance0,{LINEAR}",
        "1700000000{i:02d}0000000,{i},1700000000{i:02d}0000000,imu,0,1,4,5,6,0,1,2,3", (1, 1),
    ),
    "bagpy": (
        "Time,header.seq,header.stamp.secs,header.stamp.nsecs,header.frame_id,angular_velocity.x,"
        "angular_velocity.y,angular_velocity.z,linear_acceleration.x,linear_acceleration.y,"
        "linear_acceleration.z",
        "1600000000.{i:02d},1,1600000000,{i}0000000,imu,4,5,6,1,2,3", (1, 1),
    ),
    "ROS 2": (
        f"header.stamp.sec,header.stamp.nanosec,{ANGULAR},{LINEAR}",
        "1600000000,{i}0000000,4,5,6,1,2,3", (1, 1),
    ),
    "PlotJuggler": (
        "__time,/imu/angular_velocity/x,/imu/angular_velocity/y,/imu/angular_velocity/z,"
        "/imu/linear_acceleration/x,/imu/linear_acceleration/y,/imu/linear_acceleration/z",
        "1600000000.{i:02d},4,5,6,1,2,3", (1, 1),
    ),
    "Sensor Logger": (
        "time,seconds_elapsed,accelerometer_z,accelerometer_y,accelerometer_x,gyroscope_z,"
        "gyroscope_y,gyroscope_x,gravity_x,gravity_y,gravity_z",
        "1700000000{i:02d}0000000,0.{i:02d},3,2,1,6,5,4,7,8,9", (1, 1),
    ),
    "phyphox": (
        '"Time (s)","Linear Acceleration x (m/s^2)","Linear Acceleration y (m/s^2)",'
        '"Linear Acceleration z (m/s^2)","Gyroscope x (rad/s)","Gyroscope y (rad/s)",'
        '"Gyroscope z (rad/s)","Absolute (rad/s)"',
        "{i}.0E-2,1,2,3,4,5,6,9", (1, 1),
    ),
    "SensorLog": (
        "loggingTime(txt),accelerometerTimestamp_sinceReboot(s),accelerometerAccelerationX(G),"
        "accelerometerAccelerationY(G),accelerometerAccelerationZ(G),gyroRotationX(rad/s),"
        "gyroRotationY(rad/s),gyroRotationZ(rad/s),motionUserAccelerationX(G),"
        "motionUserAccelerationY(G),motionUserAccelerationZ(G),motionRotationRateX(rad/s),"
        "motionRotationRateY(rad/s),motionRotationRateZ(rad/s)",
        "2020-01-01 10:00:00 +0100,62608.{i:02d},1,2,3,4,5,6,7,7,7,7,7,7", (G, 1),
    ),
    "MetaWear": (
        "epoch (ms),time (-13:00),elapsed (s),x-axis (g),y-axis (g),z-axis (g),x-axis (deg/s),"
        "y-axis (deg/s),z-axis (deg/s)",
        "16000000{i:02d}000,2020-09-13T12.26.40.000,{i}.0,1,2,3,4,5,6", (G, DEGREE),
    ),
    "UP-Fall": (
        "TimeStamps,AnkleAccelerometer_x-axis (g),AnkleAccelerometer_y-axis (g),"
        "AnkleAccelerometer_z-axis (g),AnkleAngularVelocity_x-axis (deg/s),"
        "AnkleAngularVelocity_y-axis (deg/s),AnkleAngularVelocity_z-axis (deg/s)",
        "2018-07-04T12:04:17.{i:02d}0000,1,2,3,4,5,6", (G, DEGREE),
    ),
    "Xsens": (
        "// Start Time: Unknown\n// Update Rate: 100.0Hz\n// Filter Profile: human\n"
        "PacketCounter\tSampleTimeFine\tAcc_X\tAcc_Y\tAcc_Z\tFreeAcc_E\tGyr_X\tGyr_Y\tGyr_Z\t"
        "Mag_X\tMag_Y\tMag_Z\tRoll",
        "{i}\t{i}00\t1\t2\t3\t0\t4\t5\t6\t7\t7\t7\t8", (1, 1),
    ),
    "Ego4D": (
        "component_idx,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z",
        "0,{i}0.25,4,5,6,1,2,3", (1, 1),
    ),
    "Axivity": (
        "Time,Accel-X (g), Accel-Y (g), Accel-Z (g), Gyro-X (d/s), Gyro-Y (d/s), Gyro-Z (d/s)",
        "2021-05-04 12:00:00.{i:02d}0, 1, 2, 3, 4, 5, 6", (G, DEGREE),
    ),
    "x-io": (
        "Time (s),Gyroscope X (deg/s),Gyroscope Y (deg/s),Gyroscope Z (deg/s),Accelerometer X (g),"
        "Accelerometer Y (g),Accelerometer Z (g),Magnetometer X (uT)",
        "0.{i:02d},4,5,6,1,2,3,9", (G, DEGREE),
    ),
    "PX4": (
        "timestamp_us,gyro_rad[0],gyro_rad[1],gyro_rad[2],gyro_integral_dt,"
        "accelerometer_timestamp_relative,accelerometer_m_s2[0],accelerometer_m_s2[1],"
        "accelerometer_m_s2[2],accelerometer_integral_dt",
        "{i}0000,4,5,6,1,0,1,2,3,9", (1, 1),
    ),
    "ArduPilot": (
        "TimeUS,I,GyrX,GyrY,GyrZ,AccX,AccY,AccZ,EG,EA,T", "{i}0000,0,4,5,6,1,2,3,0,0,33", (1, 1),
    ),
    "UZH-FPV": (
        "# id timestamp ang_vel_x ang_vel_y ang_vel_z lin_acc_x lin_acc_y lin_acc_z",
        "{i} 1540113239.{i:02d} 4 5 6 1 2 3", (1, 1),
    ),
    "WitMotion": (
        "time\tDeviceName\tAccX(g)\tAccY(g)\tAccZ(g)\tAsX(°/s)\tAsY(°/s)\tAsZ(°/s)\tAngleX(°)",
        "2023-03-01 10:00:00.{i:02d}0\tWT901\t1\t2\t3\t4\t5\t6\t0", (G, DEGREE),
    ),
    "Physics Toolbox": ("time,gFx,gFy,gFz,wx,wy,wz", "0.{i:02d},1,2,3,4,5,6", (G, 1)),
    "OxIOD": (
        "Time,attitude_roll(radians),rotation_rate_x(radians/s),rotation_rate_y(radians/s),"
        "rotation_rate_z(radians/s),gravity_x(G),gravity_y(G),gravity_z(G),user_acc_x(G),"
        "user_acc_y(G),user_acc_z(G),magnetic_field_x(microteslas)",
        "40.{i:02d},0,4,5,6,9,9,9,1,2,3,9", (G, 1),
    ),
    "AndroSensor": (
        "ACCELEROMETER X (m/s²);ACCELEROMETER Y (m/s²);ACCELEROMETER Z (m/s²);GRAVITY X (m/s²);"
        "GRAVITY Y (m/s²);GRAVITY Z (m/s²);LINEAR ACCELERATION X (m/s²);"
        "LINEAR ACCELERATION Y (m/s²);LINEAR ACCELERATION Z (m/s²);GYROSCOPE X (rad/s);"
        "GYROSCOPE Y (rad/s);GYROSCOPE Z (rad/s);MAGNETIC FIELD X (μT);Time since start in ms ;"
        "YYYY-MO-DD HH-MI-SS_SSS",
        "1;2;3;9;9;9;8;8;8;4;5;6;9;{i}0;2015-04-23 10-58-37_600", (1, 1),
    ),
    "GoPro": (
        "time_ms,date,Accelerometer (x) [m/s²],Accelerometer (y) [m/s²],Accelerometer (z) [m/s²],"
        "Gyroscope (x) [rad/s],Gyroscope (y) [rad/s],Gyroscope (z) [rad/s],temperature [°C]",
        "{i}0,2020-01-01T10:00:00.000Z,1,2,3,4,5,6,40", (1, 1),
    ),
    "Android nanoseconds": (
        "timestampNanos,accelerometerX,accelerometerY,accelerometerZ,gyroscopeX,gyroscopeY,"
        "gyroscopeZ,linearAccelerationX,linearAccelerationY,linearAccelerationZ,rotationVectorX",
        "{i}0000000,1,2,3,4,5,6,7,7,7,8", (1, 1),
    ),
    "axis first": ("ms,x_acc_g,y_acc_g,z_acc_g,X Gyro (dps),Y Gyro (dps),Z Gyro (dps)",
                   "{i}0,1,2,3,4,5,6", (G, DEGREE)),
    "unit within": ("t_s,acc_g_x,acc_g_y,acc_g_z,gyro_dps_x,gyro_dps_y,gyro_dps_z",
                    "0.{i:02d},1,2,3,4,5,6", (G, DEGREE)),
}  # fmt: skip


@pytest.mark.parametrize("source", NAMED)
def test_names_as_devices_write_them(source: str) -> None:
    header, row, scale = NAMED[source]
    rate = 1 if source == "MetaWear" else 100
    is_right(load(table(header, row).encode()), rate=rate, scale=scale)


def test_names_of_other_quantities_are_no_axes() -> None:
    for name in ("acc_std_{}", "gyro_bias_{}", "mag_{}", "gravity_{}", "raw_acc_{}", "FreeAcc_{}",
                 "acc_{}_raw", "angular_velocity_covariance{}", "schema_{}", "q{}"):  # fmt: skip
        names = [name.format(axis) for axis in "xyz"]
        assert find_columns(names, "it") == ("ax", "ay", "az", "gx", "gy", "gz"), name


def test_the_unit_of_apple_s_motion_without_gravity_is_asked_for() -> None:
    names = [f"{name}.{axis}" for name in ("userAcceleration", "rotationRate") for axis in "xyz"]
    data = table("," + ",".join(names), "{i},1,2,3,4,5,6").encode()
    with pytest.raises(MediaError, match=r"'userAcceleration.x' has no unit.*units='g, rad/s'"):
        load(data, sample_rate=50)
    is_right(load(data, sample_rate=50, units="g, rad/s"), 50, (G, 1))


def test_the_plainest_sensor_is_taken_or_asked_for() -> None:
    plain = "t,gravity_x,left_acc_x,acc_x,acc_y,acc_z,left_acc_y,left_acc_z,gx,gy,gz"
    found = find_columns(plain.split(","), "it")
    assert isinstance(found, Columns) and [c.index for c in found.axes] == [3, 4, 5, 8, 9, 10]
    two = ["t", *(f"{side}_{kind}_{axis}" for side in ("left", "right") for kind in ("acc", "gyro")
                  for axis in "xyz")]  # fmt: skip
    with pytest.raises(MediaError, match="two columns for ax, 'left_acc_x' and 'right_acc_x'"):
        load(table(",".join(two), "0.0{i}" + ",1" * 12, 9).encode())


@pytest.mark.parametrize(
    ("known", "si", "units"),
    [
        (ACCELERATION, 1, "m/s² m/s^2 m/s2 m/s/s m·s⁻² m*s^-2 ms-2 mps2 (m/s^2) m/sec^2 M/S^2"),
        (ACCELERATION, G, "g G [g] gs g-force"),
        (ACCELERATION, G / 1000, "mg mG milli-g"),
        (ROTATION, 1, "rad/s rad·s⁻¹ rad*s^-1 radians/s radian/second rad/sec rads rps^0"),
        (ROTATION, DEGREE, "deg/s °/s º/s ˚/s dps DPS d/s degrees/s deg/sec °·s⁻¹ deg_s"),
        (ROTATION, DEGREE / 1000, "mdps mdeg/s"),
        (TIME, 1e-6, "us µs μs usec microseconds micros"),
        (TIME, 1e-9, "ns NS nanos nanosec nanoseconds"),
    ],
)
def test_units_however_they_are_written(known: dict[str, float], si: float, units: str) -> None:
    for unit in units.split():
        if unit == "rps^0":
            with pytest.raises(MediaError, match=r"the unit 'rps\^0' is not known here; use one"):
                factor(unit, known)
        else:
            assert factor(unit, known) == pytest.approx(si), unit


def test_units_with_spaces_and_three_of_them() -> None:
    assert factor("rad s^-1", ROTATION) == 1 == factor("m s^-2", ACCELERATION)
    assert factor("degrees per second", ROTATION) == DEGREE
    assert factor("metres per second squared", ACCELERATION) == 1
    assert parse_units("g; deg/s, ms") == (G, DEGREE, "ms")
    for bad, why in (
        ("g", "not two"),
        ("g,deg/s,h", "'h'"),
        ("g,g", "'g'"),
        ("a" * 9999, "not two"),
    ):
        with pytest.raises(MediaError, match=why) as told:
            parse_units(bad)
        assert len(str(told.value)) < 400


# Times


@pytest.mark.parametrize("name", ["t", "time", "timestamp", "Elapsed", "ts"])
@pytest.mark.parametrize("step", [1, 2, 5, 10, 20, 1000, 5000, 10_000, 5_000_000])
def test_whole_numbers_without_a_unit_are_asked_about(name: str, step: int) -> None:
    data = table(HEAD.replace("t,", name + ","), "{i},1,2,3,4,5,6", step=step).encode()
    with pytest.raises(MediaError, match=f"its times in '{name}'.*have no unit.*t_s, t_ms, t_us"):
        load(data)
    rate = 1000 / step
    if rate >= 0.1:
        is_right(load(data, units="m/s^2, rad/s, ms"), rate)
        is_right(load(data, sample_rate=rate), rate)
        is_right(load(b"# units: m/s^2, rad/s, ms\n" + data), rate)
        is_right(load(data.replace(name.encode(), b"t_ms", 1)), rate)
    if step == 1:
        is_right(load(data.replace(name.encode(), b"t_s", 1)), 1)


@pytest.mark.parametrize("text", ["0.0 2.5 5.0 7.5 10.0", "0 .98 1.95 2.93 3.91", "0 0.5 1 1.5 2"])
def test_fractions_that_may_be_milliseconds(text: str) -> None:
    rows = "".join(f"{t},1,2,3,4,5,6\n" for t in text.split())
    with pytest.raises(MediaError, match="no unit"):
        load(f"time,{HEAD[2:]}\n{rows}".encode())


def test_repeated_whole_numbers_are_asked_about_too() -> None:
    rows = "".join(f"{i // 50},1,2,3,4,5,6\n" for i in range(500))
    with pytest.raises(MediaError, match="no unit.*50 Hz in s"):
        load((HEAD + "\n" + rows).encode())


@pytest.mark.parametrize(
    ("first", "step", "rate"),
    [
        ("1700000000", "0.005", 200),
        ("1700000000", "1", 1),
        ("1700000000123", "5", 200),
        ("1700000000123", "0.5", 2000),
        ("1700000000123456", "5000", 200),
        ("1700000000123456789", "5000000", 200),
    ],
)
def test_unix_times_tell_their_unit(first: str, step: str, rate: float) -> None:
    from decimal import Decimal

    rows = "".join(f"{Decimal(first) + i * Decimal(step)},1,2,3,4,5,6\n" for i in range(100))
    is_right(load((HEAD + "\n" + rows).encode()), rate)


def test_a_phone_s_uptime_is_no_unix_time() -> None:
    rows = "".join(f"{1_200_000_000_000 + i * 5_000_000},1,2,3,4,5,6\n" for i in range(100))
    with pytest.raises(MediaError, match="no unit.*200 Hz in ns"):
        load((HEAD + "\n" + rows).encode())


def test_times_saved_by_a_recorder_of_one_hertz_load_again(tmp_path: Path) -> None:
    for rate in (0.1, 0.5, 1, 2, 1000, 40_000):
        made = IMU(np.ones((6, 20), np.float32), rate)
        assert load(made.save(tmp_path / "a.csv")) == made


def timed(times: Any, name: str = "t_s", moved: bool = True) -> IMU:
    """A table with these times, whose ax is the number of the row."""
    rows = "".join(f"{t:.12g},{i * moved},2,3,4,5,6\n" for i, t in enumerate(times))
    medium = load(f"{name},{HEAD[2:]}\n{rows}".encode())
    assert isinstance(medium, IMU)
    return medium


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        (np.floor(np.arange(2000) / 1.6) / 1000, 1600),  # rounded to milliseconds
        (np.round(np.arange(2000) / 1.024) / 1000, 1024),
        (np.floor(np.arange(400) / 2) / 100, 200),  # a clock of 10 ms
        (np.arange(500) // 10 * 0.1, 100),  # batches of ten
        (np.arange(3, 503) // 10 * 0.1, 100),  # the first one is cut
        (np.arange(1000) // 100 + 1_700_000_000, 100),  # whole seconds
        (np.arange(30) // 10 * 0.1, 100),
    ],
)
def test_repeated_times_are_spread(times: Any, rate: float) -> None:
    medium = timed(times)
    assert medium.rate == pytest.approx(rate, rel=0.01)
    assert medium.samples[0].tolist() == list(range(len(times)))
    if rate != 1024:  # few repeat, so that rows alike count as written twice
        assert timed(times, moved=False).samples.shape == medium.samples.shape


def test_a_row_written_twice_counts_once() -> None:
    times = np.arange(100) / 100
    lines = [f"{t:g},{i},2,3,4,5,6" for i, t in enumerate(times)]
    twice = [line for i, line in enumerate(lines) for _ in range(1 + (i in (7, 50, 51)))]
    medium = load("\n".join(["t_s" + HEAD[1:], *twice]).encode())
    assert medium == load("\n".join(["t_s" + HEAD[1:], *lines]).encode())


def test_batches_with_one_lost_keep_their_times() -> None:
    times = np.concatenate([np.arange(100), np.arange(130, 200)]) // 10 * 0.1
    rows = "".join(f"{t:g},{t:g},2,3,4,5,6\n" for t in times)
    medium = load((("t_s" + HEAD[1:]) + "\n" + rows).encode())
    assert isinstance(medium, IMU) and medium.rate == pytest.approx(100)
    at = np.arange(medium.samples.shape[1]) / medium.rate
    assert np.abs(medium.samples[0] - at).max() < 0.31  # within the gap
    assert np.abs(medium.samples[0] - at)[:90].max() < 0.11


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 1, 2, 1.5, 3], r"time runs back at line 5 \(t_ms=1.5\), behind 2; sort the rows"),
        ([5] * 9, r"time stands still at line 3 \(t_ms=5\), for 9 rows"),
        ([*range(50), *[50] * 50], r"time stands still at line 53 \(t_ms=50\), for 50 rows"),
        ([*range(20), *[20] * 30, *range(21, 40)], "time stands still at line 23"),
        ([0, 10, 20, 5020, 5030], r"a gap of 5.00 s before line 5 \(t_ms=5020\)"),
        ([i * 1e5 for i in range(5)], "tell a rate of 0.01 Hz"),
        ([i * 1e-6 for i in range(9)], "tell a rate of 1e.09 Hz"),
        ([i * 5000 for i in range(999)], "lasts 4,990.0 s, over the limit of 600"),
    ],
)
def test_times_that_make_no_recording(times: list[float], message: str) -> None:
    with pytest.raises(MediaError, match=message):
        timed(times, "t_ms")


def test_two_clocks_that_disagree() -> None:
    with pytest.raises(MediaError, match="in 't_ms' last 0.49 s, those in 'elapsed_s' 4.9 s"):
        load(table("t_ms,elapsed_s,ax,ay,az,gx,gy,gz", "{i}0,{i}e-1,1,2,3,4,5,6").encode())
    is_right(load(table("t_ms,t_us,ax,ay,az,gx,gy,gz", "{i}0,{i}0000,1,2,3,4,5,6").encode()))


def test_a_stated_rate_does_without_times_of_another_form() -> None:
    data = table(HEAD, "10:20:{i},1,2,3,4,5,6").encode()
    with pytest.raises(MediaError, match="line 2: t='10:20:0' is no finite number"):
        load(data)
    is_right(load(data, sample_rate=100))
    is_right(load(table("start_time," + HEAD[2:], "5,1,2,3,4,5,6").encode(), sample_rate=100))


# Values


@pytest.mark.parametrize(
    "value",
    ["nan", "inf", "-Infinity", "1e999", "1_000", "٣", "1²", "0x10", "", "−1", "-"],
)
def test_values_that_are_no_numbers(value: str) -> None:
    text = table(HEAD.replace(",", ";"), "0.0{i};1;2;3;4;5;6", 5) + f"0.05;1;2;{value};4;5;6\n"
    with pytest.raises(MediaError, match="line 7: .*az=.* is no finite number; fix, fill or cut"):
        load(text.encode())


def test_values_beyond_any_sensor() -> None:
    with pytest.raises(MediaError, match=r"line 2: -1e\+308 is no reading of a sensor"):
        load((HEAD + "\n0,1,-1e308,0,0,0,0\n").encode())
    with pytest.raises(MediaError, match="sample_rate='nan'|sample_rate=nan"):
        load(("# sample_rate=nan\n" + HEAD + "\n" + ROWS).encode())
    for note in ("1e400", "-5", "0", "1_000", "often", "a" * 10_000):  # fmt: skip
        with pytest.raises(MediaError, match="out of range; give 0.1 to 1e.06 Hz") as told:
            load((f"# sample_rate={note}\n" + HEAD[2:] + "\n1,2,3,4,5,6\n").encode())
        assert len(str(told.value)) < 400


# What is no table of an IMU

TEXTS = {
    "notes.txt": (
        "text",
        "Dear diary,\ntoday the axis x was stiff; gyro and accelerometer fine.\n",
    ),
    "a.json": ("JSON text", json.dumps([{"ax": 1, "ay": 2, "az": 3, "gx": 1, "gy": 2, "gz": 3}])),
    "b.json": ("JSON text", json.dumps({"ax": 1, "t": [0, 1]}, indent=1)),
    "code.py": ("text", "import os\n\ndef f(ax, ay, az):\n    gx, gy = ax, ay  # no\n"),
    "sales.csv": ("text", "date,region,amount\n2024-01-01,north,5\n"),
    "prices.tsv": ("text", "a\tb\n1\t2\n"),
    "run.log": ("text", "2024-01-01 10:00:00 INFO accel_x=1 started\n" * 9),
    "letter.rtf": ("RTF text", "{\\rtf1\\ansi Dear diary}"),
    "numbers.csv": ("text", "0,1,2,3,4,5,6\n" * 9),
    "utf16.txt": ("text", "Grüße aus dem Süden, ganz ohne Tabelle"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_called_a_text(name: str, tmp_path: Path) -> None:
    what, text = TEXTS[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-16" if name == "utf16.txt" else "utf-8")
    for kind in (None, "imu"):
        with pytest.raises(MediaError, match=f"{name} is {what}, no table of an IMU: it has no"):
            load(path, kind=kind)
    with pytest.raises(MediaError, match="holds text, not audio; give audio data$"):
        load(path.read_bytes(), kind="audio")
    with pytest.raises(MediaError, match=r"named as image \(.png\), but it holds text"):
        load(path.rename(tmp_path / "a.png"))


def test_half_a_table_says_which_half_is_missing() -> None:
    data = table("Time (s),Acceleration x (m/s^2),Acceleration y (m/s^2),Acceleration z (m/s^2)",
                 "0.0{i},1,2,3", 9).encode()  # fmt: skip
    with pytest.raises(MediaError, match="has no column for gx, gy, gz .*join the files of two"):
        load(data)


# Attacks


@pytest.mark.parametrize(
    "line",
    ["# " + "a" * 2**20, "# " + "a " * 2**19, "# " + "a=" * 2**19, "# " + " " * 2**20 + "x",
     "#" * 2**20, "%" + "t,ax," * 2**17, "// units" + ":" * 2**20, "a" * 2**20, "x_" * 2**19,
     "ax," * 2**18, "(" * 2**20, '"' * 2**20, "[" * 2**20 + "]" * 9, "x\t;,| " * 2**17,
     "A" * 40_000, "a_" * 20_000 + "x", "accelerometer_" * 3000 + "x", "(x" * 20_000 + ")"],
    ids=lambda line: f"{line[:8]!r}...",
)  # fmt: skip
@pytest.mark.parametrize("place", ["before", "within"])
def test_long_lines_take_no_long_time(line: str, place: str) -> None:
    before = [line, HEAD, ROWS] if place == "before" else [HEAD, ROWS.rstrip(), line]
    began = time.process_time()
    try:
        is_right(load("\n".join(before).encode()))
    except MediaError as error:
        assert len(str(error)) < 600
    assert time.process_time() - began < 3


def test_a_grid_of_gigabytes_is_refused_before_it_is_made() -> None:
    for long, count in ((0.99, 25), (0.9, 8), (0.02, 25)):
        steps = [1e-6] * 30 + [long] * count
        rows = "".join(f"{t * 1e6:.0f},0,0,9.8,0,0,0\n" for t in np.cumsum([0, *steps]))
        tracemalloc.start()
        with pytest.raises(MediaError, match="over the limit|would become .* samples"):
            load(("t_us" + HEAD[1:] + "\n" + rows).encode())
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.float32, np.float64])
def test_arrays_take_little_more_than_they_hold(dtype: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones((200_000, 6), dtype))
    data = buffer.getvalue()
    tracemalloc.start()
    medium = load(data, kind="imu", sample_rate=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(medium, IMU)
    assert peak < 2.2 * medium.samples.nbytes + 1.5 * len(data)
    small = Limits(max_decoded_bytes=medium.samples.nbytes - 1)
    with pytest.raises(MediaError, match="max_decoded_bytes"):
        load(data, kind="imu", sample_rate=1000, limits=small)


def test_rows_beyond_the_limit_are_not_read() -> None:
    data = table("t_us" + HEAD[1:], "{i}00,1,2,3,4,5,6", 20_000).encode()
    with pytest.raises(MediaError, match="rows of 7 numbers.*max_decoded_bytes"):
        load(data, limits=Limits(max_decoded_bytes=100_000))


@pytest.mark.parametrize(
    "data",
    [
        (HEAD + '\n0,1,"2,3,4,5,6\n' + ROWS * 90).encode(),
        (HEAD + "\n" + ROWS + "0,1\0,2,3,4,5,6\n").encode(),
        (HEAD + "\n0," + "9" * 200_000 + ",2,3,4,5,6\n").encode(),
        (HEAD + "\n0," + "9" * 5000 + ",2,3,4,5,6\n").encode(),
        (HEAD + "\n" + "#\n" * 20_000).encode(),
        b"#\n" * 20_000 + HEAD.encode(),
        ("a,b\n" * 300 + HEAD + "\n" + ROWS).encode(),
        (HEAD + "\n").encode() + b"\xff\xfe\xfd" * 9,
        HEAD.encode("utf-16")[:-1],
        b"\xff\xfe",
        b"sep=,\n",
        b"sep=a\nsep=b\n",
    ],
    ids=range(12),
)
def test_broken_tables_end_in_words(data: bytes) -> None:
    with pytest.raises(MediaError) as told:
        load(data, kind="imu")
    assert len(str(told.value)) < 700 and "cannot be decoded" not in str(told.value)


# Nothing that is drawn ends in anything but a recording or words

WILD = settings(deadline=5000, max_examples=150, database=None,
                suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(["t", "time_ms", "ax", "gx [deg/s]", "#", "sep=;", "1,5", "1e308", '"', "\0"]),
    st.floats().map(str), st.integers().map(str), st.text(max_size=9),
)  # fmt: skip


@WILD
@given(
    st.lists(st.lists(CELLS, max_size=9), max_size=9),
    st.sampled_from([",", ";", "\t", " "]),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252"]),
    st.booleans(),
)
@example([["0", "1", "2"]], ",", "utf-8", True)
def test_wild_tables(rows: list[list[str]], delimiter: str, encoding: str, headed: bool) -> None:
    lines = [delimiter.join(row) for row in rows]
    text = "\n".join([HEAD.replace(",", delimiter)] * headed + lines)
    try:
        medium = load(text.encode(encoding, "replace"), kind="imu")
    except MediaError as error:
        assert 20 < len(str(error)) < 900
    else:
        assert np.isfinite(medium.samples).all()  # type: ignore[attr-defined]
