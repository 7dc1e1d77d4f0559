"""Write the tables of docs/published-spacings.md: published, computed and measured spacings side by side.

    python bench/published_tables.py

simulates the published patterns dynamically, indexes them as a scan, and measures their spots. A minute.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from nbedex.library import SimulationSettings, TemplateLibrary, cached_library  # noqa: E402
from nbedex.maps import Status  # noqa: E402
from nbedex.phases import load_phase  # noqa: E402
from oracles.published_patterns import CALIBRATION, Camera, particle_frame  # noqa: E402
from oracles.published_spacings import (  # noqa: E402
    LIBRARY,
    TABLE_3_2,
    TABLE_5_1,
    Spacing,
    indexed,
    measured_lengths,
    zone_error_deg,
    zone_frames,
)

PAGE = ROOT / "docs" / "published-spacings.md"
TILT_DEG = 0.5
CAMERAS = {
    "2·10⁴ counts": Camera(),
    "2·10³ counts": Camera(counts=2e3),
    "2·10⁵ counts": Camera(counts=2e5),
    "an amorphous halo": Camera(halo=0.15),
    "wide spots": Camera(blur_px=1.8),
}
LIBRARIES = {
    "Na–Au phases": ("na2au", "au2na", "au", "na"),
    "these, β″ and NZSP": ("na2au", "au2na", "au", "na", "beta2-alumina", "nzsp"),
    "β″, NZSP, Na₂Au": ("beta2-alumina", "nzsp", "na2au"),
    "all twelve": (
        "beta2-alumina", "beta-alumina", "nzsp", "nzsp-r3c", "na2au", "au2na", "au", "na", "pt", "zro2-m", "zro2-t",
        "cu",
    ),
}  # fmt: skip


def library_of(names: tuple[str, ...]) -> TemplateLibrary:
    return cached_library([load_phase(name) for name in names], SimulationSettings(voltage=CALIBRATION.voltage))


def spacing_rows(table: list[Spacing], n: int) -> tuple[list[str], list[str]]:
    """Lines of the table of spacings, and of the table of patterns."""
    library, lines, patterns = library_of(LIBRARY), [], []
    for phase_name, zone in dict.fromkeys((row.phase, row.zone) for row in table):
        phase = load_phase(phase_name)
        frames, _ = zone_frames(phase_name, zone, n=n, tilt_deg=TILT_DEG)
        result = indexed(frames, library)
        plain = indexed(frames, library, rerank=False)
        right = [i for i in range(n) if result.phase_id[0, i] == LIBRARY.index(phase_name)]
        errors = [zone_error_deg(phase, result.orientation[0, i], zone) for i in right]
        on_zone = [i for i, error in zip(right, errors, strict=True) if error <= 1.0]
        plain_right = [i for i in range(n) if plain.phase_id[0, i] == LIBRARY.index(phase_name)]
        plain_errors = [zone_error_deg(phase, plain.orientation[0, i], zone) for i in plain_right]
        patterns.append(
            f"| {phase_name} {bracketed(zone)} | {n} | {len(plain_right)} | {within(plain_errors)} |"
            f" {len(right)} | {within(errors)} |"
        )
        for row in (r for r in table if r.phase == phase_name):
            found = [
                length
                for i in on_zone
                for _, length in measured_lengths(
                    frames[i], result.center[0, i], phase, result.orientation[0, i], row.hkl
                )
            ]
            lines.append(line(row, phase.d_spacing(row.hkl), np.array(found)))
    return lines, patterns


def within(errors: list[float]) -> str:
    return f"{sum(e <= 1 for e in errors)}, {sum(e <= 3 for e in errors)}"


def line(row: Spacing, d: float, lengths: np.ndarray) -> str:
    """d and found lengths in angstrom and 1/nm."""
    if row.reciprocal:
        values, computed, digits = lengths, 10 / d, 2
    else:
        values, computed, digits = 1 / lengths, d / 10, 3
    found = f"{np.median(values):.{digits}f} ± {values.std():.{digits}f} ({len(values)})" if len(values) else "–"
    thesis = f" {row.measured:g} |" if row.measured else " – |" if row.reciprocal else ""
    off = f"{100 * (row.published / computed - 1):+.1f} %"
    name = f"{row.phase} ({' '.join(map(str, row.hkl))})"
    return f"| {name} | {row.published:.2f} |{thesis} {computed:.{digits + 1}f} | {off} | {found} |"


def particle_rows(n: int) -> list[str]:
    lines = []
    for name, phases in LIBRARIES.items():
        library, cells = library_of(phases), []
        for camera in CAMERAS.values():
            frames = np.array([particle_frame(seed=i, turn_deg=3.7 * i, camera=camera) for i in range(n)])
            result = indexed(frames, library, rerank=False)
            cells.append(f"{int((result.status == Status.NO_MATCH).sum())}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def header(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---|" + "---|" * (len(names) - 1)]


def bracketed(zone: tuple[int, int, int]) -> str:
    return f"[{' '.join(map(str, zone))}]"


def replaced(page: str, name: str, lines: list[str]) -> str:
    start, end = f"<!-- {name}: written by bench/published_tables.py -->", f"<!-- end of {name} -->"
    before, rest = page.split(start)
    _, after = rest.split(end)
    return before + start + "\n" + "\n".join(lines) + "\n" + end + after


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=16, help="patterns of each kind")
    n = parser.parse_args().n
    rows_3_2, patterns_3_2 = spacing_rows(TABLE_3_2, n)
    rows_5_1, patterns_5_1 = spacing_rows(TABLE_5_1, n)
    page = PAGE.read_text()
    measured = "measured here (pairs of spots)"
    head = header("phase (hkl)", "published d, nm", "computed", "published is", measured)
    page = replaced(page, "table 3-2", head + rows_3_2)
    head = header("phase (hkl)", "published g, 1/nm", "thesis measured", "computed", "published is", measured)
    page = replaced(page, "table 5-1", head + rows_5_1)
    within_zone = "within 1°, 3° of the zone"
    head = header("pattern", "n", "phase right, defaults", within_zone, "phase right, `--rerank all`", within_zone)
    page = replaced(page, "patterns", head + patterns_3_2 + patterns_5_1)
    page = replaced(page, "particle", header("library", *CAMERAS) + particle_rows(n))
    PAGE.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
