"""inotifier_prune and inotifier_replay."""

import datetime
import io

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_inotifier.inbox import make_row
from django_inotifier.models import InboxEvent
from django_inotifier.moments import duration, moment
from inotifier.testing import make_event

pytestmark = pytest.mark.django_db


def add(type="file.completed", watch="incoming", age=0, **fields):
    row = make_row(make_event(type, watch=watch))
    row.time = row.received = timezone.now() - datetime.timedelta(days=age)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    return row.pk


def call(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def statuses():
    return dict(InboxEvent.objects.values_list("pk", "status"))


def test_prune():
    kept = [add(age=40, status="failed"), add(age=40), add(age=20, status="done")]
    for status in ("done", "dismissed") * 3:
        add(age=40, status=status)
    assert call("inotifier_prune", "--dry-run") == "6 would be deleted\n"
    assert call("inotifier_prune") == "6 deleted\n"
    assert sorted(statuses()) == kept
    assert call("inotifier_prune", "--older-than", "2w") == "1 deleted\n"
    with pytest.raises(CommandError, match="no duration"):
        call("inotifier_prune", "--older-than", "soon")


def test_prune_many():
    rows = []
    for _ in range(2500):
        row = make_row(make_event())
        row.status, row.received = "done", timezone.now() - datetime.timedelta(days=31)
        rows.append(row)
    InboxEvent.objects.bulk_create(rows)
    assert call("inotifier_prune") == "2500 deleted\n"


def test_replay():
    done = add(status="done", tries=3, traceback="x", finished=timezone.now())
    failed = add(status="failed", watch="other", next_try=timezone.now(), age=2)
    dismissed = add("file.removed", status="dismissed", age=5)

    def replayed(*arguments):
        InboxEvent.objects.filter(pk=done).update(status="done", tries=3)
        InboxEvent.objects.filter(pk=failed).update(status="failed")
        InboxEvent.objects.filter(pk=dismissed).update(status="dismissed")
        dry = call("inotifier_replay", "--dry-run", *arguments)
        told = call("inotifier_replay", *arguments)
        changed = {pk for pk, status in statuses().items() if status == "pending"}
        assert dry.startswith(f"{len(changed)} ") and told.startswith(f"{len(changed)} ")
        return changed

    assert replayed("--failed") == {failed}
    assert replayed("--since", "3d") == {done, failed}
    assert replayed("--since", "3d", "--watch", "incoming") == {done}
    assert replayed("--type", "file.removed") == {dismissed}
    assert replayed("--type", "file.removed", "--type", "file.completed") == {
        done,
        failed,
        dismissed,
    }
    row = InboxEvent.objects.get(pk=done)
    assert (row.tries, row.next_try, row.traceback, row.finished) == (0, None, "x", None)
    with pytest.raises(CommandError, match="say which"):
        call("inotifier_replay")
    with pytest.raises(CommandError, match='did you mean "file.removed"'):
        call("inotifier_replay", "--type", "file.remove")
    with pytest.raises(CommandError, match="no time"):
        call("inotifier_replay", "--since", "yesterday")


def test_moments(settings):
    assert duration("1h30m") == datetime.timedelta(minutes=90)
    settings.TIME_ZONE = "Europe/Berlin"
    assert moment("2026-07-01T10:00").utcoffset() == datetime.timedelta(hours=2)
    assert moment("2026-07-01").isoformat() == "2026-07-01T00:00:00+02:00"
    assert moment("2026-07-01T10:00Z").utcoffset() == datetime.timedelta(0)
    settings.USE_TZ = False
    assert moment("2026-07-01T10:00Z").tzinfo is None
    for wrong in ("", "3x", "1h 2m", "h"):
        with pytest.raises(ValueError):
            duration(wrong)


def test_the_migrations_are_complete():
    assert "No changes" in call("makemigrations", "django_inotifier", "--check", "--dry-run")
