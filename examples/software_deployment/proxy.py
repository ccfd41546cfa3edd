"""The reverse proxy before the service: `proxy.py STATE PORT`, where port 0 is any. The host starts it.

It says its port on standard output. Requests go to instances by weights, evenly; a new set of weights holds for new requests,
those in flight finish where they are. It counts by instance: requests, errors (5xx), times. Control is at `proxy.sock` of the
state folder: `weights` and `stats`.
"""

import asyncio
import collections
import json
import os
import signal
import sys
import time

import http11
import wire

CONNECT_SECONDS_MAX = 5
DRAIN_SECONDS_MAX = 15
SECONDS_KEPT = 600
# Upper bounds of the times that are counted together, in milliseconds; each a fifth above the one before.
BOUNDS = [0.1 * 1.2**at for at in range(80)]


class Counter:
    """What is known of an instance since the proxy began."""

    def __init__(self):
        self.requests = 0
        self.errors = 0
        self.open = 0
        self.times = [0] * (len(BOUNDS) + 1)

    def take(self, failed, millis):
        self.requests += 1
        self.errors += failed
        self.times[next((at for at, bound in enumerate(BOUNDS) if millis <= bound), len(BOUNDS))] += 1


class Proxy:
    def __init__(self):
        self.back = {}  # by instance: its port, its weight, what it has saved up
        self.counters = collections.defaultdict(Counter)
        self.seconds = collections.OrderedDict()
        self.ends = asyncio.Event()

    def choose(self, tried):
        """The next instance, by smooth weighted round robin: so many of each in a row of as many requests as there are weights."""
        able = {name: own for name, own in self.back.items() if name not in tried}
        if not able:
            return None
        for own in able.values():
            own["saved"] += own["weight"]
        name = max(able, key=lambda name: able[name]["saved"])
        able[name]["saved"] -= sum(own["weight"] for own in able.values())
        return name

    async def forward(self, request):
        """Gives a request to an instance, and to another where one does not take the connection: it has seen nothing of it then."""
        tried = set()
        while (name := self.choose(tried)) is not None:
            tried.add(name)
            counter, began = self.counters[name], time.monotonic()
            counter.open += 1
            try:
                connecting = asyncio.open_connection("127.0.0.1", self.back[name]["port"], limit=http11.HEAD_BYTES_MAX)
                reader, writer = await asyncio.wait_for(connecting, CONNECT_SECONDS_MAX)
            except (OSError, asyncio.TimeoutError) as why:
                counter.open -= 1
                print(f"proxy: {name} takes no connection: {why!r}", file=sys.stderr)
                continue
            try:
                answer = await self.exchange(request, reader, writer)
                status, body = answer.status(), answer.body
            except (OSError, ValueError, http11.Malformed, asyncio.TimeoutError) as why:
                status, body = 502, json.dumps({"error": f"{name} gave no answer: {why!r}"}).encode()
            finally:
                counter.open -= 1
            self.count(name, status, (time.monotonic() - began) * 1000)
            await http11.close(writer)
            return status if status in (200, 404, 500, 502, 503) else 502, body, name
        return 503, b'{"error": "no instance takes requests"}', ""

    async def exchange(self, request, reader, writer):
        head = request.first + b"\r\nHost: service\r\nConnection: close\r\n"
        await http11.send(writer, head + f"Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body)
        answer = await http11.read(reader)
        if answer is None:
            raise http11.Malformed("it closed the connection")
        return answer

    def count(self, name, status, millis):
        self.counters[name].take(status >= 500, millis)
        second = self.seconds.setdefault(int(time.time()), {})
        own = second.setdefault(name, [0, 0])
        own[0] += 1
        own[1] += status >= 500
        while len(self.seconds) > SECONDS_KEPT:
            self.seconds.popitem(last=False)

    async def serve(self, reader, writer):
        try:
            while (request := await http11.read(reader)) is not None:
                status, body, name = await self.forward(request)
                keeps = request.keeps() and not self.ends.is_set()
                await http11.send(writer, http11.response(status, body, keeps, X_Instance=name))
                if not keeps:
                    break
        except (OSError, http11.Malformed, asyncio.TimeoutError) as why:
            print(f"proxy: a connection ended: {why!r}", file=sys.stderr)
        finally:
            await http11.close(writer)

    async def control(self, reader, writer):
        try:
            line = await asyncio.wait_for(reader.readline(), http11.MESSAGE_SECONDS_MAX)
            question = json.loads(line)
            if question["do"] == "weights":
                answer = {"answer": await self.shift(question["instances"])}
            else:
                answer = {"answer": self.stats()}
        except (OSError, ValueError, KeyError, TypeError, asyncio.TimeoutError) as why:
            answer = {"error": f"the proxy does not understand that: {why!r}"}
        try:
            await http11.send(writer, json.dumps(answer).encode() + b"\n")
        except (OSError, asyncio.TimeoutError) as why:
            print(f"proxy: nobody heard an answer: {why!r}", file=sys.stderr)
        await http11.close(writer)

    async def shift(self, instances):
        """Sets the weights, and waits for those that have none any more to have finished."""
        gone = set(self.back) - set(instances)
        self.back = {name: {"port": port, "weight": weight, "saved": 0} for name, (port, weight) in instances.items()}
        until = time.monotonic() + DRAIN_SECONDS_MAX
        while (busy := sum(self.counters[name].open for name in gone)) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        return {"weights": {name: own["weight"] for name, own in self.back.items()}, "unfinished": busy}

    def stats(self):
        by = {name: {"requests": own.requests, "errors": own.errors, "times": own.times} for name, own in self.counters.items()}
        weights = {name: own["weight"] for name, own in self.back.items()}
        return {"instances": by, "bounds": BOUNDS, "weights": weights, "seconds": list(self.seconds.items())}


async def main():
    proxy, loop = Proxy(), asyncio.get_running_loop()
    state, port = sys.argv[1], int(sys.argv[2])
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port, limit=http11.HEAD_BYTES_MAX, backlog=1024)
    path = wire.address(state, "proxy.sock")
    if os.path.exists(path):
        os.unlink(path)
    control = await asyncio.start_unix_server(proxy.control, path, limit=wire.LINE_BYTES_MAX)
    loop.add_signal_handler(signal.SIGTERM, proxy.ends.set)
    loop.add_reader(sys.stdin, proxy.ends.set)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await proxy.ends.wait()
    loop.remove_reader(sys.stdin)
    server.close()
    control.close()
    os.unlink(path)
    until = loop.time() + DRAIN_SECONDS_MAX
    while any(own.open for own in proxy.counters.values()) and loop.time() < until:
        await asyncio.sleep(0.01)


asyncio.run(main())
