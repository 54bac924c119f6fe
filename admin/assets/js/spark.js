// Charts of recent values as SVG: a small one without axes, and a large one with a grid. They
// are decoration for numbers that stand beside them as text, so they are hidden from screen
// readers.

const svg = "http://www.w3.org/2000/svg";

function node(name, attributes) {
  const element = document.createElementNS(svg, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The points of values, newest at the right edge, as "x,y x,y …". */
function points(values, capacity, width, height, top) {
  const step = width / (capacity - 1);
  const offset = capacity - values.length;
  return values.map((value, i) => {
    const x = (offset + i) * step;
    const y = height - (value / top) * height;
    return `${x.toFixed(2)},${y.toFixed(2)}`;
  });
}

function draw(parent, values, capacity, width, height, top, left = 0, up = 0) {
  if (values.length < 2) return;
  const line = points(values, capacity, width, height, top).map((point) => {
    const [x, y] = point.split(",");
    return `${(Number(x) + left).toFixed(2)},${(Number(y) + up).toFixed(2)}`;
  });
  const first = line[0].split(",")[0];
  const last = line[line.length - 1].split(",")[0];
  parent.append(
    node("path", { class: "spark-area", d: `M${first},${height + up} L${line.join(" L")} L${last},${height + up} Z` }),
    node("polyline", { class: "spark-line", points: line.join(" ") }),
  );
}

/** A sparkline. The scale begins at 0 and ends at the largest value. */
export function spark(element, values, capacity) {
  element.setAttribute("viewBox", "0 0 100 28");
  element.setAttribute("preserveAspectRatio", "none");
  element.replaceChildren();
  draw(element, values, capacity, 100, 26, Math.max(1, ...values), 0, 1);
}

/** The next "round" number: 1, 2 or 5 times a power of ten. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 5, 10]) {
    if (value <= factor * power) return factor * power;
  }
  return value;
}

/** A chart with a grid, in the pixels it has. */
export function chart(element, values, capacity, label) {
  const width = element.clientWidth;
  const height = element.clientHeight;
  if (!width || !height) return;
  element.setAttribute("viewBox", `0 0 ${width} ${height}`);
  element.replaceChildren();
  const left = 44;
  const up = 8;
  const inner = height - up - 20;
  const top = roundUp(Math.max(4, ...values));
  for (const part of [0, 0.5, 1]) {
    const y = Math.round(up + inner * (1 - part)) + 0.5;
    element.append(node("line", { class: "chart-grid", x1: left, x2: width, y1: y, y2: y }));
    const text = node("text", { class: "chart-label", x: left - 8, y: y + 4, "text-anchor": "end" });
    text.textContent = label(top * part);
    element.append(text);
  }
  const marks = width < 480 ? [capacity - 1, (capacity - 1) / 2, 0] : [1, 0.75, 0.5, 0.25, 0].map((part) => part * (capacity - 1));
  for (const ago of marks) {
    const x = left + (width - left) * (1 - ago / (capacity - 1));
    const anchor = ago === 0 ? "end" : ago === capacity - 1 ? "start" : "middle";
    const text = node("text", { class: "chart-label", x, y: height - 2, "text-anchor": anchor });
    text.textContent = ago === 0 ? "now" : `−${Math.round(ago)} s`;
    element.append(text);
  }
  draw(element, values, capacity, width - left, inner, top, left, up);
}
