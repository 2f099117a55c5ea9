"""Types and names that nothing would ever come for are refused, or warned of."""

import asyncio
import logging
import re
import subprocess

import pytest

import inotifier
from harness import BINARY
from inotifier import aio, event_types
from inotifier.testing import FakeConsumer


def test_the_list_is_the_daemons(tmp_path):
    """The daemon names the types that it knows where one is none."""
    config = tmp_path / "inotifier.toml"
    config.write_text('[[watch]]\npath = "/srv"\nevents = ["no.such.type"]\n')
    done = subprocess.run([BINARY, "check", "-c", config], capture_output=True, text=True)
    known = re.search(r"known are: (.*)", done.stderr).group(1).split(", ")
    assert sorted(known) == sorted(event_types.PUBLISHED)
    assert not set(event_types.RESERVED) & set(known), "published by now: no more reserved"


async def make_async(**options):
    return aio.Consumer("c", **options)


MAKERS = {
    "consumer": lambda **options: inotifier.Consumer("c", **options),
    "subscriber": inotifier.Subscriber,
    "asyncio": lambda **options: asyncio.run(make_async(**options)),
    "fake": lambda **options: FakeConsumer(**options),
    "update": lambda **options: FakeConsumer().update(**options),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"types": ["file.complete"]}, ValueError, 'did you mean "file.completed"?'),
        ({"types": ["file_completed"]}, ValueError, 'did you mean "file.completed"?'),
        ({"types": ["File.Completed"]}, ValueError, 'did you mean "file.completed"?'),
        ({"types": ["in_creat"]}, ValueError, 'did you mean "in_create"?'),
        ({"types": ["file.completed", ""]}, ValueError, "no type of event"),
        ({"types": ["file completed!"]}, ValueError, "did you mean|no type of event"),
        ({"types": [b"file.completed"]}, TypeError, "no type of event"),
        ({"types": "file.completed"}, TypeError, "list of names"),
        ({"watches": "in"}, TypeError, "list of names"),
        ({"watches": ["my files"]}, ValueError, "no watch's name"),
        ({"watches": [None]}, ValueError, "no watch's name"),
    ],
)
def test_what_is_none_is_refused(make, options, error, words):
    with pytest.raises(error, match=words):
        make(**options)


def test_what_may_never_come_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "inotifier"):
        FakeConsumer(types=["file.completed", "group.completed", "site.own-type"])
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        'types: "group.completed" is reserved: no daemon of this version publishes it',
        'types: "site.own-type" is no type of inotifier\'s: only a processor of your own '
        "publishes it",
    ]


def test_a_start_that_is_none_is_refused():
    with pytest.raises(ValueError, match='"oldest", "now" or "state"'):
        FakeConsumer(start="newest")
