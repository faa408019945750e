"""The loop, against a real socket: how a run goes on and how it ends."""

import contextlib
import io
import time
import unittest

from agent import loop, model, settings, tools
from tests.support import Gateway, fails, says


def run(*answers):
    """Runs the loop against prepared answers; returns the conversation and the requests."""
    with Gateway(*answers) as gateway, contextlib.redirect_stdout(io.StringIO()):
        client = model.Client(gateway.path, time.monotonic() + 10)
        messages = loop.run(client, tools.load(), "system", "do it")
    return messages, gateway.requests


class LoopTest(unittest.TestCase):
    def setUp(self):
        self.addCleanup(setattr, time, "sleep", time.sleep)
        time.sleep = lambda seconds: None

    def test_tool_results_are_shown_to_the_model(self):
        messages, requests = run(says("", ("bash", '{"command": "echo hi"}')), says("DONE"))
        self.assertEqual(messages[3]["content"], "hi\n")
        self.assertEqual(requests[1]["messages"], messages[:4])
        self.assertIn("bash", [tool["function"]["name"] for tool in requests[0]["tools"]])

    def test_arguments_that_are_cut_are_an_error_for_the_model(self):
        messages, _ = run(says("", ("bash", '{"command": "ec')), says("DONE"))
        self.assertTrue(messages[3]["content"].startswith("Error"))

    def test_ends_when_the_allowance_is_used_up(self):
        messages, _ = run(says("", ("bash", '{"command": "true"}')), fails(402))
        self.assertEqual(len(messages), 4)

    def test_asks_again_when_the_provider_fails(self):
        messages, _ = run(fails(503), fails(502), says("DONE"))
        self.assertEqual(messages[-1]["content"], "DONE")
        messages, _ = run(*[fails(500)] * (settings.PROVIDER_RETRIES + 1))
        self.assertEqual(len(messages), 2)

    def test_ends_when_the_context_stays_too_long(self):
        messages, _ = run(*[fails(400, "context_length_exceeded")] * 2)
        self.assertEqual(len(messages), 2)

    def test_ends_without_a_gateway_or_time(self):
        for path, seconds in (("/nowhere/model.sock", 10), ("/nowhere/model.sock", -1)):
            client = model.Client(path, time.monotonic() + seconds)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                loop.run(client, tools.load(), "system", "do it")
            self.assertIn("stopped", printed.getvalue())


class ParseTest(unittest.TestCase):
    def test_chunked_bodies(self):
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n"
        self.assertEqual(model.parse(answer), (200, {"a": 1}))
