"""System checks: what is wrong with the setting, and what was meant."""

import json
import subprocess

import harness
import pytest
from django.core import checks
from django_inotifier.checks import PROCESSORS, WATCH_OPTIONS, check_setting


def found(settings, value):
    settings.INOTIFIER = value
    return [(message.id, message.msg, message.hint or "") for message in check_setting(None)]


GOOD = {
    "CONSUMER": "site",
    "FETCH_ENDPOINT": "tcp://127.0.0.1:7557",
    "TYPES": ["file.completed", "in_create"],
    "ONLY_WATCHES": ("incoming",),
    "ROOTS": {"incoming": "/mnt/in"},
    "HANDLERS": {"incoming": "os.path.exists"},
    "TASKS": {"incoming": "test_tasks.store"},
    "DAEMON": {
        "BINARY": "/usr/bin/inotifier",
        "DIRECTORY": "x",
        "WATCHES": [{"path": "/srv/incoming", "events": ["file.completed"], "settle": "1s"}],
        "OPTIONS": {"log": {"level": "debug"}},
    },
}


def test_nothing_is_wrong(settings):
    assert found(settings, GOOD) == []
    assert found(settings, {"CONSUMER": "a"}) == []


@pytest.mark.parametrize(
    "number, change, words",
    [
        ("E002", {"CONSUMR": "a"}, ["'CONSUMR': 'a'", 'Did you mean "CONSUMER"?']),
        ("E002", {"HANDLER": {}}, ['Did you mean "HANDLERS"?']),
        ("E002", {"fetch_endpoint": "x"}, ['Did you mean "FETCH_ENDPOINT"?']),
        ("E002", {"ZZZ": 1}, ["Known are: CONSUMER"]),
        ("E003", {"CONSUMER": None}, ["no CONSUMER"]),
        ("E003", {"CONSUMER": "my site"}, ["'my site'"]),
        ("E003", {"CONSUMER": 3}, ["is 3"]),
        ("E004", {"FETCH_ENDPOINT": "/run/inotifier/fetch"}, ["'/run/inotifier/fetch'", "ipc://"]),
        ("E004", {"FETCH_ENDPOINT": "ipc:///" + 120 * "x"}, ["107 bytes"]),
        ("E004", {"FETCH_ENDPOINT": "tcp://host"}, ["no port"]),
        ("E005", {"TYPES": "file.completed"}, ["'file.completed', not a list"]),
        ("E005", {"TYPES": ["file.complete"]}, ['did you mean "file.completed"?']),
        ("E005", {"TYPES": ["file_completed"]}, ['did you mean "file.completed"?']),
        ("E005", {"TYPES": [3]}, ["has 3"]),
        ("E006", {"ONLY_WATCHES": ["a/b"]}, ["'a/b'"]),
        ("E006", {"ONLY_WATCHES": "in"}, ["not a list"]),
        ("E007", {"ROOTS": {"in": "relative"}}, ["'relative'", "no absolute path"]),
        ("E007", {"ROOTS": ["/mnt"]}, ["not a dictionary"]),
        ("E008", {"KEY": 3}, ["KEY is 3"]),
        (
            "E009",
            {"HANDLERS": {"in": "os.no_such"}},
            ["'in' is 'os.no_such'", "cannot be imported"],
        ),
        ("E009", {"HANDLERS": {"in": "os.sep"}}, ["no function"]),
        ("E009", {"HANDLERS": {"in": print}}, ["dotted path"]),
        ("E009", {"HANDLERS": "os.stat"}, ["not a dictionary"]),
        ("E013", {"TASKS": {"in": "os.no_such"}}, ["'in' is 'os.no_such'", "cannot be imported"]),
        ("E013", {"TASKS": {"in": "os.stat"}}, ["no enqueue()", "django-tasks"]),
        ("E013", {"TASKS": {"my files": "os.stat"}}, ["'my files'"]),
        ("E013", {"TASKS": "os.stat"}, ["not a dictionary"]),
        ("E010", {"DAEMON": {"BINERY": "x"}}, ["'BINERY'", 'Did you mean "BINARY"?']),
        ("E010", {"DAEMON": []}, ["not a dictionary"]),
        ("E010", {"DAEMON": {"OPTIONS": {"log": "debug"}}}, ["sections"]),
        ("E011", {"DAEMON": {"WATCHES": {"path": "/a"}}}, ["not a list"]),
        ("E011", {"DAEMON": {"WATCHES": [("/a", 8, "x.Y")]}}, ["WATCHES[0]", "not a dictionary"]),
        ("E011", {"DAEMON": {"WATCHES": [{"name": "a"}]}}, ["no path"]),
        ("E011", {"DAEMON": {"WATCHES": [{"path": "/a", "setle": "1s"}]}}, ['mean "settle"?']),
        (
            "E011",
            {"DAEMON": {"WATCHES": [{"path": "/a", "processor": "complete"}]}},
            ['"completed"'],
        ),
        (
            "E011",
            {"DAEMON": {"WATCHES": [{"path": "/a", "events": ["in_creat"]}]}},
            ['"in_create"'],
        ),
        ("E011", {"DAEMON": {"WATCHES": [{"path": "/a"}, {"path": "/b/a"}]}}, ["second watch"]),
        ("E011", {"DAEMON": {"WATCHES": [{"path": "/srv/my files"}]}}, ["'my files'"]),
    ],
)
def test_what_is_wrong(settings, number, change, words):
    messages = found(settings, {"CONSUMER": "site", **change})
    assert [id for id, _, _ in messages] == [f"inotifier.{number}"]
    text = " ".join(messages[0][1:])
    assert all(word in text for word in words), text
    assert next(iter(change)) in text


