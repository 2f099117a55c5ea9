#!/usr/bin/env python3
"""Makes manual pages and completions out of what `inotifier --help` says: they agree with it.

usage: manual.py INOTIFIER DIRECTORY

Writes inotifier.1, inotifier-SUBCOMMAND.1, inotifier.bash and _inotifier (zsh), and
inotifier-forward.1 if that program lies beside INOTIFIER. The pages have the
date of SOURCE_DATE_EPOCH, if it is set.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

SECTIONS = ("Positionals:", "Options:", "Subcommands:")
ENTRY = re.compile(r"^  (\S.*?)(?: {2,}(.*))?$")
# What CLI11 adds: types, ranges, choices.
DECORATION = re.compile(r"\{false\}|(?:TEXT|INT|FLOAT)\b(?::[A-Z]+)?(?: in \[[^]]*\])?| REQUIRED")
FILES = [
    ("/etc/inotifier/inotifier.toml", "the configuration of the daemon"),
    ("/run/inotifier/, $XDG_RUNTIME_DIR/inotifier/, /tmp/inotifier-UID/", "its sockets"),
    ("/var/lib/inotifier/, $XDG_STATE_HOME/inotifier/", "its journal"),
]
ENVIRONMENT = [
    ("INOTIFIER_FETCH_ENDPOINT, INOTIFIER_PUBLISH_ENDPOINT", "where the daemon is"),
    ("INOTIFIER_KEY, INOTIFIER_SERVER_KEY", "files of inotifier keygen, for tcp endpoints"),
    ("INOTIFIER_ROOTS", "where the roots of watches lie here: incoming=/mnt/dicom:other=/mnt/o"),
    ("INOTIFIER_SECTION_KEY", "any key of the configuration, such as INOTIFIER_WATCH_SETTLE"),
]
EXIT = [
    ("0", "done"),
    ("1", "failed"),
    ("2", "wrong usage or configuration"),
    ("3", "nothing came within --timeout"),
]


class Help:
    """What one --help says: title, usage, entries by section, and what follows them."""

    def __init__(self, binary, *command):
        done = subprocess.run(
            [binary, *command, "--help"], stdout=subprocess.PIPE, text=True, check=True
        )
        lines = done.stdout.rstrip("\n").split("\n")
        self.title = lines[0]
        self.usage = lines[1].removeprefix("Usage: ")
        self.entries = {section: [] for section in SECTIONS}
        section = None
        end = len(lines)
        for number, line in enumerate(lines[2:], 2):
            if line in SECTIONS:
                section = line
            elif section and line.startswith(" " * 12) and self.entries[section]:
                names, text = self.entries[section][-1]
                self.entries[section][-1] = (names, f"{text} {line.strip()}".strip())
            elif section and (entry := ENTRY.match(line)):
                self.entries[section].append((entry[1], entry[2] or ""))
            elif line and section:
                end = number
                break
        self.footer = "\n".join(lines[end:])

    def options(self):
        """(names, whether a value follows, words it may be, text) of each option."""
        for entry, text in self.entries["Options:"]:
            names = re.findall(r"(?:^|,)(-{1,2}[\w-]*[\w])", entry.split(" ")[0])
            choice = re.search(r":\{([\w,]+)\}", entry)
            takes = "TEXT" in entry or "INT" in entry
            yield names, takes, choice[1].split(",") if choice else [], text


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^(\.)", r"\\&\1", text, flags=re.M)


def tagged(entries):
    return [line for tag, text in entries for line in (".TP", f".B {roff(tag)}", roff(text))]


def label(entry):
    """ "-j,--parallel INT:INT in [1 - 1024]" as people write it."""
    words = "".join(re.findall(r":(\{[\w,]+\})", entry))
    plain = re.sub(r":\{[\w,]+\}", "", entry)
    takes = entry.startswith("-") and re.search(r"\b(TEXT|INT)\b", plain)
    plain = DECORATION.sub("", plain).replace("...", "").strip().replace(",", ", ")
    return plain + (f" {words.strip('{}').replace(',', '|') or 'VALUE'}" if takes else "")


def page(name, help_, version, date, see, exit_codes=tuple(EXIT)):
    lines = [
        f'.TH {roff(name).upper()} 1 "{date}" "{roff(version)}" "User Commands"',
        ".SH NAME",
        f"{roff(name)} \\- {roff(help_.title.rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {roff(help_.usage)}",
    ]
    for section, title in zip(SECTIONS, ("ARGUMENTS", "OPTIONS", "COMMANDS")):
        entries = [(label(entry), text) for entry, text in help_.entries[section]]
        lines += [f".SH {title}", *tagged(entries)] if entries else []
    if help_.footer:
        lines += [".SH DESCRIPTION", ".nf", roff(help_.footer), ".fi"]
    lines += [".SH EXIT STATUS", *tagged(exit_codes)]
    if name == "inotifier":
        lines += [".SH ENVIRONMENT", *tagged(ENVIRONMENT), ".SH FILES", *tagged(FILES)]
    lines += [".SH SEE ALSO", *(f".BR {roff(other)} (1)" for other in see)]
    return "\n".join(lines) + "\n"


def bash(commands, types):
    cases = []
    for name, help_ in commands.items():
        names = " ".join(n for option in help_.options() for n in option[0])
        chosen = "".join(
            f"\n        {'|'.join(n)}) options='' words='{' '.join(words)}' ;;"
            for n, _, words, _ in help_.options()
            if words
        )
        positionals = " ".join(entry for entry, _ in help_.entries["Positionals:"])
        words = types if "TYPE" in positionals else ""
        cases.append(
            f"    {name})\n      case $previous in{chosen}\n"
            f"        *) options='{names}' words='{words}' ;;\n      esac ;;"
        )
    return (
        "# bash completion for inotifier, made out of its --help\n"
        "_inotifier() {\n"
        "  local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "  local options='' words=''\n"
        "  COMPREPLY=()\n"
        "  if ((COMP_CWORD == 1)); then\n"
        f"    COMPREPLY=($(compgen -W '{' '.join(commands)} --help --version' -- \"$cur\"))\n"
        "    return\n  fi\n"
        "  case ${COMP_WORDS[1]} in\n" + "\n".join(cases) + "\n    *) ;;\n  esac\n"
        "  if [[ $cur == -* ]]; then words=$options; fi\n"
        '  COMPREPLY=($(compgen -W "$words" -- "$cur"))\n'
        "}\n"
        "complete -o bashdefault -o default -F _inotifier inotifier\n"
    )


def zsh(commands, types):
    def quoted(text):
        return (
            text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
        )

    listed = "\n".join(f"    '{name}:{quoted(h.title)}'" for name, h in commands.items())
    cases = []
    for name, help_ in commands.items():
        specs = []
        for names, takes, words, text in help_.options():
            value = f":value:({' '.join(words)})" if words else ":value:_files" if takes else ""
            specs += [f"      '*{n}[{quoted(text)}]{value}'" for n in names]
        positionals = " ".join(entry for entry, _ in help_.entries["Positionals:"])
        rest = f"'*:type:({types})'" if "TYPE" in positionals else "'*:file:_files'"
        specs.append(f"      {rest}")
        cases.append(f"  {name}) _arguments \\\n" + " \\\n".join(specs) + " ;;")
    return (
        "#compdef inotifier\n# made out of inotifier's --help\n"
        "local -a commands=(\n" + listed + "\n)\n"
        "if ((CURRENT == 2)); then _describe command commands; return; fi\n"
        "local command=$words[2]\n"
        "shift words; ((CURRENT--))\n"
        "case $command in\n" + "\n".join(cases) + "\nesac\n"
    )


def event_types(binary):
    """Those that the refusal of a wrong one names."""
    done = subprocess.run([binary, "sub", "?"], stderr=subprocess.PIPE, text=True)
    return done.stderr.partition("known are: ")[2].strip().replace(",", "")


def main(binary, directory):
    out = pathlib.Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(
        [binary, "--version"], stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    date = date if "SOURCE_DATE_EPOCH" in os.environ else ""
    top = Help(binary)
    commands = {name: Help(binary, name) for name, _ in top.entries["Subcommands:"]}
    pages = [f"inotifier-{name}" for name in commands]
    (out / "inotifier.1").write_text(page("inotifier", top, version, date, pages))
    for name, help_ in commands.items():
        text = page(f"inotifier-{name}", help_, version, date, ["inotifier"])
        (out / f"inotifier-{name}.1").write_text(text)
    forward = pathlib.Path(binary).absolute().with_name("inotifier-forward")
    if forward.exists():
        see = ["inotifier", "inotifier-failed", "inotifier-consumers"]
        text = page(forward.name, Help(forward), version, date, see, EXIT[:3])
        (out / f"{forward.name}.1").write_text(text)
    types = event_types(binary)
    (out / "inotifier.bash").write_text(bash(commands, types))
    (out / "_inotifier").write_text(zsh(commands, types))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
