# SPDX-License-Identifier: BSD-3-Clause
"""okl4fs-control(7) as data: its methods, events and error codes, and a check of values against them."""
import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/okl4fs-control.7"
BASIC = {"string": lambda v: isinstance(v, str),
         "number": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
         "boolean": lambda v: isinstance(v, bool),
         "object": lambda v: isinstance(v, dict),
         "instance": lambda v: isinstance(v, str) and re.fullmatch(r"[0-9a-f]{16}", v) is not None,
         "counts": lambda v: isinstance(v, dict) and all(map(BASIC["number"], v.values()))}


@dataclass
class Member:
    """A parameter, or a member of a result or an event."""
    type: str
    null: bool
    optional: bool
    about: str


@dataclass
class Method:
    """A method; reading the page checks that it has a description."""
    admin: bool
    about: str
    params: dict[str, Member] = field(default_factory=dict)
    result: dict[str, Member] = field(default_factory=dict)


def _sections(text: str, macro: str) -> list[tuple[str, str]]:
    """Headings with the text that follows them."""
    parts = re.split(rf"^\.{macro} (.*)\n", text, flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def _members(text: str) -> dict[str, Member]:
    """The items of a list; each must have a description."""
    members = {}
    for name, said, about in re.findall(r"^\.It Va (\S+) Pq (.*)\n((?:(?!\.It |\.El).*\n)*)", text,
                                        re.M):
        assert about.strip() and name not in members, f"{name}: {about}"
        kind, _, rest = said.partition(",")
        members[name] = Member(kind.removesuffix(" or null"), kind.endswith(" or null"),
                               rest == " optional", about)
        assert rest in ("", " optional"), said
    return members


class Page:
    """The page; `seen` collects the members that checked values had."""

    def __init__(self):
        text = PAGE.read_text(encoding="utf-8")
        parts = dict(_sections(text, "Sh"))
        self.types: dict[str, dict[str, Member]] = {}
        self.methods: dict[str, Method] = {}
        for heading, about in _sections(parts["METHODS"], "Ss"):
            name, _, right = heading.partition(" Pq ")
            assert right in ("", "admin") and re.match(r"\w", about), heading
            lists = self._lists(about)
            self.methods[name] = Method(right == "admin", about.partition("\n.Pp\nParameters:\n")[0]
                                        .partition("\n.Pp\nResult:\n")[0].rstrip("\n"),
                                        lists.pop("parameters", {}), lists.pop("result", {}))
            self._define(lists)
        self._define(self._lists(parts["EVENTS"]))
        self.kinds = {name: _members(about)
                      for name, about in re.findall(r"^\.It Ic (\S+)\n((?:(?!\.It Ic ).*\n)*?)"
                                                    r"(?=\.It Ic |\.El\n\.Pp)", parts["EVENTS"], re.M)}
        self.codes = {int(code): about for code, about in
                      re.findall(r"^\.It Li (-\d+)\n((?:(?!\.It |\.El).*\n)*)",
                                 parts["ERROR CODES"], re.M)}
        self.text = text
        self.seen: set[str] = set()

    @staticmethod
    def _lists(text: str) -> dict[str, dict[str, Member]]:
        return {name.lower(): _members(items) for name, items in
                re.findall(r"^([\w-]+):\n\.Bl [^\n]*\n(.*?)^\.El", text, re.M | re.S)}

    def _define(self, lists: dict[str, dict[str, Member]]) -> None:
        assert not set(lists) & (set(self.types) | set(BASIC)), lists
        self.types.update(lists)

    def cites(self, code: int, method: str) -> bool:
        """Whether a method can give an error; if the page names methods for it, only they can."""
        named = set(re.findall(r"[a-z]+\.[a-z]+", self.codes.get(code, "")))
        return code in self.codes and (not named or method in named)

    def wrong(self, members: dict[str, Member], value, where: str) -> list[str]:
        """How an object differs from a list of members; empty if it does not."""
        if not isinstance(value, dict):
            return [f"{where}: not an object"]
        found = [f"{where}.{key}: the page does not have it" for key in set(value) - set(members)]
        for name, member in members.items():
            if name in value:
                found += self._wrong_value(member, value[name], f"{where}.{name}")
            elif not member.optional:
                found.append(f"{where}.{name}: is missing")
        return found

    def _wrong_value(self, member: Member, value, where: str) -> list[str]:
        self.seen.add(where)
        if value is None:
            return [] if member.null else [f"{where}: is null"]
        kind, is_list = member.type.removeprefix("array of "), member.type.startswith("array of ")
        if is_list and not isinstance(value, list):
            return [f"{where}: not an array"]
        found = []
        for item in value if is_list else [value]:
            if kind not in BASIC:
                found += self.wrong(self.types[kind], item, kind)
            elif not BASIC[kind](item):
                found.append(f"{where}: {item!r} is not {kind}")
        return found
