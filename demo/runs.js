import { pushFirst } from './push-first.js';

const user = new URLSearchParams(location.search).get('username') ?? 'demo';
const query = `?username=${encodeURIComponent(user)}`;
const nodes = ['fetch', 'parse', 'train', 'report'];
const $ = (id) => document.getElementById(id);
const views = new Map();

$('curl').textContent = `curl -d '{"delay":1}' '${location.origin}/api/v1/runs${query}'
curl ${location.origin}/api/v1/runs/<id>/events

# all runs of ${user}, live
npx wscat -c '${location.origin.replace('http', 'ws')}/ws${query}'`;

const live = pushFirst({
  socket: `${location.origin.replace('http', 'ws')}/ws${query}`,
  poll: (run) => `/api/v1/runs/${run}/events`,
  onEvent: (event, how) => { (views.get(event.run_id) ?? show(event.run_id)).take(event, how); },
});
setInterval(() => {
  $('link').textContent = `${live.connected ? 'connected' : 'not connected'} · ${live.polls} polls`;
}, 200);

$('start').addEventListener('submit', async (submitted) => {
  submitted.preventDefault();
  const wish = { delay: 0.7, ...($('fail').checked ? { fail: 'train' } : {}) };
  try {
    const answer = await fetch(`/api/v1/runs${query}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(wish) });
    if (answer.status !== 202) throw new Error(answer.status === 404 ? 'make run CONF=conf/recipes/runs.conf' : `${answer.status}`);
    const { id } = await answer.json();
    show(id);
    live.watch(id);
  } catch (error) {
    $('link').textContent = error.message;
  }
});

function show(id) {
  if (views.has(id)) return views.get(id);
  const article = $('run').content.firstElementChild.cloneNode(true);
  article.querySelector('h3').textContent = id;
  const items = new Map(nodes.map((node) => {
    const item = document.createElement('li');
    item.textContent = node;
    article.querySelector('.graph').append(item);
    return [node, item];
  }));
  $('runs').prepend(article);
  const view = {
    take(event, how) {
      const item = items.get(event.node_id);
      if (item) item.className = event.type.replace('node_', '');
      article.dataset.state = event.type;
      article.querySelector('.note').textContent = `${event.type} (${how})`;
    },
  };
  views.set(id, view);
  return view;
}
