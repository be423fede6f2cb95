import { announce, available } from './page.js';
import { pushFirst } from './push-first.js';

const user = new URLSearchParams(location.search).get('username') ?? 'demo';
const query = `?username=${encodeURIComponent(user)}`;
const nodes = ['fetch', 'parse', 'train', 'report'];
const $ = (id) => document.getElementById(id);
const views = new Map();
let live = null;

$('curl').textContent = `curl -d '{"delay":1}' '${location.origin}/api/v1/runs${query}'
curl ${location.origin}/api/v1/runs/<id>/events

# all runs of ${user}, live
npx wscat -c '${location.origin.replace('http', 'ws')}/ws${query}'`;

if (await available(`/api/v1/runs${query}`, 'conf/recipes/runs.conf')) {
  live = pushFirst({
    socket: `${location.origin.replace('http', 'ws')}/ws${query}`,
    poll: (run) => `/api/v1/runs/${run}/events`,
    onEvent: (event, how) => { (views.get(event.run_id) ?? show(event.run_id)).take(event, how); },
  });
  setInterval(() => {
    const text = `${live.connected ? 'connected' : 'not connected'} · ${live.polls} polls`;
    if ($('link').textContent !== text) $('link').textContent = text;
  }, 200);
} else {
  $('start').querySelector('button').disabled = true;
}

$('start').addEventListener('submit', async (submitted) => {
  submitted.preventDefault();
  const wish = { delay: 0.7, ...($('fail').checked ? { fail: 'train' } : {}) };
  start(`/api/v1/runs${query}`, { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(wish) });
});

async function start(url, options = {}) {
  const notice = $('notice');
  notice.hidden = true;
  try {
    const answer = await fetch(url, { method: 'POST', ...options });
    const run = await answer.json();
    if (answer.status !== 202) throw new Error(run.detail ?? run.title);
    show(run.id);
    live.watch(run.id);
  } catch (error) {
    notice.textContent = `Not started: ${error.message}`;
    notice.hidden = false;
  }
}

function show(id) {
  if (views.has(id)) return views.get(id);
  const article = $('run').content.firstElementChild.cloneNode(true);
  const cancel = article.querySelector('.cancel');
  const again = article.querySelector('.again');
  const title = `Run ${views.size + 1}`;
  article.querySelector('h2').textContent = title;
  article.title = id;
  const items = new Map(nodes.map((node) => {
    const item = document.createElement('li');
    item.textContent = node;
    article.querySelector('.graph').append(item);
    return [node, item];
  }));
  cancel.addEventListener('click', () => fetch(`/api/v1/runs/${id}${query}`, { method: 'DELETE' }));   // its event follows
  again.addEventListener('click', () => start(`/api/v1/runs/${id}/retry${query}`));
  $('runs').prepend(article);
  const view = {
    take(event, how) {
      const item = items.get(event.node_id);
      if (item) item.className = event.type.replace('node_', '');
      article.dataset.state = event.type;
      article.querySelector('.note').textContent = `${event.type} (${how})`;
      if (!/^workflow_/.test(event.type)) return;
      cancel.hidden = true;
      again.hidden = false;
      announce(`${title}: ${event.type.replace('workflow_', '')}`);
    },
  };
  views.set(id, view);
  return view;
}
