"""Django's settings. What the command line of ../server.py chose comes in through one environment variable."""

import json
import os
import secrets

CHOSEN = json.loads(os.environ["CRM_SETTINGS"])

SECRET_KEY = secrets.token_hex(32)
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "crm.urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
# Errors to stderr. No warnings: refusals are what tests ask for, and the toolkit warns of every password grant.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "oauth2_provider": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}
MIDDLEWARE = ["crm.log.TokenLog"]
AUTHENTICATION_BACKENDS = ["crm.users.AnyAda"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# No migrations: the tables come straight from the models, in a fraction of the time.
MIGRATION_MODULES = {"auth": None, "contenttypes": None, "oauth2_provider": None}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": CHOSEN["database"],
        # For as long as the client keeps its connection.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # A transaction that writes says so at once, and waits its turn instead of failing half-way.
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    }
}

OAUTH2_PROVIDER = {
    "SCOPES": {"crm.read": "See contacts", "crm.write": "Change contacts", "introspection": "Introspect tokens"},
    "DEFAULT_SCOPES": ["crm.read", "crm.write"],
    "ACCESS_TOKEN_EXPIRE_SECONDS": CHOSEN["access_ttl"],
    "REFRESH_TOKEN_EXPIRE_SECONDS": CHOSEN["refresh_ttl"],
    "ROTATE_REFRESH_TOKEN": True,
    # A used refresh token that comes again revokes its whole family, at once.
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
}
