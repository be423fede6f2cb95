// What the module tells once a second, and what was told in the last five minutes.

import { setClock } from './format.js';

const KEPT = 300;
export const live = { node: null, overview: null, connected: false, refused: null, points: [] };
const listeners = new Set();

/** Calls `listener` now and whenever something is new, until the function that it returns is called. */
export function watch(listener) {
  listeners.add(listener);
  listener();
  return () => listeners.delete(listener);
}
const tell = () => { for (const one of listeners) one(); };

const sum = (object, ...names) => names.reduce((s, n) => s + (object[n] ?? 0), 0);

/** The nodes by name: this one as it is, the others as they were some seconds ago. */
export function nodes() {
  const { node, overview } = live;
  const others = (overview?.nodes ?? []).filter((each) => each.id !== node?.id).map((each) => ({ ...each.report, id: each.id, node: each.node, age: each.age_ms / 1000 }));
  return [...(node ? [{ ...node, here: true }] : []), ...others].sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : a.id < b.id ? -1 : 1));
}

/** Rates a second of all queues, and of those that are shown, over the last ten seconds; events are counted every five. */
function rates(point) {
  const before = live.points.find((p) => p.at >= point.at - 12000 && p.queues);
  if (!before || point.at - before.at < 4000) return;
  const seconds = (point.at - before.at) / 1000;
  const rate = (now, old) => {
    const out = Math.max(0, (now.ended - old.ended) / seconds);
    return { out, in: now.about || old.about ? null : Math.max(0, out + (now.open - old.open) / seconds) };
  };
  Object.assign(point, rate(point.all, before.all));
  for (const [name, q] of point.queues) {
    const old = before.queues.get(name);
    if (old) Object.assign(q, rate(q, old));
  }
  // where a depth is an estimate, of the queues of which it is known
  const known = [...point.queues.values()].filter((q) => q.in !== undefined && q.in !== null);
  if (point.in === null && known.length) point.in = known.reduce((all, q) => all + q.in, 0);
}

function onOverview(overview) {
  live.overview = overview;
  if (!overview) return;
  setClock(overview.at, Math.max(0, live.node?.overview_age_ms ?? 0));
  const known = (q, ended) => ({ ended: sum(ended, 'completed', 'failed', 'cancelled', 'expired'), open: sum(q, 'ready', 'delayed', 'held', 'running'), about: q.about });
  const { totals } = overview;
  const queues = new Map(overview.queues.map((q) => [q.queue, known(q, q)]));
  const point = { at: Date.parse(overview.at), queues, all: known(totals, overview.ended), waiting: sum(totals, 'ready', 'delayed', 'held'),
    running: totals.running, ...clients() };
  rates(point);
  for (const q of overview.queues) Object.assign(q, { in: queues.get(q.queue).in, out: queues.get(q.queue).out });
  live.points.push(point);
  if (live.points.length > KEPT) live.points.shift();
  if (live.points.length > 20) live.points[live.points.length - 20].queues = null; // old ones need no details
}

/** Of all nodes. */
export function clients() {
  const all = nodes();
  return Object.fromEntries(['polls', 'streams', 'sockets', 'parked'].map((name) => [name, all.reduce((s, n) => s + (n[name] ?? 0), 0)]));
}

let current;
// a page that the browser keeps for "back" would keep its stream
addEventListener('pagehide', () => current?.close());
addEventListener('pageshow', (event) => { if (event.persisted) connect(); });

export function connect() {
  const source = current = new EventSource('api/live');
  let heard = Date.now();
  const on = (name, take) => source.addEventListener(name, (event) => {
    heard = Date.now();
    live.connected = true;
    live.refused = null;
    take(JSON.parse(event.data));
    tell();
  });
  on('node', (node) => { live.node = node; });
  on('overview', onOverview);
  source.addEventListener('refused', (event) => { live.refused = JSON.parse(event.data).detail; lost(); });
  const lost = () => { live.connected = false; tell(); };
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000); // refused: perhaps a login is needed
  };
  const watchdog = setInterval(() => {
    if (source.readyState === EventSource.CLOSED) clearInterval(watchdog);
    else if (Date.now() - heard > 10000) lost();
  }, 2000);
}
