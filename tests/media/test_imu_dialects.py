"""Tables of readings as devices and programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from anymodal.media import MediaError, load
from anymodal.media.imu_columns import Columns, find_columns
from anymodal.media.imu_units import ACCELERATION, ROTATION, TIME, factor, parse_units
from tests.support.imu_tables import DEGREE, HEAD, ROWS, G, is_right, table

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
