"""Client credentials at a service where each tenant has a token address of its own, and an instance where its data is."""

from dataclasses import replace
from urllib.parse import quote

from tokenhost_flow import (
    Context, Description, Failure, Field, OAuthFlow, Purpose, Request, Response, SchemeMatch, Token, export, oauth,
    token_response,
)  # fmt: skip


class Tenant(OAuthFlow):
    """The flow."""

    description = Description(
        "tenant",
        "1.0.0",
        "Client credentials by tenant",
        summary="For services that keep their tenants apart by the path of the token address.",
        handles=[SchemeMatch("oauth2", "clientCredentials"), SchemeMatch("named")],
        fields=[
            *oauth.fields.client(),
            Field.url("service_url", "Service URL", help="Without the tenant.", required=True),
            Field.text("tenant", "Tenant", help="As it stands in the service's addresses.", required=True),
            *oauth.fields.client_auth(),
        ],
    )

    def request(self, context: Context, purpose: Purpose) -> Request:
        """The tenant's own token address, and otherwise what RFC 6749 section 4.4 says."""
        if purpose is not Purpose.ACQUIRE:
            raise Failure.reacquire("no_refresh", "the service gives no refresh tokens and can't revoke")
        service = context.required("service_url").rstrip("/")
        url = f"{service}/tenants/{quote(context.required('tenant'), safe='')}/token"
        at_tenant = replace(context, values=[*context.values, ("token_url", url)])
        return oauth.acquire(at_tenant, oauth.grants.client_credentials())

    def token(self, context: Context, purpose: Purpose, response: Response) -> Token:
        """The token, and the instance where the tenant's data is."""
        token = token_response.parse(context, purpose, response)
        instance = token_response.Answer.read(response).text("instance_url")
        if instance is None:
            raise Failure.retry("invalid_response", "the answer names no instance_url")
        token.values.append(("instance_url", instance))
        return token


Flow = export(Tenant)
