"""HDF5 of any layout: which dataset, which calibration, and no way out of the file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan import hdf5, open_scan, sources
from nbedex.scan import scan as scan_module
from nbedex.scan.sources import GridSource, RawSource
from oracles.scan_files import patterns, signal

DATA = patterns()
FRAMES = DATA.reshape(-1, 17, 19)


def test_the_only_4d_dataset_wins_over_stacks_and_small_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stack"] = patterns((9, 20, 20))
        file["entry/measurement/frames"] = DATA
        file["entry/tensor"] = np.zeros((3, 3, 3, 3))
        file["image"] = np.zeros((64, 64))
    with open_scan(tmp_path / "a.h5") as scan:
        assert scan.dataset == "/entry/measurement/frames" and scan.format == "hdf5"
        np.testing.assert_array_equal(scan.read(0, 15), FRAMES)
    with open_scan(tmp_path / "a.h5", dataset="stack", scan_shape=(3, 3)) as scan:
        assert scan.shape == (3, 3, 20, 20)


def test_several_candidates_are_listed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one"] = DATA
        file["sub/two"] = DATA.astype(np.float32)
    with pytest.raises(ArgumentError) as error:
        open_scan(tmp_path / "a.h5")
    assert str(error.value).endswith(
        "several datasets may be the scan; choose one with --dataset: /one (3 x 5 x 17 x 19, uint16),"
        " /sub/two (3 x 5 x 17 x 19, float32)"
    )
    with open_scan(tmp_path / "a.h5", dataset="/sub/two") as scan:
        assert scan.dtype == np.float32
    for wrong in ("three", "one/deeper", "sub/../one"):
        with pytest.raises(ArgumentError, match=f"no dataset {wrong}; choose one with --dataset: /one"):
            open_scan(tmp_path / "a.h5", dataset=wrong)
    with pytest.raises(ArgumentError, match=r"sub is a group, not a dataset; choose one with --dataset: /sub/two"):
        open_scan(tmp_path / "a.h5", dataset="sub")


def test_a_file_of_images_is_no_scan(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = np.zeros((64, 32))
    with pytest.raises(DataFormatError, match=r"only images: /image \(64 x 32, float64\); a scan has 4"):
        open_scan(tmp_path / "a.h5")


def test_contiguous_data_are_read_directly_and_tiles_are_kept(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file["data"] = DATA.astype(">u2")
        file.create_dataset("tiles", data=DATA, chunks=(2, 3, 9, 19), compression="gzip", shuffle=True)
    with open_scan(tmp_path / "a.h5", dataset="data") as scan:
        assert isinstance(scan._source, RawSource)
        np.testing.assert_array_equal(scan.read(3, 14), FRAMES[3:14])
    with open_scan(tmp_path / "a.h5", dataset="tiles") as scan:
        assert isinstance(scan._source, GridSource) and scan._source.cached
        np.testing.assert_array_equal(scan.read(3, 14), FRAMES[3:14])


def test_every_tile_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=patterns((8, 6, 16, 16)), chunks=(4, 3, 16, 16), compression="gzip")
    with open_scan(tmp_path / "a.h5") as scan:
        source = scan._source
        assert isinstance(source, GridSource)
        rows: list[tuple[slice, ...]] = []
        fetch = source._fetch
        monkeypatch.setattr(source, "_fetch", lambda where, workers: rows.append(where) or fetch(where, workers))
        for start in range(0, 48, 5):
            scan.read(start, min(start + 5, 48))
        assert rows == [(slice(0, 4), slice(0, 6)), (slice(4, 8), slice(0, 6))]


def test_tiles_too_large_to_keep_are_read_anyway_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=DATA, chunks=(2, 2, 17, 19), compression="gzip")
    monkeypatch.setattr(sources, "BAND_BUDGET", 1000)
    monkeypatch.setattr(hdf5, "LARGEST_BLOCK", 1000)
    monkeypatch.setattr(scan_module, "LARGEST_BLOCK", 1000)
    with open_scan(tmp_path / "a.h5") as scan:
        np.testing.assert_array_equal(scan.read(3, 14), FRAMES[3:14])
        np.testing.assert_array_equal(scan.read_at([3, 14, 2]), FRAMES[[3, 14, 2]])
        for block in scan.blocks(2):
            assert len(block) == 1  # 1000 bytes are less than two patterns
            np.testing.assert_array_equal(scan.read_block(block)[0], FRAMES[block.patterns])
        assert "store chunks of fewer scan positions" in scan.metadata.notes[0]


def test_links_that_leave_the_file_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = DATA
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("secret.h5", "/data")
        file["soft"] = h5py.SoftLink("/link")
        file["loop"] = h5py.SoftLink("/loop")
    with pytest.raises(DataFormatError, match=r"no dataset of 3 or 4 dimensions in this file"):
        open_scan(tmp_path / "a.h5")
    for name in ("link", "soft"):
        with pytest.raises(DataFormatError, match=rf"{name} lies in another file \(secret.h5\); links to other files"):
            open_scan(tmp_path / "a.h5", dataset=name)
    with pytest.raises(DataFormatError, match=r"loop leads through more than 16 links"):
        open_scan(tmp_path / "a.h5", dataset="loop")


def test_soft_links_inside_the_file_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/real"] = DATA
        file["entry/alias"] = h5py.SoftLink("real")
        file["top"] = h5py.SoftLink("/entry/alias")
    with open_scan(tmp_path / "a.h5", dataset="top") as scan:
        np.testing.assert_array_equal(scan.read(0, 15), FRAMES)
    with open_scan(tmp_path / "a.h5") as scan:  # the same dataset is not found twice
        assert scan.dataset == "/entry/real"


def test_numbers_kept_in_other_files_are_refused(tmp_path: Path) -> None:
    DATA.tofile(tmp_path / "secret.raw")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", DATA.shape, DATA.dtype, external=[("secret.raw", 0, DATA.nbytes)])
    with pytest.raises(DataFormatError, match=r"numbers of /data lie in other files \(secret.raw\)"):
        open_scan(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        layout = h5py.VirtualLayout(DATA.shape, DATA.dtype)
        layout[:] = h5py.VirtualSource("secret.h5", "data", DATA.shape)
        file.create_virtual_dataset("data", layout)
    with pytest.raises(DataFormatError, match=r"numbers of /data lie in other files \(secret.h5\)"):
        open_scan(tmp_path / "b.h5")


def test_calibration_behind_an_external_link_is_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["axis"] = np.arange(17) * 0.5
        file["axis"].attrs["units"] = "1/nm"
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = DATA
        for number in range(4):
            file[f"axis-{number}"] = h5py.ExternalLink("secret.h5", "/axis")
            file[f"dim{number}"] = h5py.ExternalLink("secret.h5", "/axis")
        file.attrs["axes"] = ["dim0", "dim1", "dim2", "dim3"]
    with open_scan(tmp_path / "a.h5") as scan:
        assert scan.metadata.pixel_size is None


def test_py4dstem_calibration(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["datacube_root/datacube/data"] = DATA
        calibration = file.create_group("datacube_root/metadatabundle/calibration")
        calibration["Q_pixel_size"] = 0.05
        calibration["Q_pixel_units"] = "A^-1"
        calibration["R_pixel_size"] = 25.0
        calibration["R_pixel_units"] = "A"
        calibration["QR_flip"] = True
    with open_scan(tmp_path / "a.h5") as scan:
        assert scan.format == "py4dstem"
        assert scan.metadata.pixel_size == 0.05 and scan.metadata.step == pytest.approx((2.5, 2.5))
        assert scan.metadata.notes == (
            "py4DSTEM's QR_flip = True is not applied: set rotation and handedness of the detector yourself",
        )


def test_py4dstem_in_pixels_is_uncalibrated(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["4DSTEM/datacube/data"] = DATA
        calibration = file.create_group("4DSTEM/calibration")
        calibration.attrs.update(Q_pixel_size=1, Q_pixel_units="pixels", R_pixel_size=1, R_pixel_units="pixels")
    with open_scan(tmp_path / "a.h5") as scan:
        assert scan.metadata.pixel_size is None and scan.metadata.step is None and scan.metadata.notes == ()


def test_hspy_agrees_with_rosettasciio(tmp_path: Path) -> None:
    from rsciio.hspy import file_reader, file_writer

    file_writer(str(tmp_path / "a.hspy"), signal(DATA, beam_energy=200.0))
    reference = file_reader(str(tmp_path / "a.hspy"))[0]
    with open_scan(tmp_path / "a.hspy") as scan:
        np.testing.assert_array_equal(scan.read(0, 15), reference["data"].reshape(FRAMES.shape))
        assert scan.dataset == "/Experiments/test/data"
        step = tuple(axis["scale"] for axis in reference["axes"][:2])
        assert scan.metadata.step == step
        assert scan.metadata.pixel_size == pytest.approx(reference["axes"][3]["scale"] / 10)
        assert scan.metadata.voltage == reference["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"]


def test_stack_in_hdf5_and_a_row_of_wrong_length(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("frames", data=FRAMES, chunks=(4, 17, 19), compression="gzip")
    with open_scan(tmp_path / "a.h5", scan_shape=(5, 3)) as scan:
        assert scan.shape == (5, 3, 17, 19)
        np.testing.assert_array_equal(scan.read(2, 13), FRAMES[2:13])
    with pytest.raises(ArgumentError, match=r"--scan-shape 4 x 4 has 16 patterns, .* has 15"):
        open_scan(tmp_path / "a.h5", scan_shape=(4, 4))


def test_chunks_that_were_never_written_are_noted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        node = file.create_dataset("data", DATA.shape, DATA.dtype, chunks=(1, 5, 17, 19))
        node[0] = DATA[0]
    with open_scan(tmp_path / "a.h5") as scan:
        assert scan.metadata.notes == ("2 of 3 chunks were never written and read as zeros: interrupted acquisition?",)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("data", DATA.shape, DATA.dtype)
    with open_scan(tmp_path / "b.h5") as scan:
        assert scan.metadata.notes == ("nothing was written: all zeros",)
        assert not scan.read(0, 15).any()


def test_a_filter_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 5, 17, 19))
        plist.set_filter(32031, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple(DATA.shape)
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT16, space, plist)
    with pytest.raises(DataFormatError, match=r"filter that is not installed \(number 32031\); pip install hdf5plugin"):
        open_scan(tmp_path / "a.h5")


def test_a_stack_says_that_it_became_one_row(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["frames"] = FRAMES
    with open_scan(tmp_path / "a.h5") as scan:
        assert scan.shape == (1, 15, 17, 19)
        assert scan.metadata.notes == ("a stack of 15 patterns is taken for one scan row; give --scan-shape otherwise",)


def test_units_decide_the_order_of_an_emd_file_numbered_from_0(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("scan")
        group["data"] = DATA.T
        for number, (scale, unit) in enumerate(((0.5, "1/nm"), (0.5, "1/nm"), (3.0, "nm"), (2.0, "nm"))):
            group[f"dim{number}"] = [0.0, scale]
            group[f"dim{number}"].attrs["units"] = unit
    with open_scan(tmp_path / "a.emd") as scan:
        np.testing.assert_array_equal(scan.read(0, 15), FRAMES)
        assert scan.metadata.step == (2.0, 3.0)
