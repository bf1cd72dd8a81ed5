// What both pages need: elements made like fresh ones, and ages kept up to date.
"use strict";

const root = document.documentElement;
const at = (id) => document.getElementById(id);
const units = root.dataset.units.split(" ");
// The server's clock minus ours: ages must be right on a phone whose clock is not.
let clockOffset = Number(root.dataset.now) - Date.now() / 1000;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// What the reader, not the server, has set.
const KEPT = new Set(["open", "aria-busy", "hidden"]);

// Makes `old` like `fresh`; keeps equal elements, and with them focus, an open list, a screen reader's place.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
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

// Brings all ages up to date; the server's time now.
function showAges() {
  const now = Date.now() / 1000 + clockOffset;
  for (const element of document.querySelectorAll("[data-age]")) {
    const text = describe(now - Number(element.dataset.age));
    setText(element, element.dataset.form ? root.dataset.ago.replace("{}", text) : text);
  }
  return now;
}

// The page at `address`, parsed; null where it cannot be had.
async function fetchPage(address) {
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(20_000) });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  } catch {
    return null;
  }
}

root.classList.add("has-script");
