"""Channel text files (.ctf), in the layout of Oxford Instruments with the columns as ASTAR fills them.

Angles in degrees, coordinates in um. Phases count from 1, phase 0 is not indexed, Error 3 ("no solution")
there. The crystal frame is that of such files, X || a*, Y || b (`channel_frame`). As in ASTAR's own .ctf files BC holds
the index (100 times the correlation, a whole number) and MAD the reliability (a fraction, percent / 100); BS holds the
phase reliability in percent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.bands import Bands
from nbedex.maps.channel_frame import channel_to_ours
from nbedex.maps.orientation import canonical, conjugate, multiply, to_euler
from nbedex.maps.result import IndexingResult
from nbedex.maps.table import Table, channel_code, grid, plain_name
from nbedex.maps.text import Column, Numbers

_COLUMNS = ("Phase", "X", "Y", "Bands", "Error", "Euler1", "Euler2", "Euler3", "MAD", "BC", "BS")


def ctf_columns(result: IndexingResult, table: Table) -> list[Column]:
    """Columns in the order of `_COLUMNS`."""
    lost = ~table.keep
    scale = 1e-3 if table.unit == "nm" else 1.0
    degrees = np.rad2deg(np.where(lost[:, None], 0.0, _euler_in_channel_frame(result)))
    index = np.clip(100.0 * result.index.ravel().astype(np.float64), 0.0, 100.0)
    reliability = np.nan_to_num(result.reliability.ravel().astype(np.float64) / 100.0, nan=1.0)
    phase_reliability = np.nan_to_num(result.phase_reliability.ravel().astype(np.float64), nan=100.0)
    return [
        Numbers(table.phase),
        Numbers(scale * table.x, 7),
        Numbers(scale * table.y, 7),
        Numbers(np.where(lost, 0, 6)),  # ASTAR writes 6 bands; readers drop pixels with none
        Numbers(np.where(lost, 3, 0)),
        *(Numbers(angle, 4) for angle in degrees.T),
        Numbers(np.where(lost, 0.0, np.maximum(reliability, 0.0)), 4),
        Numbers(np.where(lost, 0.0, index)),
        Numbers(np.where(lost, 0.0, np.clip(phase_reliability, 0.0, 100.0))),
    ]


def _euler_in_channel_frame(result: IndexingResult) -> NDArray[np.float64]:
    """Bunge angles (pixels, 3), radians."""
    orientation = result.orientation.reshape(-1, 4).copy()
    for number, phase in enumerate(result.phases):
        mine = result.phase_id.ravel() == number
        turn = conjugate(channel_to_ours(phase.direct_basis.T, phase.laue_class))
        orientation[mine] = canonical(multiply(turn, orientation[mine]))
    return to_euler(orientation)


def ctf_header(source: Bands) -> bytes:
    """Everything before the first pixel."""
    ny, nx = source.shape
    step, unit = grid(source.calibration)
    scale = 1e-3 if unit == "nm" else 1.0
    dy, dx = (scale * length for length in step)
    coordinates = "um" if unit == "nm" else "pixels (scan step not known)"
    voltage = f"{source.calibration.voltage:g}"
    lines = [
        "Channel Text File",
        f"Prj\tnbedex, coordinates in {coordinates}",
        "Author\tnbedex",
        "JobMode\tGrid",
        f"XCells\t{nx}",
        f"YCells\t{ny}",
        f"XStep\t{dx:.9g}",
        f"YStep\t{dy:.9g}",
        "AcqE1\t0",
        "AcqE2\t0",
        "AcqE3\t0",
        "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t0\tCoverage\t100\tDevice\t0"
        f"\tKV\t{voltage}\tTiltAngle\t0\tTiltAxis\t0",
        f"Phases\t{len(source.phases)}",
    ]
    for number, phase in enumerate(source.phases, 1):
        a, b, c, alpha, beta, gamma = phase.cell
        lines.append(
            f"{a:.4f};{b:.4f};{c:.4f}\t{alpha:.4f};{beta:.4f};{gamma:.4f}\t{plain_name(phase.name, number)}"
            f"\t{channel_code(phase.laue_class, phase.name)}\t{phase.space_group}"
        )
    lines.append("\t".join(_COLUMNS))
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
