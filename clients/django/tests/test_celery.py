"""The hand-over to Celery, as README.md shows it."""

import json

import pytest
from django.db import transaction
from django.utils import timezone
from django_inotifier.inbox import make_row
from django_inotifier.models import InboxEvent
from django_inotifier.work import Worker
from inotifier import Event
from inotifier.testing import make_event

celery = pytest.importorskip("celery", reason="python3-celery is not installed")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("receivers")]


class Broker:
    """A queue in memory, with a worker that takes what lies in it; or none at all."""

    def __init__(self):
        self.app = celery.Celery("site", broker="memory://", set_as_current=False)
        self.app.conf.broker_transport_options = {"polling_interval": 0.01}
        self.app.conf.task_publish_retry = False
        self.got = []

        @self.app.task(name="thumbnail")
        def thumbnail(text):
            self.got.append(Event.from_json(text))

        self.task = thumbnail

    def queued(self):
        """The arguments of the tasks that lie there; they are taken out."""
        found = []
        with self.app.connection_for_read() as connection:
            queue = connection.SimpleQueue("celery")
            while queue.qsize():
                message = queue.get(block=False)
                arguments, _, _ = json.loads(message.body)
                found.append(arguments)
                message.ack()
            queue.close()
        return found

    def work(self):
        for arguments in self.queued():
            self.task.apply(arguments, throw=True)


@pytest.fixture
def broker():
    broker = Broker()
    broker.queued()
    return broker


def add(path=b"/srv/incoming/caf\xe9"):
    row = make_row(make_event(path=path))
    row.save()
    return row


def test_sent_on_commit(receivers, broker):
    waiting = []

    @receivers.on("file.completed")
    def hand_over(sender, event, **kwargs):
        transaction.on_commit(lambda: broker.task.delay(event.as_json()))
        waiting.append(broker.queued())

    row = add()
    assert Worker().run_next()
    assert waiting == [[]]  # not before the commit
    broker.work()
    assert broker.got == [row.event] and broker.got[0].path == "/srv/incoming/caf\udce9"
    row.refresh_from_db()
    assert row.status == "done"


@pytest.mark.parametrize("how", ["on commit", "at once"])
def test_a_broker_that_is_down_loses_nothing(receivers, broker, monkeypatch, how):
    @receivers.on("file.completed")
    def hand_over(sender, event, **kwargs):
        if how == "on commit":
            transaction.on_commit(lambda: broker.task.delay(event.as_json()))
        else:
            broker.task.delay(event.as_json())

    row = add()
    worker = Worker()
    with monkeypatch.context() as patch:

        def refuse(*arguments, **options):
            raise broker.app.connection().connection_errors[0]("the broker is down")

        patch.setattr(broker.app.amqp, "send_task_message", refuse)
        worker.run_next()
    row.refresh_from_db()
    assert row.status == "failed" and "the broker is down" in row.traceback
    InboxEvent.objects.update(next_try=timezone.now())
    worker.run_next()
    broker.work()
    row.refresh_from_db()
    assert row.status == "done" and broker.got == [row.event]


def test_nothing_is_sent_by_what_raises(receivers, broker):
    @receivers.on("file.completed")
    def hand_over(sender, event, **kwargs):
        transaction.on_commit(lambda: broker.task.delay(event.as_json()))
        raise ValueError

    add()
    Worker().run_next()
    assert broker.queued() == []
