"""The admin page, without a browser."""

import datetime
import time

import pytest
from django.contrib.auth.models import Permission, User
from django_inotifier.inbox import make_row
from django_inotifier.models import InboxEvent
from inotifier.testing import make_event

URL = "/admin/django_inotifier/inboxevent/"

pytestmark = pytest.mark.django_db


def add(type="file.completed", path="/srv/incoming/a", watch="incoming", **fields):
    row = make_row(make_event(type, path, watch))
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    return row


@pytest.fixture
def nobody(settings, workdir):
    settings.INOTIFIER = {"CONSUMER": "site", "FETCH_ENDPOINT": f"ipc://{workdir}/nobody"}


def act(client, action, *rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(URL, data, follow=True).content.decode()


def test_the_list(admin_client, nobody):
    add(path="/srv/incoming/<b>.dcm", status="done")
    add(path="/srv/other/c", watch="other", status="failed", traceback="x")
    page = admin_client.get(URL).content.decode()
    assert "/srv/incoming/&lt;b&gt;.dcm" in page and "/srv/other/c" in page
    assert "close_write" in page and "<b>0</b> pending, <b>1</b> failed" in page
    assert f'data-url="{URL}lag/"' in page and "django_inotifier/lag.js" in page
    page = admin_client.get(URL, {"status__exact": "failed"}).content.decode()
    assert "/srv/other/c" in page and "/srv/incoming" not in page
    for filters in ({"type": "file.completed"}, {"watch": "other"}, {"q": "other"}):
        assert "/srv/other/c" in admin_client.get(URL, filters).content.decode()


def test_one_row(admin_client, nobody):
    row = add(status="failed", traceback='Traceback: <script>alert("x")</script>')
    page = admin_client.get(f"{URL}{row.pk}/change/").content.decode()
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page
    assert "specversion" in page and row.event_id in page
    assert 'name="_save"' not in page and "deletelink" not in page
    assert admin_client.get(f"{URL}add/").status_code == 403


def test_what_is_posted_changes_nothing(admin_client, nobody):
    row = add()
    admin_client.post(f"{URL}{row.pk}/change/", {"path": "/etc/passwd", "status": "done"})
    row.refresh_from_db()
    assert (row.path, row.status) == ("/srv/incoming/a", "pending")


def test_retry(admin_client, nobody):
    failed = add(status="failed", tries=9, traceback="x")
    dismissed, done = add(status="dismissed"), add(status="done", tries=1)
    page = act(admin_client, "retry", failed, dismissed, done)
    assert "2 to be retried; 1 left as they are" in page
    for row in (failed, dismissed):
        row.refresh_from_db()
        assert (row.status, row.tries) == ("pending", 0)
    assert failed.traceback == "x", "it is kept until the event is done"
    done.refresh_from_db()
    assert (done.status, done.tries) == ("done", 1)


def test_retry_and_dismiss_on_the_events_page(admin_client, nobody):
    row = add(status="failed", tries=3, traceback="x")
    url = f"{URL}{row.pk}/change/"
    page = admin_client.get(url).content.decode()
    assert 'name="_retry"' in page and 'name="_dismiss"' in page
    page = admin_client.post(url, {"_dismiss": "Dismiss"}, follow=True).content.decode()
    assert "1 dismissed" in page and 'name="_retry"' in page and 'name="_dismiss"' not in page
    page = admin_client.post(url, {"_retry": "Retry"}, follow=True).content.decode()
    row.refresh_from_db()
    assert "1 to be retried" in page and row.status == "pending" and row.traceback == "x"
    assert 'name="_retry"' not in page and 'name="_dismiss"' in page
    InboxEvent.objects.update(status="done")
    assert 'name="_' not in admin_client.get(url).content.decode().split("submit-row")[-1]


def test_times_have_seconds(admin_client, nobody, settings):
    when = datetime.datetime(2026, 7, 1, 10, 11, 12, tzinfo=datetime.timezone.utc)
    row = add(time=when, next_try=when, status="failed", tries=2)
    page = admin_client.get(URL).content.decode()
    assert "2026-07-01 12:11:12" in page and "2, next 2026-07-01 12:11:12" in page
    page = admin_client.get(f"{URL}{row.pk}/change/").content.decode()
    assert page.count("2026-07-01 12:11:12") == 2


def test_dismiss(admin_client, nobody):
    rows = add(status="failed"), add(), add(status="done")
    assert "2 dismissed; 1 left as they are" in act(admin_client, "dismiss", *rows)
    found = InboxEvent.objects.order_by("pk").values_list("status", flat=True)
    assert list(found) == ["dismissed", "dismissed", "done"]


def test_who_may_only_look(client, nobody):
    row = add(status="failed")
    user = User.objects.create_user("looker", password="x", is_staff=True)
    client.force_login(user)
    assert client.get(URL).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_inboxevent"))
    assert client.get(URL).status_code == 200
    act(client, "retry", row)
    url = f"{URL}{row.pk}/change/"
    assert 'name="_retry"' not in client.get(url).content.decode()
    assert client.post(url, {"_retry": "Retry"}).status_code == 403
    row.refresh_from_db()
    assert row.status == "failed"
    assert client.get(f"{URL}lag/").status_code == 200
    client.logout()
    assert client.get(f"{URL}lag/").status_code == 302


def test_lag_of_a_daemon_that_is_down(admin_client, nobody):
    add()
    begin = time.monotonic()
    told = admin_client.get(f"{URL}lag/").json()
    assert time.monotonic() - begin < 10  # it comes back, and the page does not wait for it
    assert told["pending"] == 1 and told["behind"] is None and "nobody" in told["error"]


def test_lag(admin_client, settings, daemon, monkeypatch):
    import inotifier

    settings.INOTIFIER = {"CONSUMER": "site", "FETCH_ENDPOINT": daemon.fetch_endpoint}
    assert "inotifier_consume makes it" in admin_client.get(f"{URL}lag/").json()["error"]
    with inotifier.Consumer("site", endpoint=daemon.fetch_endpoint, limit=1, wait=0) as consumer:
        consumer.next_batch(5)
        told = admin_client.get(f"{URL}lag/").json()
    assert told == {
        "pending": 0,
        "failed": 0,
        "behind": 2,  # watch.ready and watch.scanned
        "ready": True,
        "runs": True,
        "error": "",
    }
    # Released: in use a moment ago, hence not "does not run".
    assert admin_client.get(f"{URL}lag/").json()["runs"] is True
    monkeypatch.setattr("django_inotifier.lag.SILENT", 0.0)
    assert admin_client.get(f"{URL}lag/").json()["runs"] is False
