"""Indexing lazy arrays on any Dask scheduler: threads, processes, a cluster. What HyperSpy and pyxem signals hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.adapters.recipe import Recipe, SampledSource, make_recipe
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing import IndexingSettings
from nbedex.library import TemplateLibrary
from nbedex.maps import IndexingResult
from nbedex.scan import Scan
from nbedex.scan.checks import check_dimensions

if TYPE_CHECKING:
    import dask.array as da

_CHUNK_BYTES = 32 << 20  # of patterns in memory that are cut into chunks here


def dask_index(
    data: Any,
    library: TemplateLibrary | str | Path,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> IndexingResult:
    """Orientation and phase of every pattern of a lazy scan, on the Dask scheduler that is active.

    Parameters
    ----------
    data
        A lazy HyperSpy or pyxem signal, a Dask array, or an array in memory: (scan_y, scan_x, det_y, det_x), or
        (frames, det_y, det_x) for a single row.
    library
        Templates, which travel to every worker once; or the path of a library file that all workers can read.
    calibration, settings, mask
        As for `nbedex.index_scan`. What a signal says of its axes is not used.
    threads
        Threads of each task; 1 where workers run as many tasks as they have processors, which is Dask's default.

    Returns
    -------
    IndexingResult
        Its maps are, bit for bit, those of `nbedex.index_scan`, however the array is chunked and whoever works.

    Raises
    ------
    ArgumentError
        Dask is not installed, or library and calibration don't fit together.
    DataFormatError
        The array is no scan.
    """
    array = lazy_array(data)
    recipe = _recipe(array, library, calibration, settings=settings, mask=mask)
    records = _records(array, recipe, threads).compute()
    return recipe.result(records, made_by={"name": "dask", "shape": list(array.shape), "dtype": str(array.dtype)})


def dask_records(
    data: Any,
    library: TemplateLibrary | str | Path,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> da.Array:
    """The same as a lazy array: to be stored, persisted or cut before it is computed.

    A sample of the patterns is computed now, to find the direct beam and bad detector pixels.

    Returns
    -------
    dask.array.Array
        (scan_y, scan_x) of a structured type whose fields are the maps of `IndexingResult`, chunked as `data`.
    """
    array = lazy_array(data)
    return _records(array, _recipe(array, library, calibration, settings=settings, mask=mask), threads)


def lazy_array(data: Any) -> da.Array:
    """A Dask array (scan_y, scan_x, det_y, det_x) with whole patterns in each chunk."""
    try:
        import dask.array as da
    except ImportError as error:
        raise ArgumentError("indexing with Dask needs it installed: pip install 'nbedex[dask]'") from error
    array = data
    if not isinstance(array, np.ndarray | da.Array):
        array = getattr(data, "data", None)  # of a HyperSpy signal
    if not isinstance(array, np.ndarray | da.Array):
        raise ArgumentError(f"expected a HyperSpy signal, a Dask array or a NumPy array, got {type(data).__name__}")
    check_dimensions(array.shape, Path("lazy array"))
    if array.ndim == 3:
        array = array[None]
    whole = {2: -1, 3: -1}
    if isinstance(array, np.ndarray):
        return da.from_array(array, chunks={0: "auto", 1: "auto"} | whole)
    return array.rechunk(whole)


def _recipe(array: da.Array, library: TemplateLibrary | str | Path, calibration: Calibration, **options: Any) -> Recipe:
    columns = array.shape[1]

    def pick(indices: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(array.vindex[indices // columns, indices % columns].compute())

    source = SampledSource(
        pick, scan_shape=array.shape[:2], frame_shape=(array.shape[2], array.shape[3]), dtype=array.dtype
    )
    with Scan(source, path=Path("lazy array"), format="dask") as scan:
        return make_recipe(scan, library, calibration, **options)


def _records(array: da.Array, recipe: Recipe, threads: int) -> da.Array:
    import dask

    return array.map_blocks(
        _index_chunk,
        # a node of the graph: it travels once to each worker, and again if that is lost
        recipe=dask.delayed(recipe, pure=True, traverse=False),
        threads=threads,
        drop_axis=(2, 3),
        dtype=recipe.dtype,
        meta=np.empty((0, 0), recipe.dtype),
    )


def _index_chunk(
    frames: NDArray[Any], *, recipe: Recipe, threads: int, block_info: dict[int, Any] | None = None
) -> NDArray[Any]:
    """Records of one chunk (rows, columns, det_y, det_x); runs on a worker."""
    assert block_info is not None
    (first_row, last_row), (first_column, last_column) = block_info[0]["array-location"][:2]
    rows, columns = np.mgrid[first_row:last_row, first_column:last_column]
    indices = (rows * recipe.centers.scan_shape[1] + columns).ravel()
    patterns = np.asarray(frames).reshape(-1, *recipe.frame_shape)
    return recipe.index(patterns, indices, threads=threads).reshape(frames.shape[:2])
