// A peer's page: values at a moment, the moment by pointer or keyboard, zoom by dragging, and fresh charts in place.
"use strict";

// Between two refreshes: a quarter of a point, within bounds.
const LEAST_REST_MS = 15_000;
const MOST_REST_MS = 60_000;
const DRAG_PIXELS = 8;

const UNITS = {
  seconds: (value) => (value < 100 ? `${round(value)} ${units[3]}` : describe(value)),
  bytes: (value) => (value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${(value / 2 ** 20).toFixed(0)} MiB`),
  count: (value) => value.toLocaleString("en", { maximumFractionDigits: 0 }),
  number: (value) => (Math.abs(value) < 1000 ? round(value) : value.toLocaleString("en", { maximumFractionDigits: 0 })),
  share: (value) => `${(value * 100).toFixed(0)}%`,
};
const HEIGHT = 120;
const SVG = "http://www.w3.org/2000/svg";

// The point whose values are shown; null shows the latest.
let moment = null;
let isPointed = false;
let drag = null;
let asked = 0;
let loadedAt = Date.now();

function round(value) {
  return String(Number(value.toPrecision(3)));
}

function draw(element, given) {
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
}

// The time axis: where it begins and ends, and the points on it.
function axis() {
  const { begin, end, now, first, step, count } = Object.fromEntries(
    Object.entries(at("charts").dataset).map(([name, text]) => [name, Number(text)]),
  );
  return { begin, end, now, first, step, count };
}

// The places along a chart, as shares of its width, that values stand for.
function placeOf(index) {
  const { begin, end, now, first, step } = axis();
  return (Math.min(first + (index + 0.5) * step, now) - begin) / (end - begin);
}

function indexAt(share) {
  const { begin, end, first, step, count } = axis();
  const index = Math.floor((begin + share * (end - begin) - first) / step);
  return Math.min(Math.max(index, 0), count - 1);
}

function timeAt(index) {
  const { first, step } = axis();
  return first + (index + 0.5) * step;
}

// A time as the charts show it: in the server's zone, by its name or, without one, by its distance from UTC.
function showTime(seconds) {
  const { zone, offset } = at("charts").dataset;
  const date = new Date((seconds + (zone ? 0 : Number(offset))) * 1000);
  const form = { timeZone: zone || "UTC", dateStyle: "short", timeStyle: "short" };
  return date.toLocaleString("sv-SE", form).slice(5);
}

// Puts a line through every chart at a moment, and its values into their legends.
function showMoment(index) {
  moment = index;
  const told = [];
  for (const figure of document.querySelectorAll(".chart")) {
    const plot = figure.querySelector(".plot");
    let line = plot.querySelector(".cursor");
    if (index === null) line?.remove();
    else {
      if (!line) line = plot.appendChild(document.createElementNS(SVG, "line"));
      const x = `${100 * placeOf(index)}%`;
      draw(line, { class: "cursor", x1: x, x2: x, y1: 0, y2: HEIGHT });
    }
    for (const item of figure.querySelectorAll("[data-values]")) {
      const value = item.querySelector(".value");
      value.dataset.latest ??= value.textContent;
      const text = index === null ? "" : (item.dataset.values.split(",")[index] ?? "");
      const shown = index === null ? value.dataset.latest : text ? UNITS[figure.dataset.unit](Number(text)) : "–";
      setText(value, shown);
      if (text) told.push(`${item.firstChild.nodeValue.trim()} ${shown}`);
    }
  }
  const slider = at("moment");
  if (!slider) return;
  const when = showTime(timeAt(index ?? axis().count - 1));
  slider.max = axis().count - 1;
  slider.value = index ?? slider.max;
  slider.setAttribute("aria-valuetext", [when, ...told].join(", "));
  setText(at("moment-time"), when);
}

// Gets the page at `address` and makes this one like it.
async function load(address, isKept = false) {
  const number = ++asked;
  loadedAt = Date.now();
  if (!isKept) history.replaceState(null, "", address);
  const fresh = await fetchPage(address);
  if (number !== asked) return;
  root.classList.toggle("is-old", !fresh);
  if (!fresh) return;
  if (fresh.documentElement.dataset.edition !== root.dataset.edition) return location.reload();
  clockOffset = Number(fresh.documentElement.dataset.now) - Date.now() / 1000;
  const kept = isKept && moment !== null ? timeAt(moment) : null;
  showMoment(null);
  for (const value of document.querySelectorAll("[data-latest]")) delete value.dataset.latest;
  for (const id of ["top", "alerts", "choices", "comparison", "shown", "charts", "facts", "log"]) {
    const [old, wanted] = [at(id), fresh.getElementById(id)];
    if (old && wanted && old.nodeName === wanted.nodeName) morph(old, wanted);
    else if (old || wanted) return location.reload();
  }
  addSlider();
  const { first, step } = axis();
  showMoment(kept === null ? null : Math.max(0, Math.floor((kept - first) / step)));
  showAges();
}

// A moment for the keyboard and for screen readers; it is no use without this script.
function addSlider() {
  if (at("moment") || axis().count < 2) return;
  const place = at("slider");
  const label = document.createElement("label");
  label.className = "unseen";
  label.htmlFor = "moment";
  label.textContent = place.dataset.label;
  const slider = Object.assign(document.createElement("input"), { type: "range", id: "moment", min: 0, step: 1 });
  const time = Object.assign(document.createElement("span"), { id: "moment-time", className: "quiet" });
  place.append(label, slider, time);
  slider.addEventListener("input", () => showMoment(Number(slider.value)));
}

function shareOf(event, plot) {
  const box = plot.getBoundingClientRect();
  return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
}

// The address of the window between two moments, epoch seconds.
function addressOf(begin, end) {
  const place = new URL(location.href);
  place.searchParams.set("span", `${Math.max(300, Math.round(end - begin))}s`);
  place.searchParams.set("until", Math.round(end));
  return `${place.pathname}${place.search}`;
}

document.addEventListener("pointermove", (event) => {
  const plot = drag?.plot ?? event.target.closest?.(".plot");
  if (axis().count < 2 || (!plot && !isPointed)) return;
  isPointed = Boolean(plot);
  if (!plot) return showMoment(null);
  const share = shareOf(event, plot);
  showMoment(indexAt(share));
  if (!drag || Math.abs(event.clientX - drag.x) < DRAG_PIXELS) return;
  drag.chosen ??= plot.appendChild(document.createElementNS(SVG, "rect"));
  const [from, to] = [drag.share, share].sort((one, other) => one - other);
  draw(drag.chosen, { class: "chosen", x: `${100 * from}%`, width: `${100 * (to - from)}%`, y: 0, height: HEIGHT });
  drag.between = [from, to];
});
document.addEventListener("pointerdown", (event) => {
  const plot = event.target.closest?.(".plot");
  // A finger moves the page and the moment.
  if (plot && event.button === 0 && event.pointerType !== "touch") {
    event.preventDefault();
    drag = { plot, x: event.clientX, share: shareOf(event, plot) };
  }
});
document.addEventListener("pointerup", () => {
  const done = drag;
  drag = null;
  done?.chosen?.remove();
  if (!done?.between) return;
  const { begin, end, now } = axis();
  const [from, to] = done.between.map((share) => begin + share * (end - begin));
  if (from < now) load(addressOf(from, Math.min(to, now)));
});
document.addEventListener("dblclick", (event) => event.target.closest?.(".plot") && load(at("wider").href));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#choices a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  load(link.getAttribute("href"));
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = [...new FormData(event.target)].filter(([, value]) => value);
  load(`${location.pathname}?${new URLSearchParams(given)}`);
});
document.addEventListener("change", (event) => event.target.form?.id === "comparison" && event.target.form.requestSubmit());
document.addEventListener("keydown", (event) => {
  if (!event.target.closest?.("#history") || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = at({ "+": "narrower", "=": "narrower", "-": "wider", "[": "earlier", "]": "later" }[event.key]);
  if (event.key === "Escape") showMoment(null);
  if (link) load(link.getAttribute("href"));
});
document.addEventListener("acted", () => load(location.href, true));

addSlider();
showMoment(null);
setInterval(showAges, 1000);
setInterval(() => {
  const isNow = !new URL(location.href).searchParams.has("until");
  const rest = Math.min(Math.max(LEAST_REST_MS, axis().step * 250), MOST_REST_MS);
  if (!document.hidden && !drag && isNow && Date.now() - loadedAt > rest) load(location.href, true);
}, 1000);
