"""An agent that tries the official clients of OpenAI and Anthropic against its gateway.

The packages lie beside it, unchanged. It prints what it sees, one line for each try.
"""

import asyncio
import json
import os
import sys

sys.path.insert(0, "/agent/site")

import anthropic
import httpx2
import openai

SOCKET = os.environ["DGM_MODEL_SOCKET"]
# What would reach a provider without the gateway; there is no network to do so.
BASE = "http://gateway.invalid"
TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
TOOLS = [{"name": "weather", "input_schema": TOOL}]


def user(text):
    return {"role": "user", "content": text}


def tell(what, said):
    print(f"{what}: {said}", flush=True)


def attempt(what, call):
    try:
        said = call()
    except Exception as error:
        kind = f"{type(error).__module__.split('.')[0]}.{type(error).__name__}"
        status = getattr(error, "status_code", None)
        body = getattr(error, "body", None) or {}
        body = body.get("error", body) if isinstance(body, dict) else body
        code = body.get("type") if isinstance(body, dict) else body
        said = f"{kind} {status} {code}"
    tell(what, said)


def with_openai(only=None):
    http = openai.DefaultHttpxClient(transport=httpx2.HTTPTransport(uds=SOCKET))
    client = openai.OpenAI(api_key="none", base_url=BASE + "/v1", http_client=http)
    chat = client.chat.completions

    def ask(text, **more):
        return chat.create(model="ignored", messages=[user(text)], **more)

    def text():
        reply = ask("hello")
        choice = reply.choices[0]
        return f"{choice.message.content} {choice.finish_reason} {reply.model} {reply.usage.prompt_tokens}+{reply.usage.completion_tokens}"

    def streamed():
        parts, usage, reason = [], None, None
        for chunk in ask("count", stream=True, stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                parts.append(choice.delta.content or "")
                reason = choice.finish_reason or reason
        return f"{''.join(parts)} {reason} {usage.prompt_tokens}+{usage.completion_tokens}"

    def usage_unasked():
        return [chunk.usage for chunk in ask("hello", stream=True) if chunk.usage]

    def tools():
        messages = [user("weather")]
        reply = chat.create(model="ignored", messages=messages, tools=CHAT_TOOLS).choices[0]
        messages.append(reply.message)
        for call in reply.message.tool_calls:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"sun in {city}"})
        last = chat.create(model="ignored", messages=messages, tools=CHAT_TOOLS).choices[0]
        return f"{reply.finish_reason} {len(reply.message.tool_calls)} calls, then {last.message.content}"

    def streamed_tools():
        calls = {}
        reason = None
        for chunk in ask("weather", tools=CHAT_TOOLS, stream=True):
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
                for part in choice.delta.tool_calls or []:
                    call = calls.setdefault(part.index, ["", "", ""])
                    call[0] += part.id or ""
                    call[1] += part.function.name or ""
                    call[2] += part.function.arguments or ""
        return f"{reason} {[(name, json.loads(arguments)) for _, name, arguments in calls.values()]}"

    def helper():
        with chat.stream(model="ignored", messages=[user("count")]) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion().choices[0].message.content

    def in_parallel():
        async def run():
            transport = httpx2.AsyncHTTPTransport(uds=SOCKET)
            http = openai.DefaultAsyncHttpxClient(transport=transport)
            async with openai.AsyncOpenAI(
                api_key="none", base_url=BASE + "/v1", http_client=http
            ) as client:
                asked = [
                    client.chat.completions.create(model="ignored", messages=[user("hello")])
                    for _ in range(8)
                ]
                return [reply.choices[0].message.content for reply in await asyncio.gather(*asked)]

        return len(asyncio.run(run()))

    if only:
        attempt(only, lambda: ask(only))
        attempt(f"{only} stream", lambda: list(ask(only, stream=True)))
        return
    attempt("models", lambda: [model.id for model in client.models.list()])
    attempt("model", lambda: client.models.retrieve("served").id)
    attempt("other model", lambda: client.models.retrieve("other"))
    attempt("text", text)
    attempt("stream", streamed)
    attempt("stream without usage", usage_unasked)
    attempt("tools", tools)
    attempt("stream of tools", streamed_tools)
    attempt("stream helper", helper)
    attempt("eight at once", in_parallel)
    attempt("no messages", lambda: chat.create(model="ignored", messages=[]))
    attempt("unknown role", lambda: chat.create(model="ignored", messages=[{"role": "x"}]))
    attempt("unknown path", lambda: client.embeddings.create(model="ignored", input="x"))
    attempt("refused", lambda: ask("refuse"))
    attempt("refused stream", lambda: list(ask("refuse", stream=True)))
    attempt("failing", lambda: ask("fail"))
    attempt("failing stream", lambda: list(ask("fail", stream=True)))
    if "cut" in sys.argv:
        attempt("cut stream", lambda: len(list(ask("cut", stream=True))))
    return lambda: attempt("out of budget", lambda: ask("hello")), lambda: attempt(
        "stream out of budget", lambda: list(ask("hello", stream=True))
    )


