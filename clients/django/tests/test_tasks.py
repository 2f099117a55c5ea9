"""TASKS: the hand-over to django.tasks, or to its backport, in the inbox's transaction."""

import importlib

import pytest
from django_inotifier import dispatch
from django_inotifier.inbox import make_row
from django_inotifier.models import InboxEvent
from django_inotifier.tasks import TaskFailed, event_of
from django_inotifier.testing import deliver
from django_inotifier.work import Worker
from inotifier.testing import make_event
from work.models import Work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("receivers")]

SETTING = {"CONSUMER": "c", "TASKS": {"incoming": f"{__name__}.store"}}
ran = []


class Queue:
    """As a backend that keeps tasks in the site's database."""

    def enqueue(self, value):
        Work.objects.create(event_id=value["id"], path=event_of(value).display_path, pid=0)


store = Queue()


def test_it_is_enqueued_with_the_mark(settings):
    settings.INOTIFIER = SETTING
    assert dispatch.anybody_listens()
    deliver("file.completed", path=b"/in/caf\xe9", root="/in")
    deliver("file.completed", path="/in/b", watch="other")
    deliver("file.stalled", path="/in/c.part")
    assert [each.path for each in Work.objects.all()] == [r"/in/caf\xe9"]


class AsyncQueue:
    async def enqueue(self, value):
        ran.append(event_of(value).path)


async_store = AsyncQueue()


def test_an_async_enqueue_is_run(settings):
    settings.INOTIFIER = {**SETTING, "TASKS": {"incoming": f"{__name__}.async_store"}}
    ran.clear()
    deliver("file.completed", path="/in/a")
    assert ran == ["/in/a"]


def test_what_is_rolled_back_is_not_enqueued(settings, receivers):
    settings.INOTIFIER = SETTING

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        deliver("file.completed", path="/in/a")
    assert Work.objects.count() == 0 and InboxEvent.objects.count() == 0


def test_a_task_sees_the_files_where_the_site_does(settings):
    settings.INOTIFIER = {**SETTING, "ROOTS": {"incoming": "/mnt"}}
    value = make_event(path=b"/in/caf\xe9", root="/in").as_dict()
    assert event_of(value).path == "/mnt/caf\udce9"


def tasks_module():
    """django.tasks, or its backport."""
    for name in ("django.tasks", "django_tasks"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


tasks = tasks_module()
needs_tasks = pytest.mark.skipif(
    tasks is None, reason="neither django.tasks (Django 6) nor django-tasks is installed"
)


def note(value):
    ran.append(event_of(value).path)
    if "raises" in ran[-1]:
        raise ValueError("no good")


if tasks is not None:

    @tasks.task()
    def at_once(value):
        note(value)

    @tasks.task(backend="kept")
    def kept(value):
        note(value)


@needs_tasks
def test_a_real_task_is_enqueued(settings):
    settings.INOTIFIER = {"CONSUMER": "c", "TASKS": {"incoming": f"{__name__}.kept"}}
    backend = tasks.task_backends["kept"]
    backend.clear()
    ran.clear()
    row = deliver("file.completed", path=b"/in/caf\xe9")
    (result,) = backend.results
    assert not ran and event_of(result.args[0]) == row.event


@needs_tasks
@pytest.mark.django_db(transaction=True)
def test_a_task_that_is_run_at_once_and_raises_is_not_done(settings):
    settings.INOTIFIER = {"CONSUMER": "c", "TASKS": {"incoming": f"{__name__}.at_once"}}
    ran.clear()
    assert deliver("file.completed", path="/in/a").status == "done" and ran == ["/in/a"]
    with pytest.raises(TaskFailed, match="no good"):
        deliver("file.completed", path="/in/raises")
    row = make_row(make_event(path="/in/raises"))
    row.save()
    Worker().run_next()
    row.refresh_from_db()
    assert row.status == "failed" and "ValueError: no good" in row.traceback
