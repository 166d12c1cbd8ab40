"""What the author of a tokenhost flow writes against, in Python.

A flow turns a security scheme and the names of some secrets into a token request, and the answer into a token. It sees no
clock, no network and no secret: the host sends what the flow asks for, and fills the secrets in.

An ordinary OAuth flow is a description and one function::

    from tokenhost_flow import Description, Failure, Field, Form, OAuthFlow, Purpose, Request, export

    class Robot(OAuthFlow):
        description = Description(
            "robot", "1.0.0", "Robot accounts",
            fields=[
                Field.text("robot", "Robot name", required=True),
                Field.secret("key", "Key", required=True),
                Field.url("token_url", "Token URL", required=True, source="tokenUrl"),
            ],
        )

        def request(self, context, purpose):
            if purpose is not Purpose.ACQUIRE:
                raise Failure.reacquire("no_refresh", "robots have no refresh tokens")
            form = Form().add("robot", context.required("robot")).secret("key", "key")
            return Request.post(context.required("token_url")).form(form)

    Flow = export(Robot)

Layout: ``flow`` the two ways to write a flow, ``contract`` the contract's types and builders, ``context`` what a flow is
given, ``oauth`` what OAuth flows share, ``token_response`` the parser, ``component`` the way into WebAssembly, ``harness``
the test bench.
"""

from . import contract, oauth, token_response
from .component import export
from .context import Context, Failure
from .contract import *  # noqa: F403
from .flow import Flow, OAuthFlow

__all__ = ["Context", "Failure", "Flow", "OAuthFlow", "export", "oauth", "token_response"]
__all__ += contract.__all__
