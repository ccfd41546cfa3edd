"""The agents that deploy, each a program that answers calls by JSON lines: `agents.py ROLE STATE ..`.

inventory STATE VERSION COUNT               says which instances run, and which shall take their place
infrastructure STATE                        starts and stops instances, and the proxy before them
application STATE                           verifies instances, and shifts traffic
monitoring STATE ERRORS MILLIS REQUESTS     watches: fails where more than ERRORS percent of an instance's requests fail, or the
                                            95th percentile of its times is over MILLIS, once it has had so many REQUESTS
leader                                      decides on failures: tries again what may be tried again, and leaves the rest to the supervisor

Each step may have been done before, by an agent that died before it could say so; then it changes nothing.
"""

import http.client
import json
import sys
import time

import wire

VERIFY_SECONDS_MAX = 20
WATCH_SECONDS_MAX = 60
SECONDS_TOLD = 120


class Failed(Exception):
    """The step failed; why."""


def inventory(_, state, version, count):
    running = wire.ask(state, "host.sock", {"do": "list"})["instances"]
    number, new = 1, []
    while len(new) < int(count):
        if f"{version}-{number}" not in running:
            new.append(f"{version}-{number}")
        number += 1
    return {"old": sorted(running), "new": new}


def infrastructure(data, state):
    step = data["input"]
    name = step["instance"]
    if step["step"] == "stop":
        return {"instance": name, **wire.ask(state, "host.sock", {"do": "stop", "name": name})}
    proxy = wire.ask(state, "host.sock", {"do": "proxy"})
    version = name.rpartition("-")[0]
    started = wire.ask(state, "host.sock", {"do": "start", "name": name, "version": version})
    return {"instance": name, **started, "proxy": proxy["port"]}


def application(data, state):
    step = data["input"]
    instances = wire.ask(state, "host.sock", {"do": "list"})["instances"]
    if step["step"] == "verify":
        return verify(step["instance"], instances)
    wanted = step["weights"]
    gone = sorted(set(wanted) - set(instances))
    if gone:
        raise Failed(f"{', '.join(gone)} does not run and gets no traffic")
    weights = {name: [instances[name]["port"], weight] for name, weight in wanted.items()}
    return wire.ask(state, "proxy.sock", {"do": "weights", "instances": weights})


def verify(name, instances):
    if name not in instances:
        raise Failed(f"{name} does not run")
    until = time.monotonic() + VERIFY_SECONDS_MAX
    while True:
        try:
            status, told = get(instances[name]["port"], "/health")
            break
        except (OSError, ValueError, http.client.HTTPException) as why:
            if time.monotonic() > until:
                raise Failed(f"{name} does not answer: {why!r}") from why
            time.sleep(0.05)
    if status != 200 or told != {"ok": True, "instance": name, "version": instances[name]["version"]}:
        raise Failed(f"{name} says {status} {told}")
    return {"instance": name, "healthy": True}


def get(port, path, connection=None):
    own = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        own.request("GET", path)
        answer = own.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        if connection is None:
            own.close()


def monitoring(data, state, errors_max, millis_max, requests_min):
    """Watches until each instance with traffic has had its requests; some of them are of its own making."""
    step = data["input"]
    port = wire.ask(state, "host.sock", {"do": "proxy"})["port"]
    before = wire.ask(state, "proxy.sock", {"do": "stats"})
    began, probes = time.monotonic(), http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while True:
        now = wire.ask(state, "proxy.sock", {"do": "stats"})
        seen = {name: window(name, before, now) for name in now["weights"]}
        if all(own["requests"] >= int(requests_min) for own in seen.values()):
            break
        if time.monotonic() - began > WATCH_SECONDS_MAX:
            raise Failed(f"too few requests in {WATCH_SECONDS_MAX} s to say how the service does")
        for _ in range(10):
            try:
                get(port, "/work", probes)
            except (OSError, ValueError, http.client.HTTPException):
                probes.close()  # the proxy counts what failed
    probes.close()
    wrong = [bad(name, own, float(errors_max), float(millis_max)) for name, own in sorted(seen.items())]
    if any(wrong):
        raise Failed("; ".join(filter(None, wrong)))
    return {
        "percent": step["percent"],
        "requests": sum(own["requests"] for own in seen.values()),
        "errors": sum(own["errors"] for own in seen.values()),
        "instances": seen,
        "weights": now["weights"],
        "seconds": now["seconds"][-SECONDS_TOLD:],
    }


def window(name, before, now):
    """What an instance did between two looks at the counters."""
    none = {"requests": 0, "errors": 0, "times": [0] * (len(now["bounds"]) + 1)}
    old, new = before["instances"].get(name, none), now["instances"].get(name, none)
    times = [later - earlier for earlier, later in zip(old["times"], new["times"])]
    requests = new["requests"] - old["requests"]
    told = {"requests": requests, "errors": new["errors"] - old["errors"]}
    return {**told, "p50_ms": percentile(times, 0.5, now["bounds"]), "p95_ms": percentile(times, 0.95, now["bounds"])}


def percentile(times, share, bounds):
    """The bound that so large a share of the times is within, in milliseconds."""
    left = share * sum(times)
    for count, bound in zip(times, [*bounds, bounds[-1]]):
        left -= count
        if left <= 0:
            return round(bound, 1)
    return round(bounds[-1], 1)


def bad(name, own, errors_max, millis_max):
    rate = 100 * own["errors"] / max(own["requests"], 1)
    if rate > errors_max:
        return f"{name} fails {rate:.1f} % of {own['requests']} requests, {errors_max:g} % are allowed"
    if own["p95_ms"] > millis_max:
        return f"{name} takes {own['p95_ms']:g} ms at the 95th percentile, {millis_max:g} ms are allowed"
    return None


def leader(data):
    failure = data.get("failure", {})
    return {"decision": "retry"} if failure.get("may_retry") else None


ROLES = {own.__name__: own for own in (inventory, infrastructure, application, monitoring, leader)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ROLES:
        raise SystemExit(__doc__)
    act, arguments = ROLES[sys.argv[1]], sys.argv[2:]
    for line in sys.stdin:
        call = json.loads(line)
        try:
            said = {"result": act(call["part"]["data"], *arguments)}
        except (Failed, wire.Unanswered) as why:
            said = {"error": str(why)}
        print(json.dumps({"id": call["id"], **said}), flush=True)
