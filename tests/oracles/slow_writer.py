"""Writes a scan pattern by pattern, as a detector would: `slow_writer.py KIND SOURCE.npy TARGET [SECONDS]`.

KIND: npy (each pattern in two pieces), stack (HDF5 in SWMR mode, patterns one after the other), rows (the same, four
axes of final size, chunks of three patterns).
"""

from __future__ import annotations

import sys
import time

import h5py
import numpy as np


def main(kind: str, source: str, target: str, pause: float) -> None:
    data = np.load(source, allow_pickle=False)
    frames = data.reshape(-1, *data.shape[2:])
    if kind == "npy":
        with open(target, "wb") as stream:
            description = {"descr": data.dtype.str, "fortran_order": False, "shape": data.shape}
            np.lib.format.write_array_header_1_0(stream, description)
            for frame in frames:
                whole = frame.tobytes()
                for piece in (whole[:1000], whole[1000:]):
                    stream.write(piece)
                    stream.flush()
                    time.sleep(pause / 2)
        return
    with h5py.File(target, "w", libver="latest") as file:
        if kind == "stack":
            shape, most, chunks = (0, *frames.shape[1:]), (None, *frames.shape[1:]), (1, *frames.shape[1:])
        else:
            shape, most, chunks = data.shape, None, (1, 3, *frames.shape[1:])
        node = file.create_dataset("data", shape, data.dtype, maxshape=most, chunks=chunks, compression="gzip")
        file.swmr_mode = True
        for number, frame in enumerate(frames):
            if kind == "stack":
                node.resize(number + 1, axis=0)
                node[number] = frame
            else:
                node[divmod(number, data.shape[1])] = frame
            node.flush()
            time.sleep(pause)


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]) if len(sys.argv) > 4 else 0.1)
