#!/usr/bin/python3
"""Django's command line, with the two clients of the checkout where they are not installed."""

import os
import pathlib
import sys

CLIENTS = pathlib.Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    sys.path[1:1] = [str(CLIENTS / "django/src"), str(CLIENTS / "python/src")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
