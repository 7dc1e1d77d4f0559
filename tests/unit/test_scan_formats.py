"""Every format: the numbers, their order, and the calibration, against the array that was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan import Scan, open_scan
from nbedex.scan.sources import RawSource
from oracles.scan_files import patterns, signal, write_dm4, write_empad, write_mib, write_mrc

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

WIDE = patterns()
SQUARE = patterns((3, 5, 19, 19), np.uint8)
FLOATS = patterns((3, 5, 128, 128), np.float32)


def rosetta(name: str, data: NDArray[Any], **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        from importlib import import_module

        keywords = {k: options.pop(k) for k in ("store_type",) if k in options}
        written = signal(data, **options)
        if name == "tvips":
            path = path.with_name(path.name.replace("_000", ""))
        import_module(f"rsciio.{name}").file_writer(str(path), [written] if name == "nexus" else written, **keywords)

    return write


CASES: dict[str, tuple[str, Callable[[Path], Any], NDArray[Any], dict[str, Any]]] = {
    "hspy": ("a.hspy", rosetta("hspy", WIDE, beam_energy=200.0), WIDE, {}),
    "zspy": ("a.zspy", rosetta("zspy", WIDE, beam_energy=200.0), WIDE, {}),
    "zspy zip": ("a.zspy", rosetta("zspy", WIDE, beam_energy=200.0, store_type="zip"), WIDE, {}),
    "nexus": ("a.nxs", rosetta("nexus", WIDE), WIDE, {}),
    "emd": ("a.emd", rosetta("emd", WIDE), WIDE, {}),
    "blo": ("a.blo", rosetta("blockfile", SQUARE, units=("nm", "nm", "cm", "cm")), SQUARE, {}),
    "tvips": ("a_000.tvips", rosetta("tvips", WIDE, beam_energy=200.0), WIDE, {"scan_shape": (3, 5)}),
    "mib": ("a.mib", lambda p: write_mib(p, WIDE), WIDE, {}),
    "mib u1": ("a.mib", lambda p: write_mib(p, SQUARE, depth=6), SQUARE, {}),
    "mib no hdr": ("a.mib", lambda p: write_mib(p, WIDE, hdr=False), WIDE, {"scan_shape": (3, 5)}),
    "empad": ("a.xml", lambda p: write_empad(p, FLOATS), FLOATS, {}),
    "mrc": (
        "a.mrc",
        lambda p: write_mrc(p, WIDE.reshape(-1, 17, 19), extended=512),
        WIDE,
        {"scan_shape": (3, 5)},
    ),
    "mrc f4": ("a.mrc", lambda p: write_mrc(p, FLOATS.reshape(-1, 128, 128)), FLOATS, {"scan_shape": (3, 5)}),
    "dm4": ("a.dm4", lambda p: write_dm4(p, WIDE), WIDE, {}),
    "npy": ("a.npy", lambda p: np.save(p, WIDE), WIDE, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_frames_are_those_written(tmp_path: Path, case: str) -> None:
    name, write, data, options = CASES[case]
    write(tmp_path / name)
    with open_scan(tmp_path / name, **options) as scan:
        assert scan.format == {"dm4": "dm"}.get(case, case.split()[0])
        assert scan.shape == data.shape
        frames = data.reshape(-1, *data.shape[2:])
        for start, stop in ((0, 15), (4, 6), (3, 11), (14, 15)):
            block = scan.read(start, stop)
            np.testing.assert_array_equal(block, frames[start:stop])
            assert block.dtype == data.dtype and block.flags.c_contiguous
        np.testing.assert_array_equal(scan.read_at([9, 0, 9]), frames[[9, 0, 9]])


def opened(tmp_path: Path, case: str) -> Scan:
    name, write, _, options = CASES[case]
    write(tmp_path / name)
    return open_scan(tmp_path / name, **options)


@pytest.mark.parametrize("case", ["hspy", "zspy", "zspy zip", "nexus", "emd", "dm4"])
def test_calibration_of_formats_that_have_one(tmp_path: Path, case: str) -> None:
    with opened(tmp_path, case) as scan:
        assert scan.metadata.pixel_size == pytest.approx(0.05, rel=1e-6)
        assert scan.metadata.step == pytest.approx((2.0, 3.0))
        assert scan.metadata.voltage == {"nexus": None, "emd": None, "dm4": 300.0}.get(case, 200.0)


@pytest.mark.parametrize("case", ["tvips", "mrc", "mib", "npy"])
def test_scales_that_the_file_does_not_hold_are_not_made_up(tmp_path: Path, case: str) -> None:
    with opened(tmp_path, case) as scan:
        assert scan.metadata.pixel_size is None and scan.metadata.step is None


def test_blo_pixels_in_cm_are_no_calibration(tmp_path: Path) -> None:
    with opened(tmp_path, "blo") as scan:
        assert scan.metadata.pixel_size is None and scan.metadata.step == (2.0, 3.0)
        assert scan.saturation_value == 255
        assert "pixel size ignored: unit 'cm' is not a reciprocal length; give --pixel-size" in scan.metadata.notes


def test_mib_rows_are_turned_and_it_says_so(tmp_path: Path) -> None:
    record = write_mib(tmp_path / "a.mib", WIDE)
    with open_scan(tmp_path / "a.mib") as scan:
        first = np.frombuffer((tmp_path / "a.mib").read_bytes()[384:record], ">u2").reshape(17, 19)
        np.testing.assert_array_equal(scan.read(0, 1)[0], first[::-1])
        assert "detector rows are turned upside down" in scan.metadata.notes[0]
        assert scan.saturation_value == 4095


def test_mib_counter_depth_sets_saturation(tmp_path: Path) -> None:
    with opened(tmp_path, "mib u1") as scan:
        assert scan.saturation_value == 63


def test_mib_without_hdr_needs_the_scan_shape(tmp_path: Path) -> None:
    write_mib(tmp_path / "a.mib", WIDE, hdr=False)
    with pytest.raises(
        ArgumentError, match=r"no .hdr file beside it .* give --scan-shape ROWS,COLUMNS \(15 patterns\)"
    ):
        open_scan(tmp_path / "a.mib")
    with pytest.raises(ArgumentError, match=r"--scan-shape 3 x 4 has 12 patterns, .*a.mib has 15"):
        open_scan(tmp_path / "a.mib", scan_shape=(3, 4))


def test_mib_of_an_interrupted_scan_never_loses_rows_silently(tmp_path: Path) -> None:
    record = write_mib(tmp_path / "a.mib", WIDE)
    with open(tmp_path / "a.mib", "r+b") as file:
        file.truncate(12 * record + 100)
    with pytest.raises(DataFormatError) as error:
        open_scan(tmp_path / "a.mib")
    sizes = f"15 patterns need {15 * record} bytes, the file has {12 * record + 100} (12 whole patterns)"
    assert f"truncated, {sizes}" in str(error.value)
    with open_scan(tmp_path / "a.mib", scan_shape=(2, 5)) as scan:
        np.testing.assert_array_equal(scan.read(0, 10), WIDE.reshape(-1, 17, 19)[:10])
        assert "the scan was interrupted: 12 of 15 patterns are in the file" in scan.metadata.notes
    with pytest.raises(DataFormatError, match=r"12 whole patterns"):
        open_scan(tmp_path / "a.mib", scan_shape=(3, 5))


def test_empad_voltage_is_read_and_its_false_pixel_size_is_not(tmp_path: Path) -> None:
    # The numbers of RosettaSciIO's example: calibrated_pixelsize is the field of view / 25000, a length.
    extra = "<source.get_voltage>300000.0</source.get_voltage><calibrated_pixelsize>1.8e-10</calibrated_pixelsize>"
    write_empad(tmp_path / "a.xml", FLOATS, extra=extra)
    with open_scan(tmp_path / "a.xml") as scan:
        assert scan.metadata.pixel_size is None and scan.metadata.voltage == 300.0
        assert scan.metadata.step == pytest.approx((20.0, 20.0))
        assert "calibrated_pixelsize is no reciprocal length" in scan.metadata.notes[0]
        assert len(scan.metadata.notes) == 1
    part = '<root><scan_parameters mode="acquire"><scan_size>0.6</scan_size></scan_parameters>'
    text = (tmp_path / "a.xml").read_text().replace('<root name="test">', part)
    (tmp_path / "a.xml").write_text(text)
    with open_scan(tmp_path / "a.xml") as scan:
        assert scan.metadata.notes[1].startswith("the scan step is that of the full field of view")


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "..\\secret.raw", "C:\\x.raw", "..", "sub/x.raw"])
def test_empad_raw_file_must_lie_beside_the_xml(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(15 * 130 * 128 * 4))
    write_empad(folder / "a.xml", FLOATS, raw_name="scan_x5_y3.raw")
    text = (folder / "a.xml").read_text().replace("scan_x5_y3.raw", name)
    (folder / "a.xml").write_text(text)
    with pytest.raises(DataFormatError, match=r"is no plain file name; only files beside it are read"):
        open_scan(folder / "a.xml")


def test_xml_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<root><other/></root>")
    with pytest.raises(DataFormatError, match=r"not an EMPAD file, it names no raw_file"):
        open_scan(tmp_path / "a.xml")
    bomb = '<!DOCTYPE b [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{"&" + chr(97 + i) + ";" * 1}{("&" + chr(97 + i) + ";") * 30}">' for i in range(9)
    )
    (tmp_path / "b.xml").write_text(f"{bomb}]><root>&j;</root>")
    with pytest.raises(DataFormatError, match=r"not a readable XML file"):
        open_scan(tmp_path / "b.xml")


def test_dm4_with_the_detector_first_is_recognised_by_its_units(tmp_path: Path) -> None:
    exchanged = np.ascontiguousarray(WIDE.transpose(2, 3, 0, 1))
    write_dm4(tmp_path / "a.dm4", exchanged, units=("1/nm", "1/nm", "nm", "nm"), scales=(0.5, 0.5, 2.0, 3.0))
    with open_scan(tmp_path / "a.dm4") as scan:
        np.testing.assert_array_equal(scan.read(0, 15), WIDE.reshape(-1, 17, 19))
        assert scan.metadata.step == (2.0, 3.0) and scan.metadata.pixel_size == pytest.approx(0.05)
        assert "detector axes first" in scan.metadata.notes[0]


def test_emd_in_both_orders_and_without_units(tmp_path: Path) -> None:
    import h5py

    rosetta("emd", WIDE, units=("", "", "", ""))(tmp_path / "a.emd")
    with open_scan(tmp_path / "a.emd") as scan:
        np.testing.assert_array_equal(scan.read(0, 15), WIDE.reshape(-1, 17, 19))
        assert scan.metadata.notes[-1] == "EMD file with the scan as its last axes, read in reversed order"
    with h5py.File(tmp_path / "b.emd", "w") as file:  # an EMD 0.2 file in plain order, as its units show
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = WIDE
        for number, (scale, unit) in enumerate(((2, "[n_m]"), (3, "[n_m]"), (0.5, "[1/n_m]"), (0.5, "[1/n_m]"))):
            group[f"dim{number + 1}"] = np.arange(WIDE.shape[number]) * scale
            group[f"dim{number + 1}"].attrs["units"] = unit
        file.create_group("microscope").attrs["voltage"] = 300.0
    with open_scan(tmp_path / "b.emd") as scan:
        np.testing.assert_array_equal(scan.read(0, 15), WIDE.reshape(-1, 17, 19))
        assert scan.metadata.step == (2.0, 3.0) and scan.metadata.pixel_size == pytest.approx(0.05)
        assert scan.metadata.voltage == 300.0 and scan.metadata.notes == ()


def test_prz_is_refused_because_its_lazy_reader_returns_garbage(tmp_path: Path) -> None:
    rosetta("pantarhei", WIDE)(tmp_path / "a.prz")
    with pytest.raises(DataFormatError, match=r"wrong numbers for compressed .prz files; convert it to .hspy"):
        open_scan(tmp_path / "a.prz")


def test_tvips_of_several_files(tmp_path: Path) -> None:
    from rsciio.tvips import file_writer

    file_writer(str(tmp_path / "m.tvips"), signal(WIDE), max_file_size=4000)
    assert (tmp_path / "m_002.tvips").exists()
    with open_scan(tmp_path / "m_000.tvips", scan_shape=(3, 5)) as scan:
        np.testing.assert_array_equal(scan.read(0, 15), WIDE.reshape(-1, 17, 19))
    with open_scan(tmp_path / "m_000.tvips") as scan:
        assert scan.metadata.notes[-1].startswith("a stack of 15 patterns is taken for one scan row")
        assert not any("scan step" in note for note in scan.metadata.notes)


def test_known_layouts_are_read_past_the_lazy_array(tmp_path: Path) -> None:
    for case in ("blo", "mib", "empad", "mrc", "dm4", "tvips"):
        with opened(tmp_path, case) as scan:
            assert isinstance(scan._source, RawSource), case


@pytest.mark.parametrize("case", ["blo", "mib", "mrc", "dm4"])
def test_a_lazy_array_that_differs_is_not_trusted(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex.scan import rosetta as module

    name, write, _, options = CASES[case]
    write(tmp_path / name)
    original = module._read

    def garbled(*args: Any, **keywords: Any) -> list[dict[str, Any]]:
        signals = original(*args, **keywords)
        for each in signals:
            last = np.zeros(each["data"].shape, each["data"].dtype)
            last[(-1,) * (last.ndim - 2) + (3, 4)] = 1
            each["data"] = each["data"] + last
        return signals

    monkeypatch.setattr(module, "_read", garbled)
    with pytest.raises(DataFormatError, match=r"pattern 14 as read from its place in the file is not what"):
        open_scan(tmp_path / name, **options)


def test_unknown_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("hello")
    with pytest.raises(ArgumentError, match=r"unknown format '.xyz'; expected .hspy, .zspy, .blo, .mib"):
        open_scan(tmp_path / "a.xyz")
    with pytest.raises(ArgumentError, match=r"no such file: .*none.hspy"):
        open_scan(tmp_path / "none.hspy")
    (tmp_path / "empty.blo").touch()
    with pytest.raises(DataFormatError, match=r"empty.blo: empty file"):
        open_scan(tmp_path / "empty.blo")
    np.save(tmp_path / "a.npy", WIDE)
    with pytest.raises(ArgumentError, match=r"--dataset is for HDF5 files; .*a.npy is none"):
        open_scan(tmp_path / "a.npy", dataset="/data")
