# SPDX-License-Identifier: BSD-3-Clause
"""Messages of a guest's kernel when something is wrong, and further checks of a debug kernel."""
import re

# These messages mean that a kernel has found a fault. (lockdep, RCU and DEBUG_OBJECTS begin with WARNING,
# KASAN, KCSAN, soft lockups and sleeping in atomic context with BUG.)
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|general protection|Call Trace|INFO: task .* blocked|"
                     r"refcount_t|UBSAN:|ODEBUG|detected stalls|list_(?:add|del) corruption|"
                     r"unreferenced object")
# By the strictest rules there are data races in Linux itself. Reports that concern us name one of our modules.
RACE = re.compile(r"BUG: KCSAN: .*?(?:={20,}|\Z)", re.S)
# These races are in Linux, whichever module calls it: virtio uses plain reads for the words that the host
# writes in its rings, and the times of an inode are kept without a lock, as those of a pipe.
THEIR_RACE = re.compile(r"(?:(?:virtqueue|vring|virtio|vp)_\w+|atime_needs_update|touch_atime|"
                        r"file_update_time|generic_(?:update_time|fillattr)|inode_\w*time\w*)")
OUR_MODULE = re.compile(r"\[okl4\w+\]")
# A leak is ours if a caller was in our module, which is unloaded and no longer has a name.
OUR_LEAK = re.compile(r"\[okl4\w+\]|\] 0x[0-9a-f]{16}$", re.M)

# kmemleak reports only memory that was five seconds old when a scan began. At first it may report memory
# that is just being moved as lost.
SCAN = """\
f=/sys/kernel/debug/kmemleak
test -e $f || exit 0
now() { cut -d. -f1 /proc/uptime; }
start=$(now)
echo scan > $f
while
	begun=$(now)
	echo scan > $f && test $begun -lt $((start + 7))
do :; done
cat $f
"""
# All programs close their files; after that nothing may hold the file system or the module.
LEAVE = """\
kill -KILL -1 2>/dev/null
while grep -q ' okl4fs ' /proc/mounts; do
	umount $(grep -m1 ' okl4fs ' /proc/mounts | cut -d' ' -f2) || exit
done
for module in okl4fs okl4evil; do
	if grep -q "^$module " /proc/modules; then rmmod $module || exit; fi
done
"""


class Complaint(AssertionError):
    """A guest's kernel has found something."""


def _is_ours(race: str) -> bool:
    """Whether a report of KCSAN concerns us."""
    title = race.partition("data-race in ")[2].partition("\n")[0].split(" / ")
    theirs = all(THEIR_RACE.match(function) for function in title)
    return OUR_MODULE.search(race) is not None and not theirs


def complaint(console: str) -> str | None:
    """The first report on a console that concerns us, with what is around it."""
    console = RACE.sub(lambda race: race[0] if _is_ours(race[0]) else "", console)
    found = TROUBLE.search(console)
    if not found:
        return None
    start = max(0, found.start() - 200)
    return console[start:start + 6000]


def leaks(guest) -> str:
    """Leaks of our modules' memory that kmemleak finds; empty on a kernel without kmemleak."""
    reports = re.split(r"^(?=unreferenced object)", guest.check(SCAN, 120), flags=re.M)
    return "".join(report for report in reports if OUR_LEAK.search(report))


def check(guest) -> None:
    """Check a debug kernel at the end of its tests: no lock misused, no leak, all memory given back."""
    status, output = guest.run(LEAVE, 60)
    if status:
        raise Complaint(f"the module cannot be unloaded: status {status}: {output}")
    lost = leaks(guest)
    if lost:
        raise Complaint(f"a guest has leaked memory:\n{lost[:6000]}")
    if "debug_locks: 1" not in re.sub(" +", " ", guest.check("cat /proc/lockdep_stats")):
        raise Complaint("lockdep has switched itself off: it or another detector found something")
