"""The application behind an HTTP listener: pages, their forms for programs, live events, health."""

import asyncio
import contextlib
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from eccmgr.commands.answer import Answer, Format, Status
from eccmgr.commands.caller import Caller
from eccmgr.commands.dispatch import Reply, facts_reply, reply
from eccmgr.commands.gate import NOT_AUTHORIZED
from eccmgr.errors import UsageError
from eccmgr.feed.commands import event_of
from eccmgr.feed.picture import FeedChange
from eccmgr.feed.source import Resync, Source
from eccmgr.feed.topics import FeedTopic, read_topics
from eccmgr.web import charts, showing
from eccmgr.web.pages import PAGES, SitePage, Wish
from eccmgr.web.rendered import RenderedPage, RenderedPages
from eccmgr.web.site import Site

STREAMS_MAX = 256
_HERE = Path(__file__).parent
_STATIC = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir()) if path.is_file()}
STATIC_HASH = hashlib.sha256(b"".join(_STATIC.values())).hexdigest()[:12]
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_CODES = {Status.OK: 200, Status.PARTIAL: 200, Status.DENIED: 403, Status.ERROR: 404}
_TICK_S = 2.0
_PACKED_FROM_BYTES = 2000


def application_of(
    site: Site,
    prefix: str,
    caller_of: Callable[[Request], Caller],
    holds_of: Callable[[Request], Callable[[], bool]] = lambda _request: lambda: True,
) -> Starlette:
    """The application with all its routes; `caller_of` says who makes a request, `holds_of` whether its proof still
    counts. Without a feed it has no pages."""
    health = Health(site, caller_of)
    routes = [
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
    ]
    if site.source is not None:
        routes += Pages(site, site.source, prefix, caller_of, holds_of).routes()
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

    def __init__(
        self,
        site: Site,
        source: Source,
        prefix: str,
        caller_of: Callable[[Request], Caller],
        holds_of: Callable[[Request], Callable[[], bool]],
    ) -> None:
        self._site, self._source, self._caller_of, self._holds_of = site, source, caller_of, holds_of
        self._rendered = RenderedPages()
        # An answer that the caller may not have lacks its facts: a page then shows the rest.
        loader = jinja2.FileSystemLoader(_HERE / "templates")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, auto_reload=False)
        self._templates.globals.update(
            prefix=prefix, title=site.title, pages=[page for page in PAGES if page.listed],
            static=f"{prefix}/static/{STATIC_HASH}", charts=charts, showing=showing, lease_s=site.lease_s,
        )  # fmt: skip
        # All now: an upgrade of the files must not mix its templates with the code that runs.
        for name in self._templates.list_templates():
            self._templates.get_template(name)

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
            wish, caller = _wish(request), self._caller_of(request)
            # A page that was rendered for one caller is shown to those who may see the same.
            allowed = tuple(self._site.gate.allows(caller, line(wish)) for line in page.commands.values())
            key = page.path, tuple(wish.items()), caller.user, caller.limited, allowed
            rendered, age_s = await self._rendered.get(
                key, lambda: self._marks(page), lambda: self._render(request, page, wish)
            )
            packs = bool(rendered.packed) and "gzip" in request.headers.get("accept-encoding", "")
            headers = {"cache-control": "no-store", "age": str(int(age_s)), "vary": "accept-encoding"}
            headers |= {"content-encoding": "gzip"} if packs else {}
            text = rendered.packed if packs else rendered.text
            return Response(text, rendered.code, headers, media_type="text/html; charset=utf-8")

        return answer

    def _marks(self, page: SitePage) -> Hashable:
        """What changes with the page; None if nobody follows all of its topics."""
        serials = tuple(self._source.serial(FeedTopic(topic)) for topic in page.topics)
        return None if None in serials else serials

    async def _render(self, request: Request, page: SitePage, wish: Wish) -> RenderedPage:
        caller = self._caller_of(request)
        answers = {name: await facts_reply(self._site.gate, line(wish), caller) for name, line in page.commands.items()}
        main = answers[page.main]
        facts = {name: {**said.facts, "body": said.text, "status": said.status} for name, said in answers.items()}
        template = "refused.html" if main.status in (Status.DENIED, Status.ERROR) else page.template
        settled = page.settled(facts)
        known = {"page": page, "wish": wish, **facts, "main": main, "settled": settled}
        return replace(
            await asyncio.to_thread(self._drawn, template, await self._code_of(main), known), settled=settled
        )

    async def _code_of(self, answer: Answer) -> int:
        """The code for an answer. An error may only mean that Redis is away: that is no lasting one."""
        if answer.status is Status.ERROR and await self._site.ready():
            return 503
        return _CODES[answer.status]

    def _drawn(self, template: str, code: int, known: Mapping[str, object]) -> RenderedPage:
        text = self._templates.get_template(template).render(**known).encode()
        return RenderedPage(code, text, gzip.compress(text, 3) if len(text) >= _PACKED_FROM_BYTES else b"")

    def _program(self, page: SitePage, form: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            line = page.commands[page.main](_wish(request))
            if form == ".json":
                said = await self._ask(request, line, Format.JSON)
                return Response(said.body, await self._code_of(said.answer), media_type="application/json")
            said = await self._ask(request, line)
            return PlainTextResponse(f"{said.body}\n", await self._code_of(said.answer))

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
        brief = "brief" in request.query_params
        allowed = tuple(topic for topic in topics if self._site.gate.allows(caller, f"feed {topic.value}"))
        if not allowed or (allowed != topics and not brief):
            refused = next(topic for topic in topics if topic not in allowed)
            return PlainTextResponse(f"Not Authorized for the topic {refused.value}\n", 403)
        if self._site.seen.streams >= STREAMS_MAX:
            return PlainTextResponse(f"{STREAMS_MAX} streams are open already; try again later\n", 503)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        holds = self._holds_of(request)

        def may() -> bool:
            """Whether the caller may still see all of that: its token, its password or its roles may be gone."""
            return holds() and all(self._site.gate.allows(caller, f"feed {topic.value}") for topic in allowed)

        stream = self._stream(allowed, may, brief=brief)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(
        self, topics: Sequence[FeedTopic], may: Callable[[], bool], *, brief: bool
    ) -> AsyncIterator[bytes]:
        self._site.seen.streams += 1
        try:
            async with self._source.reader(topics) as changes:
                pending = asyncio.ensure_future(anext(changes, None))
                try:
                    while True:
                        done, _ = await asyncio.wait({pending}, timeout=_TICK_S)
                        if not may():
                            return
                        if not done:
                            yield _event("tick", {}, self._source.age_s)
                            continue
                        if (change := pending.result()) is None:
                            return
                        if not brief:
                            yield _told(change, self._source.age_s)
                        elif not _is_account(change):
                            yield _briefly(change, self._source.age_s)
                        pending = asyncio.ensure_future(anext(changes, None))
                finally:
                    pending.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await pending
        finally:
            self._site.seen.streams -= 1


def _told(change: FeedChange | Resync, age_s: float | None) -> bytes:
    """A change with its items."""
    said = event_of(change)
    name = str(said.pop("event"))
    return _event("change" if name == "feed" else name, said, age_s)


def _briefly(change: FeedChange | Resync, age_s: float | None) -> bytes:
    """That there was a change, for a page that fetches what it shows."""
    return _event("change" if isinstance(change, FeedChange) else "resync", {"topic": change.topic.value}, age_s)


def _is_account(change: FeedChange | Resync) -> bool:
    """Whether a change tells of accounts alone. No page shows them, and each fetch of a page is accounted for."""
    return (
        isinstance(change, FeedChange)
        and change.topic is FeedTopic.AUDIT
        and not change.full
        and all("subject" not in item for item in change.items)
    )


def _event(name: str, said: Mapping[str, object], age_s: float | None) -> bytes:
    """A server-sent event. `age_s` is how long ago the feed has looked: what a page shows is as old as that."""
    age = {} if age_s is None else {"age_s": round(age_s, 3)}
    return f"event: {name}\ndata: {json.dumps({**said, **age}, ensure_ascii=True)}\n\n".encode()


def _wish(request: Request) -> Wish:
    asked: Mapping[str, str] = {**request.query_params, **request.path_params}
    return {**dict.fromkeys(showing.QUERIES, ""), **{name: value[:1000] for name, value in asked.items()}}
