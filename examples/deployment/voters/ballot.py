"""What the voters share: how an opinion is told, and how cargo is run."""

import json
import os
import subprocess
import tempfile


def vote(choice, confidence, reasoning, evidence):
    """Tells the opinion, on standard output."""
    shown = [{"claim": claim, "source": source, "data": data} for claim, source, data in evidence]
    opinion = {"choice": choice, "confidence": confidence, "reasoning": reasoning, "evidence": shown}
    print(json.dumps(opinion))


def cargo(folder, arguments, target):
    """Runs cargo in a folder, without the network, and gives its exit code and all that it printed."""
    command = ["cargo", *arguments, "--offline", "--quiet", "--target-dir", target]
    environment = {**os.environ, "CARGO_TERM_COLOR": "never"}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout


def build(folder, target):
    """Builds the program of a folder, and gives the path of what came of it."""
    code, printed = cargo(folder, ["build", "--release"], target)
    if code != 0:
        raise SystemExit(f"{folder} does not build:\n{printed}")
    return os.path.join(target, "release", "pricer")


def scratch():
    """A folder for builds that is gone with the program."""
    return tempfile.TemporaryDirectory(prefix="deployment-")
