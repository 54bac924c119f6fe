// The stream of samples: one each second, for as long as the page is looked at.

const announcer = document.querySelector("[data-announcer]");
const lamp = document.querySelector("[data-live-switch]");
const lampText = lamp?.querySelector("[data-live-text]");
const remembered = "riffle-live";

let source = null;
let wanted = read() !== "off";
let receive = () => {};

function read() {
  try {
    return localStorage.getItem(remembered);
  } catch {
    return null; // storage is switched off
  }
}

function write(value) {
  try {
    localStorage.setItem(remembered, value);
  } catch {
    // it is forgotten with the page, then
  }
}

/** Says something to screen readers. */
export function announce(text) {
  if (!announcer) return;
  announcer.textContent = "";
  setTimeout(() => (announcer.textContent = text), 50);
}

function signal(state) {
  if (!lamp) return;
  const text = { live: "Live", waiting: "Connecting", lost: "Connection lost", off: "Paused" }[state];
  if (lamp.dataset.state === state) return;
  if (state === "lost") announce("The connection is lost; the numbers stand still.");
  if (state === "live" && lamp.dataset.state === "lost") announce("The connection is back.");
  lamp.dataset.state = state;
  lampText.textContent = text;
  lamp.setAttribute("aria-pressed", String(wanted));
  lamp.setAttribute("aria-label", `Live updates: ${text.toLowerCase()}`);
}

function connect() {
  if (source || !wanted || document.hidden) return;
  if (lamp?.dataset.state !== "lost") signal("waiting");
  source = new EventSource("api/v1/stream");
  source.addEventListener("sample", (event) => {
    signal("live");
    receive(JSON.parse(event.data));
  });
  source.addEventListener("problem", () => signal("lost"));
  source.addEventListener("error", () => {
    if (!source) return;
    signal("lost");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    disconnect();
    setTimeout(connect, 5000);
  });
}

function disconnect() {
  source?.close();
  source = null;
}

/** Calls back with each sample. */
export function watch(callback) {
  receive = callback;
  if (lamp) {
    lamp.hidden = false;
    lamp.addEventListener("click", () => {
      wanted = !wanted;
      write(wanted ? "on" : "off");
      if (wanted) {
        connect();
      } else {
        disconnect();
        signal("off");
      }
      announce(wanted ? "Live updates are on." : "Live updates are paused.");
    });
  }
  signal(wanted ? "waiting" : "off");
  connect();
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);
}
