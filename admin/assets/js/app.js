// The page works without this file. With it, numbers stay current, charts are drawn, and the
// history of a state follows its slider.

import { ago } from "./format.js";
import { announce, watch } from "./live.js";
import { show } from "./numbers.js";
import { slide } from "./slider.js";

document.documentElement.classList.add("scripted");

const live = document.querySelector("[data-live-page]");
if (live) {
  watch((sample) => show(live, sample));
  setInterval(() => {
    for (const time of live.querySelectorAll("time[data-ago]")) {
      const text = ago(time.dateTime);
      if (text && time.textContent !== text) time.textContent = text;
    }
  }, 1000);
}

slide();

// A form is sent once: a second click while the first is on its way does nothing.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What an action did is in the page already; it is said once more for screen readers, which
// do not read a status that was there from the start. The address is cleaned, so that a
// reload does not say it again.
const done = document.querySelector("#done");
if (done) {
  announce(done.textContent.trim());
  const address = new URL(location.href);
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}
document.querySelector("#problem")?.scrollIntoView({ block: "nearest" });
