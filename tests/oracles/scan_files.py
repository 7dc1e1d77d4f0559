"""Small 4D-STEM files with known content, for the tests of nbedex.scan.

Every pixel has its own value, so that a flip, a transposition or a shift by one is caught.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Prime sizes, all different.
SHAPE = (3, 5, 17, 19)


def patterns(shape: tuple[int, ...] = SHAPE, dtype: Any = np.uint16) -> NDArray[Any]:
    """Array without any symmetry."""
    numbers = np.arange(np.prod(shape), dtype=np.int64)
    values = (numbers * 7919 + numbers // 13) % 251
    return values.reshape(shape).astype(dtype)


def signal(
    data: NDArray[Any],
    *,
    units: tuple[str, ...] = ("nm", "nm", "1/nm", "1/nm"),
    scales: tuple[float, ...] = (2.0, 3.0, 0.5, 0.5),
    beam_energy: float | None = None,
) -> dict[str, Any]:
    """Signal dictionary that RosettaSciIO's writers take."""
    names = ("y", "x", "ky", "kx")
    axes = [
        {
            "size": size,
            "index_in_array": number,
            "name": names[number],
            "scale": scales[number],
            "offset": 0.0,
            "units": units[number],
            "navigate": number < 2,
            "_type": "UniformDataAxis",
            "is_binned": False,
        }
        for number, size in enumerate(data.shape)
    ]
    metadata: dict[str, Any] = {
        "General": {"title": "test"},
        "Signal": {"signal_type": "electron_diffraction"},
    }
    if beam_energy is not None:
        metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": beam_energy}}
    return {
        "data": data,
        "axes": axes,
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "learning_results": {},
        "models": {},
        "package_info": {"package": "nbedex", "package_version": "0"},
    }


def write_mib(
    path: Path, data: NDArray[Any], *, hdr: bool = True, per_trigger: int | None = None, depth: int = 12
) -> int:
    """Merlin file of big-endian frames, lowest detector row first; returns the bytes of one record."""
    kinds = {1: "U08", 2: "U16", 4: "U32"}
    frames = data.reshape(-1, *data.shape[-2:])
    height, width = frames.shape[1:]
    kind = kinds[data.dtype.itemsize]
    with open(path, "wb") as file:
        for number, frame in enumerate(frames):
            head = (
                f"MQ1,{number + 1:06d},00384,01,{width:04d},{height:04d},{kind},   1x1,01,"
                f"2024-01-01 10:00:00.{number:06d},0.001000,0,0,0,MQ1A,"
                f"2024-01-01T10:00:00.{number:06d}000Z,1000000ns,{depth},"
            )
            file.write(head.ljust(384).encode())
            file.write(frame[::-1].astype(data.dtype.newbyteorder(">")).tobytes())
    if hdr:
        lines = (
            "HDR,\t",
            f"Counter Depth (number):\t{depth}",
            f"Frames in Acquisition (Number):\t{len(frames)}",
            f"Frames per Trigger (Number):\t{per_trigger or data.shape[1]}",
            "End\t",
        )
        path.with_suffix(".hdr").write_text("\n".join(lines) + "\n")
    return 384 + frames[0].nbytes


def write_empad(path: Path, data: NDArray[np.float32], *, raw_name: str = "scan_x5_y3.raw", extra: str = "") -> None:
    """EMPAD pair of files: frames of 128 x 128 with two rows behind each that are no image."""
    rows, columns = data.shape[:2]
    padded = np.full((rows, columns, 130, 128), -1.0, "<f4")
    padded[:, :, :128] = data
    if "/" not in raw_name and "\\" not in raw_name:
        padded.tofile(path.with_name(raw_name))
    path.write_text(
        f'<root name="test"><timestamp isoformat="2024-01-01T10:00:00"/><pix_x>{columns}</pix_x>'
        f'<pix_y>{rows}</pix_y><raw_file filename="{raw_name}"/>'
        f"<iom_measurements>{extra}"
        "<optics.get_full_scan_field_of_view>[6e-08, 1e-07]</optics.get_full_scan_field_of_view>"
        "</iom_measurements></root>"
    )


def write_mrc(path: Path, frames: NDArray[Any], *, extended: int = 0) -> None:
    """MRC stack (n, y, x) of uint16 or float32."""
    mode = {"u2": 6, "f4": 2}[frames.dtype.str[1:]]
    head = bytearray(1024)
    struct.pack_into("<4i", head, 0, frames.shape[2], frames.shape[1], frames.shape[0], mode)
    struct.pack_into("<3i3f", head, 28, *frames.shape[::-1], *(10.0 * n for n in frames.shape[::-1]))
    struct.pack_into("<i", head, 92, extended)
    path.write_bytes(bytes(head) + bytes(extended) + frames.astype(frames.dtype.newbyteorder("<")).tobytes())


def write_dm4(
    path: Path,
    data: NDArray[np.uint16],
    *,
    units: tuple[str, ...] = ("nm", "nm", "1/nm", "1/nm"),
    scales: tuple[float, ...] = (2.0, 3.0, 0.5, 0.5),
    voltage: float = 300000.0,
) -> None:
    """DigitalMicrograph 4 file with one uint16 array; units and scales in the order of its axes."""

    def number(value: float, kind: int, code: str) -> bytes:
        return b"%%%%" + struct.pack(">qq", 1, kind) + struct.pack("<" + code, value)

    def array(values: NDArray[Any], kind: int) -> bytes:
        return b"%%%%" + struct.pack(">qqqq", 3, 20, kind, values.size) + values.tobytes()

    def group(*tags: tuple[str, Any]) -> bytes:
        body = struct.pack(">BBq", 1, 0, len(tags))
        for name, content in tags:
            is_group = isinstance(content, tuple)
            inner = content[0] if is_group else content
            body += struct.pack(">BH", 20 if is_group else 21, len(name)) + name.encode()
            body += struct.pack(">q", len(inner)) + inner
        return body

    def text(value: str) -> bytes:
        return array(np.frombuffer(value.encode("utf-16-le"), "<u2"), 4)

    reverse = range(data.ndim)[::-1]  # DigitalMicrograph counts from the fastest axis
    dimensions = [
        (
            "",
            (
                group(
                    ("Origin", number(0.0, 6, "f")),
                    ("Scale", number(scales[i], 6, "f")),
                    ("Units", text(units[i])),
                ),
            ),
        )
        for i in reverse
    ]
    brightness = group(("Origin", number(0.0, 6, "f")), ("Scale", number(1.0, 6, "f")), ("Units", text("e")))
    calibrations = group(("Brightness", (brightness,)), ("Dimension", (group(*dimensions),)))
    image_data = group(
        ("Calibrations", (calibrations,)),
        ("Data", array(data.astype("<u2"), 4)),
        ("DataType", number(10, 5, "I")),
        ("Dimensions", (group(*[("", number(data.shape[i], 5, "I")) for i in reverse]),)),
        ("PixelDepth", number(2, 5, "I")),
    )
    microscope = group(("Voltage", number(voltage, 6, "f")))
    tags = group(("Microscope Info", (microscope,)))
    image = group(("ImageData", (image_data,)), ("ImageTags", (tags,)), ("Name", text("test")))
    root = group(("ImageList", (group(("", (image,))),)))
    path.write_bytes(struct.pack(">iqi", 4, len(root) + 24, 1) + root + bytes(8))
