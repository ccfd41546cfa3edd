"""As much of HTTP/1.1 as the service and its proxy speak: messages with a length, over connections that may be kept."""

import asyncio

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 1024 * 1024
IDLE_SECONDS_MAX = 60
MESSAGE_SECONDS_MAX = 30


class Malformed(Exception):
    """What came is no message that is understood here."""


class Message:
    """A request or a response: its first line, its headers by their names in lower case, its body."""

    def __init__(self, first, headers, body):
        self.first, self.headers, self.body = first, headers, body

    def keeps(self):
        """Whether the connection may be used again."""
        return self.headers.get("connection", "").lower() != "close" and b"HTTP/1.0" not in self.first

    def status(self):
        return int(self.first.split()[1])


async def read(reader):
    """Reads a message; none where the other side has nothing more to say."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_SECONDS_MAX)
    except asyncio.IncompleteReadError as cut:
        if cut.partial:
            raise Malformed("cut off in the head") from cut
        return None
    except asyncio.LimitOverrunError as over:
        raise Malformed("the head is too long") from over
    first, *lines = head[:-4].split(b"\r\n")
    headers = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise Malformed("a header without a colon")
        headers[name.strip().lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise Malformed("a body without a length")
    try:
        length = int(headers.get("content-length", "0"))
    except ValueError as wrong:
        raise Malformed("the length is no number") from wrong
    if not 0 <= length <= BODY_BYTES_MAX:
        raise Malformed("the body is too long")
    try:
        body = await asyncio.wait_for(reader.readexactly(length), MESSAGE_SECONDS_MAX)
    except asyncio.IncompleteReadError as cut:
        raise Malformed("cut off in the body") from cut
    return Message(first, headers, body)


def response(status, body, keeps=True, **headers):
    """A response as bytes."""
    words = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
    lines = [f"HTTP/1.1 {status} {words[status]}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [] if keeps else ["Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def send(writer, data):
    writer.write(data)
    await asyncio.wait_for(writer.drain(), MESSAGE_SECONDS_MAX)


async def close(writer):
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 1)
    except (OSError, asyncio.TimeoutError):
        pass  # it is gone either way
