"""How much memory a run takes: a limit that sets the size of blocks, and what was really used."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from nbedex.scan import Scan

DEFAULT_LIMIT = 2 << 30
_BLOCK_SHARE = 64  # of the limit for an ordinary block of patterns
_CHUNK_SHARE = 16  # for one that is large because the file's chunks are
_AT_ONCE_SHARE = 4  # for all blocks in work
_LARGEST_BLOCK = 32 << 20


@dataclass(frozen=True)
class Memory:
    """Sizes that follow from a limit in bytes. Results don't depend on them.

    Attributes
    ----------
    limit
        Bytes that the process should stay below.
    """

    limit: int = DEFAULT_LIMIT

    @property
    def block(self) -> int:
        """Bytes of an ordinary block of patterns."""
        return min(self.limit // _BLOCK_SHARE, _LARGEST_BLOCK)

    @property
    def chunk(self) -> int:
        """Bytes that a block may grow to so that no chunk of the file is cut."""
        return self.limit // _CHUNK_SHARE

    @property
    def band(self) -> int:
        """Bytes of records in memory while the result file is put together."""
        return self.limit // _BLOCK_SHARE

    def blocks_at_once(self, scan: Scan, patterns: int) -> int:
        """How many blocks of so many patterns may be worked on at the same time."""
        return max(1, self.limit // _AT_ONCE_SHARE // self._block_bytes(scan, patterns))

    def expected(self, scan: Scan, patterns: int, threads: int) -> int:
        """Bytes that reading and matching blocks of so many patterns will take beside what is in memory already.

        Blocks that are matched and one that is read, one as unpacked or converted, and their polar patterns.
        """
        at_once = min(self.blocks_at_once(scan, patterns), threads)
        return (2 * at_once + 2) * self._block_bytes(scan, patterns)

    def _block_bytes(self, scan: Scan, patterns: int) -> int:
        """Of the frames of a block; those of large chunks are larger."""
        frame = max(scan.stored_frame_bytes, scan.frame_shape[0] * scan.frame_shape[1] * scan.dtype.itemsize)
        blocks = itertools.islice(scan.iter_blocks(patterns, largest=self.chunk), 4)
        return max(max((len(block) for block in blocks), default=1), patterns) * frame


def resident() -> int:
    """Bytes of memory that this process has now; 0 where the system does not say."""
    return _status("VmRSS")


def peak() -> int:
    """Most bytes of memory that this process ever had."""
    found = _status("VmHWM")
    if found:
        return found
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return 0
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def _status(name: str) -> int:
    try:
        match = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0
