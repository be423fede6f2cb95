// The three scenarios that a client of live events has to pass, and its pauses to their figures.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createClient } from '../dist/nginx-await.js';
import { fakeFetch, fakeJob, fakeSockets, json, settle, until, useClock, watch } from './fakes.mjs';

const NAMES = ['pending', 'processing', ...Array(7).fill('progress'), 'completed'];
let clock, client;
beforeEach(() => { clock = useClock(); });
afterEach(() => { client?.close(); clock.restore(); });

/// A client of one job: a socket that does as `behave` says, and event pages.
function stage({ behave, plain = false, answer } = {}) {
  const job = fakeJob();
  const net = fakeSockets(behave);
  const web = fakeFetch(answer ?? ((url) => (url.pathname.endsWith('/events') && /json/.test(web.calls.at(-1).headers.Accept)
    ? json(job.page(url.searchParams.get('cursor'))) : json({ title: 'Not acceptable' }, 406))));
  client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket });
  const channel = plain
    ? client.watch({ channel: job.id, socket: '/ws?username=ann', events: `/jobs/${job.id}/events`, channelOf: (event) => event.job })
    : client.job(`/jobs/${job.id}`);
  return { job, net, web, channel, seen: watch(channel) };
}
/// Answers a ping, as the server does.
const beats = (net, job, cursor = () => `c${job.events.length}`) => {
  net.last.answer = ({ op, channel }) => { if (op === 'ping') net.last.say({ op: 'beat', channel, cursor: cursor() }); };
};

