"""What a model offers as tools, without a word of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anymodal.chat.tool_arguments import ToolError, check_arguments_schema
from anymodal.media import Media
from anymodal.serving.content_filter import check_content
from anymodal.serving.mcp.files import SharedFolder
from anymodal.serving.requests import ReplyRequest
from anymodal.serving.served import ServedModel
from anymodal.tools.embed.files import TEXT
from anymodal.types import Done, MediumProgress, Message

Report = Callable[[float, float, str], Awaitable[None]]
"""Called with how much is done, of how much, and what it is."""
Result = list[str | Media]
Work = Callable[[Mapping[str, Any], Report], Awaitable[Result]]

READING = {"image": "see", "audio": "hear", "video": "watch", "imu": "feel"}
MAKING = {"image": "draw", "audio": "play", "video": "film"}
"""Names of the tools by kind of media; others are `read_KIND` and `make_KIND`."""
MOST_EMBEDDED = 256


@dataclass(frozen=True)
class ModelTool:
    """One tool.

    Args:
        name: of it.
        description: for the model that calls it.
        schema: of its arguments.
        work: does it.
        writes: whether it makes files.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    work: Work
    writes: bool = False


class ModelTools:
    """The tools of a served model: one for each kind of media that it reads or makes, and `embed`.

    Args:
        served: the model.
        folder: where files are.
    """

    def __init__(self, served: ServedModel, folder: SharedFolder) -> None:
        self.served, self.folder = served, folder
        facts = served.facts
        reads = [kind for kind in facts.reads if kind != TEXT]
        tools = [self._reading(kind) for kind in reads if facts.replies]
        tools += [self._making(kind) for kind in facts.makers]
        if served.encoders:
            tools.append(self._embedding())
        self.by_name = {tool.name: tool for tool in tools}

    async def call(self, name: str, arguments: Mapping[str, Any], report: Report) -> Result:
        """Run a tool.

        Raises:
            ToolError: for a tool that there isn't, or arguments that don't fit it.
            ValueError: for a file or a setting that can't be used.
        """
        if (tool := self.by_name.get(name)) is None:
            raise ToolError(f"there is no tool {name!r}; there are {', '.join(self.by_name)}")
        check_arguments_schema(arguments, tool.schema)
        return await tool.work(arguments, report)

    def _reading(self, kind: str) -> ModelTool:
        async def work(arguments: Mapping[str, Any], report: Report) -> Result:
            medium = await self._load(str(arguments["file"]), kind)
            question = str(arguments.get("question") or f"What is in this {kind}?")
            text = {"max_new_tokens": int(arguments.get("max_new_tokens", 256))}
            message = await self._reply([Message("user", [medium, question])], report, text=text)
            cut = self.served.cut_media([(str(arguments["file"]), medium)])
            return [message.text, *(each.text for each in cut)]

        return ModelTool(
            READING.get(kind, f"read_{kind}"),
            f"Ask a model about {_article(kind)} {kind} file, in words.",
            _schema(
                ["file"],
                file=("string", f"name of the {kind} file in the shared folder, or its URI"),
                question=("string", "what to ask about it"),
                max_new_tokens=("integer", "the longest answer, in tokens; 256 by default"),
            ),
            work,
        )  # fmt: skip

    def _making(self, kind: str) -> ModelTool:
        modality = self.served.makers[kind]
        name = MAKING.get(kind, f"make_{kind}")
        decoder = self.served.model.decoders.get(modality) if self.served.model else None
        looks = bool(getattr(decoder, "references", ()))

        async def work(arguments: Mapping[str, Any], report: Report) -> Result:
            prompt = str(arguments["prompt"]).strip()
            if not prompt:
                raise ToolError("the prompt is empty; say what to make")
            parts: list[str | Media] = [prompt]
            if looks and arguments.get("file"):
                parts.insert(0, await self._load(str(arguments["file"])))
            sampling = {"steps": int(arguments["steps"])} if "steps" in arguments else {}
            message = await self._reply(
                [Message("user", parts)],
                report,
                seed=int(arguments["seed"]) if "seed" in arguments else None,
                sampling={modality: sampling},
                forced=[modality],
            )
            if not message.media:
                raise ToolError("the prompt leaves no room for a reply; shorten it")
            return list(message.media)

        properties = {
            "prompt": ("string", "what it should show or sound like"),
            "seed": ("integer", "gives the same again; drawn where it is left out"),
            "steps": ("integer", "denoising steps; more take longer and may look better"),
        }
        if looks:
            properties["file"] = ("string", "name of a file in the shared folder to make it from")
        return ModelTool(
            name,
            f"Make {_article(kind)} {kind} from words. It is saved in the shared folder.",
            _schema(["prompt"], **properties),
            work,
            writes=True,
        )

    def _embedding(self) -> ModelTool:
        kinds = ", ".join(self.served.encoders)

        async def work(arguments: Mapping[str, Any], report: Report) -> Result:
            texts = [str(each) for each in arguments.get("texts") or ()]
            names = [str(each) for each in arguments.get("files") or ()]
            if not 0 < len(texts) + len(names) <= MOST_EMBEDDED:
                raise ToolError(f"give 1 to {MOST_EMBEDDED} texts and files")
            items: list[str | Media] = [*texts]
            for place, name in enumerate(names):
                items.append(await self._load(name))
                await report(place + 1, len(names) + 1, "read")
            await check_content(self.served.content_filter, items, "in")
            vectors = await asyncio.to_thread(self.served.embed, items)
            rows = zip([*texts, *names], vectors, strict=True)
            return [json.dumps([{"item": item, "embedding": v.tolist()} for item, v in rows])]

        return ModelTool(
            "embed",
            f"Embeddings of texts and files of kinds {kinds}, to compare them by. Vectors of one "
            "model's kinds lie in one space where it was trained so.",
            _schema(
                [],
                texts=("array", "texts to embed", "string"),
                files=("array", "names of files in the shared folder to embed", "string"),
            ),
            work,
        )

    async def _load(self, name: str, kind: str | None = None) -> Media:
        medium = await asyncio.to_thread(self.folder.load, name)
        if kind is not None and medium.kind != kind:
            raise ToolError(f"{name!r} is {medium.kind}, and this tool reads {kind}")
        return medium

    async def _reply(self, conversation: list[Message], report: Report, **settings: Any) -> Message:
        """The model's reply, with its progress."""
        assert self.served.engine is not None, "only a model that replies has such tools"
        if settings.get("seed") is None:
            settings["seed"] = secrets.randbelow(2**31)
        stream = await self.served.engine.submit(ReplyRequest(conversation, **settings))
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                if isinstance(event, MediumProgress):
                    await report(event.step, event.steps, "denoising steps")
                elif isinstance(event, Done):
                    return event.message
        raise ToolError("the reply ended early")


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _schema(required: list[str], **properties: tuple[str, ...]) -> dict[str, Any]:
    """A JSON schema of arguments: of each its type, what it is, and the type of its items."""
    described: dict[str, dict[str, Any]] = {}
    for name, (kind, description, *items) in properties.items():
        described[name] = {"type": kind, "description": description}
        if items:
            described[name]["items"] = {"type": items[0]}
    return {"type": "object", "properties": described, "required": required}
