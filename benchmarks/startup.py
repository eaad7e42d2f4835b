"""CPU seconds that `import interp` and `interp --help` cost, beside a bare Python.

Each is a process of its own, run in turn, medians; user and system time are added.
"""

import argparse
import resource
import statistics
import subprocess
import sys

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import interp": ["-c", "import interp"],
    "interp --help": ["-m", "interp", "--help"],
    "interp run --help": ["-m", "interp", "run", "--help"],
}
LIMIT_SECONDS = 0.5


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print one table; exit 1 when the help costs more than its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    table = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            table[name].append(cpu_seconds(arguments))
    for name, seconds in table.items():
        print(f"{name:<20} {statistics.median(seconds):.3f} s CPU (median of {rounds})")
    sys.exit(statistics.median(table["interp --help"]) > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
