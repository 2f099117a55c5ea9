#!/usr/bin/python3
"""Of the tests' site."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE.parents[1]
sys.path[:1] = [str(HERE), str(CLIENTS / "django/src"), str(CLIENTS / "python/src")]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
