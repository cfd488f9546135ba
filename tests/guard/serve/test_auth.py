"""The token: who holds it may ask, and nothing about it leaks."""

import hmac

import pytest

from offmap.attempt import InputError
from offmap.guard.serve.auth import OPEN, checked, read_token

TOKEN = "a-token-of-thirty-two-characters"
CLOSED = ("/v2", "/v2/models/guard", "/guard", "/alarm", "/metrics", "/openapi.json", "/nowhere")


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe",
    ],
)  # fmt: skip
def test_without_the_token_nothing_is_told(client, header):
    ask = client(token=TOKEN)
    headers = {} if header is None else {"authorization": header.encode("latin1")}
    for path in CLOSED:
        response = ask.get(path, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text and "Authorization: Bearer" in response.json()["error"]
    for path in ("/answer", "/v2/models/guard/infer", "/v2/health/ready/"):
        assert ask.post(path, content=b"x", headers=headers).status_code == 401
    for path in OPEN:
        assert ask.get(path, headers=headers).status_code == 200


def test_with_the_token_all_is_told(client):
    ask = client(token=TOKEN)
    for word in ("Bearer", "bearer"):
        for path in CLOSED[:-1]:
            assert ask.get(path, headers={"authorization": f"{word} {TOKEN}"}).status_code == 200
    twice = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")]
    assert ask.get("/guard", headers=twice).status_code == 401


def test_without_a_token_no_one_is_asked(client):
    assert client().get("/guard").status_code == 200


def test_the_comparison_takes_constant_time(client, monkeypatch):
    """Every decision is hmac.compare_digest's, over digests of equal length."""
    compared = []

    def spy(a, b):
        compared.append((len(a), len(b)))
        return compare(a, b)

    compare = hmac.compare_digest
    ask = client(token=TOKEN)
    monkeypatch.setattr(hmac, "compare_digest", spy)
    for given in ("x", "x" * 500, TOKEN):
        ask.get("/guard", headers={"authorization": f"Bearer {given}"})
    assert compared == [(32, 32)] * 3


def test_tokens_come_from_files(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file) == TOKEN
    for bad in ("", "short", "two words of some length", "ü" * 20, "x" * 20 + "\x00"):
        file.write_text(bad)
        with pytest.raises(InputError, match="at least 16"):
            read_token(file)
    with pytest.raises(InputError, match="none"):
        read_token(tmp_path / "none")
    with pytest.raises(InputError):
        checked("x" * 15, "token")
