from django.apps import AppConfig


class InotifierConfig(AppConfig):
    name = "django_inotifier"
    verbose_name = "inotifier"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import checks  # noqa: F401 (registers them)
