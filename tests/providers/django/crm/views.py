"""The small CRM that the tokens are for: it proves that an access token works. Also serves its OpenAPI document."""

import pathlib
import time

from django.http import HttpResponse, JsonResponse
from oauth2_provider.oauth2_backends import get_oauthlib_core

# The provider's own origin; ../server.py sets it when it knows its port.
ORIGIN = ""
TEMPLATE_ORIGIN = "http://127.0.0.1:9002"
CONTACTS = [
    {"id": 1, "name": "Charles Babbage", "company": "Difference Works"},
    {"id": 2, "name": "Mary Somerville", "company": "Mechanism of the Heavens"},
]


def protected(*scopes):
    """Lets a request through whose token is valid (else 401) and holds the scopes (else 403), as RFC 6750 3.1 says."""

    def around(view):
        def checked(request, **arguments):
            valid, found = get_oauthlib_core().verify_request(request, scopes=[])
            if not valid:
                return refuse(401, "invalid_token")
            if not found.access_token.allow_scopes(scopes):
                return refuse(403, "insufficient_scope")
            return view(found.access_token, **arguments)

        return checked

    return around


def refuse(status, error):
    response = JsonResponse({"error": error}, status=status)
    response["WWW-Authenticate"] = f'Bearer realm="crm", error="{error}"'
    return response


@protected()
def me(token):
    return JsonResponse(
        {
            "client_id": token.application.client_id,
            "user": token.user.get_username() if token.user else None,
            "scopes": token.scope.split(),
            "expires_in": int(token.expires.timestamp() - time.time()),
        }
    )


@protected("crm.read")
def contacts(_token):
    return JsonResponse(CONTACTS, safe=False)


@protected("crm.read")
def contact(_token, number):
    found = next((c for c in CONTACTS if c["id"] == number), None)
    return JsonResponse(found or {"error": "not_found"}, status=200 if found else 404)


def document(_request):
    text = (pathlib.Path(__file__).parent.parent / "openapi.yaml").read_text()
    return HttpResponse(text.replace(TEMPLATE_ORIGIN, ORIGIN), content_type="application/yaml")
