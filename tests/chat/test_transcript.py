"""Conversations in files: what is saved is loaded again, and what is amiss is named."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from anymodal.chat.session import Session
from anymodal.language.chat_template import ChatTemplate
from tests.support.tiny import picture, tiny_model


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tiny_model(), tmp_path / "out", 7, temperature=0.5, max_new_tokens=40)


def test_a_loaded_conversation_goes_on_as_the_saved_one(session: Session, tmp_path: Path) -> None:
    session.attach(picture().save(tmp_path / "a.png"))
    list(session.ask("what is this?"))
    list(session.ask("draw a ball"))
    list(session.retry(99))
    path = session.save(tmp_path / "talk")
    other = Session(tiny_model(), tmp_path / "other", 1)
    other.load(path)
    assert other.transcript() == session.transcript()
    assert other.messages == session.messages and other.turns[1].seed == 99
    list(session.ask("draw a ball"))
    list(other.ask("draw a ball"))
    assert other.turns[2].reply == session.turns[2].reply


def test_what_cannot_be_loaded_changes_nothing(session: Session, tmp_path: Path) -> None:
    file = picture().save(tmp_path / "a.png")
    session.attach(file)
    list(session.ask("what is this?"))
    transcript = json.loads(session.save(tmp_path / "talk").read_text())
    before = session.transcript()

    def load(text: str) -> None:
        (tmp_path / "bad.json").write_text(text)
        session.load(tmp_path / "bad.json")

    user, reply = transcript["messages"]
    unread = {"role": "user", "content": [{"kind": "smell", "file": str(file)}]}
    unsaved = {"role": "user", "content": [{"kind": "image"}]}
    for text, message in [
        ("{", "is no transcript"),
        ("[]", "is no transcript"),
        (json.dumps({**transcript, "messages": [reply, user]}), "a reply in turn"),
        (json.dumps({**transcript, "messages": [unread, reply]}), "message 1: .*no kind .*smell"),
        (json.dumps({**transcript, "messages": [unsaved, reply]}), "message 1: .*never saved"),
        (json.dumps({**transcript, "settings": {"tempature": 1}}), "temperature"),
        (json.dumps({**transcript, "seed": -1}), "seed=-1"),
    ]:
        with pytest.raises(ValueError, match=message):
            load(text)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        load(json.dumps(transcript))
    assert session.transcript() == before


def test_html_holds_the_media_and_markdown_links_them(session: Session, tmp_path: Path) -> None:
    list(session.ask("draw a ball"))
    list(session.ask("# hello\n## AnyModal"))
    html = session.save(tmp_path / "talk.html").read_text()
    assert "data:image/png;base64," in html and "Here is a ball" in html
    markdown = session.save(tmp_path / "talk.md").read_text()
    assert "[image: reply-1-image.png](out/reply-1-image.png)" in markdown
    assert markdown.count("\n## AnyModal\n") == 2, "a text can't pass for a message"
    with pytest.raises(ValueError, match=r"not '\.txt'; save it as talk\.json"):
        session.save(tmp_path / "talk.txt")


def test_a_turn_is_taken_back_or_answered_anew(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no message to take back"):
        session.undo()
    with pytest.raises(ValueError, match="no message to answer again"):
        list(session.retry())
    list(session.ask("draw a ball"))
    (first,) = session.turns
    session.attach(picture().save(tmp_path / "a.png"))
    list(session.retry())
    (second,) = session.turns
    assert second.question == first.question and second.seed != first.seed
    assert second.reply.media[0] != first.reply.media[0] and len(session.attached) == 1
    assert session.undo() is second and not session.turns


def test_settings_change_for_replies_to_come(session: Session) -> None:
    session.configure({"image": {"steps": 3}}, temperature=0.0)
    session.configure({"image": {"guidance": 1.0}})
    assert session.sampling == {"image": {"steps": 3, "guidance": 1.0}}
    assert session.text == {"temperature": 0.0, "max_new_tokens": 40}
    with pytest.raises(ValueError, match="steps=0"):
        session.configure({"image": {"steps": 0}}, temperature=1.0)
    assert session.text["temperature"] == 0.0


def test_a_reply_tells_why_it_ended_and_its_tokens(session: Session) -> None:
    session.configure(temperature=0.0)
    list(session.ask("hello"))
    list(session.ask("hello"))
    first, second = (turn.reply for turn in session.turns)
    assert first.finish_reason == "stop"
    assert first.usage and second.usage
    assert first.usage.completion > 0 and first.usage.prompt > 0 == first.usage.cached
    assert 0 < second.usage.cached < second.usage.prompt
    cut, whole = session.model.chat([["hello"], ["draw a ball"]], seed=0, max_new_tokens=2)
    assert [cut.finish_reason, whole.finish_reason] == ["length", "length"]
    assert cut.usage and cut.usage.completion == 2
    session.configure(max_new_tokens=2)
    list(session.ask("hello"))
    assert session.turns[-1].reply.finish_reason == "length"


def test_a_template_that_drops_the_system_prompt_is_told(session: Session) -> None:
    session.system = "be short"
    assert session.messages[0].text == "be short"
    model, language = copy.copy(session.model), copy.copy(session.model.language)
    tokenizer = copy.deepcopy(language.tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>"
        "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    language.template = ChatTemplate(tokenizer, language.stops)
    model.prompts = copy.copy(model.prompts)
    model.prompts.language = language
    session.model = model
    with pytest.raises(ValueError, match="does not write a system message"):
        session.system = "be long"
    assert session.system == "be short"
    session.system = " "
    assert not session.messages
