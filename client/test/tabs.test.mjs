// SharedWebSocket in two tabs, each of which is the module loaded anew, with the Web Locks of one browser.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createClient } from '../dist/nginx-await.js';
import { SharedWebSocket } from '../dist/tabs.js';
import { fakeFetch, fakeJob, json, settle, useClock, watch } from './fakes.mjs';

function fakeLocks() {
  const held = new Map();
  const queues = new Map();
  const free = (name, lock) => {
    if (held.get(name) !== lock) return;
    held.delete(name);
    const next = queues.get(name)?.shift();
    if (next) hold(name, next);
  };
  function hold(name, lock) {
    held.set(name, lock);
    Promise.resolve().then(lock.call).then(lock.done, lock.fail).finally(() => free(name, lock));
  }
  return {
    request: (name, { signal, steal }, call) => new Promise((done, fail) => {
      const lock = { call, done, fail };
      const queue = queues.get(name) ?? queues.set(name, []).get(name);
      signal?.addEventListener('abort', () => { if (queue.includes(lock)) queue.splice(queue.indexOf(lock), 1); fail(signal.reason); });
      if (steal) {
        held.get(name)?.fail(new DOMException('stolen', 'AbortError'));
        hold(name, lock);
      } else if (held.has(name)) queue.push(lock);
      else hold(name, lock);
    }),
  };
}

/// BroadcastChannel within one process, by microtasks instead of the real clock.
function fakeChannels() {
  const all = new Set();
  return class {
    constructor(name) { this.name = name; all.add(this); }
    postMessage(data) { for (const each of all) if (each !== this && each.name === this.name) queueMicrotask(() => all.has(each) && each.onmessage?.({ data })); }
    close() { all.delete(this); }
  };
}

let clock;
const before = Object.getOwnPropertyDescriptors(globalThis);
beforeEach(() => { clock = useClock(); });
afterEach(() => {
  clock.restore();
  for (const name of ['navigator', 'BroadcastChannel', 'WebSocket']) if (before[name]) Object.defineProperty(globalThis, name, before[name]);
});

test('a tab waits for the leader that still connects, and steals from one that says nothing', async () => {
  const sockets = [];
  Object.defineProperty(globalThis, 'navigator', { value: { locks: fakeLocks() }, configurable: true });
  globalThis.BroadcastChannel = fakeChannels();
  globalThis.WebSocket = class {
    readyState = 0;
    constructor() { sockets.push(this); }
    open() { this.readyState = 1; this.onopen?.(); }
    send() {}
    close() { this.readyState = 3; }
  };
  const { SharedWebSocket: Other } = await import('../dist/tabs.js?another');
  const { SharedWebSocket: Third } = await import('../dist/tabs.js?third');
  const tab = (Class) => {
    const it = new Class('ws://server/socket', 'await.v1');
    return Object.assign(it, { onmessage() {}, onclose: () => { it.cut = true; } });
  };
  const first = tab(SharedWebSocket);
  await settle();
  const second = tab(Other);
  await clock.pass(12000);
  assert.equal(sockets.length, 1, 'one attempt, however long it takes');
  sockets[0].open();
  await settle();
  assert.deepEqual([first.readyState, second.readyState, first.cut, second.cut], [1, 1, undefined, undefined]);
  for (const data of ['{', 'null', '5', '[]', '{"op":"error"}', '{"channel":"job:x","cursor":{}}']) sockets[0].onmessage({ data });   // which throws nothing
  first.heard = () => {};   // frozen
  const third = tab(Third);
  await clock.pass(3000);
  assert.equal(sockets.length, 2, 'another one leads');
  sockets[1].open();
  await settle();
  assert.equal(third.readyState, 1);
  third.close();
  second.close();
  first.close();
});

test('the tab that leads is frozen: the client of another one notices, reads what it has missed, and leads', async () => {
  const sockets = [];
  Object.defineProperty(globalThis, 'navigator', { value: { locks: fakeLocks() }, configurable: true });
  globalThis.BroadcastChannel = fakeChannels();
  const job = fakeJob('a');
  globalThis.WebSocket = class {
    readyState = 0;
    sent = [];
    constructor() {
      sockets.push(this);
      queueMicrotask(() => { this.readyState = 1; this.onopen?.(); });
    }
    send(text) {
      const message = JSON.parse(text);
      this.sent.push(message.op);
      if (message.op === 'ping') this.say({ op: 'beat', channel: message.channel, cursor: `c${job.events.length}` });
    }
    say(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
    close() { this.readyState = 3; }
  };
  const { SharedWebSocket: Leads } = await import('../dist/tabs.js?leads');
  const { SharedWebSocket: Follows } = await import('../dist/tabs.js?follows');
  const web = fakeFetch((url) => json(job.page(url.searchParams.get('cursor'))));
  const made = [];
  class Made extends Leads { constructor(...args) { super(...args); made.push(this); } }
  const clients = [Made, Follows].map((WebSocket) => createClient({ base: 'http://server/', fetch: web.fetch, WebSocket }));
  const [first, second] = clients.map((client) => watch(client.job('/jobs/a')));
  await settle();
  sockets[0].say(job.happen('pending'));
  await settle();
  assert.deepEqual([sockets.length, first.seqs, second.seqs], [1, [1], [1]], 'one socket for both');
  // a frozen tab gets no messages and runs no timers: neither what the server sends nor what tabs say is heard
  clients[0].close = () => {};
  made[0].channel.onmessage = null;
  sockets[0].onmessage = null;
  job.happen('processing');
  await clock.pass(20000);
  assert.deepEqual(second.seqs, [1, 2], 'what has happened meanwhile is read');
  assert.equal(sockets.length, 2, 'and there is another socket');
  assert.ok(sockets[1].sent.includes('subscribe'));
  const polls = web.calls.length;
  sockets[1].say(job.happen('progress'));
  sockets[1].say(job.happen('completed'));
  await settle();
  assert.deepEqual([second.seqs, second.ended, web.calls.length], [[1, 2, 3, 4], true, polls], 'which pushes');
  clients[1].close();
});
