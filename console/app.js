// The console: which view is shown, and what is the same in all of them.

import { el, say } from './dom.js';
import { span } from './format.js';
import { connect, live, watch } from './live.js';
import { overview } from './overview.js';
import { queues } from './queues.js';
import { jobs } from './jobs.js';
import { job } from './job.js';
import { failures } from './failures.js';

const VIEWS = { overview, queues, jobs, failures };
const main = document.getElementById('main');
let leave = () => {};

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** "#/jobs/<id>" and "#/jobs?state=failed" */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [view = '', id] = path.split('/');
  return { view: Object.hasOwn(VIEWS, view) ? view : 'overview', id: id && decoded(id), args: new URLSearchParams(query) };
}

let shown;
function show() {
  const { view, id, args } = place();
  const first = shown === undefined;
  leave();
  shown = view;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#/${view}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const root = el('div', { class: 'view' });
  main.replaceChildren(root);
  leave = (view === 'jobs' && id ? job(root, id) : VIEWS[view](root, args)) ?? (() => {});
  document.title = `${id ?? view[0].toUpperCase() + view.slice(1)} – nginx-await console`;
  if (!first) main.focus({ preventScroll: true });
}

function status() {
  const pill = document.getElementById('live');
  const age = live.overview ? live.node.overview_age_ms / 1000 : 0;
  const text = !live.connected ? live.refused ?? (live.node ? 'reconnecting' : 'connecting')
    : !live.overview ? 'no data from PostgreSQL' : age > 10 ? `data of ${span(age)} ago` : 'live';
  say(pill, text);
  pill.className = `pill ${text === 'live' ? 'ok' : live.node || live.refused ? 'bad' : ''}`;
  say(document.getElementById('node'), live.node ? `${live.node.node} · ${live.node.version}` : '');
  const wrong = [...(live.node?.problems ?? []), ...(live.node?.degraded ?? [])];
  const text2 = wrong.map((one) => `${one.part}: ${one.state}`).join(' · ');
  say(document.getElementById('problems'), text2);
}

connect();
watch(status);
addEventListener('hashchange', show);
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
show();
