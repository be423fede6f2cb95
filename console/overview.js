// The first page: how it goes, now and in the last minutes.

import { ago, bytes, count, percent, quantile, rate, since, span, until } from './format.js';
import { card, el, keyed, row, say, table } from './dom.js';
import { clients, live, nodes, watch } from './live.js';
import { histogram, lines } from './plot.js';
import { queueTable } from './queues.js';

const jobLink = (id) => el('a', { href: `#/jobs/${encodeURIComponent(id)}`, class: 'id' }, id);

function stats() {
  const tile = (name, hint) => {
    const value = el('dd', { class: 'number' }, '–');
    const note = el('dd', { class: 'muted' }, hint);
    return { node: el('div', { class: 'tile' }, el('dt', {}, name), value, note), set: (v, n) => { say(value, v); say(note, n); } };
  };
  const tiles = { waiting: tile('Waiting', 'jobs'), running: tile('Running', 'jobs'), rate: tile('Done', 'a second'),
    failed: tile('Failed', 'of all that ended'), clients: tile('Clients held', 'on all nodes'), oldest: tile('Oldest', 'waits') };
  return {
    node: el('dl', { class: 'tiles' }, ...Object.values(tiles).map((t) => t.node)),
    update({ queues, totals: t, ended: e, workers }, last) {
      const ended = e.completed + e.failed + e.cancelled + e.expired;
      const most = (n) => (n >= 100000 ? '100,000+' : count(n));
      const more = t.delayed >= 100000 || t.held >= 100000 ? '+' : '';
      tiles.waiting.set(`${t.about ? '≈ ' : ''}${count(t.ready + t.delayed + t.held)}${more}`, `${most(t.delayed)} delayed, in ${most(t.queues)} ${t.queues === 1 ? 'queue' : 'queues'}`);
      tiles.running.set(most(t.running), `by ${workers.length >= 50 ? '50+' : workers.length} ${workers.length === 1 ? 'worker' : 'workers'}`);
      tiles.rate.set(rate(last?.out), `a second, ${t.about && last?.in ? '≥ ' : ''}${rate(last?.in)} come in`);
      tiles.failed.set(ended ? percent(e.failed / ended) : '–', `${count(e.failed)} of ${count(ended)}`);
      const held = clients();
      const on = nodes().length;
      tiles.clients.set(count(held.polls + held.streams + held.sockets), `${count(held.parked)} parked, on ${on} ${on === 1 ? 'node' : 'nodes'}`);
      const oldest = queues.reduce((a, q) => ((q.oldest ?? 0) > (a?.oldest ?? 0) && !q.paused ? q : a), null);
      tiles.oldest.set(span(oldest?.oldest ?? 0), oldest ? `in ${oldest.queue}` : 'nothing waits');
    },
  };
}

function workersCard() {
  const { node, body } = table('Workers', [['Worker'], ['Jobs', 'n'], ['Works on'], ['For', 'n p'], ['Lease ends in', 'n w']]);
  const none = el('p', { class: 'muted' }, 'No worker has a job now.');
  const make = () => row([
    ['', (cell, w) => say(cell, w.worker ?? '(unnamed)')],
    ['n', (cell, w) => say(cell, count(w.jobs))],
    ['', (cell, w) => {
      const ids = w.running.map((r) => r.id).join();
      if (cell.dataset.ids === ids) return;
      cell.dataset.ids = ids;
      cell.replaceChildren(...w.running.slice(0, 2).map((r) => el('div', { class: 'work' }, `${r.queue} `, jobLink(r.id))),
        w.jobs > 2 ? el('div', { class: 'muted' }, `and ${w.jobs - 2} more`) : '');
    }],
    ['n p', (cell, w) => say(cell, span(since(w.running[0]?.since)))],
    ['n w', (cell, w) => say(cell, span(w.running[0] ? until(w.running[0].until) : null))],
  ], 0);
  return { node: card('Workers', none, node), update: (workers) => {
    none.hidden = workers.length > 0;
    node.hidden = !workers.length;
    keyed(body, workers.slice(0, 20), (w) => w.worker, make);
  } };
}

function nodesCard() {
  const { node, body } = table('Clients held, by node and transport', [['Node'], ['Polls', 'n'], ['Streams', 'n'], ['WebSockets', 'n'], ['Parked', 'n w'], ['Consoles', 'n w'], ['Version', 'n w'], ['Told', 'n p']]);
  const numbers = ['polls', 'streams', 'sockets'].map((name) => ['n', (cell, n) => say(cell, count(n[name]))]);
  const make = () => row([
    ['', (cell, n) => say(cell, `${n.node}${n.here ? ' (this one)' : ''}${n.draining ? ', draining' : ''}`)], ...numbers,
    ['n w', (cell, n) => say(cell, count(n.parked))], ['n w', (cell, n) => say(cell, count(n.consoles))], ['n w', (cell, n) => say(cell, n.version)],
    ['n p', (cell, n) => say(cell, n.here ? 'now' : `${span(n.age)} ago`)],
  ], 0);
  return { node: card('Clients by node', node), update: (all) => keyed(body, all, (n) => n.id, make) };
}

/** Names and values, beside each other. */
function facts(title) {
  const list = el('dl', { class: 'facts' });
  return { node: card(title, list), update: (items) => keyed(list, items, ([name]) => name, ([name]) => {
    const value = el('dd');
    return { node: el('div', {}, el('dt', {}, name), value), update: ([, text, bad]) => { say(value, text); value.className = bad ? 'bad' : ''; } };
  }) };
}

const share = (hits, misses) => (hits + misses ? percent(hits / (hits + misses)) : '–');

