"""Files that lead into others, beside the cases in test_scan_hdf5, test_result_faults and test_library_damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.errors import DataFormatError
from nbedex.maps import export
from nbedex.maps.foreign import read_crystal_map
from nbedex.scan import open_scan
from oracles.maps_sample import sample_result
from oracles.scan_files import patterns, signal, write_empad

pytestmark = pytest.mark.filterwarnings("ignore")


def orix_map(folder: Path) -> Path:
    path = folder / "map.h5"
    export(sample_result((3, 4), n_rivals=2), path, to="orix")
    return path


def first_dataset(file: h5py.File) -> h5py.Dataset:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, node: found.append(node) if isinstance(node, h5py.Dataset) and node.shape else None)
    return found[0]


def test_a_map_of_orix_with_an_external_link(tmp_path: Path) -> None:
    path = orix_map(tmp_path)
    read_crystal_map(path)
    with h5py.File(path, "r+") as file:
        node = first_dataset(file)
        name = node.name
        with h5py.File(tmp_path / "secret.h5", "w") as other:
            other["data"] = node[()]
        del file[name]
        file[name] = h5py.ExternalLink("secret.h5", "/data")
    with pytest.raises(DataFormatError, match=rf"{name} leads into another file, secret\.h5$"):
        read_crystal_map(path)


def test_a_map_of_orix_whose_numbers_lie_elsewhere(tmp_path: Path) -> None:
    path = orix_map(tmp_path)
    with h5py.File(path, "r+") as file:
        node = first_dataset(file)
        name, values = node.name, node[()]
        np.asarray(values).tofile(tmp_path / "secret.raw")
        del file[name]
        file.create_dataset(
            name, values.shape, values.dtype, external=[(str(tmp_path / "secret.raw"), 0, values.nbytes)]
        )
    with pytest.raises(DataFormatError, match=rf"the numbers of {name} lie in other files$"):
        read_crystal_map(path)


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/hostname", "sub/secret.raw", "..\\secret.raw", "C:\\a.raw"])
def test_empad_opens_only_what_lies_beside_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    np.zeros((1, 2, 130, 128), "<f4").tofile(tmp_path / "secret.raw")
    write_empad(folder / "a.xml", patterns((1, 2, 128, 128), np.float32), raw_name=name)
    with pytest.raises(DataFormatError, match="is no plain file name; only files beside it are read"):
        open_scan(folder / "a.xml")


def zspy(folder: Path) -> Path:
    from rsciio.zspy import file_writer

    file_writer(str(folder / "a.zspy"), signal(patterns()))
    return folder / "a.zspy"


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "|O", "filters": [{"id": "pickle"}]},
        {"filters": [{"id": "pickle"}]},
        {"compressor": {"id": "pickle"}},
        {"dtype": "|O", "filters": [{"id": "json2"}]},
    ],
)
def test_a_zarr_array_that_would_have_to_be_unpickled(tmp_path: Path, change: dict[str, Any]) -> None:
    path = zspy(tmp_path)
    (header,) = path.rglob("Experiments/*/data/.zarray")
    header.write_text(json.dumps(json.loads(header.read_text()) | change))
    with pytest.raises(DataFormatError, match=r"never unpickled here|not a readable .zspy file"):
        open_scan(path)
