"""Writing a file whole or not at all.

Everything is written to a sibling `.NAME.tmp-PID-N`, flushed to the disk, checked, and only then given
its name, so that a full disk, a kill or a fault leaves the old file or none, never half of one.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nbedex.errors import OutputError

_counter = itertools.count()
_NAME_KEPT = 40


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False, n_bytes: int = 0) -> Path:
    """Check that a file can be written at `path`, before the work that makes it.

    Parameters
    ----------
    path
        The file to be written. A link is followed.
    overwrite
        Whether a file that is already there may be replaced.
    n_bytes
        Expected size in bytes, compared with the free space of the disk.

    Returns
    -------
    target
        The path to write to, links resolved.

    Raises
    ------
    OutputError
        If the folder does not exist or can't be written, a file is in the way, or the disk is too full.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise OutputError(f"expected the name of a file to write, got {text!r}")
    target = Path(os.path.realpath(text))
    folder = target.parent
    try:
        if not folder.is_dir():
            raise OutputError(f"can't write {text}: the folder {folder} does not exist; create it first")
        if target.is_dir():
            raise OutputError(f"can't write {text}: it is a folder; give the name of a file")
        if target.exists() and not overwrite:
            raise _in_the_way(text)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"can't write {text}: the folder {folder} is not writable")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _failed(text, error) from error
    if n_bytes > free:
        raise OutputError(
            f"can't write {text}: it needs {n_bytes / 1e6:.1f} MB but the disk has {free / 1e6:.1f} MB free;"
            " free some space or write elsewhere"
        )
    return target


def make_folder(path: str | os.PathLike[str], *, parents: bool = False) -> Path:
    """The folder, made if it does not exist; its parent must, unless `parents` are to be made, too.

    Raises
    ------
    OutputError
        If it can't be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise OutputError(f"can't make the folder {folder}: {error.strerror}") from error
    return folder


def write_atomically(
    path: str | os.PathLike[str],
    chunks: Iterable[bytes | memoryview],
    *,
    overwrite: bool = False,
    n_bytes: int = 0,
    verify: Callable[[Path], object] | None = None,
) -> Path:
    """Write `chunks` to a file that appears at `path` only when it is complete.

    Parameters
    ----------
    path
        The file to write.
    chunks
        The content, piece by piece.
    overwrite
        Whether a file that is already there may be replaced.
    n_bytes
        Expected size in bytes, compared with the free space before anything is written.
    verify
        Called with the path of the finished temporary file; raises if its content is not right.

    Returns
    -------
    target
        The file written.

    Raises
    ------
    OutputError
        If it can't be written. What was at `path` before is untouched.
    """
    with replacing(path, overwrite=overwrite, n_bytes=n_bytes) as temporary:
        with open(temporary, "xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        if verify is not None:
            verify(temporary)
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], *, overwrite: bool = False, n_bytes: int = 0, suffix: str = ""
) -> Iterator[Path]:
    """Give the body a temporary path to write to; on success that file becomes `path`.

    `suffix` ends the temporary name, for writers that choose a format by it. OSErrors of the body turn
    into OutputError; whatever happens, the temporary file is gone afterwards.
    """
    target = check_output(path, overwrite=overwrite, n_bytes=n_bytes)
    # the name is cut so that a name of the longest allowed length still has a temporary sibling
    temporary = target.parent / f".{target.name[:_NAME_KEPT]}.tmp-{os.getpid()}-{next(_counter)}{suffix}"
    try:
        yield temporary
        _flush_to_disk(temporary)
        _put_in_place(temporary, target, overwrite=overwrite)
    except OSError as error:
        raise _failed(os.fspath(path), error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the unfinished copies of a file that killed processes left beside it; for its only writer."""
    target = Path(os.path.realpath(os.fspath(path)))
    if len(target.name) > _NAME_KEPT:  # the copy's name is cut, and may be that of another file's
        return
    for copy in target.parent.glob(f".{glob.escape(target.name)}.tmp-*-*"):
        with contextlib.suppress(OSError):
            copy.unlink()


def _flush_to_disk(path: Path) -> None:
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _put_in_place(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Rename; without `overwrite` in a way that can't replace a file which appeared meanwhile."""
    if overwrite:
        os.replace(temporary, target)
    else:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise _in_the_way(os.fspath(target)) from None
        except OSError:  # a file system without hard links
            if target.exists():
                raise _in_the_way(os.fspath(target)) from None
            os.replace(temporary, target)
    with contextlib.suppress(OSError):  # not every system lets a folder be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _in_the_way(path: str) -> OutputError:
    return OutputError(f"{path} exists already; choose another name or ask for it to be overwritten (--overwrite)")


def _failed(path: str, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"can't write {path}: the disk is full; free some space or write elsewhere")
    return OutputError(f"can't write {path}: {error.strerror or error}")
