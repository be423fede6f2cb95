// Queues: a table of them, here and in the overview, and pages of all.

import { act, read } from './api.js';
import { count, rate, span } from './format.js';
import { el, keyed, row, say, table } from './dom.js';
import { live } from './live.js';

const some = (n) => (n >= 1000 ? '1,000+' : count(n));
const eta = (q) => (q.paused ? null : q.ready && q.rate ? q.ready / q.rate : q.ready ? null : 0);

export function queueTable(after = () => {}) {
  const { node, body } = table('Queues', [['Queue'], ['Waiting', 'n'], ['Delayed', 'n w'], ['Running', 'n p'], ['In/s', 'n w'], ['Out/s', 'n p'],
    ['Oldest', 'n'], ['Clears in', 'n w'], ['Failed', 'n w'], ['', 'do']]);
  const make = (q) => {
    const badge = el('span', { class: 'badge warn' }, 'paused');
    const name = el('a', { href: `#/jobs?queue=${encodeURIComponent(q.queue)}` }, q.queue);
    let newest = q;
    const button = el('button', { type: 'button', onclick: async () => {
      const word = newest.paused ? 'resume' : 'pause';
      const done = await act(word, [q.queue], { title: newest.paused ? 'Resume the queue?' : 'Pause the queue?', button: newest.paused ? 'Resume' : 'Pause',
        text: newest.paused ? 'Workers get its jobs again.' : 'Workers get none of its jobs until it is resumed. Submissions go on, and running jobs too.' });
      if (done) after();
    } });
    const cells = row([
      ['name', (cell) => { if (!cell.firstChild) cell.append(name, ' ', badge); }],
      ['n', (cell, q) => say(cell, `${q.about ? '≈ ' : ''}${count(q.ready + q.held)}${q.held >= 1000 ? '+' : ''}`)],
      ['n w', (cell, q) => say(cell, some(q.delayed))],
      ['n p', (cell, q) => say(cell, q.max_running ? `${count(q.running)} of ${q.max_running}` : count(q.running))],
      ['n w', (cell, q) => say(cell, rate(q.in))],
      ['n p', (cell, q) => say(cell, rate(q.out ?? q.rate ?? 0))],
      ['n', (cell, q) => say(cell, q.oldest === null ? '–' : span(q.oldest))],
      ['n w', (cell, q) => say(cell, span(eta(q)))],
      ['n w', (cell, q) => say(cell, count(q.failed))],
      ['do', (cell) => { if (!cell.firstChild) cell.append(button); }],
    ]);
    return { node: cells.node, update(q) {
      newest = q;
      cells.update(q);
      badge.hidden = !q.paused;
      button.hidden = !live.node?.write;
      say(button, q.paused ? 'Resume' : 'Pause');
      button.setAttribute('aria-label', `${q.paused ? 'Resume' : 'Pause'} ${q.queue}`);
    } };
  };
  return { node, update: (queues) => keyed(body, queues, (q) => q.queue, make) };
}

export function queues(root, args) {
  const match = el('input', { type: 'search', name: 'match', maxlength: 64, value: args.get('match') ?? '', autocomplete: 'off' });
  const form = el('form', { class: 'filters', role: 'search' }, el('label', {}, 'Name contains ', match), el('button', { type: 'submit' }, 'Search'));
  const said = el('p', { class: 'muted', role: 'status' });
  const more = el('button', { type: 'button', hidden: true }, 'More queues');
  let shown = [];
  let next = null;
  let lead = new AbortController();
  const list = queueTable(() => refresh());
  root.append(el('h1', {}, 'Queues'), form, el('section', { class: 'card' }, list.node, said, more));

  async function load(after) {
    lead.abort();
    lead = new AbortController();
    try {
      const page = await read('queues', { match: match.value, after, limit: 50 }, lead.signal);
      shown = after ? [...shown, ...page.queues] : page.queues;
      next = page.next;
    } catch (error) {
      if (error.name !== 'AbortError') say(said, error.message);
      return;
    }
    list.update(shown);
    more.hidden = !next;
    list.node.hidden = !shown.length;
    say(said, shown.length ? `${shown.length} queues${next ? ', and more' : ''}` : 'No queue has such a name.');
  }
  const refresh = () => load(null);
  form.addEventListener('submit', (event) => { event.preventDefault(); refresh(); });
  more.addEventListener('click', () => load(next));
  // while only the first page is shown, it is kept up to date
  const timer = setInterval(() => { if (shown.length <= 50 && !document.hidden) refresh(); }, 5000);
  refresh();
  return () => { clearInterval(timer); lead.abort(); };
}
