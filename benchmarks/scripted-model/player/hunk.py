"""The first replacement on the way from one text to another."""

import difflib
import json


def first(now, wanted, room):
    """Returns (old, new): `old` occurs once in `now`, and both together fit into `room`.

    A difference that is too long is done in part; what is left is found again when
    the changed text is compared the next time.
    """
    a, b = now.splitlines(True), wanted.splitlines(True)
    codes = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    i1, i2, j1, j2 = next(code[1:] for code in codes if code[0] != "equal")
    before, after = i1, i2
    while before == after or now.count("".join(a[before:after])) != 1:
        if before > 0:
            before -= 1
        elif after < len(a):
            after += 1
        else:
            break
    head, tail = a[before:i1], a[i2:after]
    old, new = a[i1:i2], b[j1:j2]
    while size(head + old + tail + head + new + tail) > room and len(new) > 1:
        new.pop()
    while size(head + old + tail + head + new + tail) > room and len(old) > 1:
        old.pop()
        tail, new = [], []
    old_text, new_text = "".join(head + old + tail), "".join(head + new + tail)
    if old_text.endswith("\n") and new_text.endswith("\n"):
        old_text, new_text = old_text[:-1], new_text[:-1]
        if now.count(old_text) != 1:
            old_text, new_text = old_text + "\n", new_text + "\n"
    return old_text, new_text


def size(lines):
    return len(json.dumps("".join(lines), ensure_ascii=False))
