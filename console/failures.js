// Failures, grouped by queue and error.

import { act, read } from './api.js';
import { ago, count } from './format.js';
import { el, keyed, say } from './dom.js';
import { live, watch } from './live.js';

export function failures(root, args) {
  const queue = el('input', { name: 'queue', maxlength: 64, value: args.get('queue') ?? '', autocomplete: 'off' });
  const form = el('form', { class: 'filters', role: 'search' }, el('label', {}, 'Queue ', queue), el('button', { type: 'submit' }, 'Search'));
  const said = el('p', { class: 'muted', role: 'status' }, 'Loading…');
  const list = el('div', { class: 'view' });
  root.append(el('h1', {}, 'Failures'), form, said, list);
  const lead = new AbortController();
  const buttons = new Set();

  const make = (first) => {
    let group = first;
    const number = el('span', { class: 'number' });
    const detail = el('p');
    const when = el('p', { class: 'muted' });
    const jobs = el('p', { class: 'ids' });
    const retry = el('button', { type: 'button', onclick: async () => {
      const n = group.jobs.length;
      const done = await act('retry', group.jobs, { title: `Retry ${n} ${n === 1 ? 'job' : 'jobs'}?`, button: 'Retry', text: 'Each runs once more, as a new job; those that were retried before do not.' });
      if (done) load();
    } });
    buttons.add(retry);
    const node = el('section', { class: 'card failure' }, el('div', { class: 'bar' }, number, el('h2', {}, first.title ?? first.type ?? 'Without a title'),
      el('span', { class: 'badge' }, first.queue), retry), detail, when, jobs);
    return { node, update(g) {
      group = g;
      say(number, count(g.count));
      say(detail, g.detail ?? '');
      say(when, `${g.type ? `${g.type} · ` : ''}last ${ago(g.last)}, first ${ago(g.first)}${g.retried ? ` · ${count(g.retried)} retried` : ''}`);
      say(retry, g.jobs.length < g.count ? `Retry the newest ${g.jobs.length}` : g.count === 1 ? 'Retry' : `Retry all ${g.count}`);
      retry.hidden = !live.node?.write || g.retried >= g.count;
      keyed(jobs, g.jobs.slice(0, 3), (id) => id, (id) => ({ node: el('a', { href: `#/jobs/${encodeURIComponent(id)}`, class: 'id' }, id), update() {} }));
    } };
  };
  async function load() {
    try {
      const page = await read('failures', { queue: queue.value }, lead.signal);
      keyed(list, page.groups, (g) => JSON.stringify([g.queue, g.type, g.title]), make);
      const older = page.looked >= 1000 ? '; older ones are not looked at' : '';
      const newest = `the newest ${count(page.looked)} jobs that failed${older}.`;
      say(said, !page.looked ? 'No job has failed.' : page.found === page.looked ? newest.replace('t', 'T')
        : `${page.found ? count(page.found) : 'None'} of ${newest}`);
    } catch (error) {
      if (error.name !== 'AbortError') say(said, error.message);
    }
  }
  form.addEventListener('submit', (event) => { event.preventDefault(); load(); });
  const timer = setInterval(() => { if (!document.hidden) load(); }, 5000);
  let write;
  const stop = watch(() => { if (write !== live.node?.write) { write = live.node?.write; load(); } });
  load();
  return () => { clearInterval(timer); stop(); lead.abort(); };
}
