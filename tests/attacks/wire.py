"""HTTP/1.1 by hand: bytes as they are told, and answers read as they come."""
import dataclasses
import select
import socket
import struct
import time

HOST = "pay.example"


@dataclasses.dataclass
class Answer:
    code: int
    headers: dict
    body: bytes

    def same(self, other):
        """Equal in all that a stranger can see, but for the date."""
        mine, yours = dict(self.headers), dict(other.headers)
        mine.pop("date", None)
        yours.pop("date", None)
        return (self.code, mine, self.body) == (other.code, yours, other.body)


def request(target, body=b"", headers=(), method="POST", version="HTTP/1.1"):
    """A well-formed request with a Content-Length."""
    lines = [f"{method} {target} {version}".encode(), b"Host: " + HOST.encode()]
    lines += [encode(name) + b": " + encode(value) for name, value in headers]
    lines.append(b"Content-Length: " + str(len(body)).encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def encode(text):
    return text if isinstance(text, bytes) else text.encode()


def chunked(body, size=0):
    """The body in chunks of `size`, or in one."""
    size = size or len(body)
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def parse(data):
    """The whole answers at the beginning of `data`, and what is left."""
    answers = []
    while True:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return answers, data
        first, *lines = data[:end].split(b"\r\n")
        words = first.split(b" ", 2)
        if not words[0].startswith(b"HTTP/1.") or len(words) < 2:
            raise AssertionError(f"no status line: {first[:80]!r}")
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        code = int(words[1])
        length = 0 if code < 200 or code == 204 else int(headers.get("content-length", "0"))
        if len(data) < end + 4 + length:
            return answers, data
        answers.append(Answer(code, headers, data[end + 4:end + 4 + length]))
        data = data[end + 4 + length:]


class Connection:
    """One connection to the daemon."""

    def __init__(self, port, timeout=5.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers, self.rest, self.closed = [], b"", False

    def send(self, data):
        """A peer that has refused us may have closed already; what it said can still be read."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self, count=None, timeout=3.0):
        """Reads until there are `count` answers in all, or the end, or the time is over."""
        limit = time.monotonic() + timeout
        while not self.closed and (count is None or len(self.answers) < count):
            left = max(limit - time.monotonic(), 0)
            if not select.select([self.socket], [], [], left)[0]:
                break
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            self.closed = not data
            answers, self.rest = parse(self.rest + data)
            self.answers += answers
        return self.answers

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exchange(port, data, timeout=3.0):
    """(answers, whether the daemon closed) of one connection that sends `data`."""
    with Connection(port) as connection:
        connection.send(data)
        connection.read(timeout=timeout)
        return connection.answers, connection.closed
