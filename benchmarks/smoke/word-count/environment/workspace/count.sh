#!/bin/sh
# Prints the words of the standard input and how often each occurs.
#
# One line per word: the count, a space, the word.
# The most frequent word comes first.

tr ' ' '\n' |
    sort |
    uniq -c |
    sort -rn |
    while read -r number word; do
        echo "$number $word"
    done
