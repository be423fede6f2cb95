// A clock, a WebSocket and a fetch that a test moves by hand.

import { mock } from 'node:test';
import '../dist/stream.js';   // so that it need not be loaded by the real clock

/// Lets promises run, also those that wait for a module to load.
export async function settle() {
  for (let i = 0; i < 30; i++) await new Promise((done) => setImmediate(done));
}

/// The same, until something is true: a module is loaded by the real clock.
export async function until(condition) {
  for (let i = 0; i < 100000 && !condition(); i++) await new Promise((done) => setImmediate(done));
  await settle();
}

/// setTimeout and Date under control, without jitter.
export function useClock() {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1.8e12 });
  mock.method(Math, 'random', () => 0.5);
  return {
    /// Passes time in steps, so that what a timer starts is done before the next one is due.
    async pass(ms, step = 250) {
      await settle();
      for (let at = 0; at < ms; at += step) {
        mock.timers.tick(Math.min(step, ms - at));
        await settle();
      }
    },
    restore() {
      mock.timers.reset();
      mock.restoreAll();
    },
  };
}

/// WebSockets: `sockets` has all that were made. `behave` is what a new one does: "open", "refuse" or nothing.
export function fakeSockets(behave = () => 'open') {
  const sockets = [];
  class FakeSocket {
    sent = [];
    closed = false;
    constructor(url, protocol) {
      Object.assign(this, { url, protocol, at: Date.now() });
      sockets.push(this);
      const what = behave(sockets.length);
      queueMicrotask(() => {
        if (this.closed) return;
        if (what === 'open') this.onopen?.();
        if (what === 'refuse') this.end(1006);
      });
    }
    send(text) {
      const message = JSON.parse(text);
      this.sent.push(message);
      this.answer?.(message);
    }
    close() { this.closed = true; }
    /// What the server sends.
    say(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
    end(code) { this.closed = true; this.onclose?.({ code }); }
    of(op) { return this.sent.filter((message) => message.op === op); }
  }
  return { sockets, FakeSocket, get last() { return sockets.at(-1); } };
}

/// fetch: `answer(url, init)` returns a Response, or throws. `calls` has what was asked for, and when.
export function fakeFetch(answer) {
  const calls = [];
  const fetch = async (url, init = {}) => {
    calls.push({ url: new URL(url), at: Date.now(), ...init });
    init.signal?.throwIfAborted();
    return answer(new URL(url), init, calls.length);
  };
  return { calls, fetch };
}

export const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });

/// A job as the server has it: `happen(type)` adds an event; `page(cursor)` is what an event page has behind it.
export function fakeJob(id = '01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77') {
  const events = [];
  const ends = /^(completed|failed|cancelled|expired)$/;
  return {
    id, channel: `job:${id}`, events,
    get state() { return events.at(-1)?.type ?? 'pending'; },
    happen(type, data = null) {
      const event = { job: id, seq: events.length + 1, type, data, at: '2026-11-26T18:40:52.090Z', correlation_id: null };
      events.push(event);
      return { channel: `job:${id}`, cursor: `c${event.seq}`, ...event };
    },
    page(cursor) {
      const behind = cursor ? +cursor.slice(1) : 0;
      const done = ends.test(this.state);
      return { events: events.slice(behind), cursor: `c${events.length}`, state: this.state, done };
    },
  };
}

/// Collects what is said of a channel.
export function watch(channel) {
  const seen = { events: [], error: undefined, ended: false };
  seen.stop = channel.subscribe((event) => seen.events.push(event), (error) => Object.assign(seen, { ended: true, error }));
  Object.defineProperty(seen, 'seqs', { get: () => seen.events.map((event) => event.seq) });
  return seen;
}
