// The history of a state: the slider, the buttons beside it and the list of events show
// another version without leaving the page.

const wait = 60; // milliseconds that the slider has to stand still

/** Makes the slider work, if the page has one. */
export function slide() {
  const form = document.querySelector("[data-slider]");
  const range = form?.querySelector('input[type="range"]');
  if (!range) return;
  const page = document.querySelector("[data-state-page]");
  let timer = 0;
  let asked = null;

  const address = (version) => {
    const url = new URL(location.href);
    url.searchParams.set("version", version);
    return url;
  };

  async function go(version) {
    asked?.abort();
    asked = new AbortController();
    const url = address(version);
    try {
      const answer = await fetch(url, { signal: asked.signal, headers: { Accept: "text/html" } });
      const other = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!other.querySelector("[data-slider-view]")) {
        location.assign(url); // a problem: the whole page tells
        return;
      }
      take(other);
      history.replaceState(null, "", url);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  }

  /** Takes over what another version of the page shows, and leaves the focus where it is. */
  function take(other) {
    const view = page.querySelector("[data-slider-view]");
    const focused = view.contains(document.activeElement) ? document.activeElement.dataset.sliderTo : undefined;
    view.replaceWith(document.adoptNode(other.querySelector("[data-slider-view]")));
    if (focused !== undefined) page.querySelector(`[data-slider-to="${focused}"]`)?.focus();
    page.querySelector("[data-slider-time]").replaceChildren(...other.querySelector("[data-slider-time]").childNodes);
    page.querySelector("[data-slider-version]").textContent = other.querySelector("[data-slider-version]").textContent;
    for (const link of page.querySelectorAll("[data-slider-step]")) {
      const same = other.querySelector(`[data-slider-step="${link.dataset.sliderStep}"]`);
      for (const name of ["href", "role", "aria-disabled"]) {
        if (same.hasAttribute(name)) link.setAttribute(name, same.getAttribute(name));
        else link.removeAttribute(name);
      }
    }
    range.max = other.querySelector("#version").max;
    label();
  }

  function label() {
    range.setAttribute("aria-valuetext", `version ${range.value} of ${range.max}`);
  }

  range.addEventListener("input", () => {
    label();
    page.querySelector("[data-slider-version]").textContent = Number(range.value).toLocaleString("en-US");
    clearTimeout(timer);
    timer = setTimeout(() => go(range.value), wait);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(range.value);
  });
  page.addEventListener("click", (event) => {
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    const link = event.target.closest("a[data-slider-step], a[data-slider-to]");
    if (!link || !plain) return;
    event.preventDefault();
    if (!link.href) return;
    range.value = new URL(link.href).searchParams.get("version");
    go(range.value);
  });
  label();
}
