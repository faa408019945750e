"""From the text of a request to the text of the reply, with the model's two limits.

The answer is a pure function of the request and of the files on disk: no clock, no
randomness, no memory. The limits are those of a small model, scaled to tiny tasks.
"""

import json

from player.conversation import Conversation

# Characters of a reply: its text and the arguments of its tool calls together.
REPLY_LIMIT = 1600

# Characters of all messages of a request together.
CONTEXT_LIMIT = 24000


def to_text(request_text, tasks, here):
    """Answers one request."""
    try:
        request = json.loads(request_text)
        conversation = Conversation(request["messages"], request.get("tools") or [])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return failure("the request is not a Chat Completions request: %s" % error, "bad_request")
    if is_diagnosis(conversation.system):
        from player import diagnose

        message = {"role": "assistant", "content": diagnose.answer(conversation, here)}
        return success(request, message, "stop", conversation.size)
    if conversation.size > CONTEXT_LIMIT:
        return failure(
            "the messages hold %d characters, the context at most %d"
            % (conversation.size, CONTEXT_LIMIT),
            "context_length_exceeded",
        )
    from player import goal, play

    message = play.next_message(conversation, goal.find(conversation, tasks, here))
    message, reason = cut(message)
    return success(request, message, reason, conversation.size)


def is_diagnosis(system):
    return "improvement_proposal" in system and "problem_description" in system


def cut(message):
    """Applies the limit of a reply, as a provider does: what is too long just ends."""
    room = REPLY_LIMIT
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    content = message.get("content") or ""
    if len(content) > room:
        message["content"] = content[:room]
        reason = "length"
    room = max(0, room - len(content))
    for call in message.get("tool_calls") or []:
        arguments = call["function"]["arguments"]
        if len(arguments) > room:
            call["function"]["arguments"] = arguments[:room]
            reason = "length"
        room = max(0, room - len(arguments))
    return message, reason


def success(request, message, reason, size):
    written = len(message.get("content") or "") + sum(
        len(call["function"]["arguments"]) for call in message.get("tool_calls") or []
    )
    prompt, completion = size // 4, written // 4 + 1
    return json.dumps(
        {
            "id": "scripted",
            "object": "chat.completion",
            "created": 0,
            "model": request.get("model") or "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        },
        ensure_ascii=False,
    )


def failure(text, code):
    return json.dumps(
        {"error": {"message": text, "type": "invalid_request_error", "code": code}}
    )
