// How numbers are written. The server writes them in the same way (page_format.go), so a value
// does not change its looks when the first sample comes in.

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** An integer with groups. Positions come as strings, and may exceed 2^53. */
export function count(value) {
  try {
    return BigInt(value).toLocaleString("en-US");
  } catch {
    return grouped.format(value);
  }
}

/** A rate per second: one decimal while it is small. */
export function rate(value) {
  if (!Number.isFinite(value) || value <= 0) return "0";
  if (value < 0.1) return "< 0.1";
  if (value < 9.95) return value.toFixed(1);
  return grouped.format(value);
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes as a number and a unit. */
export function bytes(value) {
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = unit === 0 || value >= 100 ? grouped.format(value) : value.toFixed(1);
  return `${text} ${units[unit]}`;
}

/** Seconds as the two largest units that matter. */
export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds <= 0) return "0 s";
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return join(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86400) return join(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return join(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
}

function join(big, bigUnit, small, smallUnit) {
  return small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
}

/** How long ago a moment was, or how far ahead it is. */
export function ago(time, now = Date.now()) {
  const seconds = (now - Date.parse(time)) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds <= -1) return `in ${whole(-seconds)}`;
  if (seconds < 1) return "just now";
  return `${whole(seconds)} ago`;
}

function whole(seconds) {
  return seconds < 60 ? `${Math.floor(seconds)} s` : duration(Math.floor(seconds));
}
