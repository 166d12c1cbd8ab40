"""The Django project that django-oauth-toolkit runs in: an imagined CRM, its users and its token log."""
