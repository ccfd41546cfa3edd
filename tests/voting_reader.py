"""Counts the elections of `cargo run -p synod-actors --example ranked_winners` once more with pref_voting and compares.

Usage: ranked_winners | python3 tests/voting_reader.py [--least 10000]

pref_voting asks for packages of some 500 MB that what is used here never calls: they are stood in for, so that xtask/votes.txt
pins only what is needed and installs it without dependencies.
"""

import argparse
import json
import sys
from types import ModuleType
from unittest.mock import MagicMock

for unused in ("matplotlib", "matplotlib.pyplot", "nashpy", "scipy", "scipy.optimize", "ortools",
               "ortools.linear_solver"):
    sys.modules[unused] = MagicMock()
# numba only makes functions faster: its decorator is that of a function which stays as it is
numba = ModuleType("numba")
numba.jit = lambda *args, **_: args[0] if args and callable(args[0]) else (lambda function: function)
sys.modules["numba"] = numba

from pref_voting.margin_based_methods import beat_path  # noqa: E402
from pref_voting.profiles import Profile  # noqa: E402
from pref_voting.scoring_methods import borda, plurality  # noqa: E402


def problems(election):
    """Yields what differs: (what, ours, theirs)."""
    profile = Profile(election["rankings"], rcounts=election["weights"])
    choices, points = range(len(election["rankings"][0])), profile.borda_scores()
    theirs = {
        "plurality": sorted(plurality(profile)),
        "borda": sorted(borda(profile)),
        "schulze": sorted(beat_path(profile)),
        "borda_scores": [str(points[own]) for own in choices],
        "margins": [[str(profile.margin(own, other)) for other in choices] for own in choices],
    }
    for what, value in theirs.items():
        if election[what] != value:
            yield what, election[what], value


parser = argparse.ArgumentParser()
parser.add_argument("--least", type=int, default=10_000, help="how many elections there must be")
least = parser.parse_args().least
count, ties, wrong = 0, 0, 0
for line in sys.stdin:
    election = json.loads(line)
    count += 1
    ties += len(election["schulze"]) > 1
    for what, ours, theirs in problems(election):
        wrong += 1
        print(f"election {count}: {what} is {ours}, pref_voting says {theirs}: {line.strip()}")
print(f"{count} elections agree with pref_voting in plurality, Borda, Schulze, points and margins; {ties} have several Schulze winners"
      if not wrong else f"{wrong} differences in {count} elections")
sys.exit(bool(wrong) or count < least or not ties)
