// Numbers and times as people read them.

const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat('en');

export const count = (n) => (n === null || n === undefined ? '–' : n < 100000 ? whole.format(n) : short.format(n));
export const rate = (n) => (n === null || n === undefined ? '–' : n >= 100 ? count(Math.round(n)) : n >= 0.05 ? n.toFixed(1) : '0');
export const percent = (x) => (x === null || x === undefined ? '–' : x > 0 && x < 0.0005 ? '< 0.1 %' : `${(100 * x).toFixed(x > 0.9995 || x === 0 ? 0 : 1)} %`);

export function span(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  if (seconds < 0.0005) return '0 s';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

let skew = 0; // the database's clock, as far as it is ahead of ours
/** What it was `age` milliseconds ago. */
export const setClock = (utc, age) => { skew = Date.parse(utc) + age - Date.now(); };
export const now = () => Date.now() + skew;
export const since = (utc) => (utc ? Math.max(0, (now() - Date.parse(utc)) / 1000) : null);
export const until = (utc) => Math.max(0, (Date.parse(utc) - now()) / 1000);
export const ago = (utc) => (utc ? `${span(since(utc))} ago` : '–');

export function time(utc) {
  if (!utc) return '–';
  const at = new Date(utc);
  const clock = at.toLocaleTimeString([], { hour12: false });
  return at.toDateString() === new Date().toDateString() ? clock : `${at.toLocaleDateString()} ${clock}`;
}

export function bytes(n) {
  if (n === null || n === undefined) return '–';
  const units = ['B', 'KB', 'MB', 'GB'];
  let at = 0;
  while (n >= 1000 && at < 3) { n /= 1000; at += 1; }
  return `${at ? n.toFixed(1) : n} ${units[at]}`;
}

/** The upper bound of the bucket in which this share of all counts lies; in the unit of the bounds. */
export function quantile(counts, bounds, share) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!total) return null;
  let sum = 0;
  for (let i = 0; i < counts.length; i += 1) {
    sum += counts[i];
    if (sum >= share * total) return i < bounds.length ? bounds[i] : Infinity;
  }
  return Infinity;
}
