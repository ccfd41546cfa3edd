"""Votes on speed: the candidate's benchmark beside that of the version before, run in turn, the best of each."""

import subprocess
import sys

from ballot import build, scratch, vote

ROUNDS = 7
SLOWER_MAX = 1.3

candidate, previous = sys.argv[1:]


def nanoseconds(program):
    done = subprocess.run([program, "bench"], text=True, check=True, stdout=subprocess.PIPE)
    return int(done.stdout)


with scratch() as new, scratch() as old:
    programs = [build(candidate, new), build(previous, old)]
    times = [[nanoseconds(program) for program in programs] for _ in range(ROUNDS)]
best, before = (min(times) for times in zip(*times))
ratio = best / before
evidence = [
    (f"nanoseconds for a thousand orders, the best of {ROUNDS}", f"{candidate}: pricer bench", best),
    (f"nanoseconds for a thousand orders, the best of {ROUNDS}", f"{previous}: pricer bench", before),
]
if ratio > SLOWER_MAX:
    vote("hold", 0.9, f"it takes {ratio:.2f} times as long as the version before", evidence)
else:
    vote("deploy", 0.8, f"it takes {ratio:.2f} times as long as the version before", evidence)
