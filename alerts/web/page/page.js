// Keeps the page up to date from the stream, and sends the buttons' requests.
"use strict";

const root = document.documentElement;
const at = (id) => document.getElementById(id);
const units = root.dataset.units.split(" ");
const TIMEOUT_MS = 40_000;
const RETRY_MS = 3_000;

let mark = root.dataset.mark;
// The server's clock minus ours: ages must be right on a phone whose clock is not.
let clockOffset = Number(root.dataset.now) - Date.now() / 1000;
let source = null;
let receivedAt = Date.now();
let openedAt = 0;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes `old` like `fresh`; keeps equal elements, and with them focus, an open list, a screen reader's place.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "aria-busy") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  let place = old.firstChild;
  const drop = () => {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  };
  for (const child of [...fresh.childNodes]) {
    const known = child.id ? [...old.children].find((one) => one.id === child.id) : place;
    // Removes before it inserts: an element that is moved loses the focus.
    while (child.id && known && place && place !== known && !(place.id && wanted.has(place.id))) drop();
    if (!known || !isAlike(known, child)) {
      old.insertBefore(child, place);
      continue;
    }
    if (known === place) place = place.nextSibling;
    else old.insertBefore(known, place);
    if (known.nodeType === Node.ELEMENT_NODE) morph(known, child);
    else if (known.nodeValue !== child.nodeValue) known.nodeValue = child.nodeValue;
  }
  while (place) drop();
}

function isAlike(known, child) {
  return known.nodeName === child.nodeName && (known.id ?? "") === (child.id ?? "");
}

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

function describe(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [index, size] of [86400, 3600, 60, 1].entries()) {
    const count = Math.floor(left / size);
    left %= size;
    if (count) words.push(`${count} ${units[index]}`);
    else if (words.length) break;
  }
  return words.slice(0, 2).join(" ") || `0 ${units[3]}`;
}

// Updates ages and the state of the connection every second: stale data must look stale.
function tick() {
  const now = Date.now() / 1000 + clockOffset;
  for (const element of document.querySelectorAll("[data-age]")) {
    const text = describe(now - Number(element.dataset.age));
    setText(element, element.dataset.form ? root.dataset.ago.replace("{}", text) : text);
  }
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

const REQUESTS = {
  acknowledge: (place) => ["POST", "/api/acknowledgements", { rule: place.rule, peer: place.peer }],
  silence: (place, button) => [
    "POST",
    "/api/silences",
    { rule: place.rule, peer: place.peer, lasts: button.parentElement.querySelector("select").value },
  ],
  end: (place) => ["DELETE", `/api/silences/${place.silence}`, {}],
};

async function act(button) {
  const [method, path, content] = REQUESTS[button.dataset.act](button.closest(".acts").dataset, button);
  const error = at("said");
  setText(error, "");
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(content),
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
  } catch (problem) {
    setText(error, error.dataset.failed.replace("{}", problem.message));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (button && !button.hasAttribute("aria-busy")) act(button);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    reconnectIfLost();
    tick();
  }
});
window.addEventListener("pagehide", () => source?.close());
window.addEventListener("pageshow", (event) => event.persisted && connect());

root.classList.add("has-script");
connect();
setInterval(() => {
  reconnectIfLost();
  tick();
}, 1000);
tick();
