"""Opening 4D-STEM files lazily; the only home of readers.

What is compared before frames are trusted, by format:

============================ ==================================== =======================================
format                       frames are read by                   first and last frame compared with
============================ ==================================== =======================================
HDF5, contiguous             seek and read at the data's offset   the HDF5 library
HDF5, gzip or large chunks   the HDF5 library finds the chunks,   - (where this fails, the library reads)
                             they are unpacked here
HDF5, other chunks           the HDF5 library                     - (this is the plain read)
.npy                         seek and read behind the header      - (size of the file checked)
.zspy                        zarr, chunk by chunk                 - (chunks counted)
.blo .mib .mrc .dm3 .dm4     seek and read where our own reading  RosettaSciIO's lazy array
EMPAD .tvips (one file)      of the header puts them
anything else                RosettaSciIO's lazy array            RosettaSciIO's eager read up to 1 GiB,
                                                                  above that a note says it was not done
============================ ==================================== =======================================

Files that are read by seek and read are measured first: a file shorter than its header says is refused
with both sizes. .mib frames are turned upside down, as RosettaSciIO and HyperSpy do. .prz and .app5 are
refused: RosettaSciIO can't read them in parts correctly.
"""

from __future__ import annotations

from nbedex.scan.averaging import averaged_scan
from nbedex.scan.blocks import Block
from nbedex.scan.describe import describe
from nbedex.scan.image import open_patterns
from nbedex.scan.metadata import ScanMetadata
from nbedex.scan.opening import open_scan
from nbedex.scan.scan import Scan, memory_scan

__all__ = ["Block", "Scan", "ScanMetadata", "averaged_scan", "describe", "memory_scan", "open_patterns", "open_scan"]
