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

const total = (queues, ...names) => queues.reduce((sum, q) => sum + names.reduce((s, n) => s + (q[n] ?? 0), 0), 0);

/** Rates a second of the queues, over the last ten seconds; events are counted every five. */
function rates(point) {
  const before = live.points.find((p) => p.at >= point.at - 12000 && p.queues);
  if (!before || point.at - before.at < 4000) return;
  const seconds = (point.at - before.at) / 1000;
  let all = 0;
  let into = 0;
  for (const [name, q] of point.queues) {
    const old = before.queues.get(name);
    if (!old) continue;
    q.out = Math.max(0, (q.ended - old.ended) / seconds);
    q.in = q.about || old.about ? null : Math.max(0, q.out + (q.open - old.open) / seconds);
    all += q.out;
    into += q.in ?? 0;
  }
  point.out = all;
  point.in = into;
}

function onOverview(overview) {
  live.overview = overview;
  if (!overview) return;
  setClock(overview.at, Math.max(0, live.node?.overview_age_ms ?? 0));
  const queues = new Map(overview.queues.map((q) => [q.queue, {
    ended: q.completed + q.failed + q.cancelled + q.expired, open: q.ready + q.delayed + q.held + q.running, about: q.about }]));
  const point = { at: Date.parse(overview.at), queues, waiting: total(overview.queues, 'ready', 'delayed', 'held'),
    running: overview.running, ...clients() };
  rates(point);
  for (const q of overview.queues) Object.assign(q, { in: queues.get(q.queue).in, out: queues.get(q.queue).out });
  live.points.push(point);
  if (live.points.length > KEPT) live.points.shift();
  if (live.points.length > 20) live.points[live.points.length - 20].queues = null; // old ones need no details
}

function clients() {
  const n = live.node ?? {};
  return { polls: n.polls, streams: n.streams, sockets: n.sockets };
}

export function connect() {
  const source = new EventSource('api/live');
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
