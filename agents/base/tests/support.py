"""A gateway for tests: a real Unix socket that plays back prepared answers."""

import json
import os
import socket
import tempfile
import threading


class Gateway:
    """Serves the given (status, body) pairs in order; keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "model.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes a thread that still waits
        self.thread.join(5)
        self.listener.close()
        self.folder.cleanup()

    def serve(self):
        for status, body in self.answers:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # the test is over
                return
            with connection:
                self.requests.append(read_request(connection))
                data = json.dumps(body).encode()
                head = "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(data))
                connection.sendall(head.encode() + data)


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return json.loads(body)


def says(text, *calls):
    """An answer of the model: a text and tool calls as (name, arguments)."""
    message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": str(n), "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    return 200, {"choices": [{"message": message}]}


def fails(status, code=None):
    return status, {"error": {"message": "no", "type": "x", "code": code}}
