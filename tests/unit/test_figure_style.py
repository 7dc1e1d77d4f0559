"""Figures have the size that was asked for, in every format, with text that is text, and the same bytes each time."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from nbedex.errors import ArgumentError, OutputError
from nbedex.report import FigureStyle, plot_maps
from nbedex.report.style import render, write_figure
from oracles.command_line import here
from oracles.maps_sample import sample_result


def width_mm(path: Path, dpi: int) -> float:
    data = path.read_bytes()
    if path.suffix == ".png":
        return int.from_bytes(data[16:20], "big") / dpi * 25.4
    if path.suffix == ".svg":
        found = re.search(r'<svg[^>]* width="([\d.]+)pt"', data.decode())
    else:
        found = re.search(r"/MediaBox \[ 0 0 ([\d.]+) ", data.decode("latin-1"))
    assert found
    return float(found[1]) / 72 * 25.4


@pytest.mark.parametrize(("width", "expected"), [("single", 85), ("double", 178), ("120", 120), (60.0, 60)])
def test_size_in_every_format(tmp_path: Path, width: str | float, expected: float) -> None:
    """Of a map with a long legend: nothing sticks out, nothing is scaled."""
    result = sample_result((9, 14))
    files = plot_maps(result, tmp_path, kind="phase", formats="png,svg,pdf", width=width, dpi=100)
    assert [file.name for file in files] == ["phase.png", "phase.svg", "phase.pdf"]
    for file in files:
        assert width_mm(file, 100) == pytest.approx(expected, abs=0.3)


def test_text_stays_text(tmp_path: Path) -> None:
    svg, pdf = plot_maps(sample_result((9, 14)), tmp_path, kind="phase", formats=["svg", "pdf"])
    text = svg.read_text()
    assert "beta2-alumina" in text
    sizes = [float(s) for s in re.findall(r"font: ([\d.]+)px|font-size: ([\d.]+)px", text) for s in s if s]
    assert sizes and min(sizes) >= 6 - 1e-6
    assert "<image" in text  # the map is a picture in it
    data = pdf.read_bytes()
    assert b"/FontFile2" in data  # TrueType, embedded
    assert b"/Type3" not in data
    streams = [zlib.decompressobj().decompress(part) for part in data.split(b"stream\r\n")[1:] if part[:1] == b"\x78"]
    streams += [zlib.decompressobj().decompress(part) for part in data.split(b"stream\n")[1:] if part[:1] == b"\x78"]
    assert any(b"BT" in stream for stream in streams)


def test_same_bytes_each_time() -> None:
    from nbedex.report import draw

    result, style = sample_result((5, 6)), FigureStyle(formats=("png", "svg", "pdf"), width_mm=90.0, dpi=60)
    first, second = (render(lambda w: draw(result, kind="ipf-z", width=w), style) for _ in range(2))
    assert first == second


def test_endings_and_names(tmp_path: Path) -> None:
    assert FigureStyle.for_file("a.PDF").formats == ("pdf",)
    assert FigureStyle.for_file("a.svg", formats=["png,pdf", "png"]).formats == ("png", "pdf")
    names = FigureStyle(formats=("png", "pdf")).files(tmp_path / "my.map.png")
    assert [name.name for name in names] == ["my.map.png", "my.map.pdf"]
    assert FigureStyle.of(width="single").width_mm == 85


def test_what_is_not_possible() -> None:
    for options, message in (
        ({"formats": "jpg"}, "expected formats out of png, svg, pdf, got jpg"),
        ({"width": "wide"}, "expected single, double or millimetres as the width, got 'wide'"),
        ({"width": 20}, r"expected a width of 60 to 500 mm, .* got 20"),
        ({"width": "nan"}, r"expected a width of 60 to 500 mm, .* got nan"),
        ({"dpi": 10}, "dpi must lie between 50 and 1200, got 10"),
    ):
        with pytest.raises(ArgumentError, match=message):
            FigureStyle.of(**options)
    with pytest.raises(ArgumentError, match=r"give a name that ends in \.png, \.svg or \.pdf, got a\.gif"):
        FigureStyle.for_file("a.gif")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--width", "wide"), "expected single, double or millimetres as the width, got 'wide'"),
        (("--format", "png,eps"), "expected formats out of png, svg, pdf, got png, eps"),
        (("--dpi", "9"), "dpi must lie between 50 and 1200, got 9"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("plot", "map.h5", "--to", "f"),
        ("grains", "map.h5", "-o", "g.h5", "--figures", "f"),
        ("boundaries", "g.h5", "--figures", "f"),
        ("blockade", "g.h5", "--field", "0", "-o", "f"),
        ("analyse", "map.h5", "--field", "0", "-o", "f"),
        ("look", "--at", "0,0", "--to", "p.png"),
        ("calibrate", "scan.h5", "--to", "p.png"),
        ("transport", "g.h5", "--electrode", "left", "--to", "p.png"),
        ("vdf", "scan.h5", "--at", "0.3,0", "-o", "v.npy", "--figure", "p.png"),
    ],
    ids=lambda command: command[0],
)
def test_usage_errors(tmp_path: Path, command: tuple[str, ...], flags: tuple[str, str], message: str) -> None:
    """Before anything is read: none of these files exists."""
    code, _, errors = here(tmp_path, *command, *flags)
    assert code == 2
    assert message in errors


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """One format in the way stops all, before anything is drawn."""
    (tmp_path / "phase.pdf").write_bytes(b"mine")

    def draw(width: float):
        raise AssertionError("drawn")

    style = FigureStyle(formats=("png", "pdf"))
    with pytest.raises(OutputError, match=r"phase\.pdf exists already"):
        write_figure(tmp_path / "phase", draw, style)
    assert [path.name for path in tmp_path.iterdir()] == ["phase.pdf"]
