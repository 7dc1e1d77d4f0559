"""What another process needs to index patterns of a scan as this one would."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing import IndexingSettings
from nbedex.indexing.block import index_block
from nbedex.indexing.centers import CenterModel
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.pattern_centers import pattern_centers
from nbedex.indexing.prepare import prepare
from nbedex.indexing.records import record_dtype
from nbedex.library import TemplateLibrary, library_from_bytes, library_to_bytes, load_library
from nbedex.maps import IndexingResult
from nbedex.provenance import software
from nbedex.scan import Scan, memory_scan
from nbedex.scan.sources import GridSource

_BATCH = 128  # patterns that are prepared and matched together
_KEPT = 2  # engines a process keeps


@dataclass(frozen=True, eq=False)
class Recipe:
    """Plain data from which every process makes the same engine: it pickles, and holds nothing of the C++ core.

    Made by `make_recipe`.

    Attributes
    ----------
    library
        The content of a library file, or the path of one that all processes can read.
    library_sha256
        Identity of the library; a file at the path that is another one is refused.
    calibration, settings
        Geometry and options.
    frame_shape
        Detector rows and columns.
    saturation_value
        Value at which the detector saturates, if known.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel is not used.
    centers
        The direct beam over the scan.
    phase_names
        Of the library.
    """

    library: bytes | str
    library_sha256: str
    calibration: Calibration
    settings: IndexingSettings
    frame_shape: tuple[int, int]
    saturation_value: int | None
    mask: NDArray[np.uint8] | None
    centers: CenterModel
    phase_names: tuple[str, ...]
    typical_center: tuple[float, float]
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        known = {
            "library": self.library_sha256,
            "calibration": asdict(self.calibration),
            "settings": self.settings.to_dict(),
            "frame": self.frame_shape,
            "saturation": self.saturation_value,
            "center": self.typical_center,
        }
        digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
        digest.update(b"" if self.mask is None else self.mask.tobytes())
        object.__setattr__(self, "identity", digest.hexdigest())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a pixel's record."""
        return record_dtype(self.settings, len(self.phase_names))

    def engine(self) -> Engine:
        """The engine, made once in each process."""
        return _engines.get(self.identity, self._make_engine)

    def _make_engine(self) -> Engine:
        return make_engine(
            self._load_library(),
            self.calibration,
            self.settings,
            frame_shape=self.frame_shape,
            center=self.typical_center,
            saturation_value=self.saturation_value,
            mask=self.mask,
        )

    def _load_library(self) -> TemplateLibrary:
        if isinstance(self.library, bytes):
            return library_from_bytes(self.library)
        library = load_library(self.library)
        if library.sha256 != self.library_sha256:
            raise ArgumentError(
                f"the library at {self.library} is not the one this run began with; give all machines the same file"
            )
        return library

    def index(self, frames: NDArray[Any], indices: NDArray[np.intp], *, threads: int = 1) -> NDArray[Any]:
        """Records (n,) of patterns.

        Parameters
        ----------
        frames : (n, det_y, det_x)
            As stored: any integers or floats, any byte order and memory layout.
        indices : (n,)
            Their numbers in row-major scan order.
        threads
            0: all this process may use.
        """
        records = np.empty(len(frames), self.dtype)
        if not len(frames):
            return records
        engine = self.engine()
        scan = memory_scan(frames)  # which brings them into the type and layout that the core takes
        for start in range(0, len(frames), _BATCH):
            part = slice(start, min(start + _BATCH, len(frames)))
            some = scan.read(part.start, part.stop)
            centers = pattern_centers(some, indices[part], self.centers, engine, threads=threads)
            records[part] = index_block(some, centers, engine, threads=threads)
        return records

    def result(self, records: NDArray[Any], *, made_by: dict[str, Any]) -> IndexingResult:
        """Records (scan_y, scan_x) as a result; `made_by` is kept in its provenance."""
        engine = self.engine()
        library = self._load_library()
        provenance = {
            "software": software(),
            "adapter": made_by,
            "library": {"sha256": library.sha256, "settings": library.settings.to_dict()},
            "settings": self.settings.to_dict(),
            "beam center": {"order": self.centers.order, "residual_px": self.centers.residual},
            "detector pixels left out": int(self.mask.sum()) if self.mask is not None else 0,
            "annulus": {"k_min": engine.grid.k_min, "k_max": engine.grid.k_max, "rings": engine.grid.n_rings},
        }
        maps = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
        return IndexingResult(phases=library.phases, calibration=self.calibration, provenance=provenance, **maps)


class _Engines:
    """The engines this process made last; two threads that want the same one make it once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[str, Engine] = OrderedDict()

    def get(self, key: str, make: Callable[[], Engine]) -> Engine:
        with self._lock:
            if key not in self._made:
                while len(self._made) >= _KEPT:
                    self._made.popitem(last=False)
                self._made[key] = make()
            self._made.move_to_end(key)
            return self._made[key]


_engines = _Engines()


def make_recipe(
    scan: Scan,
    library: TemplateLibrary | str | Path,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> Recipe:
    """Look at a sample of a scan for the direct beam and bad pixels, as `index_scan` does, and say it all.

    Parameters
    ----------
    scan
        The scan, or what can be read of it.
    library
        Templates, which then travel to every process; or the path of a library file that all can read.
    calibration, settings, mask, threads
        As for `nbedex.index_scan`.
    """
    settings = settings or IndexingSettings()
    loaded = library if isinstance(library, TemplateLibrary) else load_library(library)
    engine, centers = prepare(scan, loaded, calibration, settings=settings, mask=mask, threads=threads)
    ny, nx = scan.scan_shape
    row, column = centers.at(np.array([(ny // 2) * nx + nx // 2], dtype=np.intp))[0]
    return Recipe(
        library=library_to_bytes(library) if isinstance(library, TemplateLibrary) else str(Path(library).resolve()),
        library_sha256=loaded.sha256,
        calibration=calibration,
        settings=engine.settings,
        frame_shape=scan.frame_shape,
        saturation_value=scan.saturation_value,
        mask=engine.mask,
        centers=centers,
        phase_names=tuple(phase.name for phase in loaded.phases),
        typical_center=(float(row), float(column)),
    )


class SampledSource(GridSource):
    """Patterns that are far away: those wanted together are fetched together.

    Parameters
    ----------
    pick
        Patterns (n, det_y, det_x) of sorted, different numbers (n,), as stored.
    scan_shape, frame_shape, dtype
        As in `nbedex.scan.sources.FrameSource`.
    """

    def __init__(
        self,
        pick: Callable[[NDArray[np.int64]], NDArray[Any]],
        *,
        scan_shape: tuple[int, ...],
        frame_shape: tuple[int, int],
        dtype: np.dtype[Any],
    ) -> None:
        def fetch(where: tuple[slice, ...], workers: Executor | None) -> NDArray[Any]:
            axes = np.meshgrid(*(np.arange(part.start, part.stop) for part in where), indexing="ij")
            return pick(np.ravel_multi_index(tuple(axis.ravel() for axis in axes), scan_shape))

        super().__init__(fetch, scan_shape=scan_shape, frame_shape=frame_shape, dtype=dtype)
        self._pick = pick

    def by_tile(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
        yield np.arange(len(indices))

    def read_few(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        different, place = np.unique(indices, return_inverse=True)
        return self._pick(different)[place]
