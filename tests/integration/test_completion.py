# SPDX-License-Identifier: BSD-3-Clause
"""Completion of okl4fsctl in bash and zsh, with a daemon's names; it has all that the usage has."""
import os
import pty
import re
import select
import subprocess

from ctl_rig import TIMEOUT_S, DaemonTest, run
from vm import paths
from vm.daemon import guest_config
from vm.process import Deadline

BASH = paths.ROOT / "completions/okl4fsctl.bash"
ZSH = paths.ROOT / "completions/_okl4fsctl"


def usage() -> str:
    """The overview and the help of all commands."""
    overview = run("okl4fsctl", "help").stdout
    return overview + "".join(run("okl4fsctl", "help", *command.split()).stdout
                              for command in commands(overview))


def commands(overview: str | None = None) -> list[str]:
    """All commands; some consist of two words."""
    return re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)*)(?: |$)",
                      overview or run("okl4fsctl", "help").stdout, re.M)


def first_words() -> list[str]:
    """The first words of all commands."""
    return sorted({command.split()[0] for command in commands()})


class Completion(DaemonTest):
    """A daemon with names of all kinds."""

    @classmethod
    def config(cls):
        return {"guests": [
            guest_config("vm1", "vm1.sock", {name: {"type": "discard"} for name in (
                "host", "echo", "a b", "it's", "$(touch x)", "bell\u0007", "\u00e4")}),
            guest_config("vm2", "vm2.sock", {"other": {"type": "discard"}})]}

    def bash(self, *words: str, socket: bool = True) -> list[str]:
        """What bash offers for the last word."""
        line = [str(paths.BUILD / "okl4fsctl")]
        line += ["-s", self.daemon.control_path] if socket else []
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _okl4fsctl; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", BASH, *line, *words],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                              cwd=self.scratch)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [line for line in done.stdout.splitlines() if line]

    # bash

    def test_commands(self):
        self.assertEqual(sorted(self.bash("")), first_words())
        self.assertEqual(self.bash("chan", socket=False),
                         ["channels", "channel", "channel-add", "channel-remove", "channel-reset"])

    def test_words(self):
        for words, offered in (
                (["guest-remove", ""], ["vm1", "vm2"]),
                (["guest-remove", "vm1", ""], []),
                (["channel", "vm1/h"], ["vm1/host"]), (["attach", "vm1/h"], ["vm1/host"]),
                (["channel-remove", "vm1/h"], ["vm1/host"]),
                (["channel-reset", "vm1/h"], ["vm1/host"]),
                (["channel", "vm2"], ["vm2/other"]),
                (["events", "--guest", ""], ["vm1", "vm2"]), (["top", "vm"], ["vm1", "vm2"]),
                (["status", ""], []), (["nonsense"], []), (["--json", "st"], ["status"]),
                (["help", "sta"], ["status"]), (["--vers"], ["--version"]),
                (["channels", "--n"], ["--names"]), (["config", "s"], ["show", "save"]),
                (["channel-remove", "--sa"], ["--save"]),
                (["top", "--sort", "to"], ["to-host", "to-guest"]),
                (["top", "--sort", "=", "to-h"], ["to-host"]), (["log-level", "de"], ["debug"]),
                (["qemu-args", "vm1", "--li"], ["--libvirt", "--libvirt=filesystem"])):
            with self.subTest(words=words):
                self.assertEqual(self.bash(*words), offered)
        self.assertIn("channel.failed", self.bash("events", "guest", "chan"))
        self.assertIn("okl4fsd.json", self.bash("--socket", "okl4fsd.j"))

    def test_names_are_quoted(self):
        """A completed name is one word when the line is run, and nothing in it is executed."""
        offered = self.bash("channel", "")
        self.assertEqual(len(offered), 7)  # the name with a bell character is not offered
        for word in offered:
            done = subprocess.run(["bash", "-c", f"printf '%s\\n' {word}"], capture_output=True,
                                  text=True, timeout=TIMEOUT_S, check=True, cwd=self.scratch)
            self.assertEqual(done.stdout.count("\n"), 1, word)
            self.assertTrue(self.daemon.ctl("channel", done.stdout[:-1])[1], word)
        self.assertFalse((self.scratch / "x").exists())
        self.assertEqual(self.bash("channel", "vm1/a\\ "), ["vm1/a\\ b"])

    def test_without_a_daemon(self):
        none = str(self.scratch / "none.sock")
        self.assertEqual(self.bash("-s", none, "guest-remove", "", socket=False), [])

    # zsh

    def zsh(self, *lines: str) -> list[str]:
        """The arguments with which lines (with tabs in them) call okl4fsctl, joined by '|'."""
        rc = self.scratch / "zshrc"
        rc.write_text(f"""
PS1= PS2= RPS1= ; unsetopt zle_bracketed_paste prompt_cr prompt_sp beep; stty -echo
fpath=({ZSH.parent} $fpath)
autoload -Uz compinit; compinit -u -D
setopt list_ambiguous no_auto_list
okl4fsctl() {{
    if [[ " $* " == *" --names "* ]]; then {paths.BUILD}/okl4fsctl "$@"; return; fi
    print -r -- "RESULT=${{(j:|:)@}}=END"
}}
print READY
""", encoding="utf-8")
        pid, fd = pty.fork()
        if not pid:
            os.execve("/usr/bin/zsh", ["zsh", "-f", "-i"],
                      {"PATH": "/usr/bin:/bin", "TERM": "dumb", "HOME": str(self.scratch),
                       "LANG": "C.UTF-8"})
        try:
            os.write(fd, f"source {rc}\n".encode())
            self.until(fd, r"READY\r?\n")
            results = []
            for line in lines:
                os.write(fd, line.encode() + b"\n")
                results.append(re.search("RESULT=(.*?)=END", self.until(fd, "=END"))[1])
            return results
        finally:
            os.close(fd)
            os.waitpid(pid, 0)

    def until(self, fd: int, pattern: str) -> str:
        """Read a terminal until a pattern comes."""
        deadline, text = Deadline(TIMEOUT_S), ""
        while not re.search(pattern, text):
            ready, _, _ = select.select([fd], [], [], deadline.left_s())
            deadline.check(f"{pattern} (got {text!r})")
            if ready:
                text += os.read(fd, 65536).decode(errors="replace")
        return text

    def test_zsh(self):
        s = f"-s {self.daemon.control_path}"
        self.assertEqual(self.zsh(
            "okl4fsctl stat\t",
            "okl4fsctl help stat\t",
            f"okl4fsctl {s} guest-remove vm2\t",
            f"okl4fsctl {s} channel vm2/\t",
            f"okl4fsctl {s} attach vm1/ho\t",
            f"okl4fsctl {s} channel vm1/a\t",
            f"okl4fsctl {s} events -g vm2\t",
            "okl4fsctl top --sort fi\t",
            "okl4fsctl log-level deb\t",
            "okl4fsctl events channel.fa\t",
            "okl4fsctl qemu-args --clo\t",
            "okl4fsctl channels --js\t",
        ), [
            "status", "help|status",
            f"-s|{self.daemon.control_path}|guest-remove|vm2",
            f"-s|{self.daemon.control_path}|channel|vm2/other",
            f"-s|{self.daemon.control_path}|attach|vm1/host",
            f"-s|{self.daemon.control_path}|channel|vm1/a b",
            f"-s|{self.daemon.control_path}|events|-g|vm2",
            "top|--sort|fill", "log-level|debug", "events|channel.failed",
            "qemu-args|--cloud-hypervisor", "channels|--json"])

    def test_zsh_syntax(self):
        subprocess.run(["zsh", "-n", ZSH], timeout=TIMEOUT_S, check=True)

    # All texts agree

    def test_everybody_knows_every_command_and_option(self):
        """The usage text, the manual page and both completions have the same."""
        text = usage()
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
        letters = set(re.findall(r"(?<![\w-])-[a-zA-Z]\b(?!-)", text))
        self.assertGreater(len(options), 10)
        page = (paths.ROOT / "docs/okl4fsctl.1").read_text(encoding="utf-8")
        for name, there in (
                ("manual", sorted(set(re.findall(r"^\.It Cm ([a-z-]+)", page, re.M)))),
                ("zsh", re.findall(r"^\t\t['\"]([a-z-]+):", ZSH.read_text(encoding="utf-8"), re.M)),
                ("bash", self.bash("", socket=False))):
            self.assertEqual(sorted(there), first_words(), name)
        self.assertEqual({"-" + flag for flag in re.findall(
            r"\bFl (-[a-z-]+)", page)}, options)
        self.assertEqual({"-" + flag for flag in re.findall(r"Fl ([a-zA-Z])\b", page)}, letters)
        source = ZSH.read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", source.replace(
            "$1 --names", ""))), options)
        offered = set(self.bash("-", socket=False))
        for command in commands():
            offered |= set(self.bash(*command.split(), "-", socket=False))
        self.assertEqual({o for o in offered if o.startswith("--")},
                         options | {"--libvirt=filesystem"})
        self.assertEqual({o for o in offered if not o.startswith("--")}, letters)

    def test_kinds_of_events(self):
        """The completions offer exactly the kinds that the daemon has."""
        kinds = set(re.findall(r'"((?:guest|channel|endpoint|config|log)\.[a-z]+)"',
                               (paths.ROOT / "daemon/util/event_kinds.h").read_text(encoding="utf-8")))
        self.assertGreater(len(kinds), 15)
        offered = set(self.bash("events", "", socket=False))
        self.assertEqual(offered, kinds | {kind.split(".")[0] for kind in kinds})
        listed = re.search(r"'\*:kind:\(([^)]*)\)'", ZSH.read_text(encoding="utf-8"))[1]
        self.assertEqual(set(listed.split()), offered)
