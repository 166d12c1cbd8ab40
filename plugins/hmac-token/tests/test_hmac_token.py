import pytest
from flow_hmac_token import HmacToken
from tokenhost_flow.harness import Harness

NONCE = "07" * 16


def integration(**values):
    return Harness(HmacToken).values(token_url="https://id.example/v1/token?a=b", key_id="k1", **values).secret("key")


def test_signs_as_the_defaults_say():
    assert integration().acquire().request() == (
        "POST https://id.example/v1/token?a=b\n"
        "Authorization: HMAC k1:{signature}\n"
        "X-Timestamp: 1795341600\n"
        f"X-Nonce: {NONCE}\n"
        "content-type: application/x-www-form-urlencoded\n"
        "\n"
        "grant_type=client_credentials\n"
        "{body_digest} = digest sha256 base64 {body}\n"
        "{signature} = hmac sha256 base64 {key} POST\n"
        "/v1/token\n"
        "1795341600\n"
        f"{NONCE}\n"
        "{body_digest}\n"
    )


def test_signs_as_a_vendor_wants_it():
    request = integration(
        key_encoding="base64",
        method="GET",
        parameters="b=c",
        canonical="{host}|{query}|{timestamp}|{key_id}",
        hash="sha512",
        encoding="hex",
        timestamp="iso",
        headers=r"X-Auth=Key\s{key_id};sig={signature}",
    )
    assert request.acquire().request() == (
        "GET https://id.example/v1/token?a=b&b=c\n"
        "X-Auth: Key k1;sig={signature}\n"
        "{decoded_key} = transform [base64-decode] {key}\n"
        "{signature} = hmac sha512 hex {decoded_key} id.example|a=b&b=c|2026-11-22T10:00:00Z|k1\n"
    )
    json = integration(content_type="json", parameters="a/b=c", canonical="{timestamp}", timestamp="milliseconds")
    assert '/a~1b "c"\n{signature} = hmac sha256 base64 {key} 1795341600000\n' in json.acquire().request()


def test_reads_the_token():
    assert integration(lifetime="900").acquire().answer(200, {"access_token": "t"}).token().expires_in == 900
    answer = {"data": {"accessToken": "t", "expiresIn": 60}}
    assert integration(lifetime="900").acquire().answer(200, answer).token().expires_in == 60
    assert integration().acquire().answer(200, {"access_token": "t"}).token().expires_in is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"canonical": "{secret}"}, "the field canonical names {secret}; there are method, path,"),
        ({"canonical": "{signature}"}, "the field canonical names {signature}"),
        ({"headers": "x"}, "the field headers has a word that isn't name=value"),
        ({"parameters": "=x"}, "the field parameters has a word that isn't name=value"),
        ({"hash": "md5"}, "the field hash can't be md5"),
    ],
)
def test_says_what_is_wrong_with_a_field(values, expected):
    line = integration(**values).acquire().failure_line()
    assert line.startswith("invalid_field, reconfigure: ") and expected in line


def test_what_it_does_not_do():
    assert integration().refresh().failure_line().startswith("no_refresh, reacquire")
    assert integration().revoke().failure_line().startswith("unsupported, reconfigure")
    refused = integration().acquire().answer(401, {"message": "bad signature"})
    assert refused.failure_line() == "http_401, reconfigure: the provider answered HTTP 401: bad signature"
    assert "lifetime isn't" in integration(lifetime="x").acquire().answer(200, {"access_token": "t"}).failure_line()
