"""A way to PostgreSQL that loses the connection around a COMMIT.

It reads the frontend's messages (PostgreSQL documentation, "Message Formats") as they pass: a
COMMIT is a Query of that text, or a Bind of a statement that was parsed from it.
"""
import enum
import socket
import struct
import threading

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class Cut(enum.Enum):
    BEFORE = "the COMMIT never reaches the server"
    AFTER = "the server has answered it, and the answer is lost"
    DURING = "the connection breaks as soon as it is sent"


class Frontend:
    """Finds COMMITs among a client's bytes."""

    def __init__(self):
        self.buffer, self.started = b"", False
        self.commits = set()  # names of prepared statements

    def feed(self, data):
        """Yields (bytes of one message, whether it runs a COMMIT)."""
        self.buffer += data
        while True:
            message = self.take()
            if message is None:
                return
            yield message, self.started and self.runs_commit(message)
            if not self.started:
                code = struct.unpack("!i", message[4:8])[0]
                self.started = code not in (SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST)

    def take(self):
        head = 1 if self.started else 0
        if len(self.buffer) < head + 4:
            return None
        size = head + struct.unpack("!i", self.buffer[head:head + 4])[0]
        if len(self.buffer) < size:
            return None
        message, self.buffer = self.buffer[:size], self.buffer[size:]
        return message

    def runs_commit(self, message):
        kind, body = message[:1], message[5:]
        if kind == b"Q":
            return body.upper().startswith(b"COMMIT")
        if kind == b"P":
            name, query = body.split(b"\0")[:2]
            if query.strip().upper().startswith(b"COMMIT"):
                self.commits.add(name)
            else:
                self.commits.discard(name)
        if kind == b"B":
            return body.split(b"\0")[1] in self.commits
        return False


class Proxy:
    """Listens on a port of its own. cut() arms it for the transaction that holds some bytes."""

    def __init__(self, port):
        self.target, self.lock = ("127.0.0.1", port), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.armed = None  # (bytes that the transaction holds, Cut)
        self.cuts = {how: 0 for how in Cut}
        threading.Thread(target=self.accept, daemon=True).start()

    def host(self):
        return f"127.0.0.1:{self.port}"

    def cut(self, holding, how):
        with self.lock:
            self.armed = (holding, how)

    def taken(self):
        """Whether the last cut that was armed has been made."""
        with self.lock:
            return self.armed is None

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(self, client, server)
        threading.Thread(target=link.forth, daemon=True).start()
        link.back()

    def due(self, seen):
        """The cut that is armed for a transaction with these bytes."""
        with self.lock:
            if self.armed is None or self.armed[0] not in seen:
                return None
            how, self.armed = self.armed[1], None
            self.cuts[how] += 1
            return how


class Link:
    """One connection of a client."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.swallow = threading.Event()

    def forth(self):
        frontend, seen = Frontend(), b""
        try:
            while data := self.client.recv(65536):
                out, how = b"", None
                for message, is_commit in frontend.feed(data):
                    seen += message
                    if is_commit:
                        how = how or self.proxy.due(seen)
                        seen = b""
                        if how is Cut.BEFORE:
                            break
                    out += message
                if how is Cut.AFTER:
                    self.swallow.set()
                self.server.sendall(out)
                if how in (Cut.BEFORE, Cut.DURING):
                    return self.end()
        except OSError:
            pass
        self.end()

    def back(self):
        swallowed = b""
        try:
            while data := self.server.recv(65536):
                if not self.swallow.is_set():
                    self.client.sendall(data)
                    continue
                swallowed += data
                if b"COMMIT\0" in swallowed:
                    return self.end()
        except OSError:
            pass
        self.end()

    def end(self):
        """Breaks both sides at once, as a network that fails does: without a farewell."""
        for end in (self.client, self.server):
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
