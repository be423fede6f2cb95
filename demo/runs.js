import { createClient } from '/client/nginx-await.js';
import { workflow } from '/client/workflow.js';
import { $, announce, available, element, made, watched, tell } from './page.js';

const user = new URLSearchParams(location.search).get('username') ?? 'demo';
const runs = '/api/v1/runs';
const query = `?username=${encodeURIComponent(user)}`;
const client = createClient();
const views = new Map();

async function follow(id, ended = null) {
  if (views.has(id)) return;
  const view = show(id);
  try {
    if (ended) (await (await fetch(`${runs}/${id}/events`)).json()).events.forEach(view.take);
    else for await (const event of watched(client.watch(workflow(id, user))).events()) view.take(event);
  } catch (error) {
    tell(`Not followed: ${error.message}`);
  }
}

async function start(url, wish) {
  try {
    tell();
    follow((await client.submit(url + query, wish)).id);
  } catch (error) {
    tell(`Not started: ${error.message}`);
  }
}

/// What was started before, or by somebody else.
async function list() {
  const answer = await fetch(`${runs}${query}&limit=5`).catch(() => null);
  if (answer?.ok) (await answer.json()).jobs.reverse().forEach((run) => follow(run.id, run.finished_at));
}

function show(id) {
  const article = made('run');
  const title = `Run ${views.size + 1}`;
  const items = Object.fromEntries(['fetch', 'parse', 'train', 'report'].map((node) => [node, element('li', { textContent: node })]));
  $('h2', article).textContent = title;
  $('.graph', article).append(...Object.values(items));
  $('.cancel', article).addEventListener('click', () => fetch(`${runs}/${id}${query}`, { method: 'DELETE' }));   // its event follows
  $('.again', article).addEventListener('click', () => start(`${runs}/${id}/retry`));
  article.title = id;
  $('#runs').prepend(article);
  const view = {
    take({ type, node_id: node, seq }) {
      if (items[node]) items[node].className = type.replace('node_', '');
      const [, end] = /^workflow_(\w+)/.exec(type) ?? [];
      article.dataset.state = end ?? 'running';
      $('.status', article).textContent = end ?? `${type.replace('_', ' ')}: ${node}`.replace('node ', '');
      $('.events', article).textContent += `${seq} ${type}${node ? ` ${node}` : ''}\n`;
      $('.cancel', article).hidden = Boolean(end);
      $('.again', article).hidden = !end;
      if (end) announce(`${title}: ${end}`);
    },
  };
  views.set(id, view);
  return view;
}

if (await available(runs + query, 'conf/recipes/runs.conf')) {
  const socket = watched(client.watch({ channel: `user:${user}`, socket: `/ws${query}`, channelOf: (event) => event.run_id }));
  socket.subscribe(() => {});                          // opens it before there is a run, and keeps it open
  list();
  $('#start').addEventListener('submit', (event) => {
    event.preventDefault();
    start(runs, { delay: 0.7, ...Object.fromEntries(new FormData(event.target)) });
  });
}