def with_anthropic(only=None):
    http = anthropic.DefaultHttpxClient(transport=httpx2.HTTPTransport(uds=SOCKET))
    client = anthropic.Anthropic(api_key="none", base_url=BASE, http_client=http)

    def ask(text, **more):
        return client.messages.create(
            model="ignored", max_tokens=100, messages=[user(text)], **more
        )

    def text():
        reply = ask("hello")
        return f"{reply.content[0].text} {reply.stop_reason} {reply.model} {reply.usage.input_tokens}+{reply.usage.output_tokens}"

    def streamed():
        with client.messages.stream(
            model="ignored", max_tokens=100, messages=[user("count")]
        ) as stream:
            text = "".join(stream.text_stream)
            last = stream.get_final_message()
        return f"{text} {last.stop_reason} {last.usage.input_tokens}+{last.usage.output_tokens}"

    def events():
        return [event.type for event in ask("hello", stream=True)]

    def tools():
        messages = [user("weather")]
        more = {"model": "ignored", "max_tokens": 100, "tools": TOOLS}
        reply = client.messages.create(messages=messages, **more)
        messages.append({"role": "assistant", "content": reply.content})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": block.id,
                "content": f"sun in {block.input['city']}",
            }
            for block in reply.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
        last = client.messages.create(messages=messages, **more)
        return f"{reply.stop_reason} {len(results)} calls, then {last.content[0].text}"

    def streamed_tools():
        with client.messages.stream(
            model="ignored", max_tokens=100, messages=[user("weather")], tools=TOOLS
        ) as stream:
            blocks = stream.get_final_message().content
        return [(block.name, block.input) for block in blocks if block.type == "tool_use"]

    if only:
        attempt(only, lambda: ask(only))
        attempt(f"{only} stream", lambda: list(ask(only, stream=True)))
        return
    attempt("models", lambda: [model.id for model in client.models.list()])
    attempt("model", lambda: client.models.retrieve("served").id)
    attempt("other model", lambda: client.models.retrieve("other"))
    attempt("text", text)
    attempt("stream", streamed)
    attempt("events", events)
    attempt("tools", tools)
    attempt("stream of tools", streamed_tools)
    attempt("no messages", lambda: client.messages.create(model="x", max_tokens=1, messages=[]))
    attempt("count", lambda: client.messages.count_tokens(model="x", messages=[user("x")]))
    attempt("refused", lambda: ask("refuse"))
    attempt("failing", lambda: ask("fail"))
    attempt("failing stream", lambda: list(ask("fail", stream=True)))
    if "cut" in sys.argv:
        attempt("cut stream", lambda: len(list(ask("cut", stream=True))))
    return lambda: attempt("out of budget", lambda: ask("hello")), lambda: attempt(
        "stream out of budget", lambda: list(ask("hello", stream=True))
    )


def refused():
    """What becomes of calls with which nothing else is tried."""
    for what in sys.argv[2:]:
        for client in (with_openai, with_anthropic):
            client(only=what)


tell("clients", f"openai {openai.__version__}, anthropic {anthropic.__version__}")
if sys.argv[1:2] == ["only"]:
    refused()
    sys.exit()
print("-- openai")
last = [*with_openai()]
print("-- anthropic")
last += [*with_anthropic()]
print("-- used up")
# The job's allowance is spent on calls that cost nothing.
transport = httpx2.HTTPTransport(uds=SOCKET)
with httpx2.Client(transport=transport, base_url=BASE) as client:
    body = {"messages": [user("hello")]}
    while client.post("/v1/chat/completions", json=body).status_code == 200:
        pass
for call in last:
    call()
