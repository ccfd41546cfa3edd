"""Votes on cost: how long a build from nothing takes, and how large the program is, beside the version before."""

import os
import sys
import time

from ballot import build, scratch, vote

LARGER_MAX = 1.5
LONGER_MAX, SECONDS_LONGER_MAX = 3, 10

sizes, seconds = [], []
for folder in sys.argv[1:]:
    with scratch() as target:
        began = time.monotonic()
        sizes.append(os.path.getsize(build(folder, target)))
        seconds.append(time.monotonic() - began)

candidate, previous = sys.argv[1:]
evidence = [
    ("bytes of the program", candidate, sizes[0]),
    ("bytes of the program", previous, sizes[1]),
    ("seconds of a build from nothing", candidate, round(seconds[0], 2)),
    ("seconds of a build from nothing", previous, round(seconds[1], 2)),
]
larger = sizes[0] / sizes[1]
is_long = seconds[0] > LONGER_MAX * seconds[1] and seconds[0] > seconds[1] + SECONDS_LONGER_MAX
if larger > LARGER_MAX or is_long:
    vote("hold", 0.9, f"the program is {larger:.2f} times as large, its build takes {seconds[0]:.0f} s", evidence)
else:
    vote("deploy", 0.8, f"the program is {larger:.2f} times as large, its build takes {seconds[0]:.0f} s", evidence)
