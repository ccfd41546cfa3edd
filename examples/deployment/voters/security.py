"""Votes on what may hurt: code that panics, code that is unsafe, secrets."""

import pathlib
import re
import sys

from ballot import vote

RULES = [
    ("a secret", re.compile(r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:api_key|password|token)[^\"]{0,20}\"[^\"]{12,}\"")),
    ("unsafe code", re.compile(r"\bunsafe\b")),
    ("code that panics", re.compile(r"\.unwrap\(\)|\.expect\(|\bpanic!|\btodo!|\bunimplemented!")),
]

folder = pathlib.Path(sys.argv[1])
evidence, files = [], 0
for path in sorted(folder.rglob("*.rs")) + sorted(folder.rglob("*.toml")):
    if "target" in path.parts:
        continue
    files += 1
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() == "#[cfg(test)]":
            break  # tests may panic
        if line.lstrip().startswith("//"):
            continue
        for what, rule in RULES:
            if rule.search(line):
                shown = "(not shown)" if what == "a secret" else line.strip()
                evidence.append((what, f"{path}:{number}", shown))

if evidence:
    kinds = sorted({what for what, _, _ in evidence})
    vote("hold", 0.95, f"found {' and '.join(kinds)}", evidence)
else:
    vote("deploy", 0.9, "no panics, no unsafe code and no secrets were found", [("files that were read", str(folder), files)])
