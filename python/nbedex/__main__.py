"""`python -m nbedex` is the command `nbedex`."""

import sys

from nbedex.cli import main

sys.exit(main())
