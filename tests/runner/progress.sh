#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# progress.sh - sourced by ./dev: runs long commands with their output in a log
#
# On a terminal one line shows what is done, how far it is and for how long it has run. Elsewhere there is
# one line when it begins and one when it has ended. If it fails, the end of the log is printed.
# The caller sets `log`, the path of that file.
log=${log:?}

say() { printf 'okl4fs: %s\n' "$*" >&2; }

how_far() { # OFFSET: what ninja, apt or a program of ours has said last, from there on in the log
	tail -c "+$(($1 + 1))" "$log" | tail -c 8192 | sed -En '
		s/^\[([0-9]+)\/([0-9]+)\].*/\1 of \2/p
		s/^(Unpacking|Setting up) ([^ ]+).*/\1 \2/p
		s/^Get:([0-9]+) .*/download \1/p
		s/^okl4fs: (.*)/\1/p' | tail -n 1
}

show_progress() { # DELAY TEXT OFFSET: the line on the terminal, once per second, until it is killed
	local delay=$1 text=$2 offset=$3 began=$SECONDS columns far line
	while sleep "$delay" && [ -d "/proc/$$" ]; do # what started it may be killed
		far=$(how_far "$offset")
		line="okl4fs: $text${far:+: $far}, $((SECONDS - began)) s"
		read -r _ columns < <(stty size <&2 2>/dev/null) || columns=80
		((columns)) || columns=80
		printf '\r\033[K%s' "${line:0:columns-1}" >&2
		delay=1
	done
}

logged() { # [-q] TEXT COMMAND...: run it; its status. -q: if it is quick, say nothing
	local quick=0 text status=0 began=$SECONDS offset ticker
	[ "$1" != -q ] || quick=1
	shift "$quick"
	text=$1
	shift
	mkdir -p "${log%/*}"
	printf '== %s: %s\n' "$text" "$*" >>"$log"
	offset=$(stat -c %s "$log")
	if [ -t 2 ]; then
		show_progress "$quick" "$text" "$offset" 9>&- &
		ticker=$!
	elif [ "$quick" = 0 ]; then
		say "$text ..."
	fi
	"$@" >>"$log" 2>&1 || status=$?
	if [ -n "${ticker-}" ]; then
		kill "$ticker" 2>/dev/null || true
		wait "$ticker" 2>/dev/null || true
		printf '\r\033[K' >&2
	fi
	if [ "$status" = 0 ]; then
		[ $((SECONDS - began)) -lt "$quick" ] || say "$text: done ($((SECONDS - began)) s)"
		return
	fi
	say "$text: failed with status $status, after this:"
	tail -c "+$((offset + 1))" "$log" | tail -n 20 | sed 's/^/    /' >&2
	say "the whole output is in $log"
	return "$status"
}
