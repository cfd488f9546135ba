"""`python -m offmap`."""

import sys

from offmap.cli import main

sys.exit(main())
