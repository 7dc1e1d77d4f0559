"""Library files that are damaged, foreign or of another version; a cache that is damaged or can't be written."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.library import (
    SimulationSettings,
    TemplateLibrary,
    build_library,
    cached_library,
    load_library,
    save_library,
)
from nbedex.library import library as module
from nbedex.phases import load_phase

SETTINGS = SimulationSettings(voltage=200.0, k_max=0.9, step_deg=10.0)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = build_library([load_phase("au"), load_phase("na2au")], SETTINGS)
    return save_library(library, tmp_path_factory.mktemp("library") / "original.h5")


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original, tmp_path / "templates.h5"))


def replace_array(file: h5py.File, name: str, change: Callable[[np.ndarray], Any]) -> None:
    values = change(file[name][()])
    del file[name]
    file[name] = values


def _nan_orientation(a: np.ndarray) -> np.ndarray:
    a[2, 1] = np.nan
    return a


def _swapped(a: np.ndarray) -> np.ndarray:
    a[1], a[2] = a[2] + 5, a[1]
    return a


def _damaged_phase(a: np.ndarray) -> np.ndarray:
    values = json.loads(bytes(a))
    values["cell"][0] += 0.001
    return np.frombuffer(json.dumps(values).encode(), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("phases/1/kx", lambda a: a[:-1], r"ky should be f4 of shape \(\d+,\), is float32"),
        ("phases/1/kx", lambda a: a.astype("f8"), r"kx should be f4 of shape \(\d+,\), is float64"),
        ("phases/0/orientation", lambda a: a[:, :3], r"orientation should be f8 of shape"),
        ("phases/0/orientation", _nan_orientation, r"the spot lists are inconsistent; the file is damaged"),
        ("phases/0/intensity", lambda a: a * np.float32("inf"), r"the spot lists are inconsistent"),
        ("phases/0/offset", _swapped, r"the spot lists are inconsistent"),
        ("phases/0/offset", lambda a: a + 1, r"the spot lists are inconsistent"),
        ("phases/0/offset", lambda a: a[:-1], r"offset should be i8 of shape"),
        ("phases/0/reflection", lambda a: a + 100_000, r"the spot lists are inconsistent"),
        ("phases/0/reflection", lambda a: a - 100_000, r"the spot lists are inconsistent"),
        ("phases/0/hkl", lambda a: a[:, :2], r"hkl should be i4 of shape"),
        ("phases/1/phase", _damaged_phase, r"stored phase 'na2au' is damaged \(its hash doesn't match\)"),
        ("phases/1/phase", lambda a: a[:-5], r"can't be read as a template library"),
        ("phases/1/phase", lambda a: np.frombuffer(b"[]", np.uint8), r"a stored phase is damaged"),
    ],
)
def test_arrays_that_do_not_fit(copy: Path, name: str, change: Callable[[np.ndarray], Any], message: str) -> None:
    with h5py.File(copy, "r+") as file:
        replace_array(file, name, change)
    with pytest.raises(DataFormatError, match=message) as error:
        load_library(copy)
    assert str(copy) in str(error.value)


def test_missing_parts(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        del file["phases/1/ky"]
    with pytest.raises(DataFormatError, match=r"can't be read as a template library: .*ky.*; build it again$"):
        load_library(copy)
    with h5py.File(copy, "r+") as file:
        del file.attrs["settings"]
    with pytest.raises(DataFormatError, match=r"can't be read as a template library"):
        load_library(copy)


@pytest.mark.parametrize(
    "values",
    ['{"voltage": 200.0, "colour": 3}', '{"voltage": -1}', "not JSON", "[]", '{"voltage": 200.0, "k_max": "x"}'],
)
def test_settings_that_are_none(copy: Path, values: str) -> None:
    """A damaged file is the file's fault, not an argument's."""
    with h5py.File(copy, "r+") as file:
        file.attrs["settings"] = values
    with pytest.raises(DataFormatError, match=r"templates\.h5"):
        load_library(copy)


def test_other_versions_and_formats(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(DataFormatError, match=r"is a library of version 99, this nbedex reads 1; build it again$"):
        load_library(copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["format"] = "something"
    with pytest.raises(
        DataFormatError, match=r"is not a template library \(expected HDF5 with format='nbedex-library'\)"
    ):
        load_library(copy)


def test_foreign_files(tmp_path: Path) -> None:
    for name, content in (("a.h5", b""), ("b.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100), ("c.h5", b"hello" * 1000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataFormatError, match=rf"{name} can't be read as a template library: .*; build it again$"):
            load_library(tmp_path / name)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(DataFormatError, match="is not a template library"):
        load_library(tmp_path / "d.h5")
    with pytest.raises(ArgumentError, match=r"^no template library at .*e\.h5; build one with `nbedex library build`$"):
        load_library(tmp_path / "e.h5")
    with pytest.raises(ArgumentError, match="no template library at"):
        load_library(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated(copy: Path, share: float) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataFormatError, match=r"templates\.h5"):
        load_library(copy)


def test_flipped_bytes_never_escape_the_error_classes(original: Path, tmp_path: Path) -> None:
    """Either the damage is noticed or it changed only numbers that any spot may have."""
    content = original.read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / "flipped.h5"
    noticed = 0
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content) // 4 if rng.random() < 0.5 else len(content), 4):
            damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            load_library(path)
        except DataFormatError:
            noticed += 1
    assert noticed > 0


# cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache" / "deep"
    monkeypatch.setenv("NBEDEX_CACHE", str(folder))
    return folder


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the phases that were really simulated."""
    names: list[str] = []
    real = module.simulate_templates

    def counted(phase: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(phase.name)
        return real(phase, *args, **kwargs)

    monkeypatch.setattr(module, "simulate_templates", counted)
    return names


def get() -> TemplateLibrary:
    return cached_library([load_phase("au")], SETTINGS)


def test_second_time_from_the_cache(cache: Path, builds: list[str]) -> None:
    first = get()
    assert builds == ["au"] and len(list(cache.iterdir())) == 1
    second = get()
    assert builds == ["au"]
    assert first.spots[0].intensity.tobytes() == second.spots[0].intensity.tobytes()
    other = cached_library([load_phase("au")], SimulationSettings(voltage=300.0, k_max=0.9, step_deg=10.0))
    assert builds == ["au", "au"] and other.settings.voltage == 300.0
    assert len(list(cache.iterdir())) == 2


def test_looks_come_from_now_not_from_the_cache(cache: Path, builds: list[str]) -> None:
    from dataclasses import replace

    get()
    phase = replace(load_phase("au"), colour="#123456")
    assert cached_library([phase], SETTINGS).phases[0].colour == "#123456"
    assert builds == ["au"]


@pytest.mark.parametrize("damage", ["truncate", "foreign", "other settings", "folder"])
def test_damaged_cache_is_built_again(
    cache: Path, builds: list[str], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    expected = get()
    (path,) = cache.iterdir()
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:3000])
    elif damage == "foreign":
        path.write_bytes(b"nothing of the kind")
    elif damage == "other settings":
        other = build_library([load_phase("au")], SimulationSettings(voltage=300.0, k_max=0.9, step_deg=10.0))
        save_library(other, path, overwrite=True)
    else:
        path.unlink()
        path.mkdir()
    builds.clear()
    with caplog.at_level(logging.WARNING):
        again = get()
    assert builds == ["au"]
    assert again.spots[0].kx.tobytes() == expected.spots[0].kx.tobytes() and again.settings == SETTINGS
    if damage in ("truncate", "foreign"):
        assert "ignoring a damaged library in the cache" in caplog.text
    if damage != "folder":
        assert load_library(path).settings == SETTINGS, "the cache was not mended"
    else:
        assert "the library is not cached" in caplog.text


