"""Orientation maps in LiberTEM: a user-defined function (UDF), for files on a cluster and for live processing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.adapters.recipe import Recipe, SampledSource, make_recipe
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing import IndexingSettings
from nbedex.indexing.records import empty_records
from nbedex.library import TemplateLibrary
from nbedex.maps import IndexingResult, Status
from nbedex.scan import Scan

try:
    from libertem.udf import UDF
except ImportError as error:
    raise ArgumentError("indexing with LiberTEM needs it installed: pip install 'nbedex[libertem]'") from error

_BATCH = 64  # patterns that are matched together
# Fields of a record that are result channels of their own, to be shown while the scan goes on.
_CHANNELS = (
    "phase_id", "orientation", "index", "reliability", "phase_reliability", "probability", "uncertainty_deg", "center",
    "status",
)  # fmt: skip


class OrientationUDF(UDF):  # type: ignore[misc,unused-ignore]
    """Orientation and phase of every pattern, for `Context.run_udf` and LiberTEM's live processing.

    Result channels are the maps of `IndexingResult` over the scan: phase_id (-1 where there is none, or not yet),
    orientation (w, x, y, z; NaN where there is none), index, reliability, phase_reliability, probability,
    uncertainty_deg, center, status; and `records` with all of them. With a region of interest, only what
    `valid_mask` of a channel says is meant.

    Parameters
    ----------
    recipe
        From `libertem_recipe`, of the data set itself or of one taken under the same conditions.
    """

    def __init__(self, recipe: Recipe, **others: Any) -> None:
        super().__init__(recipe=recipe, **others)

    def get_preferred_input_dtype(self) -> Any:
        """As stored: LiberTEM's default, float32, would round large counts."""
        return self.USE_NATIVE_DTYPE

    def get_result_buffers(self) -> dict[str, Any]:
        dtype = self.params.recipe.dtype
        channels = {
            name: self.buffer(kind="nav", dtype=dtype[name].base, extra_shape=dtype[name].shape, use="result_only")
            for name in _CHANNELS
        }
        return channels | {
            "records": self.buffer(kind="nav", dtype="u1", extra_shape=(dtype.itemsize,)),
            "done": self.buffer(kind="nav", dtype=bool),
        }

    def get_task_data(self) -> dict[str, Any]:
        """The engine is made on first use in each worker; here is room for a batch of patterns."""
        return {"frames": [], "indices": [], "records": [], "order": []}

    def process_frame(self, frame: NDArray[Any]) -> None:
        """Keep a pattern until there are enough to be matched together.

        Whole frames: tiles may be parts of one. A copy: LiberTEM uses its buffer again, and may put it at an odd
        address.
        """
        work = self.task_data
        work.frames.append(np.array(frame, order="C"))
        work.indices.append(int(np.ravel_multi_index(tuple(self.meta.coordinates[0]), self.meta.dataset_shape.nav)))
        if len(work.frames) == _BATCH:
            self._match()

    def _match(self) -> None:
        work = self.task_data
        if work.frames:
            work.records.append(self.params.recipe.index(np.stack(work.frames), np.array(work.indices)))
            work.order.extend(work.indices)
            work.frames.clear()
            work.indices.clear()

    def postprocess(self) -> None:
        """Once for each partition: what is left over, and the records of all its patterns in the order of the scan.

        Patterns come in another order where chunks of a file span several scan rows.
        """
        self._match()
        records = np.concatenate(self.task_data.records)[np.argsort(self.task_data.order)]
        self.results.records[:] = records.view(np.uint8).reshape(len(records), -1)
        self.results.done[:] = True

    def get_results(self) -> dict[str, NDArray[Any]]:
        """Channels of what is there so far."""
        records = as_records(self.results.records, self.results.done, self.params.recipe)
        channels = {name: np.ascontiguousarray(records[name]) for name in _CHANNELS}
        return channels | {"records": self.results.records, "done": self.results.done}


def as_records(raw: NDArray[np.uint8], done: NDArray[np.bool_], recipe: Recipe) -> NDArray[Any]:
    """Structured records, of the shape of `done`, from the bytes of them; empty where there are none yet."""
    records = empty_records(done.size, recipe.settings, len(recipe.phase_names), Status.NO_MATCH)
    flat = np.ascontiguousarray(done).reshape(-1).astype(bool)
    values = np.ascontiguousarray(raw).reshape(flat.size, -1)[flat]
    records[flat] = values.view(recipe.dtype).reshape(-1)
    return records.reshape(done.shape)


def libertem_recipe(
    context: Any,
    dataset: Any,
    library: TemplateLibrary | str | Path,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Recipe:
    """Look at a sample of a LiberTEM data set for the direct beam and bad pixels.

    Parameters
    ----------
    context
        `libertem.api.Context`.
    dataset
        From `context.load`, with two navigation axes (or one, for a single row) and two signal axes.
    library, calibration, settings, mask
        As for `nbedex.adapters.dask_index`.

    Raises
    ------
    ArgumentError
        Library and calibration don't fit together, or the data set has other axes.
    """
    from libertem.udf.raw import PickUDF

    nav, sig = tuple(dataset.shape.nav), tuple(dataset.shape.sig)
    if len(nav) not in (1, 2) or len(sig) != 2:
        raise ArgumentError(f"expected 1 or 2 navigation and 2 signal axes, got {len(nav)} and {len(sig)}")

    def pick(indices: NDArray[np.int64]) -> NDArray[Any]:
        roi = np.zeros(nav, bool)
        roi.reshape(-1)[indices] = True
        return np.asarray(context.run_udf(dataset, PickUDF(), roi=roi)["intensity"].data)

    source = SampledSource(pick, scan_shape=nav, frame_shape=(sig[0], sig[1]), dtype=np.dtype(dataset.dtype))
    with Scan(source, path=Path("LiberTEM data set"), format="libertem") as scan:
        return make_recipe(scan, library, calibration, settings=settings, mask=mask)


def libertem_index(
    context: Any,
    dataset: Any,
    library: TemplateLibrary | str | Path,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    **run_options: Any,
) -> IndexingResult:
    """Orientation and phase of every pattern of a LiberTEM data set; maps bit for bit those of `nbedex.index_scan`.

    Parameters
    ----------
    context, dataset, library, calibration, settings, mask
        As for `libertem_recipe`.
    run_options
        For `context.run_udf`: `progress=True`, `plots=...`.
    """
    recipe = libertem_recipe(context, dataset, library, calibration, settings=settings, mask=mask)
    found: Mapping[str, Any] = context.run_udf(dataset, OrientationUDF(recipe), **run_options)
    records = as_records(found["records"].data, found["done"].data, recipe).reshape(recipe.centers.scan_shape)
    shape = list(dataset.shape)
    return recipe.result(records, made_by={"name": "libertem", "shape": shape, "dtype": str(dataset.dtype)})
