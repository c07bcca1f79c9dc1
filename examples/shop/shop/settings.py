"""Settings of the shop. What differs from one place to another comes from the environment:

SHOP_DATA         a folder for the database and the secret key (`var` here)
SHOP_HOSTS        names under which it is reached, by commas
SHOP_ADMIN_URL    the admin interface of the sidecar; without one, edits outside of a request reach nobody
SHOP_TAGALONG     `off`: no tags, no increments, as if django-tagalong were not there
SHOP_STAFF_TOKEN  what the API's edits ask for; without one there are none

They are for plain HTTP on one machine. On a site with TLS cookies must be `Secure`, and Django must know of
it (`SECURE_PROXY_SSL_HEADER`); `manage.py check --deploy` lists what else. Nobody judges staff's passwords.
"""

import os
import sys
from pathlib import Path

from .secret import secret_key

BASE = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SHOP_DATA", BASE / "var"))
DATA.mkdir(parents=True, exist_ok=True)

# The package as it is in this repository; yours is installed by pip.
sys.path.insert(0, str(BASE.parents[1] / "clients" / "django" / "src"))

SECRET_KEY = secret_key(DATA / "secret-key")
DEBUG = False
ALLOWED_HOSTS = os.environ.get("SHOP_HOSTS", "127.0.0.1,localhost").split(",")
STAFF_TOKEN = os.environ.get("SHOP_STAFF_TOKEN", "")

TAGALONG = {
    "ENABLED": os.environ.get("SHOP_TAGALONG", "on") != "off",
    "ADMIN_URLS": list(filter(None, [os.environ.get("SHOP_ADMIN_URL")])),
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_tagalong",
    "catalogue",
    "orders",
]
MIDDLEWARE = [
    "django_tagalong.middleware.TagalongMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "shop.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            # Two workers write: whoever begins a transaction has the lock at once, and no read in it is old.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE / "static"]
WHITENOISE_USE_FINDERS = True  # no `collectstatic` for a shop that runs where it is written
WHITENOISE_MAX_AGE = 3600

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
