"""The application behind an HTTP listener: pages, their forms for programs, live events, health."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from eccmgr.commands.answer import Format, Status
from eccmgr.commands.caller import Caller
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.gate import NOT_AUTHORIZED
from eccmgr.errors import UsageError
from eccmgr.feed.commands import event_of
from eccmgr.feed.picture import FeedChange
from eccmgr.feed.source import Resync, Source
from eccmgr.feed.topics import FeedTopic, read_topics
from eccmgr.web import charts, showing
from eccmgr.web.pages import PAGES, SitePage, Wish
from eccmgr.web.site import Site

STREAMS_MAX = 256
_HERE = Path(__file__).parent
_STATIC = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir()) if path.is_file()}
STATIC_HASH = hashlib.sha256(b"".join(_STATIC.values())).hexdigest()[:12]
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_CODES = {Status.OK: 200, Status.PARTIAL: 200, Status.DENIED: 403, Status.ERROR: 404}
_TICK_S = 2.0


def application_of(site: Site, prefix: str, caller_of: Callable[[Request], Caller]) -> Starlette:
    """The application with all its routes; `caller_of` says who makes a request. Without a feed it has no pages."""
    health = Health(site, caller_of)
    routes = [
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
    ]
    if site.source is not None:
        routes += Pages(site, site.source, prefix, caller_of).routes()
    return Starlette(routes=routes)


class Health:
    """Answers probes and scrapes."""

    def __init__(self, site: Site, caller_of: Callable[[Request], Caller]) -> None:
        self._site, self._caller_of = site, caller_of

    async def healthz(self, _request: Request) -> Response:
        """Whether the event loop turns."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _request: Request) -> Response:
        """Whether the daemon can do its work; else 503 with the reasons."""
        reasons = await self._site.ready()
        return PlainTextResponse("".join(f"{reason}\n" for reason in reasons) or "ok\n", 503 if reasons else 200)

    async def metrics(self, request: Request) -> Response:
        """The metrics of this daemon; where callers need roles, one has to allow `metrics`."""
        if not self._site.gate.allows(self._caller_of(request), "metrics"):
            return PlainTextResponse(f"{NOT_AUTHORIZED}\n", 403)
        return Response(await self._site.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


class Pages:
    """Answers the requests for pages."""

    def __init__(self, site: Site, source: Source, prefix: str, caller_of: Callable[[Request], Caller]) -> None:
        self._site, self._source, self._caller_of = site, source, caller_of
        # An answer that the caller may not have lacks its facts: a page then shows the rest.
        self._templates = jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True)
        self._templates.globals.update(
            prefix=prefix, title=site.title, pages=[page for page in PAGES if page.listed],
            static=f"{prefix}/static/{STATIC_HASH}", charts=charts, showing=showing, lease_s=site.lease_s(),
        )  # fmt: skip

    def routes(self) -> list[Route]:
        """The routes of all pages, of their forms for programs, and of what they need."""
        routes = [Route("/events", self._events), Route("/static/{hash}/{name}", self._static)]
        for page in PAGES:
            path = page.path.rstrip("/")
            routes += [Route(f"{path or '/index'}{form}", self._program(page, form)) for form in (".json", ".txt")]
            routes.append(Route(page.path, self._html(page)))
        return routes

    def _html(self, page: SitePage) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            wish = _wish(request)
            answers = {
                name: (await self._ask(request, line(wish), Format.JSON)).answer for name, line in page.commands.items()
            }
            main = answers[page.main]
            facts = {name: {**said.facts, "body": said.text, "status": said.status} for name, said in answers.items()}
            known = {"page": page, "wish": wish, "here": request.url.path, "query": request.url.query}
            template = "refused.html" if main.status in (Status.DENIED, Status.ERROR) else page.template
            text = await asyncio.to_thread(self._templates.get_template(template).render, **known, **facts, main=main)
            return Response(text, _CODES[main.status], media_type="text/html; charset=utf-8")

        return answer

    def _program(self, page: SitePage, form: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            line = page.commands[page.main](_wish(request))
            if form == ".json":
                said = await self._ask(request, line, Format.JSON)
                return Response(said.body, _CODES[said.answer.status], media_type="application/json")
            said = await self._ask(request, line)
            return PlainTextResponse(f"{said.body}\n", _CODES[said.answer.status])

        return answer

    async def _ask(self, request: Request, line: str, form: Format = Format.TEXT) -> Reply:
        return await reply(self._site.gate, line, self._caller_of(request), form)

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("no such file\n", 404)
        forever = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(_STATIC[name], media_type=_TYPES[Path(name).suffix], headers=forever)

    async def _events(self, request: Request) -> Response:
        try:
            topics = read_topics(request.query_params.get("topics", "all").replace(",", " ").split())
        except UsageError as error:
            return PlainTextResponse(f"{error}\n", 400)
        caller = self._caller_of(request)
        if refused := [topic for topic in topics if not self._site.gate.allows(caller, f"feed {topic.value}")]:
            return PlainTextResponse(f"Not Authorized for the topic {refused[0].value}\n", 403)
        if self._site.seen.streams >= STREAMS_MAX:
            return PlainTextResponse(f"{STREAMS_MAX} streams are open already; try again later\n", 503)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        brief = "brief" in request.query_params
        return StreamingResponse(self._stream(topics, brief=brief), media_type="text/event-stream", headers=headers)

    async def _stream(self, topics: Sequence[FeedTopic], *, brief: bool) -> AsyncIterator[bytes]:
        self._site.seen.streams += 1
        try:
            async with self._source.reader(topics) as changes:
                pending = asyncio.ensure_future(anext(changes, None))
                try:
                    while True:
                        done, _ = await asyncio.wait({pending}, timeout=_TICK_S)
                        if not done:
                            yield b"event: tick\ndata:\n\n"
                            continue
                        if (change := pending.result()) is None:
                            return
                        yield _event(change, brief=brief)
                        pending = asyncio.ensure_future(anext(changes, None))
                finally:
                    pending.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await pending
        finally:
            self._site.seen.streams -= 1


def _event(change: FeedChange | Resync, *, brief: bool) -> bytes:
    """A change as a server-sent event; if `brief`, without its items, for a page that fetches what it shows."""
    said = event_of(change)
    name = str(said.pop("event"))
    if brief:
        said = {name: said[name] for name in ("topic", "serial", "at") if name in said}
    return f"event: {'change' if name == 'feed' else name}\ndata: {json.dumps(said, ensure_ascii=True)}\n\n".encode()


def _wish(request: Request) -> Wish:
    asked: Mapping[str, str] = {**request.query_params, **request.path_params}
    return {**dict.fromkeys(showing.QUERIES, ""), **{name: value[:1000] for name, value in asked.items()}}
