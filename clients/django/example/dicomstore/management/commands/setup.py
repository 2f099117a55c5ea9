import os

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, call_command
from django.db import connection


class Command(BaseCommand):
    help = (
        "Makes the tables, and the admin's user if there is none (DJANGO_SUPERUSER_USERNAME, ...)."
    )

    def handle(self, *args, **options):
        if connection.vendor == "sqlite":  # else worker and web wait for each other
            connection.cursor().execute("PRAGMA journal_mode=WAL")
        call_command("migrate", interactive=False, verbosity=options["verbosity"])
        users = get_user_model()._default_manager
        name = os.environ.get("DJANGO_SUPERUSER_USERNAME", "admin")
        if not users.filter(username=name).exists():
            users.create_superuser(
                name,
                os.environ.get("DJANGO_SUPERUSER_EMAIL", "admin@example.org"),
                os.environ.get("DJANGO_SUPERUSER_PASSWORD", "admin"),
            )
