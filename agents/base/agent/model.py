"""The model, reached through the gateway's Unix socket.

One request, one connection: HTTP/1.1 is spoken by hand because the standard
library's client takes longer to import than a whole small task to solve.
"""

import json
import socket
import time

from agent import settings


class Stop(Exception):
    """The model cannot be asked any more; the run ends with what there is."""


class ContextOverflow(Exception):
    """The conversation is longer than the model's context."""


class Client:
    def __init__(self, path, deadline):
        self.path = path
        self.deadline = deadline

    def complete(self, messages, tools):
        """Returns the model's next message."""
        request = {"model": "default", "messages": messages}
        if tools:
            request["tools"] = tools
        for attempt in range(settings.PROVIDER_RETRIES + 1):
            status, body = self.post("/v1/chat/completions", request)
            if status == 200:
                return body["choices"][0]["message"]
            error = body.get("error") or {}
            reason = "HTTP %d: %s" % (status, error.get("message", "no message"))
            if error.get("code") == "context_length_exceeded":
                raise ContextOverflow(reason)
            if status < 500 or attempt == settings.PROVIDER_RETRIES:
                break
            time.sleep(min(2 ** attempt, self.left()))
        raise Stop(reason)

    def post(self, path, value):
        """Sends one JSON request; returns the status and the JSON body."""
        body = json.dumps(value).encode()
        head = (
            "POST %s HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
            "Content-Length: %d\r\nConnection: close\r\n\r\n" % (path, len(body))
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self.left())
            try:
                connection.connect(self.path)
                connection.sendall(head.encode() + body)
                answer = receive(connection)
                return parse(answer)
            except (OSError, ValueError) as error:
                raise Stop("the gateway gave no usable answer: %s" % error)

    def left(self):
        """Seconds until the deadline; ends the run when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise Stop("the time is used up")
        return seconds


def receive(connection):
    """Reads until the gateway closes the connection."""
    parts = []
    while True:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def parse(answer):
    """Splits an HTTP answer into its status and its JSON body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    if any(line.lower().replace(" ", "") == "transfer-encoding:chunked" for line in lines):
        body = unchunk(body)
    return status, json.loads(body)


def unchunk(body):
    """Joins the chunks of a chunked HTTP body."""
    parts = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(rest[:length])
        body = rest[length + 2 :]