function system() {
  const postgres = facts('PostgreSQL');
  const edge = facts('This node');
  const relays = facts('Relays and webhooks');
  return { node: el('div', { class: 'grid three' }, postgres.node, edge.node, relays.node), update(o, n) {
    const p = o.postgres;
    postgres.update([
      ['Version', p.version], ['Connections', `${p.connections} of ${p.max_connections}`, p.connections > 0.9 * p.max_connections],
      ['Oldest transaction', span(p.oldest_transaction), p.oldest_transaction > 300], ['Overdue work', span(p.overdue), p.overdue > 10],
      ['Buffer hits', percent(p.hit)], ['Deadlocks', count(p.deadlocks)], ['Started', ago(p.started)]]);
    edge.update([
      ['PostgreSQL connections', count(n.postgres), !n.postgres], ['Redis connections', count(n.redis), n.degraded.some((d) => d.part === 'redis')],
      ['Job cache hits', share(n.cache_hits, n.cache_misses)], ['Batch cache hits', share(n.batch_hits, n.batch_misses)],
      ['Refused, limit reached', count(n.refused), n.refused > 0], ['Buffered for slow clients', bytes(n.buffered)], ['Resets', count(n.resets)]]);
    const w = o.webhooks;
    relays.update([
      ...o.relays.map((r) => [`${r.relay} → ${r.sink}`, `${r.behind === null ? 'unreadable cursor' : r.behind >= 2000 ? '2,000+ behind' : `${r.behind} behind`}, ${span(r.lag)}${r.leader ? '' : ', no leader'}`, !r.leader || r.lag > 10]),
      ...(o.relays.length ? [] : [['Relays', 'none']]),
      ['Webhooks waiting', count(w.waiting)], ['Webhooks to be repeated', count(w.retrying), w.retrying > 0],
      ['Webhooks delivered', count(w.delivered)], ['Webhooks given up', count(w.dead), w.dead > 0]]);
  } };
}

function latencies() {
  const plots = { submit: histogram('Submit: request to 202'), wait: histogram('Wait in the queue'), work: histogram('Work: claim to end'),
    deliver: histogram('Deliver: event to client') };
  const set = (plot, counts, bounds, unit) => {
    const names = [...bounds.map((b) => span(b * unit)), 'more'];
    const at = (x) => { const q = quantile(counts, bounds, x); return q === null ? '–' : q === Infinity ? `> ${names[bounds.length - 1]}` : `≤ ${span(q * unit)}`; };
    plot.set(counts, names, [at(0.5), at(0.95), at(0.99)]);
  };
  return { node: el('div', { class: 'grid four' }, ...Object.values(plots).map((p) => p.node)), update(o, all) {
    const { bounds } = all[0].latency;
    const sum = (what) => [...bounds, Infinity].map((_, i) => all.reduce((s, n) => s + (n.latency?.[what][i] ?? 0), 0));
    const empty = Array(bounds.length + 1).fill(0);
    set(plots.submit, sum('submit'), bounds, 0.001);
    set(plots.deliver, sum('deliver'), bounds, 0.001);
    set(plots.wait, o.latency.wait ?? empty, o.bounds, 1);
    set(plots.work, o.latency.work ?? empty, o.bounds, 1);
  }, close: () => Object.values(plots).forEach((p) => p.close()) };
}

export function overview(root) {
  const loading = el('p', { class: 'muted' }, 'Waiting for the first data…');
  const tiles = stats();
  const rates = lines('Jobs a second', [['in', 'accent'], ['out', 'ok']]);
  const depth = lines('Jobs in the queues', [['waiting', 'accent'], ['running', 'ok']]);
  const held = lines('Clients held, on all nodes', [['polls', 'accent'], ['streams', 'ok'], ['WebSockets', 'warn']]);
  const spans = latencies();
  const list = queueTable();
  const all = el('a', { href: '#/queues' }, 'all queues');
  const more = el('p', { class: 'muted' }, '');
  const workers = workersCard();
  const holders = nodesCard();
  const parts = system();
  const body = el('div', { class: 'view', hidden: true }, el('h1', { class: 'sr' }, 'Overview'), tiles.node,
    el('div', { class: 'grid three' }, rates.node, depth.node, held.node),
    card('Queues', list.node, more), workers.node, holders.node, spans.node, parts.node);
  root.append(loading, body);

  const stop = watch(() => {
    const { overview: o, node: n, points } = live;
    loading.hidden = Boolean(o && n);
    if (!o || !n) {
      say(loading, n && !o ? 'PostgreSQL cannot be read now; what this node does is shown when it can.' : 'Waiting for the first data…');
      return;
    }
    const last = points[points.length - 1];
    body.hidden = false;
    tiles.update(o, last);
    const x = points.map((p) => p.at / 1000);
    const column = (name) => points.map((p) => p[name] ?? null);
    rates.set([x, column('in'), column('out')], [rate(last.in), rate(last.out)]);
    depth.set([x, column('waiting'), column('running')], [count(last.waiting), count(last.running)]);
    held.set([x, column('polls'), column('streams'), column('sockets')], ['polls', 'streams', 'sockets'].map((name) => count(clients()[name])));
    const shown = [...o.queues].sort((a, b) => (b.oldest ?? -1) - (a.oldest ?? -1) || b.running - a.running).slice(0, 15);
    list.update(shown, n.write);
    more.replaceChildren(`The ${shown.length} of ${count(o.totals.queues)} queues whose jobs wait longest: `, all);
    workers.update(o.workers);
    holders.update(nodes());
    spans.update(o, nodes());
    parts.update(o, n);
  });
  return () => { stop(); for (const one of [rates, depth, held, spans]) one.close(); };
}
