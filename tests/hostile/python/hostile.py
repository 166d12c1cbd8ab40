"""A flow that does harm, in the way that its field ``how`` names; for tests, never for use.

Written against the bindings themselves, since the SDK would keep an author from half of it.
"""

import json
import re
import sys

from wit_world.imports import types


def loop():
    # What catches everything doesn't catch the end of its time.
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def hoard():
    everything = []
    while True:
        everything.append(bytearray(b"x") * (1 << 20))


def text():
    value = "x"
    while True:
        value += value


def throw():
    raise RuntimeError("s3cr3t")


def exit():
    sys.exit(3)


def nothing():
    return None


def garbage():
    return types.Step_Send(7)


def unknown():
    return {"tag": "explode"}


def recurse():
    def deeper(value):
        return [deeper([value])]

    return deeper(0)


def unlimited():
    sys.setrecursionlimit(1 << 30)
    return recurse()


def nest():
    return json.loads("[" * (1 << 20))


def regex():
    return re.match(r"^(a+)+$", "a" * 60 + "b")


def big():
    return types.Step_Done(token("x" * (100 << 20)))


def good():
    return types.Step_Done(token("good"))


def token(access_token):
    return types.Token(access_token, None, None, None, None, None, None, [], [], [], [], None)


WAYS = {
    way.__name__: way
    for way in [loop, hoard, text, throw, exit, nothing, garbage, unknown, recurse, unlimited, nest, regex, big, good]
}


class Flow:
    def describe(self):
        how = types.Field(
            "how",
            "How",
            "In which way it does harm.",
            types.FieldKind_Choice(list(WAYS)),
            types.Requirement_Always(),
            None,
            None,
        )
        handles = [types.SchemeMatch("oauth2", "clientCredentials")]
        return types.Description("hostile-python", "1.0.0", "A hostile flow", "Never use it.", handles, True, [how])

    def advance(self, context, event):
        return WAYS[dict(context.values)["how"]]()
