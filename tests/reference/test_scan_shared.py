"""Real measurements, as far as they lie in the folder shared/ beside the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbedex.errors import DataFormatError
from nbedex.scan import open_scan

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def real(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"real measurement shared/data/{name} is not here")
    return path


def test_steel_nbed_is_read_as_rosettasciio_reads_it() -> None:
    from rsciio.hspy import file_reader

    path = real("steel_nbed_subset/subset_data.hspy")
    reference = file_reader(str(path))[0]
    with open_scan(path) as scan:
        assert scan.shape == (2, 2, 256, 256) and scan.dtype == np.uint16 and scan.format == "hspy"
        frames = scan.read(0, 4)
        np.testing.assert_array_equal(frames.reshape(scan.shape), reference["data"])
        assert scan.metadata.pixel_size == 0.01261  # unit $A^{-1}$, as its README says
        assert scan.metadata.step == (2.0, 2.0)
        assert scan.metadata.voltage is None
        assert scan.metadata.notes == ()
        # The README's direct beam, by centre of mass: tells rows from columns.
        weight = np.where(frames[0] > 20000, frames[0].astype(float), 0.0)
        rows, columns = np.indices(weight.shape)
        assert (weight * rows).sum() / weight.sum() == pytest.approx(128.8, abs=0.7)
        assert (weight * columns).sum() / weight.sum() == pytest.approx(132.2, abs=0.7)


def test_astar_block_file() -> None:
    from rsciio.blockfile import file_reader

    path = real("astar_blo_rosettasciio/test1.blo")
    reference = file_reader(str(path))[0]["data"]
    with open_scan(path) as scan:
        assert scan.shape == (3, 2, 144, 144) and scan.saturation_value == 255
        np.testing.assert_array_equal(scan.read(0, 6).reshape(scan.shape), reference)
        assert scan.metadata.voltage == 200.0
        assert scan.metadata.step == (12.8, 12.8)
        assert scan.metadata.pixel_size is None
        assert "unit 'cm' is not a reciprocal length" in scan.metadata.notes[0]


@pytest.mark.parametrize("name", ["au_xgrating_20cm.tif", "moo3_20cm.tif"])
def test_a_single_pattern_is_no_scan(name: str) -> None:
    with pytest.raises(DataFormatError, match="a single image of 256 x 256 pixels; a scan has 4 dimensions"):
        open_scan(real(f"xgrating_moo3/{name}"))


def test_an_image_in_hspy_is_no_scan() -> None:
    with pytest.raises(DataFormatError, match="only images: /Experiments/__unnamed__/data"):
        open_scan(real("xgrating_moo3/au_xgrating_100kX.hspy"))