def test_no_dictionary(settings):
    assert found(settings, None)[0][0] == "inotifier.E001"
    assert found(settings, "site")[0][0] == "inotifier.E001"
    del settings.INOTIFIER
    assert check_setting(None)[0].id == "inotifier.E001"


def test_keys(settings, tmp_path):
    key = tmp_path / "key"
    key.touch()
    messages = found(settings, {"CONSUMER": "a", "KEY": key})
    assert [id for id, _, _ in messages] == ["inotifier.E008"] and "SERVER_KEY" in messages[0][1]
    missing = {"CONSUMER": "a", "KEY": key, "SERVER_KEY": tmp_path / "none"}
    assert [id for id, _, _ in found(settings, missing)] == ["inotifier.W001"]
    assert found(settings, {"CONSUMER": "a", "KEY": key, "SERVER_KEY": key}) == []


def test_handlers_that_would_never_be_called(settings):
    handlers = {"incoming": "os.stat"}
    value = {"CONSUMER": "a", "HANDLERS": handlers, "ONLY_WATCHES": ["incomming"]}
    ((id, message, hint),) = found(settings, value)
    assert id == "inotifier.W002" and '"incomming"' in hint
    value = {"CONSUMER": "a", "HANDLERS": handlers, "TYPES": ["file.stalled"]}
    assert [id for id, _, _ in found(settings, value)] == ["inotifier.W003"]


def test_receivers_that_would_never_be_called(settings, receivers):
    value = {"CONSUMER": "a", "ONLY_WATCHES": ["incoming"], "TYPES": ["file.completed"]}

    @receivers.on("file.completed", "file.moved", watch=["incoming", "incomming"])
    def store(sender, event, **kwargs):
        raise AssertionError

    @receivers.on("group.completed", "gap")
    def other(sender, event, **kwargs):
        raise AssertionError

    told = found(settings, value)
    assert [id[-4:] for id, _, _ in told] == ["W002", "W003", "W004"]
    assert "store has 'incomming'" in told[0][1] and '"incoming"' in told[0][2]
    assert "store wants file.moved" in told[1][1]
    assert '"group.completed" is reserved' in told[2][1]
    receivers.declared.clear()
    assert found(settings, value) == []


