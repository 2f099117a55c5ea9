"""Of the example. Everything that differs between a checkout and a container is environment.

EXAMPLE_DIR               incoming files, database and the daemon's files; default var/ beside manage.py
INOTIFIER_FETCH_ENDPOINT  a daemon that is there already; without it inotifier_start runs one
POSTGRES_HOST, _DB, _USER, _PASSWORD
                          PostgreSQL instead of SQLite
DJANGO_SECRET_KEY         for more than an example
"""

import os
import pathlib
import shutil

BASE_DIR = pathlib.Path(__file__).resolve().parents[1]
EXAMPLE_DIR = pathlib.Path(os.environ.get("EXAMPLE_DIR", BASE_DIR / "var")).absolute()


def binary():
    """The daemon: INOTIFIER, what ./dev build has made, or what is installed."""
    built = BASE_DIR.parents[2] / "build/release/inotifier"
    if os.environ.get("INOTIFIER"):
        return os.environ["INOTIFIER"]
    return str(built) if built.exists() else shutil.which("inotifier") or "inotifier"


INOTIFIER = {
    "CONSUMER": "dicomstore",
    "TYPES": ["file.completed"],
    "HANDLERS": {"incoming": "dicomstore.handlers.store"},
}
if os.environ.get("INOTIFIER_FETCH_ENDPOINT"):
    INOTIFIER["FETCH_ENDPOINT"] = os.environ["INOTIFIER_FETCH_ENDPOINT"]
else:
    INOTIFIER["DAEMON"] = {
        "BINARY": binary(),
        "DIRECTORY": EXAMPLE_DIR / "inotifier",
        "WATCHES": [{"name": "incoming", "path": EXAMPLE_DIR / "incoming"}],
    }

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_inotifier",
    "dicomstore",
]

if os.environ.get("POSTGRES_HOST"):
    DATABASE = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["POSTGRES_HOST"],
        "NAME": os.environ.get("POSTGRES_DB", "inotifier"),
        "USER": os.environ.get("POSTGRES_USER", "inotifier"),
        "PASSWORD": os.environ.get("POSTGRES_PASSWORD", ""),
    }
else:
    DATABASE = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": EXAMPLE_DIR / "db.sqlite3",
        "OPTIONS": {"timeout": 20},  # worker and web write into one file
    }
DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DEBUG = True  # runserver serves the admin's style sheets only then
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only for this example")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "example.urls"
USE_TZ = True
TIME_ZONE = "UTC"

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
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
STATIC_URL = "/static/"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {
        "dicomstore": {"handlers": ["console"], "level": "INFO"},
        "django_inotifier": {"handlers": ["console"], "level": "INFO"},
    },
}
