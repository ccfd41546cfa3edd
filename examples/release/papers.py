"""Votes on a release by what a pipeline before the vote has made of its documents."""

import json
import sys


def opinion(before):
    papers = before["papers"]
    if not papers["done"] or papers["missing"]:
        return {"choice": "hold", "reasoning": f"{papers['missing']} documents cannot be read"}
    return {"choice": "ship", "confidence": 0.9, "reasoning": f"{papers['done']} documents say what it is"}


for line in sys.stdin:
    request = json.loads(line)
    before = request["part"]["data"]["proposal"]["data"]["before"]
    print(json.dumps({"id": request["id"], "result": opinion(before)}), flush=True)
