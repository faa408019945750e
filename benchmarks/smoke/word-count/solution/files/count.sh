#!/bin/sh
# Prints the words of the standard input and how often each occurs.
#
# One line per word: the count, a space, the word.
# The most frequent word comes first; words that are equally frequent are in
# alphabetical order. Case does not matter, and a word is a run of letters.

LC_ALL=C
export LC_ALL

tr 'A-Z' 'a-z' |
    tr -cs 'a-z' '\n' |
    grep . |
    sort |
    uniq -c |
    sort -k1,1nr -k2,2 |
    while read -r number word; do
        echo "$number $word"
    done