def test_cache_that_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A file where the folder should be: it costs time, never the run. (Permissions do not stop root.)"""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NBEDEX_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        assert get().n_templates > 0
        assert get().n_templates > 0
    assert builds == ["au", "au"]
    assert "the library is not cached" in caplog.text
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_cache_without_permission(cache: Path, builds: list[str], caplog: pytest.LogCaptureFixture) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    with caplog.at_level(logging.WARNING):
        assert get().n_templates > 0
    assert "the library is not cached" in caplog.text


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NBEDEX_CACHE", str(tmp_path / "a"))
    assert module.cache_dir() == tmp_path / "a"
    monkeypatch.delenv("NBEDEX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert module.cache_dir() == tmp_path / "b" / "nbedex"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert module.cache_dir() == Path.home() / ".cache" / "nbedex"


# data that lie elsewhere


def _virtual(group: h5py.Group, name: str, values: np.ndarray) -> None:
    layout = h5py.VirtualLayout(shape=values.shape, dtype=values.dtype)
    layout[...] = h5py.VirtualSource("secret.h5", "data", shape=values.shape)
    group.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda g, n, a: g.__setitem__(n, h5py.ExternalLink("secret.h5", "/data")), r"'kx' is a link \(ExternalLink\)"),
        (lambda g, n, a: g.__setitem__(n, h5py.SoftLink("/phases/0/ky")), r"'kx' is a link \(SoftLink\)"),
        (_virtual, "'kx' must be a dataset with its data in this file"),
        (
            lambda g, n, a: g.create_dataset(n, a.shape, a.dtype, external=[("secret.raw", 0, a.nbytes)]),
            "'kx' must be a dataset with its data in this file",
        ),
        (lambda g, n, a: g.create_group(n), "'kx' must be a dataset with its data in this file"),
        (
            lambda g, n, a: g.create_dataset(n, (10**14,), "f4", chunks=(1024,)),
            "'kx' should take 400000000000000 bytes, the file holds 0 of it",
        ),
    ],
)
def test_what_lies_elsewhere_is_not_read(copy: Path, put: Callable[..., Any], message: str) -> None:
    """The other files are there, and fit: only that they are others is against them."""
    with h5py.File(copy, "r+") as file:
        group = file["phases/0"]
        values = group["kx"][()]
        with h5py.File(copy.with_name("secret.h5"), "w") as other:
            other["data"] = values
        values.tofile(copy.with_name("secret.raw"))
        del group["kx"]
        put(group, "kx", values)
    with pytest.raises(DataFormatError, match=message):
        load_library(copy)


@pytest.mark.parametrize("name", ["phases", "phases/0"])
def test_groups_are_no_links_either(copy: Path, original: Path, name: str) -> None:
    shutil.copy(original, copy.with_name("other.h5"))
    with h5py.File(copy, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink("other.h5", f"/{name}")
    with pytest.raises(DataFormatError, match=r"is a link \(ExternalLink\); a library holds its own data"):
        load_library(copy)


def test_damage_is_noticed_before_hdf5_sees_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 hung on eight of 7,407 damaged libraries of the fuzzer, in a call that nothing interrupts."""
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("HDF5 saw it")

    monkeypatch.setattr(h5py, "File", opened)
    with pytest.raises(DataFormatError, match=r"it is damaged \(SHA-256\); build it again$"):
        load_library(copy)
