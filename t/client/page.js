// What t/client_browser.t calls in the page. A WebSocket that counts, and loses what the test wants to be lost.

import { createClient } from '/dist/nginx-await.js';
import { SharedWebSocket } from '/dist/tabs.js';
import { workflow } from '/dist/workflow.js';

const count = { sockets: 0, fetches: 0, polls: 0 };
const faults = { lose: () => false, dead: false };
const open = new Set();

class CountedSocket extends WebSocket {
  constructor(url, protocol) {
    super(faults.dead ? url.replace(/\/[^/?]*(\?|$)/, '/nothing$1') : url, protocol);
    count.sockets++;
    open.add(this);
  }
  set onmessage(on) {
    super.onmessage = on && ((message) => {
      const said = JSON.parse(message.data);
      if (!said.type || !faults.lose(said)) on(message);
    });
  }
}
const countedFetch = (url, init) => {
  count.fetches++;
  if (/json/.test(init?.headers?.Accept) && /events/.test(url)) count.polls++;
  return fetch(url, init);
};

const followed = new Map();
const clients = new Map();

const page = window.page = {
  count, faults, followed, ready: true,
  client({ shared, ...options } = {}) {
    const key = JSON.stringify({ shared, ...options });
    if (!clients.has(key)) clients.set(key, createClient({ WebSocket: shared ? SharedWebSocket : CountedSocket, fetch: countedFetch, ...options }));
    return clients.get(key);
  },
  /// Follows a job: by its URL, or as a run of `user` on a plain socket.
  follow(url, { user, batch, topic, cursor, ...options } = {}) {
    const client = page.client(options);
    const channel = user ? client.watch(workflow(url, user)) : batch ? client.batch(url) : topic ? client.topic(topic, { socket: '/jobs/socket', events: url, cursor }) : client.job(url);
    const seen = { events: [], channel };
    followed.set(url, seen);
    (async () => {
      for await (const event of channel.events()) seen.events.push(event);
    })().then(() => { seen.ended = true; }, (error) => { seen.error = `${error.name}: ${error.message}`; seen.status = error.status; });
  },
  seen(url) {
    const { events, ended = false, error = null, channel } = followed.get(url);
    return { seqs: events.map(({ seq }) => seq), types: events.map(({ type }) => type), ended, error, polls: channel.polls, cursor: channel.cursor };
  },
  /// Begins something that takes longer than a call of WebDriver; `done` has what became of it.
  done: {},
  begin(name, promise) { promise.then((value) => { page.done[name] = { value }; }, (error) => { page.done[name] = { error: error.name, message: error.message, status: error.status ?? null, problem: error.problem ?? null }; }); },
  close() { for (const client of clients.values()) client.close(); },
  cut() { for (const socket of open) socket.close(); },
  openSockets: () => [...open].filter(({ readyState }) => readyState === 1).length,
};
