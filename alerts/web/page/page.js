// Keeps the overview up to date from the stream, and sorts and filters its peers.
"use strict";

const TIMEOUT_MS = 40_000;
const RETRY_MS = 3_000;

let mark = root.dataset.mark;
let source = null;
let receivedAt = Date.now();
let openedAt = 0;
// The arrangement that is asked for and not there yet.
let arranging = null;
let typing = 0;

function show(change) {
  clockOffset = change.now - Date.now() / 1000;
  if (change.edition !== root.dataset.edition) return location.reload();
  // If the focused button is removed, its container gets the focus: a keyboard must not return to the top of the page.
  const holder = document.activeElement?.closest?.("[tabindex='-1'], section");
  const hadFocus = document.activeElement !== document.body && document.activeElement;
  for (const [id, html] of Object.entries(change.parts)) {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    const old = at(id);
    if (!old) return location.reload();
    morph(old, template.content.firstElementChild);
  }
  if (hadFocus && !hadFocus.isConnected) focusNear(holder);
  // Rows do not move under a pointer or the focus.
  if (location.search && !arranging && !document.querySelector("#rows:hover, #rows:focus-within")) arrange(location.href);
  setText(document.querySelector("title"), change.title);
  const icon = at("icon");
  const wanted = change.alarming ? icon.dataset.alarm : icon.dataset.calm;
  if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  tick();
}

function focusNear(holder) {
  const target = holder?.isConnected ? holder : document.querySelector("main section");
  if (!target.hasAttribute("tabindex")) target.setAttribute("tabindex", "-1");
  target.focus({ preventScroll: true });
}

// Updates ages and the state of the connection every second: stale data must look stale.
function tick() {
  const now = showAges();
  const evaluated = Number(at("evaluated").dataset.evaluated);
  const isLost = source?.readyState !== EventSource.OPEN;
  const isStale = evaluated > 0 && now - evaluated > Number(root.dataset.staleAfter);
  const lost = at("lost");
  // A connection that was just opened is not lost yet.
  const isShown = isLost && Date.now() - receivedAt > RETRY_MS;
  setText(lost, isShown ? lost.dataset.lost : isStale ? lost.dataset.stale : "");
  root.classList.toggle("is-live", !isLost);
  root.classList.toggle("is-lost", isLost);
  root.classList.toggle("is-old", isShown || isStale);
  setText(at("link"), isLost ? at("link").dataset.connecting : at("link").dataset.live);
}

// Orders and filters the rows as the page at `address` does: the server sorts, with or without scripts.
async function arrange(address) {
  const { pathname, search } = new URL(address, location.href);
  history.replaceState(null, "", `${pathname}${search}`);
  const asked = (arranging = {});
  const fresh = await fetchPage(address);
  if (asked !== arranging) return;
  arranging = null;
  if (!fresh) return;
  let place = at("rows").firstElementChild;
  for (const row of fresh.getElementById("rows").children) {
    const known = at(row.id);
    if (!known) return location.reload();
    known.hidden = row.hidden;
    if (known === place) place = place.nextElementSibling;
    else at("rows").insertBefore(known, place);
  }
  morph(at("columns"), fresh.getElementById("columns"));
}

function filterPeers() {
  const given = new FormData(at("filter"));
  arrange(`/?${new URLSearchParams([...given].filter(([, value]) => value))}`);
}

function connect() {
  source?.close();
  openedAt = Date.now();
  source = new EventSource(`/api/stream?mark=${encodeURIComponent(mark)}`);
  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      receivedAt = Date.now();
      act(event);
    });
  on("open", tick);
  on("beat", () => {});
  on("change", (event) => {
    mark = event.lastEventId;
    show(JSON.parse(event.data));
  });
  source.addEventListener("error", tick);
}

// A browser does not retry after an error response, as while the server starts, and does not notice a silent connection.
function reconnectIfLost() {
  const isClosed = source.readyState === EventSource.CLOSED;
  const isSilent = Date.now() - Math.max(receivedAt, openedAt) > TIMEOUT_MS;
  if ((isClosed && Date.now() - openedAt > RETRY_MS) || isSilent) connect();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("#columns a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  arrange(link.href);
});
at("filter")?.addEventListener("submit", (event) => {
  event.preventDefault();
  filterPeers();
});
at("filter")?.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filterPeers, 150);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    reconnectIfLost();
    tick();
  }
});
window.addEventListener("pagehide", () => source?.close());
window.addEventListener("pageshow", (event) => event.persisted && connect());

connect();
setInterval(() => {
  reconnectIfLost();
  tick();
}, 1000);
tick();
