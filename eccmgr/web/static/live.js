// Fetches the page anew when the feed tells of a change, and every few seconds for what ages or changes untold. Puts
// the new contents in place of the old ones.
"use strict";
(() => {
  const asOf = document.getElementById("asof");
  const { topics, events } = document.body.dataset;
  const settleMs = 80, quietMs = 700, oldMs = 5000, listenAgainMs = 5000;
  const main = () => document.querySelector("main");
  let heard = Date.now(), fetched = heard, refused = 0, wanted = false, busy = false, stream = null;

  const say = () => {
    const old = Date.now() - heard > oldMs;
    asOf.classList.toggle("old", old);
    asOf.textContent = "as of " + new Date(heard).toISOString().slice(11, 19) + " UTC" + (old ? " (no news)" : "");
  };

  const isRead = () => {
    const selection = getSelection();
    return !selection.isCollapsed && main().contains(selection.anchorNode);
  };

  const put = (fresh) => {
    const shown = main(), active = document.activeElement;
    const focused = shown.contains(active) ? active.getAttribute("href") : null;
    const form = shown.querySelector(":scope > form"), other = fresh.querySelector(":scope > form");
    if (form && other && form.contains(active)) {
      // Whoever types into a filter goes on typing: all but the filter is new.
      const nodes = [...fresh.childNodes], at = nodes.indexOf(other);
      for (const node of [...shown.childNodes]) if (node !== form) node.remove();
      form.before(...nodes.slice(0, at));
      form.after(...nodes.slice(at + 1));
    } else {
      shown.replaceChildren(...fresh.childNodes);
      if (focused) shown.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
    shown.dataset.fresh = fresh.dataset.fresh;
  };

  const fetchAnew = async () => {
    wanted = true;
    // A page that nobody looks at is not fetched; nor is one whose text is just being selected.
    if (busy || document.hidden || isRead()) return;
    busy = true;
    await new Promise((done) => setTimeout(done, settleMs));
    wanted = false;
    const began = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      // What is gone is shown as gone; while the manager cannot tell, what it told last stays.
      if (answer.status < 500 && next) {
        put(next);
        if (!stream || stream.readyState !== EventSource.OPEN) heard = began - 1000 * Number(answer.headers.get("age") || 0);
      }
    } catch { /* "as of" says so. */ }
    fetched = Date.now();
    // A page that takes long is not asked for all the time.
    await new Promise((done) => setTimeout(done, Math.max(quietMs, 10 * (fetched - began))));
    busy = false;
    if (wanted) fetchAnew();
  };

  const hear = (event) => {
    const age = JSON.parse(event.data).age_s;
    if (typeof age === "number") heard = Math.max(heard, Date.now() - 1000 * age);
    say();
  };

  const listen = () => {
    if (!topics) return;
    stream = new EventSource(`${events}?brief=1&topics=${topics}`);
    stream.addEventListener("tick", hear);
    // Also the first news leads to a fetch: something may have changed since the page was made.
    for (const news of ["change", "resync"]) stream.addEventListener(news, (event) => { hear(event); fetchAnew(); });
    stream.addEventListener("error", () => { refused = Date.now(); });
  };

  document.addEventListener("visibilitychange", () => {
    // A browser opens few connections to one host: a hidden page takes none of them.
    if (document.hidden) { stream?.close(); stream = null; } else { listen(); fetchAnew(); }
  });
  setInterval(() => {
    say();
    if (document.hidden) return;
    const isClosed = stream && stream.readyState === EventSource.CLOSED;
    if (isClosed && Date.now() - refused > listenAgainMs) { listen(); refused = Date.now(); }
    if (wanted || Date.now() - fetched > 1000 * Number(main().dataset.fresh)) fetchAnew();
  }, 1000);
  if (!document.hidden) listen();
  say();
})();
