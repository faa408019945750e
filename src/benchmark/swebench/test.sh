#!/bin/bash
# Puts the answer into the repository, then runs the tests. What the tests print is this
# script's only output: it is graded outside, and nothing that is left in here counts.
exec 2>&1
cd /testbed || exit 1
log=/logs/verifier/apply.log
patch=/tests/patch.diff
git config --global --add safe.directory /testbed >"$log" 2>&1

# What is patched in must not find its solution in a later commit.
if [ -f /tests/history.sh ]; then sh /tests/history.sh past >>"$log" 2>&1; fi

again() {
    git checkout -- . >>"$log" 2>&1
    git clean -fd >>"$log" 2>&1
}

# Four attempts, each on a clean repository. An attempt that fails may have done everything all
# the same, hence the last look.
apply() {
    git apply --verbose "$patch" && return
    again
    git apply --verbose --3way "$patch" && return
    again
    git apply --verbose --reject "$patch" && return
    again
    patch --batch --forward --fuzz=5 -p1 -i "$patch" && return
    git apply --check --reverse "$patch"
}

# Without an answer the tests see the repository as it is.
if [ -s "$patch" ] && ! apply >>"$log" 2>&1; then
    echo '>>>>> Patch Apply Failed'
    exit 1
fi
exec /bin/bash /tests/eval.sh
