import os

from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "work"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        if "SITE_DIRECTORY" not in os.environ:
            return  # in pytest; there each test connects its own receivers
        from django_inotifier import intake

        from . import faults, receivers  # noqa: F401

        # Whoever is killed has the consumer so long.
        intake.LEASE, intake.WAIT = 2.0, 1.0
        if "SITE_FAULT" in os.environ:
            faults.install(os.environ["SITE_FAULT"])
