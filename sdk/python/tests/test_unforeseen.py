"""Errors that a flow's author didn't expect are told by what they are and where, and never by what the flow was given."""

import json

import pytest
from tokenhost_flow.component import unforeseen


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (lambda: json.loads('{"a": 1}')["data"], "KeyError: 'data' (test_unforeseen.py:"),
        (lambda: None.get("data"), "AttributeError: 'NoneType' object has no attribute 'get' (test_unforeseen.py:"),
        (lambda: int("s3cr3t"), "ValueError (test_unforeseen.py:"),
    ],
)
def test_says_what_and_where(broken, expected):
    with pytest.raises(Exception) as caught:
        broken()
    failure = unforeseen(caught.value)
    assert failure.code == "flow_error"
    assert failure.message.startswith(expected)
    assert "s3cr3t" not in failure.message
