"""`offmap --help` against `python -c "import torch"`: whole processes, in turn.

python benchmarks/startup.py
"""

import subprocess
import sys

from common import interleaved


def main() -> None:
    calls = {
        name: lambda command=command: subprocess.run(command, check=True, capture_output=True)
        for name, command in {
            "offmap --help": [sys.executable, "-m", "offmap", "--help"],
            "import torch": [sys.executable, "-c", "import torch"],
        }.items()
    }
    seconds = interleaved(calls, repeats=7)
    ratio = seconds["offmap --help"] / seconds["import torch"]
    for name, value in seconds.items():
        sys.stdout.write(f"{name:<16} {value:.3f} s\n")
    sys.stdout.write(f"ratio {ratio:.2f} (at most 0.25)\n")


if __name__ == "__main__":
    main()
