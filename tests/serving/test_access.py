"""Who may ask a server: keys, their rates, hosts, and pages of other sites."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from anymodal.model import AnyModal
from anymodal.serving.api.rate_limit import RateLimiter
from anymodal.serving.api.settings import ServerSettings, read_api_keys
from tests.support.api_client import CHAT, HELLO, ask
from tests.support.serving import model_to_serve, serving

SECRET = "a-long-enough-secret"


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


def test_keys_and_origins(model: AnyModal) -> None:
    settings = ServerSettings(
        api_keys=[SECRET, "another-secret"], cors_origins=["https://a.example"]
    )
    with serving(
        [model_to_serve(model, "one"), model_to_serve(model, "two", max_requests=1)], settings
    ) as url:
        hello = {**HELLO, "model": "one"}
        for header in ({}, {"Authorization": "Bearer wrong-secret"}, {"Authorization": SECRET},
                       {"Authorization": f"Basic {SECRET}"}):  # fmt: skip
            answer = ask(url, CHAT, hello, **header)
            assert answer.status == 401 and answer.error["code"] == "invalid_api_key"
            assert ask(url, "/metrics", **header).status == 401
            assert ask(url, "/openapi.json", **header).status == 401
        assert ask(url, "/health").status == ask(url, "/ready").status == 200
        key = {"Authorization": f"Bearer {SECRET}"}
        answer = ask(url, CHAT, hello, Origin="https://a.example", **key)
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
        preflight = {"Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "authorization,x-stainless-os"}  # fmt: skip
        for origin, status in (("https://a.example", 200), ("https://b.example", 400)):
            assert ask(url, CHAT, method="OPTIONS", Origin=origin, **preflight).status == status
        other = ask(url, CHAT, hello, Origin="https://b.example", **key)
        assert other.headers["Access-Control-Allow-Origin"] is None
        assert (
            ask(url, "/v1/images/generations", {"prompt": "a ball"}, **key).error["param"]
            == "model"
        )

        slow = {"prompt": "a ball", "model": "two", "steps": 500, "n": 1}
        thread = threading.Thread(
            target=ask, args=(url, "/v1/images/generations", slow), kwargs=key
        )
        thread.start()
        while (
            'anymodal_requests_running{model="two"} 1'
            not in ask(url, "/metrics", **key).text.decode()
        ):
            time.sleep(0.01)
        full = ask(url, CHAT, {**hello, "model": "two"}, **key)
        assert full.status == 429 and int(full.headers["Retry-After"]) >= 1
        assert full.error["code"] == "queue_full"
        never = ask(url, CHAT, {**hello, "model": "two", "n": 2}, **key)
        assert never.status == 400 and "writes 1 at once" in never.error["message"]
    thread.join(30)


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:1", 200), ("localhost", 200), ("[::1]:8000", 200), ("192.0.2.7", 200),
     ("LOCALHOST.:8000", 200), ("chat.example.org", 200), ("evil.example", 403),
     ("chat.example.org.evil.example", 403), ("localhost.evil.example:8000", 403),
     ("127.0.0.1.evil.example", 403), ("[::1", 403)],
)  # fmt: skip
def test_a_page_that_names_this_machine_is_refused(
    model: AnyModal, named_url: str, host: str, status: int
) -> None:
    answer = ask(named_url, "/v1/models", Host=host)
    assert answer.status == status
    if status == 403:
        assert answer.error["code"] == "host_not_allowed"


@pytest.fixture(scope="module")
def named_url(model: AnyModal) -> Iterator[str]:
    origins = ["https://a.example"]
    settings = ServerSettings(server_names=["chat.example.org"], cors_origins=origins)
    with serving([model_to_serve(model)], settings) as url:
        yield url


def test_a_page_of_another_site_can_start_nothing(named_url: str) -> None:
    own = urlsplit(named_url).netloc
    for origin, status in (("https://b.example", 403), ("null", 403), ("http://localhost:1", 403),
                           ("https://a.example", 200), ("https://chat.example.org", 200),
                           (f"http://{own}", 200)):  # fmt: skip
        answer = ask(named_url, CHAT, HELLO, Origin=origin)
        assert answer.status == status, origin
    assert ask(named_url, "/v1/models", Origin="https://b.example").status == 200


def test_each_key_has_its_rate(model: AnyModal) -> None:
    settings = ServerSettings(api_keys=[SECRET, "another-secret"], requests_per_minute=2)
    with serving([model_to_serve(model)], settings) as url:
        key = {"Authorization": f"Bearer {SECRET}"}
        assert [ask(url, CHAT, HELLO, **key).status for _ in range(2)] == [200, 200]
        slow = ask(url, CHAT, HELLO, **key)
        assert slow.status == 429 and 1 <= int(slow.headers["Retry-After"]) <= 30
        assert slow.error["code"] == "rate_limit_exceeded"
        assert ask(url, CHAT, HELLO, Authorization="Bearer another-secret").status == 200
        assert ask(url, "/v1/models", **key).status == ask(url, "/health").status == 200
        assert ask(url, CHAT, HELLO, Authorization="Bearer no-such-secret").status == 401


def test_a_bucket_fills_again() -> None:
    now = 0.0
    limiter = RateLimiter(2, clock=lambda: now)
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 30]
    now = 29.0
    assert limiter.take("a") == 1 and limiter.take("b") == 0
    now = 30.0
    assert [limiter.take("a"), limiter.take("a")] == [0, 30]
    now = 9999.0
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 30]
    for client in range(20_000):
        limiter.take(str(client))
    assert len(limiter._buckets) <= 10_000
    assert RateLimiter(None).take("a") == 0


def test_without_origins_no_page_may_ask(model: AnyModal) -> None:
    with serving([model_to_serve(model)]) as url:
        answer = ask(url, CHAT, HELLO, Origin="https://a.example")
    assert answer.status == 403 and answer.error["code"] == "origin_not_allowed"
    assert answer.headers["Access-Control-Allow-Origin"] is None


def test_api_keys_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the team\n{SECRET}\n\nanother-secret\n")
    assert read_api_keys(file) == [SECRET, "another-secret"]
    file.write_text("# none\n")
    with pytest.raises(ValueError, match="has no API key"):
        read_api_keys(file)
    monkeypatch.setenv("ANYMODAL_API_KEYS", f"{SECRET}, another-secret,")
    assert read_api_keys(None) == [SECRET, "another-secret"]
    monkeypatch.setenv("ANYMODAL_API_KEYS", " , ")
    with pytest.raises(ValueError, match="has no API key"):
        read_api_keys(None)
    monkeypatch.delenv("ANYMODAL_API_KEYS")
    assert read_api_keys(None) == []
    with pytest.raises(ValueError, match="shorter than 8"):
        ServerSettings(api_keys=["short"])
    assert not ServerSettings(api_keys=[SECRET]).knows(SECRET[:-1])
