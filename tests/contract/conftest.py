"""The toy package and the offenders stand outside offmap, as a user's packages do."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "toy_package")]
