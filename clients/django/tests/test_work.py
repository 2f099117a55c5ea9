"""One row: its receivers and its mark, in one transaction."""

import asyncio
import datetime
import functools

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django_inotifier import work
from django_inotifier.inbox import make_row
from django_inotifier.models import InboxEvent
from django_inotifier.work import Worker, backoff
from inotifier.testing import make_event
from work.models import Work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("receivers")]


def add(count=1, **fields):
    rows = []
    for _ in range(count):
        row = make_row(make_event())
        for name, value in fields.items():
            setattr(row, name, value)
        row.save()
        rows.append(row)
    return rows if count > 1 else rows[0]


def run_all(worker=None):
    worker = worker or Worker()
    for _ in range(1000):
        if not worker.run_next():
            return worker
    raise AssertionError("it does not come to an end")


@pytest.fixture(params=["careful", "plain"])
def carefulness(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(work, "CAREFUL_ROWS", 0)


def test_done_with_what_the_receiver_wrote(receivers, carefulness):
    @receivers.on("file.completed")
    def receive(sender, event, inbox_event, **kwargs):
        assert sender is InboxEvent
        Work.objects.create(event_id=inbox_event.event_id, path=event.path, pid=0)

    rows = add(3)
    worker = run_all()
    assert (worker.done, worker.failed) == (3, 0)
    assert [work.event_id for work in Work.objects.order_by("id")] == [r.event_id for r in rows]
    for row in InboxEvent.objects.all():
        assert (row.status, row.tries, row.next_try, row.traceback) == ("done", 1, None, "")
        assert row.finished is not None


def test_what_raises_leaves_nothing_but_its_traceback(receivers, carefulness):
    @receivers.on("file.completed")
    def first(sender, event, **kwargs):
        Work.objects.create(event_id=event.id, path="", pid=0)

    @receivers.on("file.completed")
    def second(sender, event, **kwargs):
        raise ValueError("a name that is no UTF-8: \udce9, a NUL: \0")

    row = add()
    before = timezone.now()
    worker = run_all()
    assert (worker.done, worker.failed) == (0, 1) and Work.objects.count() == 0
    row.refresh_from_db()
    assert row.status == "failed" and row.tries == 1
    assert "in second" in row.traceback and r"\udce9, a NUL: \x00" in row.traceback
    assert before < row.next_try <= timezone.now() + datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    "how",
    [SystemExit(1), asyncio.CancelledError(), IntegrityError("raised, not by the database")],
)
def test_whatever_it_raises(receivers, carefulness, how):
    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        raise how

    row = add()
    run_all()
    row.refresh_from_db()
    assert row.status == "failed" and type(how).__name__ in row.traceback


def test_an_async_hook_is_refused(receivers, carefulness):
    async def hook():
        pass

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        transaction.on_commit(functools.partial(hook))

    row = add()
    run_all()
    row.refresh_from_db()
    assert row.status == "failed" and "async_to_sync" in row.traceback


def test_an_error_of_the_database_in_a_receiver(receivers, carefulness):
    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM work_work")

    row = add()
    run_all()
    row.refresh_from_db()
    assert row.status == "failed" and "no_such_column" in row.traceback


def test_backoff():
    seconds = [backoff(tries).total_seconds() for tries in (1, 2, 3, 12, 13, 1000)]
    assert seconds == [1, 2, 4, 2048, 3600, 3600]


def test_a_failed_row_waits_and_goes_on(receivers, carefulness):
    told = []

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        told.append(event.id)

    soon = timezone.now() + datetime.timedelta(hours=1)
    waiting = add(status="failed", tries=3, next_try=soon)
    due = add(status="failed", tries=3, next_try=timezone.now() - datetime.timedelta(seconds=1))
    given_up = add(status="failed", tries=3, next_try=None)
    dismissed = add(status="dismissed")
    worker = Worker()
    assert worker.seconds_to_next(9999) == 0, "one is due"
    run_all(worker)
    assert told == [due.event_id]
    assert 3500 < worker.seconds_to_next(9999) <= 3600
    due.refresh_from_db()
    assert due.status == "done" and due.tries == 4
    for row in (waiting, given_up, dismissed):
        assert InboxEvent.objects.get(pk=row.pk).tries == row.tries


def test_max_tries(receivers, carefulness):
    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        raise ValueError

    row = add()
    worker = Worker(max_tries=2)
    run_all(worker)
    InboxEvent.objects.update(next_try=timezone.now())
    run_all(worker)
    row.refresh_from_db()
    assert (row.status, row.tries, row.next_try) == ("failed", 2, None)


def test_failed_ones_do_not_starve(receivers, monkeypatch):
    monkeypatch.setattr(work, "CAREFUL_ROWS", 0)
    order = []

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        order.append(event.id)

    add(250)
    due = add(status="failed", next_try=timezone.now() - datetime.timedelta(seconds=1))
    run_all()
    assert len(order) == 251 and order.index(due.event_id) < 150


def test_hooks_run_after_the_commit(receivers, carefulness):
    told = []

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        transaction.on_commit(lambda: told.append(connection.in_atomic_block))

    row = add()
    worker = run_all()
    row.refresh_from_db()
    assert told == [False] and row.status == "done" and row.tries == 1
    assert (worker.done, worker.failed) == (1, 0) and row.traceback == ""


def test_a_hook_that_raises(receivers, carefulness):
    told = []

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        def hook():
            told.append(1)
            if len(told) == 1:
                raise OSError("the broker is down")

        transaction.on_commit(hook)

    row = add()
    worker = Worker()
    run_all(worker)
    row.refresh_from_db()
    assert row.status == "failed" and "the broker is down" in row.traceback
    assert row.next_try <= timezone.now() + datetime.timedelta(seconds=1)
    InboxEvent.objects.update(next_try=timezone.now())
    run_all(worker)
    row.refresh_from_db()
    assert row.status == "done" and row.tries == 2 and len(told) == 2
    assert (worker.done, worker.failed) == (1, 1)


def test_dismissed_while_it_was_next(receivers, monkeypatch):
    monkeypatch.setattr(work, "CAREFUL_ROWS", 0)
    told = []

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        told.append(event.id)
        InboxEvent.objects.exclude(event_id=event.id).update(status="dismissed")

    rows = add(3)
    run_all()
    assert told == [rows[0].event_id]


def test_a_broken_transaction_is_noted_when_the_database_is_back(receivers, monkeypatch):
    monkeypatch.setattr(work, "CAREFUL_ROWS", 0)

    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        pass

    row = add()
    worker = Worker()
    mark = Worker._work_on

    def broken(self, row):
        mark(self, row)
        raise connection.Database.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(Worker, "_work_on", broken)
    assert worker.run_next()
    row.refresh_from_db()
    assert row.status == "failed" and "server closed the connection" in row.traceback
