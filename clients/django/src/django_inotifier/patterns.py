"""The daemon's patterns: the same rule as in its src/process/filters.cpp, over bytes, so that
`match` of @on and `include` of a watch never disagree."""

import os
from typing import Callable, Optional, Tuple

STAR, SLASH, BACKSLASH, OPEN, CLOSE, ANY, DASH = b"*/\\[]?-"


def wrong_pattern(text: str) -> Optional[str]:
    """Why the daemon would refuse this pattern; None if it takes it."""
    if not text:
        return "an empty pattern matches nothing; leave it out"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return f"{text!r} holds a control character"
    relative = "patterns with a slash are relative to the watch's root"
    if text.startswith("/"):
        return f'"{text}": {relative}, never absolute; did you mean "{text[1:]}"?'
    if text.startswith("./"):
        return f'"{text}": {relative} as it is; did you mean "{text[2:]}"?'
    if text.endswith("/"):
        return f'"{text}": no path ends with a slash; did you mean "{text}**"?'
    return None


def compile_pattern(text: str) -> Callable[[str], bool]:
    """The pattern as a function of the path below the root. Raises ValueError for a wrong one."""
    reason = wrong_pattern(text)
    if reason:
        raise ValueError(reason)
    pattern = os.fsencode(text)
    if SLASH in pattern:
        return lambda path: _matches(pattern, os.fsencode(path))
    return lambda path: _matches(pattern, os.fsencode(path).rpartition(b"/")[2])


def _class_end(pattern: bytes, start: int, byte: int) -> Tuple[bool, int]:
    """Of the class that begins after "[" at `start`: whether it has the byte, and where it ends. An
    unclosed one is a literal "["."""
    at = start
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    found, first = False, True
    while at < len(pattern) and (first or pattern[at] != CLOSE):
        first = False
        if at + 2 < len(pattern) and pattern[at + 1] == DASH and pattern[at + 2] != CLOSE:
            found = found or pattern[at] <= byte <= pattern[at + 2]
            at += 3
        else:
            found = found or pattern[at] == byte
            at += 1
    if at >= len(pattern):
        return byte == OPEN, start
    return found != negated and byte != SLASH, at + 1


def _step(pattern: bytes, p: int, byte: int) -> int:
    """Past the element at `p` if it has the byte; else 0."""
    if pattern[p] == OPEN:
        matched, end = _class_end(pattern, p + 1, byte)
        return end if matched else 0
    if pattern[p] == BACKSLASH and p + 1 < len(pattern):
        return p + 2 if pattern[p + 1] == byte else 0
    return p + 1 if pattern[p] == byte or (pattern[p] == ANY and byte != SLASH) else 0


def _after_stars(pattern: bytes, p: int) -> int:
    """Past "**" at `p`, and past its slash: "a/**/b" also means "a/b"."""
    p += 2
    whole = p < len(pattern) and pattern[p] == SLASH and (p == 2 or pattern[p - 3] == SLASH)
    return p + 1 if whole else p


def _matches(pattern: bytes, text: bytes) -> bool:
    """With one point to come back to for "*" and one for "**": no input makes it slower than length
    times length."""
    p = t = star_t = deep_t = 0
    star_p = deep_p = -1
    while True:
        if p < len(pattern) and pattern[p] == STAR:
            if pattern[p + 1 : p + 2] == b"*":
                p = deep_p = _after_stars(pattern, p)
                deep_t, star_p = t, -1
            else:
                p = star_p = p + 1
                star_t = t
            continue
        if t == len(text) and p == len(pattern):
            return True
        if t < len(text) and p < len(pattern):
            after = _step(pattern, p, text[t])
            if after:
                p, t = after, t + 1
                continue
        if star_p >= 0 and star_t < len(text) and text[star_t] != SLASH:
            star_t += 1
            p, t = star_p, star_t
            continue
        if deep_p < 0 or deep_t >= len(text):
            return False
        deep_t += 1
        if deep_p > 0 and pattern[deep_p - 1] == SLASH:  # whole components only
            slash = text.find(b"/", deep_t - 1)
            if slash < 0 or slash + 1 == len(text):
                return False
            deep_t = slash + 1
        p, t, star_p = deep_p, deep_t, -1
