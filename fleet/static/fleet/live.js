// Keeps the part of a page that is marked `data-live="<address>"` up to date.
// It asks every two seconds, only while somebody looks, and swaps in what changed, so that
// focus, scroll places and selections stay. Between answers the ages count up by themselves.

const INTERVAL_MS = 2000;
const SLOWEST_MS = 30000;
const PATIENCE_MS = 10000;
const TICK_MS = 1000;

const live = document.querySelector("[data-live]");
const lost = document.getElementById("lost");
const born = new WeakMap();
let etag = "";
let failures = 0;
let updatedAt = Date.now();
let timer = 0;
let asking = false;

// The same words as in the control plane's own `age`.
export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => whole >= size);
  if (first < 0 || first === 3) return `${whole} s`;
  const [size, unit] = units[first];
  const [small, smallUnit] = units[first + 1];
  const rest = Math.floor((whole % size) / small);
  return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${smallUnit}` : ""}`;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function readAges() {
  const now = Date.now();
  for (const node of document.querySelectorAll("[data-age-s]")) {
    born.set(node, now - Number(node.dataset.ageS) * 1000);
  }
}

function tick() {
  const now = Date.now();
  for (const node of document.querySelectorAll("[data-age-s]")) {
    setText(node, age((now - born.get(node)) / 1000));
  }
  if (failures) sayLost(`Connection to the control plane lost, last update ${age((now - updatedAt) / 1000)} ago. What you see is that old.`);
}

function sayLost(text) {
  lost.hidden = false;
  live.toggleAttribute("data-lost", true);
  // Read out once, not with every second that passes.
  lost.setAttribute("aria-live", lost.textContent ? "off" : "assertive");
  setText(lost, text);
}

function sayFound() {
  failures = 0;
  updatedAt = Date.now();
  live.removeAttribute("data-lost");
  lost.hidden = true;
  lost.textContent = "";
}

function isSame(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");
}

function copyAttributes(from, to) {
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    // Whether a <details> is open is the reader's business.
    if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
  }
}

// Makes `from` look like `to`, keeping every node that is still wanted.
export function morph(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  copyAttributes(from, to);
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const wanted = new Set([...to.children].map((node) => node.id).filter(Boolean));
  for (const node of [...from.children]) if (node.id && !wanted.has(node.id)) node.remove();
  const known = new Map([...from.children].filter((node) => node.id).map((node) => [node.id, node]));
  let current = from.firstChild;
  for (const next of [...to.childNodes]) {
    // White space differs with where a part stands; it must not push elements out of step.
    if (current?.nodeType === Node.TEXT_NODE && next.nodeType === Node.ELEMENT_NODE) {
      current = current.nextSibling;
      (current ? current.previousSibling : from.lastChild).remove();
    }
    const match = next.id ? known.get(next.id) : current && isSame(current, next) && current;
    if (!match) from.insertBefore(next, current);
    else {
      if (match === current) current = current.nextSibling;
      else from.insertBefore(match, current);
      morph(match, next);
    }
  }
  while (current) {
    const after = current.nextSibling;
    current.remove();
    current = after;
  }
}

function show(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const next = live.cloneNode(false);
  next.append(...parsed.body.childNodes);
  morph(live, next);
  readAges();
  const title = live.querySelector("[data-title]");
  if (title) document.title = title.dataset.title;
}

async function ask() {
  const answer = await fetch(live.dataset.live, {
    headers: etag ? { "If-None-Match": etag } : {},
    cache: "no-store",
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.type === "opaqueredirect") return location.reload(); // logged out meanwhile
  if (answer.status === 200) {
    show(await answer.text());
    etag = answer.headers.get("ETag") ?? "";
  } else if (answer.status !== 304) throw new Error(`status ${answer.status}`);
  sayFound();
}

async function poll() {
  if (asking || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  try {
    await ask();
  } catch {
    failures += 1;
    tick();
  } finally {
    asking = false;
    timer = setTimeout(poll, Math.min(SLOWEST_MS, INTERVAL_MS * 2 ** failures));
  }
}

if (live) {
  readAges();
  setInterval(tick, TICK_MS);
  timer = setTimeout(poll, INTERVAL_MS);
  document.addEventListener("visibilitychange", poll);
  addEventListener("online", poll);
}