for (const plain of [false, true]) {
  describe(plain ? 'a plain socket' : 'a socket', () => {
    test('it works: ten events, no poll', async () => {
      const { job, net, web, seen, channel } = stage({ plain });
      await settle();
      for (const name of NAMES) {
        net.last.say(job.happen(name));
        await clock.pass(3000);
      }
      assert.deepEqual(seen.seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assert.equal(web.calls.length, 0, 'no poll');
      assert.equal(net.sockets.length, 1, 'one connection');
      assert.ok(seen.ended && channel.ended, 'it has ended');
    });

    test('a message is lost on the way, others follow: one poll, all events in order', async () => {
      const { job, net, web, seen } = stage({ plain });
      await settle();
      for (const name of NAMES) {
        const event = job.happen(name);
        if (event.seq !== 5) net.last.say(event);
        await clock.pass(1000);
      }
      assert.deepEqual(seen.seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assert.equal(web.calls.length, 1, 'one poll');
    });

    test('the last message is lost: one poll, and the event is shown', async () => {
      const { job, net, web, seen } = stage({ plain });
      await settle();
      beats(net, job);
      for (const name of NAMES) {
        const event = job.happen(name);
        if (event.seq !== 10) net.last.say(event);
      }
      await clock.pass(4000);
      assert.deepEqual(seen.seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      await clock.pass(60000);
      assert.equal(web.calls.length, 1, 'one poll, and none after the end');
    });

    test('it is silent: polls until all is done, then none', async () => {
      const { job, net, web, seen, channel } = stage({ plain });
      for (const name of NAMES) {
        job.happen(name);
        await clock.pass(9000);
      }
      assert.deepEqual(seen.seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assert.ok(channel.polls > 1, 'by polls');
      const polls = web.calls.length;
      await clock.pass(120000);
      assert.equal(web.calls.length, polls, 'none after the end');
      assert.ok(net.sockets.length >= 1);
    });

    test('it is refused: polls until all is done; the socket is tried again, less and less often', async () => {
      const { job, net, seen } = stage({ plain, behave: () => 'refuse' });
      for (const name of NAMES) {
        job.happen(name);
        await clock.pass(12000);
      }
      await clock.pass(20000);
      assert.deepEqual(seen.seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      const pauses = net.sockets.slice(1).map(({ at }, i) => at - net.sockets[i].at);
      assert.deepEqual(pauses.slice(0, 9), [1000, 1500, 2250, 3500, 5250, 7750, 11500, 17250, 25750], '× 1.5, in steps of the clock');
      assert.ok(pauses.every((pause) => pause <= 30000), 'up to 30 s');
    });
  });
}

test('a socket that is asked and answers is not polled, however long nothing happens', async () => {
  const { job, net, web, seen } = stage();
  await settle();
  net.last.say(job.happen('pending'));
  beats(net, job);
  await clock.pass(600000, 500);
  assert.equal(web.calls.length, 0, 'no poll in ten minutes');
  const asked = net.last.of('ping').length;
  assert.ok(asked > 15 && asked < 40, `asked ${asked} times, the last ones every 30 s`);
  assert.equal(net.sockets.length, 1);
  net.last.say(job.happen('completed'));
  assert.ok(seen.ended);
});

describe('pauses', () => {
  test('4 s, then × 1.5 up to 30 s; any message makes it 4 s again', async () => {
    const { job, net, web } = stage({ plain: true });
    await settle();
    job.happen('pending');
    const start = Date.now();
    await clock.pass(4000);
    assert.deepEqual(web.calls.map(({ at }) => at - start), [4000], 'the first after 4 s; it has news');
    await clock.pass(200000, 125);
    const pauses = web.calls.slice(1).map(({ at }, i) => at - web.calls[i].at);
    assert.deepEqual(pauses.slice(0, 8), [4000, 6000, 9000, 13500, 20250, 30000, 30000, 30000]);
    const polls = web.calls.length;
    net.last.say(job.happen('processing'));
    const heard = Date.now();
    await clock.pass(4000, 125);
    assert.equal(web.calls.length, polls + 1);
    assert.equal(web.calls.at(-1).at - heard, 4000, 'after a message');
  });

  test('jitter: between ¾ and 5/4, but none before the first poll', async () => {
    const { web } = stage({ plain: true });
    Math.random.mock.mockImplementation(() => 0);
    await clock.pass(4000 + 4500, 125);
    assert.deepEqual(web.calls.map(({ at }) => at - 1.8e12), [4000, 8500]);
    Math.random.mock.mockImplementation(() => 1);
    await clock.pass(40000, 125);
    assert.ok(web.calls.at(-1).at > 1.8e12 + 8500);
  });

  test('a Retry-After of a poll is heeded', async () => {
    const { web } = stage({ plain: true, answer: () => json({ title: 'Temporarily unavailable' }, 503, { 'Retry-After': '20' }) });
    await clock.pass(4000);
    await clock.pass(19000);
    assert.equal(web.calls.length, 1);
    await clock.pass(1500);
    assert.equal(web.calls.length, 2);
  });

  test('bye: the pause is the server\'s', async () => {
    const { net } = stage();
    await settle();
    net.last.say({ op: 'bye', retry: 7000 });
    net.last.end(1012);
    await clock.pass(6750);
    assert.equal(net.sockets.length, 1);
    await clock.pass(250);
    assert.equal(net.sockets.length, 2);
  });
});

for (const socket of [true, false]) {
  test(`a server that is away for a minute: each event once, in order, ${socket ? 'by the socket' : 'without sockets'}`, async () => {
    const job = fakeJob();
    let away = false;
    const net = fakeSockets(() => (away ? 'refuse' : 'open'));
    const streams = [];
    const web = fakeFetch((url, init) => {
      if (away) throw new TypeError('fetch failed');
      if (!/stream/.test(init.headers.Accept)) return json(job.page(url.searchParams.get('cursor')));
      let stream;
      const body = new ReadableStream({ start(it) { stream = it; } });
      init.signal.addEventListener('abort', () => { try { stream.error(init.signal.reason); } catch { /* it has ended */ } });
      streams.push(stream);
      write(job.page(url.searchParams.get('cursor')).events);
      return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
    });
    const write = (events) => {
      const text = (event) => `id: c${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      streams.at(-1)?.enqueue(new TextEncoder().encode(events.map(text).join('')));
    };
    const happen = (type) => {
      const { channel, cursor, ...event } = job.happen(type);
      if (away) return;
      if (socket) net.last.say({ channel, cursor, ...event });
      else write([event]);
    };
    client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket, ...(!socket && { socket: false }) });
    const seen = watch(client.job(`/jobs/${job.id}`));
    await until(() => (socket ? net.last?.onopen : streams.length));
    for (const type of NAMES.slice(0, 3)) happen(type);
    await clock.pass(2000);
    assert.deepEqual(seen.seqs, [1, 2, 3]);
    away = true;
    if (socket) net.last.end(1006);
    else streams.at(-1).error(new TypeError('network error'));
    const before = net.sockets.length + web.calls.length;
    for (const type of NAMES.slice(3, 8)) {
      happen(type);
      await clock.pass(12000);
    }
    assert.ok(net.sockets.length + web.calls.length - before < 40, 'it does not hammer a server that is away');
    assert.deepEqual([seen.seqs, seen.ended], [[1, 2, 3], false]);
    away = false;
    if (socket) net.last.answer = undefined;
    await clock.pass(38000);   // a pause of 30 s, with its jitter
    for (const type of NAMES.slice(8)) happen(type);
    await clock.pass(38000);
    assert.deepEqual([seen.seqs, seen.ended, seen.error], [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], true, undefined]);
  });
}
