#!/bin/sh
# Takes away what the repository in the current folder knows beyond its present commit.
#
# usage: history.sh [only|past]
#   only  the present commit alone stays, without a parent (the default)
#   past  its ancestors stay, too, and tags among them: builds read versions from those;
#         nothing is done where there is nothing else
#
# What stays is fetched into a new repository, so that nothing else is left in any pack, and
# the old one is removed. The files of the work tree and their state stay as they are.
set -eu
mode=${1:-only}
[ -e .git ] || exit 0
command -v git >/dev/null || { echo 'the image has no git' >&2; exit 1; }
HOME=$(mktemp -d)
export HOME
git config --global --add safe.directory '*'
git config --global protocol.file.allow always
old=$(git rev-parse --absolute-git-dir)
head=$(git rev-parse --verify HEAD)
branch=$(git symbolic-ref -q HEAD || true)
new=$HOME/new/.git
git init -q "$HOME/new"
if [ "$mode" = past ]; then
    others=$(
        git for-each-ref --count=1 --no-merged HEAD
        git rev-list --max-count=1 --reflog --not HEAD
    )
    if [ -z "$others" ]; then
        rm -rf "$HOME"
        exit 0
    fi
    git tag --merged HEAD | sed 's|.*|refs/tags/&:refs/tags/&|' |
        xargs git --git-dir="$new" fetch -q --no-tags "file://$old" HEAD
else
    git --git-dir="$new" fetch -q --no-tags --depth 1 "file://$old" HEAD
fi
for key in core.autocrlf core.eol core.fileMode core.symlinks core.ignoreCase; do
    value=$(git config --local --get "$key") || continue
    git --git-dir="$new" config "$key" "$value"
done
git --git-dir="$new" config gc.auto 0
if [ -n "$branch" ]; then
    git --git-dir="$new" update-ref "$branch" "$head"
    git --git-dir="$new" symbolic-ref HEAD "$branch"
else
    git --git-dir="$new" update-ref --no-deref HEAD "$head"
fi
rm -f "$new/FETCH_HEAD"
for name in exclude attributes; do
    if [ -f "$old/info/$name" ]; then cp "$old/info/$name" "$new/info/$name"; fi
done
# Submodules have histories of their own, and need them.
if [ -d "$old/modules" ]; then mv "$old/modules" "$new/modules"; fi
if [ -f "$old/objects/info/alternates" ]; then
    while read -r folder; do
        case $folder in
            /*) rm -rf "$folder" ;;
            ?*) rm -rf "${old:?}/objects/$folder" ;;
        esac
    done <"$old/objects/info/alternates"
fi
rm -rf "$old" .git
mv "$new" .git
git reset -q
rm -rf "$HOME"
