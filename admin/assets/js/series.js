// Recent values, for the charts. They are kept for the tab, so that going from one page to
// the next does not empty them.

export const capacity = 121; // samples, one a second: two minutes
const key = "riffle-series";
const gap = 15_000; // milliseconds after which old values say nothing any more

let all = load();

function load() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key));
    if (kept && kept.path === base() && Date.now() - kept.at < gap) return kept.series;
  } catch {
    // storage is switched off, or holds something else
  }
  return {};
}

/** The place where the page is mounted: two services under one host have different series. */
function base() {
  return new URL(".", location.href).pathname;
}

/** Adds a value and returns the series. */
export function add(name, value) {
  const values = (all[name] ??= []);
  values.push(value);
  if (values.length > capacity) values.splice(0, values.length - capacity);
  return values;
}

/** Returns a series. */
export function get(name) {
  return all[name] ?? [];
}

/** Keeps the series for the next page. */
export function keep() {
  try {
    sessionStorage.setItem(key, JSON.stringify({ path: base(), at: Date.now(), series: all }));
  } catch {
    all = Object.fromEntries(Object.entries(all).slice(-50)); // too much, or switched off
  }
}
