"""What is served where. Everything below `/o/` is django-oauth-toolkit's own."""

from django.urls import include, path

from crm import log, views

urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("api/me", views.me),
    path("api/contacts", views.contacts),
    path("api/contacts/<int:number>", views.contact),
    path("openapi.yaml", views.document),
    path("_log", log.show),
]
