"""Of the app that the tests run, in this process and under real servers: what differs there comes from the
environment.
"""

import json
import os

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.app.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "django_tagalong",
    "tests.app",
]
MIDDLEWARE = [
    "django_tagalong.middleware.TagalongMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
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
STATIC_URL = "static/"

_folder = os.environ.get("TESTS_DATABASES")
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{_folder}/{alias}.sqlite3" if _folder else ":memory:",
        "ATOMIC_REQUESTS": alias == os.environ.get("TESTS_ATOMIC"),
    }
    for alias in ("default", "other")
}

TAGALONG = json.loads(os.environ.get("TESTS_TAGALONG", "{}"))
