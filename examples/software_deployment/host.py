"""The machine that the service runs on: starts and stops its proxy and its instances for whoever asks, as a service manager does.

    python3 examples/software_deployment/host.py STATE             # until Ctrl-C, or its standard input ends with `--tied`
    python3 examples/software_deployment/host.py STATE --detach    # behind the terminal
    python3 examples/software_deployment/host.py STATE --list
    python3 examples/software_deployment/host.py STATE --down      # ends it, and all that it started

What an agent of Synod starts ends with the agent; what shall live on, it has started by somebody else: by this program. All that
it starts are children of its own that end with it, so no number of a process is ever kept or guessed. It answers at `host.sock`
of the state folder, keeps `state.json` there for people, and a log of each program.
"""

import fcntl
import json
import os
import select
import signal
import socketserver
import subprocess
import sys
import threading
import time

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
PORT_SECONDS_MAX = 20
STOP_SECONDS_MAX = 15
INSTANCES_MAX = 64


class Refused(Exception):
    """Something that cannot be done, and why."""


class Program:
    """A program that runs: its process and its port."""

    def __init__(self, state, name, arguments):
        with open(os.path.join(state, f"{name}.log"), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.since = int(time.time() * 1000)
        ready, _, _ = select.select([self.process.stdout], [], [], PORT_SECONDS_MAX)
        line = self.process.stdout.readline() if ready else b""
        try:
            self.port = json.loads(line)["port"]
        except ValueError as why:
            self.stop()
            raise Refused(f"{name} did not start; its log says why: {os.path.join(state, name)}.log") from why

    def lives(self):
        return self.process.poll() is None

    def stop(self):
        """Asks it to end, and ends it where it does not."""
        if self.lives():
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


class Host:
    def __init__(self, state):
        self.state = state
        self.lock = threading.Lock()
        self.proxy, self.port = None, 0
        self.instances, self.versions = {}, {}

    def start(self, question):
        name, version = question["name"], question["version"]
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise Refused(f"`{name}` is no name of an instance")
        build = os.path.join(HERE, "builds", f"{os.path.basename(version)}.json")
        if not os.path.exists(build):
            known = sorted(file.removesuffix(".json") for file in os.listdir(os.path.dirname(build)))
            raise Refused(f"there is no build `{version}`; there are {', '.join(known)}")
        with self.lock:
            if name in self.instances and self.instances[name].lives():
                return self.about(name)
            if len(self.instances) >= INSTANCES_MAX:
                raise Refused(f"there are {INSTANCES_MAX} instances, which is the most")
            self.instances[name] = Program(self.state, name, [os.path.join(HERE, "service.py"), name, build])
            self.versions[name] = version
            self.keep()
            return self.about(name)

    def stop(self, question):
        with self.lock:
            program = self.instances.pop(question["name"], None)
            self.versions.pop(question["name"], None)
            self.keep()
        if program is not None:
            program.stop()
        return {"stopped": program is not None}

    def ensure_proxy(self, _):
        with self.lock:
            if self.proxy is None or not self.proxy.lives():
                # The same port again, for those who know it.
                arguments = [os.path.join(HERE, "proxy.py"), self.state, str(self.port)]
                self.proxy = Program(self.state, "proxy", arguments)
                self.port = self.proxy.port
                self.keep()
            return {"port": self.port}

    def list(self, _):
        with self.lock:
            return self.all()

    def all(self):
        living = [name for name, program in self.instances.items() if program.lives()]
        runs = self.proxy is not None and self.proxy.lives()
        return {"proxy": {"port": self.port} if runs else None, "instances": {name: self.about(name) for name in living}}

    def about(self, name):
        own = self.instances[name]
        return {"version": self.versions[name], "port": own.port, "since": own.since, "pid": own.process.pid}

    def keep(self):
        path = os.path.join(self.state, "state.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.all(), file, indent=2)
        os.replace(path + ".new", path)

    def down(self):
        with self.lock:
            programs, self.instances = list(self.instances.values()), {}
            programs += [self.proxy] if self.proxy is not None else []
        # First the proxy, which lets go of the instances.
        for program in reversed(programs):
            program.stop()

    def answer(self, question):
        acts = {"start": self.start, "stop": self.stop, "proxy": self.ensure_proxy, "list": self.list}
        try:
            return {"answer": acts[question["do"]](question)}
        except Refused as why:
            return {"error": str(why)}
        except (KeyError, TypeError, OSError) as why:
            return {"error": f"the host cannot do that: {why!r}"}


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(state, is_tied):
    os.makedirs(state, mode=0o700, exist_ok=True)
    lock = open(os.path.join(state, "host.lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f"a host has {state} already; use another folder, or end it by --down")
    path = wire.address(state, "host.sock")
    if os.path.exists(path):
        os.unlink(path)
    host, over = Host(state), threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        timeout = wire.SECONDS_MAX

        def handle(self):
            try:
                question = json.loads(self.rfile.readline(wire.LINE_BYTES_MAX))
                is_last = question.get("do") == "down"
                if is_last:
                    host.down()
                answer = {"answer": {}} if is_last else host.answer(question)
                self.wfile.write(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError, AttributeError) as why:
                print(f"host: a question was not answered: {why!r}", file=sys.stderr)
                return
            if is_last:
                over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with Server(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if is_tied:
            threading.Thread(target=lambda: (sys.stdin.buffer.read(), over.set()), daemon=True).start()
        print(json.dumps({"state": state}), flush=True)
        over.wait()
        server.shutdown()
    os.unlink(path)
    host.down()


def detach(state):
    """Starts the host in a session of its own, and waits until it answers."""
    os.makedirs(state, mode=0o700, exist_ok=True)
    with open(os.path.join(state, "host.log"), "ab") as log:
        child = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), state],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )
    if not child.stdout.readline():
        raise SystemExit(f"the host did not start; {os.path.join(state, 'host.log')} says why")


def main(state, how="--here"):
    if how in ("--here", "--tied"):
        serve(state, how == "--tied")
    elif how == "--detach":
        detach(state)
    elif how == "--list":
        print(json.dumps(wire.ask(state, "host.sock", {"do": "list"}), indent=2))
    elif how == "--down":
        wire.ask(state, "host.sock", {"do": "down"}, 4 * wire.SECONDS_MAX)
        with open(os.path.join(state, "host.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it has ended
    else:
        raise SystemExit(f"`{how}` is none of --tied, --detach, --list and --down")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    try:
        main(*sys.argv[1:])
    except wire.Unanswered as why:
        raise SystemExit(str(why)) from why
