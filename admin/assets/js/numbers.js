// Puts a sample into the page: elements say with data-live what they show.

import { ago, bytes, count, duration, rate } from "./format.js";
import { announce } from "./live.js";
import { add, capacity, get, keep } from "./series.js";
import { chart, spark } from "./spark.js";

let earlier = null; // sample, for the rate of the last second
const states = new Map(); // of the subscriptions, to tell changes

/** Shows a sample in the page. */
export function show(page, sample) {
  const { overview, subscriptions } = sample;
  remember(overview, subscriptions);
  const own = page.dataset.subscription;
  if (own === undefined) {
    showOverview(page, overview);
    for (const s of subscriptions) {
      for (const row of page.querySelectorAll("[data-subscription]")) {
        if (row.dataset.subscription === s.name) showSubscription(row, s);
      }
    }
  } else {
    const s = subscriptions.find((each) => each.name === own);
    if (s) showSubscription(page, s);
  }
  say(subscriptions, own);
  earlier = sample;
}

/** Rates here are those of the last second, for the charts; the numbers are of ten seconds. */
function remember(overview, subscriptions) {
  const seconds = earlier ? (Date.parse(overview.time) - Date.parse(earlier.overview.time)) / 1000 : 0;
  if (seconds > 0 && seconds < 5) {
    add("append-rate", Math.max(0, Number(overview.store.head) - Number(earlier.overview.store.head)) / seconds);
    for (const s of subscriptions) {
      const before = earlier.subscriptions.find((each) => each.name === s.name);
      const moved = before && before.generation === s.generation ? Number(s.position) - Number(before.position) : 0;
      add(`rate ${s.name}`, Math.max(0, moved) / seconds);
    }
  }
  for (const s of subscriptions) {
    add(`backlog ${s.name}`, s.backlog);
    add(`lag ${s.name}`, s.lag_seconds);
  }
  keep();
}

function text(scope, name, value) {
  for (const element of scope.querySelectorAll(`[data-live="${name}"]`)) {
    if (element.textContent !== value) element.textContent = value;
  }
}

/** A number with its unit behind it: only the number is replaced. */
function number(scope, name, value) {
  for (const element of scope.querySelectorAll(`[data-live="${name}"]`)) {
    const first = element.firstChild;
    if (first?.nodeType === Node.TEXT_NODE) {
      if (first.data !== value) first.data = value;
    } else {
      element.prepend(value);
    }
  }
}

function moment(scope, name, value) {
  for (const element of scope.querySelectorAll(`[data-live="${name}"]`)) {
    if (!value) continue;
    element.dateTime = value;
    element.textContent = ago(value);
  }
}

function showOverview(page, overview) {
  const sums = overview.subscriptions;
  number(page, "head", count(overview.store.head));
  moment(page, "head-time", overview.store.head_time);
  text(page, "append-rate", overview.append_rate === null ? "–" : rate(overview.append_rate));
  for (const tile of page.querySelectorAll(".tile")) {
    number(tile, "parked", count(sums.parked));
    text(tile, "waiting", count(sums.waiting));
    text(tile, "lag", duration(sums.lag_seconds));
    text(tile, "backlog", count(sums.backlog));
    if (overview.disk) text(tile, "disk", bytes(overview.disk.total));
    if (tile.dataset.liveTone === "parked") tile.classList.toggle("tile-warn", sums.parked > 0);
  }
  for (const element of page.querySelectorAll('[data-chart="append-rate"]')) {
    chart(element, get("append-rate"), capacity, (value) => count(Math.round(value)));
  }
}

function showSubscription(scope, s) {
  text(scope, "position", count(s.position));
  text(scope, "head", count(s.head));
  text(scope, "backlog", count(s.backlog));
  text(scope, "lag", duration(s.lag_seconds));
  text(scope, "rate", s.rate === null ? "–" : rate(s.rate));
  text(scope, "waiting", count(s.waiting));
  text(scope, "parked", count(s.parked));
  text(scope, "term", String(s.term));
  text(scope, "restarts", count(s.restarts));
  text(scope, "owner", s.owner ? `…${s.owner.slice(-6)}` : "nobody");
  text(scope, "owner-full", s.owner || "nobody");
  const trouble = s.error && s.error.text !== s.paused && s.error.text !== s.halted ? s.error.text : "";
  text(scope, "error", trouble);
  text(scope, "reason", reason(s));
  for (const row of scope.querySelectorAll("[data-live-more]")) row.hidden = !trouble && !reason(s);
  moment(scope, "updated", s.updated_at);
  moment(scope, "lease", s.lease_until);
  for (const element of scope.querySelectorAll('td[data-live="parked"]')) element.classList.toggle("bad", s.parked > 0);
  badge(scope, "state", s.state);
  for (const section of scope.querySelectorAll('[data-live="rebuild"]')) section.hidden = !s.rebuild;
  if (s.rebuild) {
    text(scope, "rebuild-generation", String(s.rebuild.generation));
    text(scope, "rebuild-position", count(s.rebuild.position));
    text(scope, "rebuild-error", s.rebuild.error?.text ?? "");
    badge(scope, "rebuild-state", s.rebuild.state);
    for (const bar of scope.querySelectorAll('[data-live="progress"]')) bar.value = s.rebuild.progress;
  }
  for (const element of scope.querySelectorAll("[data-spark]")) {
    spark(element, smooth(get(`${element.dataset.spark} ${s.name}`)), capacity);
  }
}

function badge(scope, name, state) {
  for (const element of scope.querySelectorAll(`[data-live="${name}"]`)) {
    if (element.querySelector(".badge")?.dataset.state === state) continue;
    const badges = document.querySelector("#badges").content;
    const found = [...badges.querySelectorAll(".badge")].find((each) => each.dataset.state === state);
    if (found) element.replaceChildren(found.cloneNode(true));
  }
}

function reason(s) {
  if (s.halted) return `Halted: ${s.halted}`;
  if (s.paused) return `Paused: ${s.paused}`;
  return s.orphaned ? "The store has it, this program does not." : "";
}

/** The mean of each value and those before it: a small chart has no room for every second. */
function smooth(values) {
  return values.map((value, i) => (value + (values[i - 1] ?? value) + (values[i - 2] ?? value)) / 3);
}

/** Says changes of state, and nothing else: numbers would never stop. */
function say(subscriptions, own) {
  const changes = [];
  for (const s of subscriptions) {
    const before = states.get(s.name);
    states.set(s.name, s.state);
    const passing = [s.state, before].some((state) => state === "starting" || state === "catching up");
    if (before && before !== s.state && !passing && (own === undefined || own === s.name)) changes.push(`${s.name} is ${s.state}`);
  }
  if (changes.length > 0) announce(changes.slice(0, 3).join(", "));
}
