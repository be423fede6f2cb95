// Jobs: filtered, page by page, one or many of them retried or cancelled.

import { act, read } from './api.js';
import { ago, count } from './format.js';
import { el, keyed, row, say, table } from './dom.js';
import { live, watch } from './live.js';

const STATES = ['pending', 'processing', 'completed', 'failed', 'cancelled', 'expired'];
export const badge = (state) => el('span', { class: `badge ${state}` }, state);
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export function jobs(root, args) {
  const field = (name, label, more = {}) => el('label', {}, `${label} `, el('input', { name, value: args.get(name) ?? '', autocomplete: 'off', ...more }));
  const state = el('select', { name: 'state' }, el('option', { value: '' }, 'any'),
    ...STATES.map((s) => el('option', { value: s, selected: args.get('state') === s }, s)));
  const form = el('form', { class: 'filters', role: 'search' }, field('queue', 'Queue', { maxlength: 64 }), el('label', {}, 'State ', state),
    field('owner', 'Owner'), field('id', 'Id', { spellcheck: 'false' }), el('button', { type: 'submit' }, 'Search'));
  const said = el('p', { class: 'muted', role: 'status' });
  const more = el('button', { type: 'button', hidden: true }, 'More jobs');
  const chosen = new Set();
  const all = el('input', { type: 'checkbox', 'aria-label': 'Select all that are shown' });
  const number = el('span', { class: 'muted' });
  const retry = el('button', { type: 'button' }, 'Retry');
  const cancel = el('button', { type: 'button' }, 'Cancel jobs');
  const bar = el('div', { class: 'bar', hidden: true }, el('label', { class: 'all' }, all, ' All'), retry, cancel, number);
  const { node, body } = table('Jobs', [['Select', 'pick'], ['Job', 'name'], ['Queue'], ['State', 'state'], ['Attempt', 'n w'], ['Owner', 'w'], ['Updated', 'n'], ['Error', 'w']]);
  node.classList.add('jobs');
  node.querySelector('th').firstChild.replaceWith(el('span', { class: 'sr' }, 'Select'));
  root.append(el('h1', {}, 'Jobs'), form, el('section', { class: 'card' }, bar, node, said, more));

  let shown = [];
  let next = null;
  let lead = new AbortController();

  const make = (item) => {
    const box = el('input', { type: 'checkbox', 'aria-label': `Select ${item.id}`, onchange: () => { box.checked ? chosen.add(item.id) : chosen.delete(item.id); picked(); } });
    const parts = row([
      ['pick', (cell) => { if (!cell.firstChild) cell.append(box); box.checked = chosen.has(item.id); }],
      ['name', (cell) => { if (!cell.firstChild) cell.append(el('a', { href: `#/jobs/${encodeURIComponent(item.id)}`, class: 'id' }, item.id)); }],
      ['', (cell, j) => say(cell, j.queue)],
      ['state', (cell, j) => { if (cell.textContent !== j.state) cell.replaceChildren(badge(j.state)); }],
      ['n w', (cell, j) => say(cell, j.attempt)],
      ['w clip', (cell, j) => say(cell, j.owner ?? '–')],
      ['n', (cell, j) => say(cell, ago(j.updated_at))],
      ['w clip', (cell, j) => say(cell, j.error ?? '')],
    ], 1);
    return parts;
  };
  function picked() {
    say(number, chosen.size ? `${chosen.size} selected` : 'None selected');
    retry.disabled = cancel.disabled = !chosen.size;
    all.checked = shown.length > 0 && shown.every((j) => chosen.has(j.id));
  }
  function draw() {
    keyed(body, shown, (j) => j.id, make);
    node.hidden = !shown.length;
    more.hidden = !next;
    say(said, shown.length ? `${count(shown.length)} jobs${next ? ', and more' : ''}` : next ? 'None among the jobs looked at so far.' : 'No job is like this.');
    picked();
  }
  async function load(cursor) {
    lead.abort();
    lead = new AbortController();
    const asked = Object.fromEntries(new FormData(form));
    if (UUID.test(asked.id.trim())) { location.hash = `#/jobs/${asked.id.trim().toLowerCase()}`; return; }
    delete asked.id;
    try {
      const page = await read('jobs', { ...asked, cursor, limit: 50 }, lead.signal);
      shown = cursor ? [...shown, ...page.jobs] : page.jobs;
      next = page.next;
      draw();
    } catch (error) {
      if (error.name !== 'AbortError') say(said, error.message);
    }
  }
  const ask = async (action, words) => {
    const ids = [...chosen].slice(0, 100);
    const text = words(ids.length);
    if (chosen.size > ids.length) text.text += ` These are ${ids.length} of ${chosen.size}; the others stay selected.`;
    if (!await act(action, ids, text)) return;
    for (const id of ids) chosen.delete(id);
    load(null);
  };
  retry.addEventListener('click', () => ask('retry', (n) => ({ title: `Retry ${n} ${n === 1 ? 'job' : 'jobs'}?`, button: 'Retry', text: 'Each that has ended runs once more, as a new job.' })));
  cancel.addEventListener('click', () => ask('cancel', (n) => ({ title: `Cancel ${n} ${n === 1 ? 'job' : 'jobs'}?`, button: 'Cancel jobs', text: 'A job that is cancelled cannot go on.' })));
  all.addEventListener('change', () => { for (const j of shown.slice(0, 100)) all.checked ? chosen.add(j.id) : chosen.delete(j.id); draw(); });
  more.addEventListener('click', () => load(next));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(form)].filter(([, v]) => v));
    history.replaceState(null, '', `#/jobs?${query}`);
    chosen.clear();
    load(null);
  });
  const timer = setInterval(() => { if (shown.length <= 50 && !chosen.size && !document.hidden) load(null); }, 5000);
  const stop = watch(() => { bar.hidden = !live.node?.write; node.classList.toggle('picks', Boolean(live.node?.write)); });
  load(null);
  return () => { clearInterval(timer); stop(); lead.abort(); };
}
