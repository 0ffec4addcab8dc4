"""Django's own command line, on PyMySQL. TOOL_* say where to (../README.md)."""

import os
import sys

import django
import pymysql
from django.conf import settings
from django.core.management import execute_from_command_line

pymysql.install_as_MySQLdb()
settings.configure(
    INSTALLED_APPS=["items"],
    DATABASES={"default": {"ENGINE": "django.db.backends.mysql", "NAME": os.environ["TOOL_DATABASE"],
                           "HOST": os.environ["TOOL_HOST"], "PORT": os.environ["TOOL_PORT"],
                           "USER": os.environ["TOOL_USER"], "PASSWORD": os.environ["TOOL_PASSWORD"]}})
django.setup()
execute_from_command_line(sys.argv)
