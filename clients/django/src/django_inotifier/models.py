"""The inbox: what the daemon told, and what became of it."""

from django.db import models
from django.utils import timezone

from . import conf


class InboxEvent(models.Model):
    """One event. Its receivers have run exactly when it is done."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        FAILED = "failed", "failed"
        DONE = "done", "done"
        DISMISSED = "dismissed", "dismissed"

    # The same fact has the same id however often it is told; a source is a daemon and its watch.
    source = models.CharField(max_length=400)
    event_id = models.CharField("id", max_length=100)
    position = models.CharField(max_length=20)  # 20 digits; compares as text
    type = models.CharField(max_length=100)
    watch = models.CharField(max_length=64, blank=True)
    # For people: event.display_path. event.path is what open() takes.
    path = models.TextField(blank=True)
    evidence = models.CharField(max_length=50, blank=True)
    time = models.DateTimeField(help_text="when the daemon established it")
    data = models.JSONField(help_text="the event as JSON")

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    tries = models.PositiveIntegerField(default=0)
    # Of a failed event; none: it waits for somebody to retry it.
    next_try = models.DateTimeField(null=True, blank=True)
    traceback = models.TextField(blank=True)
    received = models.DateTimeField(default=timezone.now)
    finished = models.DateTimeField(null=True, blank=True)

    OUTSTANDING = (Status.PENDING, Status.FAILED)
    # What makes a row one to be worked on again; what was raised stays until it is done.
    AGAIN = {
        "status": Status.PENDING,
        "tries": 0,
        "next_try": None,
        "finished": None,
    }

    class Meta:
        verbose_name = "event"
        constraints = [
            models.UniqueConstraint(fields=["event_id", "source"], name="inotifier_event_once"),
        ]
        indexes = [
            # What is to be done next: pending ones have no next_try.
            models.Index(fields=["status", "next_try", "id"], name="inotifier_event_due"),
            models.Index(fields=["time"], name="inotifier_event_time"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.path or self.watch}"

    @property
    def event(self):
        """The inotifier.Event that receivers get."""
        import inotifier

        if not hasattr(self, "_event"):
            self._event = inotifier.Event.from_dict(self.data, roots=conf.roots())
        return self._event


class Cursor(models.Model):
    """How far a consumer's events are in the inbox. Written with them, in one transaction; it goes
    before what the daemon believes, so that a restored backup gets again what it does not have."""

    consumer = models.CharField(max_length=64, unique=True)
    stream = models.CharField(max_length=100)  # positions mean something within one stream only
    position = models.CharField(max_length=20)
    updated = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.consumer} at {self.position}"
