"""The token requests of RFC 6749 that most flows share: client authentication, scope, refresh, revocation.

They read the fields that :mod:`fields` declares, so a flow that uses them lists those. :func:`acquire` takes what is special
to a grant (:mod:`grants` has some) and adds the rest; :func:`refresh` and :func:`revoke` need nothing from the flow. How a
client authenticates itself is in :mod:`client`. The pieces of the grants in which a person takes part are in
:mod:`authorize` (with :mod:`pkce`) and :mod:`device`; :mod:`discovery` stands in front of any of them.
"""

from . import authorize, client, device, discovery, fields, grants, pkce
from .requests import acquire, ask, refresh, request, revoke, scope

__all__ = [
    "acquire", "ask", "authorize", "client", "device", "discovery", "fields", "grants", "pkce", "refresh", "request",
    "revoke", "scope",
]  # fmt: skip
