"""The web page's files and routes; `test_page_in_browser.py` uses it."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from anymodal.serving.api import reference
from anymodal.serving.api.answers import EVENTS
from anymodal.serving.api.app import create_app
from anymodal.serving.api.errors import SERVER
from anymodal.serving.api.page import FOLDER
from anymodal.serving.api.settings import ServerSettings
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import tiny_model

SECRET = "a-long-enough-secret"
FILES = {path.name: path for path in sorted(FOLDER.iterdir())}


class Answer:
    """Status, headers and text of an answer."""

    def __init__(self, url: str, **headers: str) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        connection.request("GET", parts.path or "/", headers=headers)
        response = connection.getresponse()
        self.status_code, self.headers = response.status, response.headers
        self.text = response.read().decode()
        connection.close()

    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving([model_to_serve(tiny_model())], ServerSettings(api_keys=[SECRET])) as url:
        yield url


def test_the_page_and_all_its_files_are_served_without_a_key(url: str) -> None:
    paths = {"/": "text/html", reference.PATH: "", **{f"/page/{name}": "" for name in FILES}}
    for path in paths:
        answer = Answer(url + path)
        assert answer.status_code == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert Answer(url + "/page/main.js").headers["Content-Type"].startswith("text/javascript")
    assert Answer(url + "/page/base.css").headers["Content-Type"].startswith("text/css")
    assert Answer(url + "/v1/models").status_code == 401


def test_a_file_that_a_browser_has_is_not_sent_again(url: str) -> None:
    tag = Answer(url + "/page/main.js").headers["ETag"]
    again = Answer(url + "/page/main.js", **{"If-None-Match": tag})
    assert again.status_code == 304 and not again.text


@pytest.mark.parametrize("name", ["nothing.js", "..%2fapp.py", "%2e%2e/app.py", "base.css%00"])
def test_no_other_file_is_served(url: str, name: str) -> None:
    answer = Answer(f"{url}/page/{name}")
    assert answer.status_code in (401, 404) and "import" not in answer.text


def test_facts_tell_kinds_of_files_and_limits(url: str) -> None:
    facts = Answer(url + "/page/facts.json").json()
    assert facts["suffixes"][".png"] == ["image"] and facts["suffixes"][".csv"] == ["imu"]
    settings = ServerSettings()
    assert facts["limits"]["body_bytes"] == settings.max_body_bytes
    assert 0 < facts["limits"]["file_bytes"] <= settings.limits.max_bytes


def test_every_endpoint_and_field_is_told(url: str) -> None:
    text = Answer(url + reference.PATH).text
    assert "<script" not in text and "http" not in text
    for path in ("chat/completions", "images/edits", "videos/{video_id}/content", "embeddings"):
        assert f"/v1/{path}</h2>" in text
    row = "<tr><td><code>{}</code><td>{}<td>{}<td>"
    assert row.format("steps", "integer", "AnyModal") in text
    assert row.format("stop", "string or array", "OpenAI") in text
    assert "&quot;finish_reason&quot;: &quot;stop&quot;" in text
    assert "event: speech.audio.delta\ndata: " in text and "<pre>audio/wav</pre>" in text


def test_every_answer_is_told_by_its_media_type() -> None:
    paths = create_app([]).openapi()["paths"]
    file = {"schema": {"type": "string", "format": "binary"}}
    sounds = paths["/v1/audio/generate"]["post"]["responses"]
    files = {f"audio/{kind}" for kind in ("wav", "flac", "mpeg", "ogg", "aac")}
    assert sounds["200"]["content"] == dict.fromkeys(files, file)
    assert sounds["5XX"]["content"]["application/json"]["example"]["error"]["type"] == SERVER
    speech = paths["/v1/audio/speech"]["post"]["responses"]["200"]["content"]
    assert {*speech} == {*files, "audio/pcm", EVENTS}
    for methods in paths.values():
        for operation in methods.values():
            answers = operation["responses"]["200"]["content"]
            assert answers and all(len(each) for each in answers.values()), operation["summary"]
            events = answers.get(EVENTS, {}).get("example", "data: {}\n\n")
            data = [line[6:] for line in events.splitlines() if line.startswith("data: ")]
            assert data and all(each == "[DONE]" or json.loads(each) is not None for each in data)


def test_a_server_may_leave_the_page_out() -> None:
    with serving([model_to_serve(tiny_model())], ServerSettings(page=False)) as url:
        assert Answer(url).status_code == Answer(url + reference.PATH).status_code == 404
        assert Answer(url + "/page/main.js").status_code == 404
        assert Answer(url + "/v1/models").status_code == 200


def test_files_name_no_other_host_and_only_files_of_the_page() -> None:
    for name, path in FILES.items():
        text = path.read_text("utf-8")
        # A namespace is no address that anything asks for, and an example names one's own machine.
        hosts = re.findall(r"(?:https?:)?//([\w.-]+\.\w+|localhost)", text)
        assert {*hosts} <= {"www.w3.org", "localhost"}, (name, hosts)
        imports = re.findall(r'from "\./([\w.]+)"', text)
        assert {*imports} <= FILES.keys(), name
    page = FILES["index.html"].read_text("utf-8")
    assert {*re.findall(r'(?:src|href)="page/([^"]+)"', page)} <= FILES.keys()
    assert " style=" not in page and " onclick=" not in page, "the policy forbids them"


def test_every_script_is_used() -> None:
    texts = "".join(path.read_text("utf-8") for path in FILES.values())
    texts += reference.reference_html(create_app([]).openapi())
    for name in FILES:
        assert name == "index.html" or f"/{name}" in texts, f"nothing names {name}"
