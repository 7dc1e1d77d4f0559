"""The log of a run, in a file beside its result."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class _Handler(logging.FileHandler):
    """A log that can't be written, as on a full disk, is no reason to stop or to print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        del record


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Append what nbedex logs from INFO upward to a file, as long as the body runs."""
    logger = logging.getLogger("nbedex")
    try:
        handler = _Handler(path, encoding="utf-8", delay=False)
    except OSError as error:
        logger.warning("no log is written: %s: %s", path, error.strerror)
        yield
        return
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter(_FORMAT))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    try:
        yield
    except BaseException as error:
        logging.getLogger(__name__).info("ended by %s: %s", type(error).__name__, error)
        raise
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()
