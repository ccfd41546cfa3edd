"""Votes on its tests."""

import re
import sys

from ballot import cargo, scratch, vote

folder = sys.argv[1]
with scratch() as target:
    code, printed = cargo(folder, ["test"], target)
passed = sum(int(count) for count in re.findall(r"(\d+) passed", printed))
failed = re.findall(r"^test (\S+) \.\.\. FAILED|^---- (\S+) stdout ----", printed, re.MULTILINE)
names = sorted({first or second for first, second in failed})
if code != 0:
    evidence = [("this test fails", f"{folder}: cargo test {name}", None) for name in names]
    vote("hold", 1, f"{len(names)} tests fail, {passed} pass", evidence or [("cargo test fails", folder, printed[-2000:])])
elif passed == 0:
    vote("hold", 0.9, "it has no tests", [("cargo test found none", folder, None)])
else:
    vote("deploy", 0.9, f"all {passed} tests pass", [("tests that pass", f"{folder}: cargo test", passed)])
