#!/bin/sh
# A coding agent in POSIX sh. The model answers with a fenced block of shell commands,
# the agent runs it and sends the output back, until a reply comes without a block.
# The conversation is a folder with one file per message, named NUMBER.ROLE.
set -u
here=${0%/*}
talk=$DGM_SCRATCH/talk
mkdir -p "$talk"
cp "$here/system.md" "$talk/1.system"
cp "$DGM_INSTRUCTION" "$talk/2.user"

number=2
while [ "$number" -lt 60 ]; do
    reply=$talk/$((number += 1)).assistant
    shown=$talk/$((number += 1)).user
    # No answer: allowance, time or context are used up. What is done is the answer.
    perl "$here/ask.pl" "$talk" > "$DGM_SCRATCH/reply" || exit 0
    mv "$DGM_SCRATCH/reply" "$reply"
    printf '[assistant]\n%s\n' "$(cat "$reply")"

    grep -q '^```sh$' "$reply" || exit 0
    if grep -q '^```$' "$reply"; then
        sed -n '/^```sh$/,/^```$/p' "$reply" | sed '/^```/d' > "$DGM_SCRATCH/block"
        timeout 60 sh "$DGM_SCRATCH/block" < /dev/null > "$shown" 2>&1
        status=$?
        [ "$status" -eq 0 ] || echo "[exit status $status]" >> "$shown"
        [ -s "$shown" ] || echo "(no output)" > "$shown"
    else
        echo "Error: the block has no end; nothing was run." > "$shown"
    fi
    printf '[output]\n%s\n' "$(head -c 2000 "$shown")"
done
