"""manage.py with the configuration of the test suite: `python -m tests.manage check`."""

import os
import sys

import tests.environment  # noqa: F401  # the configuration must be there first

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    os.environ["DJANGO_SETTINGS_MODULE"] = "turtle_site.settings"
    execute_from_command_line(sys.argv)
