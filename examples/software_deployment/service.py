"""An instance of the service: `service.py NAME BUILD`, where BUILD is a file of builds/. The host starts it.

It says its port on standard output, answers `/health` and `/work`, and fails or waits as its build says. At SIGTERM, or when its
standard input ends, it takes nothing new, finishes what it has begun, and ends.
"""

import asyncio
import json
import signal
import sys

import http11

DRAIN_SECONDS_MAX = 10

name = sys.argv[1]
with open(sys.argv[2], encoding="utf-8") as file:
    build = json.load(file)


class Service:
    def __init__(self):
        self.served = 0
        self.failed = 0
        self.open = 0
        self.ends = asyncio.Event()
        self.idle = set()

    async def answer(self, request):
        path = request.first.split()[1] if len(request.first.split()) == 3 else b""
        about = {"instance": name, "version": build["version"]}
        if path == b"/health":
            return 200, {"ok": not self.ends.is_set(), **about}
        if path != b"/work":
            return 404, {"error": "there are /health and /work", **about}
        self.served += 1
        await asyncio.sleep(build.get("delay_ms", 0) / 1000)
        # Exactly this share of the requests, evenly spread.
        if int(self.served * build.get("error_share", 0)) > self.failed:
            self.failed += 1
            return 500, {"error": "this build is faulty", **about}
        return 200, {"work": self.served, **about}

    async def serve(self, reader, writer):
        try:
            while not self.ends.is_set():
                self.idle.add(writer)
                request = await http11.read(reader)
                self.idle.discard(writer)
                if request is None:
                    break
                self.open += 1
                try:
                    status, body = await self.answer(request)
                    keeps = request.keeps() and not self.ends.is_set()
                    await http11.send(writer, http11.response(status, json.dumps(body).encode(), keeps))
                finally:
                    self.open -= 1
                if not keeps:
                    break
        except (OSError, http11.Malformed, asyncio.TimeoutError) as why:
            print(f"{name}: a connection ended: {why!r}", file=sys.stderr)
        finally:
            self.idle.discard(writer)
            await http11.close(writer)


async def main():
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, limit=http11.HEAD_BYTES_MAX)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, service.ends.set)
    # The host holds the other end: the service does not outlive it.
    loop.add_reader(sys.stdin, service.ends.set)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await service.ends.wait()
    loop.remove_reader(sys.stdin)
    server.close()
    for writer in list(service.idle):
        writer.close()
    until = loop.time() + DRAIN_SECONDS_MAX
    while service.open and loop.time() < until:
        await asyncio.sleep(0.01)


asyncio.run(main())
