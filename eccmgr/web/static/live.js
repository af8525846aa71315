// Fetches the page anew when the feed tells of a change, and puts its new contents in place of the old ones.
"use strict";
(() => {
  const asOf = document.getElementById("asof");
  const { topics, events } = document.body.dataset;
  if (!topics) return;
  const quietMs = 700, oldMs = 5000;
  let heard = Date.now(), wanted = false, busy = false;

  const say = () => {
    const old = Date.now() - heard > oldMs;
    asOf.classList.toggle("old", old);
    asOf.textContent = "as of " + new Date(heard).toLocaleTimeString() + (old ? " (no news)" : "");
  };

  const fetchAnew = async () => {
    if (busy) { wanted = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const [fresh, shown] = [next.querySelector("main"), document.querySelector("main")];
      // Whoever types into a filter goes on typing.
      if (answer.ok && fresh && !(shown.contains(document.activeElement) && document.activeElement.matches("input,select"))) {
        const focused = document.activeElement && document.activeElement.getAttribute("href");
        shown.replaceChildren(...fresh.childNodes);
        if (focused) shown.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
      }
    } catch { /* The stream tells when the manager is back. */ }
    await new Promise((done) => setTimeout(done, quietMs));
    busy = false;
    if (wanted) { wanted = false; fetchAnew(); }
  };

  const stream = new EventSource(`${events}?brief=1&topics=${topics}`);
  const alive = () => { heard = Date.now(); say(); };
  let first = new Set(topics.split(","));
  stream.addEventListener("tick", alive);
  stream.addEventListener("resync", () => { alive(); fetchAnew(); });
  stream.addEventListener("change", (event) => {
    alive();
    // The first news of a topic is what the page shows already.
    if (!first.delete(JSON.parse(event.data).topic)) fetchAnew();
  });
  stream.addEventListener("error", () => { first = new Set(); });
  setInterval(say, 1000);
  say();
})();
