"""Every Python example of the documentation of Django runs as it stands, and is linted."""

import os
import shutil
import unittest

import documentation
import pytest
from django.test import TestCase
from django_inotifier.checks import check_setting
from django_inotifier.testing import deliver
from inotifier.testing import make_event
from test_tasks import tasks
from work.models import Instance

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("receivers")]

PAGES = ("README.md", "clients/django/README.md", "clients/django/MIGRATING.md")
# What comes before it is of 2010.
BLOCKS = [
    pytest.param(block.split("# now\n")[-1], id=f"{page}-{number}")
    for page in PAGES
    for number, block in enumerate(documentation.blocks(page))
    if page != "README.md" or "django" in block
]
DELIVERED = []


class App:
    """As much of Celery as the example needs; test_celery.py has the real one."""

    def task(self, **options):
        def decorate(function):
            function.delay = function
            return function

        return decorate


def run(block):
    names = {
        "Instance": Instance,
        "TestCase": TestCase,
        "app": App(),
        "make_thumbnail": DELIVERED.append,
    }
    exec(compile(block, "example", "exec"), names)
    return names


def with_code(word):
    return [each for each in BLOCKS if word in each.values[0]]


def test_none_is_forgotten():
    tried = [
        *with_code("INOTIFIER = {"),
        *with_code("update_or_create"),
        *with_code("@receiver"),
        *with_code("@app.task"),
        *with_code("(TestCase)"),
        *with_code("@task"),
    ]
    assert {each.id for each in tried} == {each.id for each in BLOCKS}


@pytest.mark.skipif(not shutil.which("flake8"), reason="flake8 is not installed")
@pytest.mark.parametrize("block", BLOCKS)
def test_lint(block, tmp_path):
    given = "from given import Instance, TestCase, app, make_thumbnail  # noqa: F401\n"
    path = tmp_path / "example.py"
    path.write_text(given + block)
    documentation.lint(path)


@pytest.mark.parametrize("block", with_code("INOTIFIER = {"))
def test_settings(block, settings):
    setting = run(block)["INOTIFIER"]
    for watch in setting.get("HANDLERS", {}):
        setting["HANDLERS"][watch] = "os.stat"
    for watch in setting.get("TASKS", {}):
        setting["TASKS"][watch] = "test_tasks.store"
    settings.INOTIFIER = setting
    assert check_setting(None) == []


@pytest.mark.parametrize("block", with_code("update_or_create"))
def test_receivers_take_rewritten_files_and_names_that_are_no_utf_8(block, tmp_path):
    run(block)
    path = os.fsencode(tmp_path) + b"/caf\xe9.dcm"
    for content in (b"one", b"longer"):
        with open(path, "wb") as file:
            file.write(content)
        deliver("file.completed", path=path, watch="incoming")
    (instance,) = Instance.objects.all()
    assert instance.path == rf"{tmp_path}/caf\xe9.dcm"
    assert instance.size in (6, None)


@pytest.mark.parametrize("block", with_code("@receiver"))
def test_both_ways_to_connect(block):
    names = run(block)
    assert names["one"] is not None and names["two"] is not None
    deliver("file.completed", path="/in/a.dcm", watch="a")


@pytest.mark.parametrize("block", with_code("@app.task"))
def test_celery(block, django_capture_on_commit_callbacks):
    DELIVERED.clear()
    run(block)
    with django_capture_on_commit_callbacks(execute=True):
        row = deliver("file.completed", path="/in/a", watch="incoming")
    assert DELIVERED == [row.event.path]


@pytest.mark.parametrize("block", with_code("@task"))
def test_tasks(block):
    if tasks is None:
        pytest.skip("neither django.tasks (Django 6) nor django-tasks is installed")
    DELIVERED.clear()
    store = run(block.replace("django.tasks import task ", f"{tasks.__name__} import task "))[
        "store"
    ]
    event = make_event()
    store.func(event.as_dict())
    assert DELIVERED == [event.path] and hasattr(store, "enqueue")


@pytest.mark.parametrize("block", with_code("(TestCase)"))
def test_tests_of_a_site(block):
    run(with_code("update_or_create")[0].values[0].replace("*.dcm", "*"))
    case = run(block)["Receiving"]
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun == 1 and not result.errors and not result.failures, result.errors
