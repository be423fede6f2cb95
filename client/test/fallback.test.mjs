// Without a socket: event streams, held pages, polls; and a page that is put away and taken out again.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createClient } from '../dist/nginx-await.js';
import { fakeFetch, fakeJob, fakeSockets, json, settle, until, useClock, watch } from './fakes.mjs';

let clock, client;
beforeEach(() => { clock = useClock(); });
afterEach(() => { client?.close(); clock.restore(); delete globalThis.document; delete globalThis.addEventListener; });

/// An event stream that a test writes.
function fakeStream(signal) {
  let controller;
  const body = new ReadableStream({ start(it) { controller = it; } });
  signal.addEventListener('abort', () => { try { controller.error(signal.reason); } catch { /* it has ended */ } });
  const write = (text) => controller.enqueue(new TextEncoder().encode(text));
  return {
    response: new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }), signal, write,
    ready: (cursor = 'c0') => write(`retry: 3000\nid: ${cursor}\nevent: ready\ndata: {"type":"ready","cursor":"${cursor}","state":"pending"}\n\n`),
    event: ({ cursor, channel, ...event }) => write(`id: ${cursor}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
    end: () => controller.close(),
  };
}

/// Jobs whose streams are written by the test; `other` answers what asks for no stream.
function stage({ count = 1, behave = () => 'refuse', stream, options } = {}) {
  const jobs = Array.from({ length: count }, (_, i) => fakeJob(`j${i}`));
  const streams = [];
  let now = 0, most = 0;
  const net = fakeSockets(behave);
  const web = fakeFetch(async (url, init) => {
    const job = jobs.find(({ id }) => url.pathname.startsWith(`/jobs/${id}/`));
    if (!/stream/.test(init.headers.Accept)) {
      most = Math.max(most, ++now);
      await new Promise((done) => setImmediate(done));
      now--;
      return json(job.page(url.searchParams.get('cursor')));
    }
    if (stream) return stream(url, init);
    streams.push(Object.assign(fakeStream(init.signal), { url, job }));
    return streams.at(-1).response;
  });
  client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket, ...options });
  const seen = jobs.map((job) => watch(client.job(`/jobs/${job.id}`)));
  return { jobs, job: jobs[0], net, web, seen, streams, mostPolls: () => most };
}
const polls = (web) => web.calls.filter(({ headers }) => /json/.test(headers.Accept) && headers.Prefer === 'wait=0').length;

describe('a socket that is refused', () => {
  test('an event stream takes its place; nothing is polled', async () => {
    const { job, seen, streams, web } = stage();
    await until(() => streams.length > 0);
    assert.equal(streams.length, 1);
    assert.equal(streams[0].url.search, '?beat=1');
    streams[0].ready();
    streams[0].event(job.happen('pending'));
    await clock.pass(14000);
    streams[0].write('event: beat\ndata: {}\n\n');
    await clock.pass(14000);
    streams[0].event(job.happen('completed'));
    await settle();
    assert.deepEqual(seen[0].seqs, [1, 2]);
    assert.ok(seen[0].ended);
    assert.equal(polls(web), 0);
    assert.ok(streams[0].signal.aborted, 'the stream is closed');
  });

  test('in pieces, and several events at a time', async () => {
    const { job, seen, streams } = stage();
    await until(() => streams.length > 0);
    streams[0].ready();
    const text = [job.happen('pending'), job.happen('processing')].map(({ cursor, channel, ...event }) => `id: ${cursor}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
    for (const piece of text.match(/[^]{1,7}/g)) { streams[0].write(piece); await settle(); }
    assert.deepEqual(seen[0].seqs, [1, 2]);
  });

  test('a stream that breaks is opened again behind the last event, after its retry', async () => {
    const again = stage({ options: { socket: false } });
    await until(() => again.streams.length > 0);
    again.streams[0].ready();
    again.streams[0].event(again.job.happen('pending'));
    await settle();
    again.streams[0].end();
    await clock.pass(3000);
    assert.equal(again.streams.length, 2);
    assert.equal(again.streams[1].url.searchParams.get('cursor'), 'c1');
    again.streams[1].ready('c1');
    again.streams[1].event(again.job.happen('completed'));
    await settle();
    assert.deepEqual(again.seen[0].seqs, [1, 2]);
  });

  test('when the socket opens after all, the stream is closed', async () => {
    const { job, seen, streams, net } = stage({ behave: (n) => (n < 3 ? 'refuse' : 'open') });
    await until(() => streams.length > 0);
    streams[0].ready();
    streams[0].event(job.happen('pending'));
    await clock.pass(3000);
    assert.equal(net.sockets.length, 3);
    assert.equal(net.last.of('subscribe')[0].cursor, 'c1');
    assert.ok(streams[0].signal.aborted);
    net.last.say(job.happen('processing'));
    assert.deepEqual(seen[0].seqs, [1, 2]);
  });

  test('200 jobs hold two connections; the others are polled, two at a time', async () => {
    const { streams, jobs, seen, mostPolls } = stage({ count: 200 });
    await until(() => streams.length === 2);
    assert.equal(streams.length, 2);
    streams.forEach((stream) => stream.ready());
    jobs.forEach((job) => { job.happen('pending'); job.happen('completed'); });
    streams[0].event({ ...jobs[0].events[0], cursor: 'c1' });
    streams[0].event({ ...jobs[0].events[1], cursor: 'c2' });
    await clock.pass(12000);
    assert.ok(seen.slice(2).every(({ ended, seqs }) => ended && seqs.length === 2), 'all are done');
    assert.ok(streams.length <= 4, `${streams.length} streams`);
    assert.ok(mostPolls() <= 2);
  });
});

