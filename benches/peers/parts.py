"""The workload of map_reduce.parts, for every framework: 10,000 squares over 8 agents, gathered, summed and checked."""
import json
import time

PARTS = 10_000
AGENTS = 8


class Timed:
    """Measures the run inside of a `with` block and prints its rate."""

    def __enter__(self):
        self.started = time.perf_counter()
        return self

    def __exit__(self, kind, error, trace):
        seconds = time.perf_counter() - self.started
        if error is None:
            print(json.dumps({"per_second": PARTS / seconds}), flush=True)


def check(total):
    """Every part was done once."""
    expected = sum(number * number for number in range(PARTS))
    if total != expected:
        raise SystemExit(f"the parts sum up to {total}, not {expected}")
