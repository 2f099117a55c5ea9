"""Of the tests' site; what differs between sites is environment (site.py)."""

import importlib.util
import json
import os
import pathlib

DIRECTORY = pathlib.Path(os.environ.get("SITE_DIRECTORY", "/nonexistent"))
BASE_DIR = DIRECTORY

SECRET_KEY = "for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = os.environ.get("SITE_USE_TZ", "1") == "1"
TIME_ZONE = "Europe/Berlin"
ROOT_URLCONF = "project.urls"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_inotifier",
    "work",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / "site.db"}}
if "SITE_POSTGRES" in os.environ:  # the directory of its socket
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "site",
        "USER": "postgres",
        "HOST": os.environ["SITE_POSTGRES"],
    }
INOTIFIER = json.loads(os.environ.get("SITE_INOTIFIER", '{"CONSUMER": "site"}'))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# django.tasks, or its backport; unused where there is neither.
_TASKS = "django.tasks" if importlib.util.find_spec("django.tasks") else "django_tasks"
TASKS = {
    "default": {"BACKEND": f"{_TASKS}.backends.immediate.ImmediateBackend"},
    "kept": {"BACKEND": f"{_TASKS}.backends.dummy.DummyBackend"},
}
