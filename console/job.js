// One job: what it is, and what has happened to it.

import { act, read } from './api.js';
import { ago, bytes, count, now, span, time } from './format.js';
import { card, el, say } from './dom.js';
import { badge } from './jobs.js';
import { live, watch } from './live.js';

const link = (id) => el('a', { href: `#/jobs/${encodeURIComponent(id)}`, class: 'id' }, id);
const ended = (job) => !['pending', 'processing'].includes(job.state);

/** JSON as people read it; what was cut off as it is. */
function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

const WAYS = { poll: 'held request', stream: 'event stream', socket: 'WebSocket' };

/** What is in the timeline: events, what clients were sent, webhooks, and what is still to come. */
function moments(job) {
  const list = [{ at: job.created_at, what: 'submitted', tone: 'pending', note: `${bytes(job.payload_size)} ${job.content_type}` }];
  for (const e of job.events) list.push({ at: e.at, what: e.type, tone: e.state, attempt: e.attempt, data: e.data });
  for (const d of job.deliveries) {
    list.push({ at: d.ended_at ?? d.created_at, what: `webhook ${d.state}`, tone: d.state === 'dead' ? 'failed' : d.state === 'delivered' ? 'completed' : 'pending',
      note: `${d.type} to ${d.url}, ${d.attempts} ${d.attempts === 1 ? 'attempt' : 'attempts'}${d.status ? `, ${d.status}` : ''}${d.error ? `: ${d.error}` : ''}` });
  }
  for (const node of job.nodes) {
    for (const s of node.sent) list.push({ at: s.at, what: 'delivered', tone: 'completed',
      note: `up to event ${s.seq}, to ${s.clients} ${s.clients === 1 ? 'client' : 'clients'} by ${WAYS[s.way] ?? s.way}, ${span(s.late_ms / 1000)} after it, by ${node.node}` });
  }
  list.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  if (job.lease) list.push({ at: job.lease.until, what: 'lease ends', tone: 'future', note: `${job.lease.worker ?? 'a worker'} has the job, attempt ${job.lease.attempt}` });
  return list;
}

function timeline(job) {
  const start = Date.parse(job.created_at);
  return el('ol', { class: 'timeline' }, ...moments(job).map((m) => el('li', { class: m.tone },
    el('div', { class: 'moment' }, el('b', {}, m.what), m.attempt ? el('span', { class: 'muted' }, `attempt ${m.attempt}`) : '',
      el('span', { class: 'muted at' }, `${time(m.at)} · ${Date.parse(m.at) > now() ? `in ${span((Date.parse(m.at) - now()) / 1000)}` : `+${span((Date.parse(m.at) - start) / 1000)}`}`)),
    m.note ? el('p', {}, m.note) : '', m.data ? el('pre', {}, pretty(m.data)) : '')));
}

function facts(job) {
  const items = [['Queue', el('a', { href: `#/jobs?queue=${encodeURIComponent(job.queue)}` }, job.queue)], ['Owner', job.owner], ['Attempt', `${job.attempt} of ${job.max_attempts}`],
    ['Submitted', `${time(job.created_at)} (${ago(job.created_at)})`], ['Updated', time(job.updated_at)], ['Not before', job.due && time(job.due)], ['Deadline', job.deadline && time(job.deadline)],
    ['Priority', job.priority || null], ['Batch', job.batch && link(job.batch)], ['Phase', job.phase], ['Correlation id', job.correlation_id],
    ['Retry of', job.retry_of && link(job.retry_of)], ['Retried by', job.retried_by && link(job.retried_by)], ['File', job.file_name],
    ['Result', job.result && `${job.result.status}, ${bytes(job.result.size)} ${job.result.content_type ?? ''}`]];
  return el('dl', { class: 'facts' }, ...items.filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

/** Who watches it now. */
function watchers(job, asked) {
  const total = job.nodes.reduce((n, node) => n + node.watching, 0);
  const said = job.nodes.length ? `${count(total)} ${total === 1 ? 'client watches' : 'clients watch'} it now.` : asked ? 'The nodes are asked…' : 'No node has answered.';
  const following = job.nodes.reduce((n, node) => n + node.following, 0);
  const each = (node) => el('li', {}, `${node.node}: ${count(node.watching)}${node.following ? `, and all jobs of the owner: ${count(node.following)}` : ''}`);
  return card('Watched by', el('p', {}, said), following ? el('p', {}, `${count(following)} ${following === 1 ? 'follows' : 'follow'} all jobs of its owner.`) : '',
    el('ul', {}, ...job.nodes.filter((node) => node.watching || node.following).map(each)),
    el('p', { class: 'muted' }, 'Deliveries are not stored: a node knows its last 8,192.'));
}

export function job(root, id) {
  const title = el('h1', { class: 'id' }, id);
  const state = el('span');
  const body = el('div', { class: 'view' }, el('p', { class: 'muted' }, 'Loading…'));
  const ask = (action, words) => async () => { if (await act(action, [id], words)) load(); };
  const retry = el('button', { type: 'button', hidden: true, onclick: ask('retry', { title: 'Retry the job?', button: 'Retry', text: 'It runs once more, as a new job.' }) }, 'Retry');
  const cancel = el('button', { type: 'button', hidden: true, onclick: ask('cancel', { title: 'Cancel the job?', button: 'Cancel job', text: 'A job that is cancelled cannot go on.' }) }, 'Cancel job');
  root.append(el('p', {}, el('a', { href: '#/jobs' }, '← Jobs')), el('div', { class: 'bar' }, title, state, retry, cancel), body);
  const lead = new AbortController();
  let seen;
  let shown;
  const opened = Date.now();
  const isFresh = () => Date.now() - opened < 15000; // the nodes need some seconds to tell

  function buttons() {
    retry.hidden = !(live.node?.write && shown && ended(shown) && !shown.is_batch);
    cancel.hidden = !(live.node?.write && shown && !ended(shown));
  }
  async function load() {
    try {
      shown = await read(`jobs/${encodeURIComponent(id)}`, {}, lead.signal);
    } catch (error) {
      if (error.name !== 'AbortError') body.replaceChildren(el('p', { class: 'bad', role: 'alert' }, error.message));
      return;
    }
    buttons();
    const text = JSON.stringify([shown, isFresh()]);
    if (seen === text) return; // what is selected or scrolled to stays
    seen = text;
    state.replaceChildren(badge(shown.state));
    body.replaceChildren(el('div', { class: 'grid sides' },
      card('Timeline', shown.events.length === 200 ? el('p', { class: 'muted' }, 'The newest 200 events.') : '', timeline(shown)),
      el('div', { class: 'view' }, card('Job', facts(shown)), watchers(shown, isFresh()), shown.params ? card('Parameters', el('pre', {}, pretty(shown.params))) : '',
        shown.progress ? card('Progress', el('pre', {}, pretty(shown.progress))) : '')));
  }
  load();
  const timer = setInterval(() => { if (!document.hidden && (!shown || isFresh() || !ended(shown) || shown.deliveries.some((d) => !d.ended_at))) load(); }, 2000);
  const stop = watch(buttons);
  return () => { clearInterval(timer); stop(); lead.abort(); };
}
