// SharedWebSocket in two tabs, each of which is the module loaded anew, with the Web Locks of one browser.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { SharedWebSocket } from '../dist/tabs.js';
import { settle, useClock } from './fakes.mjs';

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
