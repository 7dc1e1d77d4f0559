"""Write templates/lamella/lamella.toml from the layout (layout.py) and the orientations (orientations.csv).

python bench/lamella/make.py
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from layout import FIELD_DEG, FIELD_NM, RINGS, THICKNESS_NM, build

from nbedex.maps import canonical, from_euler

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "templates" / "lamella" / "lamella.toml"
HEADER = """\
# A virtual lamella of Na-beta''-alumina between two electrodes, after the published experiment [Ding2023, Ding2024].
#
# Published: misorientations and trace angles of 14 pairs of grains, low-angle and coincidence boundaries, classes of
# twelve boundaries (python/nbedex/demo/published.py). Invented: everything else, that is the layout, the inclinations,
# the electrodes' crystals, G2 to G4. The orientations are one of many solutions (bench/lamella/orientations.py); this
# file is written by bench/lamella/make.py. See docs/lamella.md.
#
# corner: [y, x] in nm from the top left corner of the field of view, at half thickness; lean: nm of shift (y, x) per nm
# of depth along the beam. region: corners in the order X towards Y; orientation: quaternion w, x, y, z, sample to
# crystal, in the middle of the region; bend_deg: turn from one end of the region to the other.
"""


def main() -> None:
    """Write the file."""
    corners, lean, rings = build()
    with (HERE / "orientations.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    table = {row["region"]: row for row in rows}
    lines = [
        HEADER,
        f"size_nm = [{FIELD_NM}, {FIELD_NM}]",
        f"thickness_nm = {list(THICKNESS_NM)} # top left, top right, bottom left, bottom right",
        f"field_deg = {FIELD_DEG} # where Na+ is driven, from X towards Y: from the top electrode to the right one",
        "",
        "corner = [",
        *(_corner(number, at, tilt) for number, (at, tilt) in enumerate(zip(corners, lean, strict=True))),
        "]",
    ]
    for name, ring in rings.items():
        role, phase, _ = RINGS[name]
        lines += ["", "[[region]]", f'name = "{name}"', f'role = "{role}"', f"corners = {list(ring)}"]
        if phase is not None:
            row = table[name]
            q = canonical(from_euler(np.deg2rad([float(row[key]) for key in ("phi1", "Phi", "phi2")])))
            lines += [f'phase = "{phase}"', f"orientation = {[round(float(value), 8) for value in q]}"]
            lines += [f"bend_deg = {float(row['bend'])}", f"bend_axis_deg = {float(row['bend_axis'])}"]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _corner(number: int, at: np.ndarray, tilt: np.ndarray) -> str:
    y, x = (float(value) for value in at)
    lean = f", lean = [{float(tilt[0])}, {float(tilt[1])}]" if tilt.any() else ""
    return f"    {{ at = [{y}, {x}]{lean} }}, # {number}"


if __name__ == "__main__":
    main()