def test_types_that_never_come(settings):
    told = found(settings, {"CONSUMER": "a", "TYPES": ["file.rejected", "x.own"]})
    assert [id[-4:] for id, _, _ in told] == ["W004", "W004"]
    assert "reserved" in told[0][1] and "processor of your own" in told[1][1]


def test_only_watches_are_those_of_the_sites_own_daemon(settings):
    value = {**GOOD, "ONLY_WATCHES": ["incomming"], "HANDLERS": {}, "TASKS": {}}
    ((id, message, hint),) = found(settings, value)
    assert id == "inotifier.W002" and "ONLY_WATCHES" in message and '"incoming"' in hint


@pytest.mark.parametrize(
    "watch, options, words",
    [
        ({"settle": "soon"}, {}, ["watch.settle", "is no duration", '"5s"']),
        ({"include": ["/a"]}, {}, ["watch.include", 'did you mean "a"?']),
        ({"min_size": -1}, {}, ["watch.min_size"]),
        ({"existing": "announced"}, {}, ["watch.existing", '"announce"']),
        ({"events": ["group.completed"]}, {}, ["watch.events", "group.completed"]),
        ({"processor": "marker"}, {}, ["watch.processor", "create-via-chunks"]),
        ({"recursive": "no"}, {}, ["watch.recursive"]),
        ({"settle": object()}, {}, ["has no form"]),
        ({}, {"jornal": {"retain": "1d"}}, ["jornal", "[journal]"]),
        ({}, {"journal": {"retain": "soon"}}, ["journal.retain", "is no duration"]),
        ({}, {"publish": {"endpoint": "tcp://0.0.0.0:1"}}, ["publish.endpoint", "other machines"]),
    ],
)
def test_the_daemons_own_rules(settings, tmp_path, watch, options, words):
    watch = {"path": tmp_path / "not made yet", "name": "a", **watch}
    daemon = {"BINARY": harness.BINARY, "WATCHES": [watch], "OPTIONS": options}
    told = found(settings, {"CONSUMER": "a", "DAEMON": daemon})
    assert [id for id, _, _ in told] == ["inotifier.E012"]
    text = " ".join(told[0][1:])
    assert all(word in text for word in words), text


def test_the_lists_are_the_daemons(tmp_path):
    config = tmp_path / "a.toml"
    config.write_text('[[watch]]\npath = "/nonexistent"\nprocessor = "x"\n')
    done = subprocess.run([harness.BINARY, "check", "-c", config], capture_output=True, text=True)
    assert done.stderr.strip().endswith("known are: " + ", ".join(PROCESSORS))
    config.write_text('[[watch]]\npath = "/nonexistent"\n')
    command = [harness.BINARY, "check", "--json", "-c", config]
    shown = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    assert set(shown["config"]["watch"][0]) | {"temporary_add"} == set(WATCH_OPTIONS)


def test_settings_of_the_app_of_2010(settings):
    settings.INOTIFIER_WATCH_PATHS = (("/srv/incoming", 8, "x.Y"),)
    settings.INOTIFIER_DAEMON_STDOUT = "/tmp/out"
    told = found(settings, {"CONSUMER": "a"})
    assert [id[-4:] for id, _, _ in told] == ["W006", "W006"]
    assert "MIGRATING.md" in told[0][2] and '"WATCHES"' in told[1][2]
    del settings.INOTIFIER
    assert [message.id[-4:] for message in check_setting(None)] == ["W006", "W006", "E001"]


def test_several_at_once(settings):
    value = {"CONSUMER": "?", "TYPES": 3, "DAEMON": {"WATCHES": [{}, 3]}}
    assert [id[-4:] for id, _, _ in found(settings, value)] == ["E003", "E005", "E011", "E011"]


@pytest.mark.django_db  # Django's own look at it from version 6.1 on
def test_they_are_registered(settings):
    settings.INOTIFIER = {}
    assert "inotifier.E003" in [message.id for message in checks.run_checks()]