describe('a stream that does not work', () => {
  test('an answer that is no stream: pages are held', async () => {
    const { job, web, seen } = stage({ stream: () => json({}, 406) });
    job.happen('pending');
    await until(() => seen[0].seqs.length > 0);
    assert.equal(web.calls.at(-1).headers.Prefer, 'wait=15');
    assert.deepEqual(seen[0].seqs, [1]);
  });

  test('a proxy that keeps it to itself: after 4 s pages are held', async () => {
    const { web, job, seen } = stage({ stream: (_, init) => new Promise((done, fail) => init.signal.addEventListener('abort', () => fail(init.signal.reason))) });
    await clock.pass(3500);
    job.happen('pending');
    await clock.pass(1000);
    assert.ok(web.calls.some(({ headers }) => headers.Prefer === 'wait=15'));
    assert.deepEqual(seen[0].seqs, [1]);
  });

  test('a page that is not held is not asked for again and again', async () => {
    const { web, job } = stage({ stream: () => json({}, 406) });
    job.happen('pending');
    await clock.pass(3000);
    const held = web.calls.filter(({ headers }) => headers.Prefer === 'wait=15').length;
    assert.ok(held <= 3, `${held} times`);
    await clock.pass(60000);
    assert.equal(web.calls.filter(({ headers }) => headers.Prefer === 'wait=15').length, held);
    assert.ok(polls(web) > 2, 'but polled');
  });

  test('an overloaded server says when to come again', async () => {
    let n = 0;
    const { streams } = stage({ options: { socket: false }, stream: (_, init) => {
      const stream = fakeStream(init.signal);
      streams.push(stream);
      n++;
      stream.write('retry: 9000\n');
      stream.end();
      return stream.response;
    } });
    await clock.pass(8000);
    assert.equal(n, 1);
    await clock.pass(1500);
    assert.equal(n, 2);
  });

  test('a retry that is no time is no reason to hurry', async () => {
    const { streams } = stage({ options: { socket: false }, stream: (_, init) => {
      streams.push(fakeStream(init.signal));
      streams.at(-1).write('retry: 0\n');
      streams.at(-1).end();
      return streams.at(-1).response;
    } });
    await clock.pass(5000);
    assert.ok(streams.length > 1 && streams.length < 8, `${streams.length} in 5 s`);
  });

  test('no answer to a silent stream: it is opened again', async () => {
    const { streams } = stage({ options: { socket: false } });
    await until(() => streams.length > 0);
    streams[0].ready();
    await clock.pass(33000);
    assert.ok(streams[0].signal.aborted);
    assert.equal(streams.length, 2);
  });
});

describe('a page', () => {
  function page() {
    const document = { hidden: false, baseURI: 'http://server/' };
    const window = new EventTarget();
    globalThis.document = document;
    globalThis.addEventListener = window.addEventListener.bind(window);
    return { document, window, show: (shown) => { document.hidden = !shown; window.dispatchEvent(new Event('visibilitychange')); } };
  }

  test('that is hidden polls nothing, and catches up at once when it is shown', async () => {
    const { show } = page();
    const { job, web, seen } = stage({ behave: () => 'nothing' });
    await clock.pass(4000);
    const before = polls(web);
    assert.ok(before > 0);
    show(false);
    job.happen('pending');
    await clock.pass(600000, 5000);
    assert.equal(polls(web), before);
    show(true);
    await settle();
    assert.deepEqual(seen[0].seqs, [1]);
  });

  test('back online: a socket is opened at once, whatever the pause', async () => {
    const { window } = page();
    let works = false;
    const { net, job } = stage({ behave: () => (works ? 'open' : 'refuse') });
    await clock.pass(60000);
    works = true;
    const before = net.sockets.length;
    window.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(net.sockets.length, before + 1);
    assert.equal(net.last.of('subscribe').length, 1);
    net.last.say(job.happen('pending'));
  });

  test('woken with an open socket asks it, and replaces one that is dead', async () => {
    const { show } = page();
    const { net, job, web } = stage({ behave: () => 'open' });
    await settle();
    net.last.say(job.happen('pending'));
    show(false);
    await clock.pass(60000);
    assert.equal(net.last.of('ping').length, 0);
    show(true);
    await settle();
    assert.equal(net.last.of('ping').length, 1);
    await clock.pass(2000);
    assert.equal(polls(web), 1);
  });

  test('kept for "back" has no socket; shown again, it continues', async () => {
    const { window } = page();
    const { net, job } = stage({ behave: () => 'open' });
    await settle();
    net.last.say(job.happen('pending'));
    window.dispatchEvent(new Event('pagehide'));
    assert.ok(net.last.closed);
    await clock.pass(60000);
    assert.equal(net.sockets.length, 1);
    window.dispatchEvent(new Event('visibilitychange'));
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await settle();
    assert.equal(net.sockets.length, 2);
    assert.equal(net.last.of('subscribe')[0].cursor, 'c1');
  });
});
