// What the client does on a network that does not do as it should, and that it stops when it is told to.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { createClient, JobError, NetworkError, ProblemError } from '../dist/nginx-await.js';
import { fakeFetch, fakeJob, fakeSockets, json, settle, useClock, watch } from './fakes.mjs';

let clock, client;
beforeEach(() => { clock = useClock(); });
afterEach(() => { client?.close(); clock.restore(); });

const URLS = { base: 'http://server/' };
const refused = () => json({ type: '/problems/not-found', title: 'Not found', detail: 'There is no such job.', request_id: 'r1' }, 404);
function make(answer, behave, options = {}) {
  const net = fakeSockets(behave);
  const web = fakeFetch(answer);
  client = createClient({ ...URLS, fetch: web.fetch, WebSocket: net.FakeSocket, ...options });
  return { net, web };
}

describe('submit', () => {
  const accepted = (id = 'j1') => json({ id, links: { self: `/jobs/${id}`, events: `/jobs/${id}/events`, result: `/jobs/${id}/result` } }, 202, { Location: `/jobs/${id}` });

  test('repeats 503, 409 and the network with one key, by Retry-After', async () => {
    const answers = [() => json({}, 503, { 'Retry-After': '3' }), () => { throw new TypeError('fetch failed'); }, () => json({}, 409, { 'Retry-After': '1' }), () => accepted()];
    const { web } = make((url, init, n) => answers[n - 1]());
    const promise = client.submit('/jobs', { a: 1 });
    await clock.pass(10000);
    const job = await promise;
    assert.equal(job.id, 'j1');
    assert.equal(job.url, 'http://server/jobs/j1');
    assert.equal(job.channel, 'job:j1');
    assert.deepEqual(web.calls.slice(1).map(({ at }, i) => at - web.calls[i].at), [3000, 1500, 1000]);
    const keys = web.calls.map(({ headers }) => headers['Idempotency-Key']);
    assert.match(keys[0], /^"[0-9-]{7,}"$/);
    assert.equal(new Set(keys).size, 1);
    assert.equal(web.calls[0].headers['Content-Type'], 'application/json');
    assert.equal(web.calls[0].body, '{"a":1}');
  });

  test('another one has another key; a given one is sent', async () => {
    const { web } = make(() => accepted());
    await client.submit('/jobs', 'a');
    await client.submit('/jobs', 'b');
    await client.submit('/jobs', 'c', { key: 'order-17' });
    const keys = web.calls.map(({ headers }) => headers['Idempotency-Key']);
    assert.equal(new Set(keys).size, 3);
    assert.equal(keys[2], '"order-17"');
  });

  test('a conflict without Retry-After, and any other refusal, is thrown at once', async () => {
    for (const status of [400, 403, 409, 413, 422]) {
      const { web } = make(() => json({ title: 'No', detail: 'Because.', request_id: 'r1' }, status));
      await assert.rejects(client.submit('/jobs', 'x'), (error) => error instanceof ProblemError && error.status === status
        && error.message === 'Because.' && error.problem.request_id === 'r1' && error.name === 'ProblemError');
      assert.equal(web.calls.length, 1);
    }
  });

  test('gives up when the time is over', async () => {
    make(() => { throw new TypeError('fetch failed'); });
    const promise = assert.rejects(client.submit('/jobs', 'x', { timeout: 5000 }), (error) => error instanceof NetworkError && error.cause instanceof TypeError);
    await clock.pass(6000);
    await promise;
  });

  test('a stream is sent once', async () => {
    const { web } = make(() => json({}, 503));
    await assert.rejects(client.submit('/jobs', new ReadableStream()), ProblemError);
    assert.equal(web.calls.length, 1);
    assert.equal(web.calls[0].duplex, 'half');
  });

  test('an abort ends a pause with its reason', async () => {
    make(() => json({}, 503, { 'Retry-After': '30' }));
    const abort = new AbortController();
    const promise = assert.rejects(client.submit('/jobs', 'x', { signal: abort.signal }), /enough/);
    await clock.pass(1000);
    abort.abort(new Error('enough'));
    await promise;
  });

  test('links are relative to the URL of the request, also of another origin', async () => {
    const { net } = make(() => Object.defineProperty(accepted(), 'url', { value: 'https://api.example/v1/jobs' }));
    const job = await client.submit('https://api.example/v1/jobs', 'x');
    assert.equal(job.url, 'https://api.example/jobs/j1');
    watch(job);
    await settle();
    assert.equal(net.last.url, 'wss://api.example/jobs/socket');
    assert.equal(net.last.protocol, 'await.v1');
  });
});

describe('result', () => {
  test('waits for the end by the socket, then is one request', async () => {
    const job = fakeJob();
    const { net, web } = make(() => new Response('HELLO'));
    const promise = client.job(`/jobs/${job.id}`).result();
    await settle();
    net.last.say(job.happen('pending'));
    await settle();
    assert.equal(web.calls.length, 0);
    net.last.say(job.happen('completed'));
    assert.equal(await (await promise).text(), 'HELLO');
    assert.deepEqual(web.calls.map(({ url }) => url.pathname), [`/jobs/${job.id}/result`]);
  });

  test('rejects with the problem of the job', async () => {
    const job = fakeJob();
    const { net } = make(() => json({ title: 'No picture', detail: 'It is a text.', code: 7 }, 424));
    const promise = client.job(`/jobs/${job.id}`).result();
    await settle();
    net.last.say(job.happen('pending'));
    net.last.say(job.happen('failed', { title: 'No picture' }));
    await assert.rejects(promise, (error) => error instanceof JobError && error instanceof ProblemError && error.status === 424 && error.problem.code === 7);
  });
});

describe('a job', () => {
  test('any number of loops get all of its events, at whatever time they begin', async () => {
    const job = fakeJob();
    const { net } = make(refused);
    const channel = client.job(`/jobs/${job.id}`);
    const types = async () => { const found = []; for await (const { type } of channel.events()) found.push(type); return found; };
    const first = types();
    await settle();
    net.last.say(job.happen('pending'));
    const second = types();
    await settle();
    net.last.say(job.happen('completed'));
    assert.deepEqual([await first, await second, await types()], Array(3).fill(['pending', 'completed']));
    assert.equal(net.sockets.length, 1);
    assert.equal(net.last.of('subscribe').length, 1, 'one subscription');
  });

  test('a listener that throws harms no other, and its error is not lost', async () => {
    const job = fakeJob();
    const { net } = make(refused);
    const channel = client.job(`/jobs/${job.id}`);
    channel.subscribe(() => { throw new Error('mine'); });
    const seen = watch(channel);
    await settle();
    net.last.say(job.happen('pending'));
    net.last.say(job.happen('completed'));
    assert.deepEqual([seen.seqs, seen.ended], [[1, 2], true]);
    assert.throws(() => mock.timers.tick(1), /mine/);
  });

  test('that does not exist is a ProblemError', async () => {
    const { net, web } = make(refused);
    const loop = assert.rejects(async () => { for await (const _ of client.job('/jobs/x').events()); }, (error) => error instanceof ProblemError && error.status === 404);
    await settle();
    net.last.say({ op: 'error', channel: 'job:x', status: 404, detail: 'There is no such job.' });
    await loop;
    assert.equal(web.calls.length, 1);
  });

  test('an abort ends a loop with its reason, and the subscription', async () => {
    const { net } = make(refused);
    const abort = new AbortController();
    const loop = assert.rejects(async () => { for await (const _ of client.job('/jobs/x').events({ signal: abort.signal })); }, /enough/);
    await settle();
    abort.abort(new Error('enough'));
    await loop;
    await clock.pass(1000);
    assert.equal(net.last.of('unsubscribe').length, 1);
    await clock.pass(60000);
    assert.ok(net.last.closed, 'nothing is left: the socket is closed');
  });

  test('a reset says so, and goes on behind it', async () => {
    const { net } = make(refused);
    const seen = watch(client.job('/jobs/x', { cursor: 'old' }));
    await settle();
    assert.equal(net.last.of('subscribe')[0].cursor, 'old');
    net.last.say({ op: 'subscribed', channel: 'job:x', cursor: 'c5', state: 'processing' });
    net.last.say({ op: 'reset', channel: 'job:x', cursor: 'c5', state: 'processing' });
    net.last.say({ channel: 'job:x', cursor: 'c6', job: 'x', seq: 6, type: 'progress', data: 1 });
    assert.deepEqual(seen.events.map(({ type, state, seq }) => [type, state, seq]), [['reset', 'processing', undefined], ['progress', undefined, 6]]);
    net.last.end(1006);
    await clock.pass(1000);
    assert.equal(net.last.of('subscribe')[0].cursor, 'c6', 'a new socket continues behind the last event');
    net.last.say({ op: 'reset', channel: 'job:x', cursor: 'c9', state: 'gone' });
    assert.ok(seen.ended);
  });
});

describe('the socket', () => {
  test('is shared, and takes 100 channels; there is another one for more, and where the server has less room', async () => {
    const { net } = make(() => json({ events: [] }));
    for (let i = 0; i < 150; i++) watch(client.job(`/jobs/j${i}`));
    await settle();
    assert.deepEqual(net.sockets.map((socket) => socket.of('subscribe').length), [100, 50]);
    net.sockets[0].say({ op: 'error', channel: 'job:j99', status: 429, detail: 'Too many channels on this WebSocket.' });
    await settle();
    assert.equal(net.sockets[1].of('subscribe').at(-1).channel, 'job:j99');
  });

  test('stays open when a job ends, and the next one uses it', async () => {
    const job = fakeJob('a');
    const { net } = make(refused, undefined, { linger: 60000 });
    const seen = watch(client.job('/jobs/a'));
    await settle();
    net.last.say(job.happen('completed'));
    assert.ok(seen.ended);
    await clock.pass(50000);
    watch(client.job('/jobs/b'));
    await clock.pass(50000);
    assert.equal(net.sockets.length, 1);
    assert.ok(!net.last.closed);
  });

  test('that is silent when it is asked twice is given up, and a new one continues', async () => {
    const job = fakeJob();
    const { net } = make((url) => json(job.page(url.searchParams.get('cursor'))));
    const seen = watch(client.job(`/jobs/${job.id}`));
    await settle();
    net.last.say(job.happen('pending'));
    await clock.pass(4000);
    assert.equal(net.sockets.length, 1);
    await clock.pass(6000);
    assert.equal(net.sockets.length, 2);
    assert.ok(net.sockets[0].closed);
    assert.equal(net.last.of('subscribe')[0].cursor, 'c1');
    net.sockets[0].onmessage?.({ data: '{}' });
    net.last.say(job.happen('completed'));
    assert.deepEqual(seen.seqs, [1, 2]);
  });

  test('that neither opens nor is refused is given up after 30 s', async () => {
    const { net } = make(() => json({ events: [] }), (n) => (n === 1 ? 'nothing' : 'open'));
    watch(client.job('/jobs/x'));
    await clock.pass(29000);
    assert.equal(net.sockets.length, 1);
    await clock.pass(2000);
    assert.ok(net.sockets[0].closed);
    assert.equal(net.sockets.length, 2);
    await clock.pass(60000);
    assert.ok(!net.last.closed, 'the next one stays');
  });

  test('an overloaded server is asked again', async () => {
    const { net } = make(() => json({ events: [] }));
    watch(client.job('/jobs/x'));
    await settle();
    net.last.say({ op: 'error', channel: 'job:x', status: 503, detail: 'Too many subscriptions.' });
    await clock.pass(1000);
    assert.equal(net.last.of('subscribe').length, 2);
  });

  test('has a ticket of its own at each attempt, for all its channels', async () => {
    let tickets = 0;
    const { net, web } = make((url) => (url.pathname === '/ticket' ? json({ ticket: `t${++tickets}`, expires_in: 30 }) : json({ events: [] })), undefined, { ticket: '/ticket' });
    watch(client.topic('news', { socket: '/ws', events: '/news' }));
    await settle();
    assert.equal(new URL(net.last.url).searchParams.get('ticket'), 't1');
    assert.equal(web.calls[0].body, '{"channels":["topic:news"]}');
    net.last.end(4401);
    await clock.pass(1000);
    assert.equal(new URL(net.last.url).searchParams.get('ticket'), 't2');
    watch(client.topic('sports', { socket: '/ws', events: '/news' }));
    await settle();
    assert.equal(web.calls.at(-1).body, '{"channels":["topic:news","topic:sports"]}', 'another channel needs another ticket');
    assert.deepEqual(net.last.of('subscribe').map(({ channel }) => channel), ['topic:news', 'topic:sports']);
  });
});

test('a request that wants a ticket gets one', async () => {
  const { web } = make((url) => (url.pathname === '/ticket' ? json({ ticket: 't' }) : url.searchParams.get('ticket')
    ? json({ events: [{ topic: 'news', seq: 1, type: 'headline' }], cursor: 'c1' }) : json({}, 401, { 'WWW-Authenticate': 'Ticket realm="await"' })), undefined, { ticket: '/ticket' });
  const seen = watch(client.watch({ channel: 'topic:news', events: '/news', socket: false }));
  await clock.pass(4000);
  assert.deepEqual(seen.seqs, [1]);
  assert.ok(web.calls.some(({ url }) => url.href === 'http://server/news?ticket=t'));
});

describe('topics and users', () => {
  test('each message once, whatever it comes by', async () => {
    const { net } = make((url) => json({ events: [{ topic: 'news', seq: 7, type: 'headline' }, { topic: 'news', seq: 9, type: 'headline' }], cursor: 'c9', state: 'live', done: false }));
    const seen = watch(client.topic('news', { socket: '/ws', events: '/news' }));
    await settle();
    net.last.say({ channel: 'topic:news', topic: 'news', cursor: 'c7', seq: 7, type: 'headline' });
    await clock.pass(4000);
    net.last.say({ channel: 'topic:news', topic: 'news', cursor: 'c9', seq: 9, type: 'headline' });
    net.last.say({ channel: 'topic:news', topic: 'news', cursor: 'c10', seq: 10, type: 'completed' });
    assert.deepEqual(seen.seqs, [7, 9, 10]);
    assert.ok(!seen.ended, 'a topic has no end');
  });
});

test('close(): loops end with an AbortError, and nothing happens afterwards', async () => {
  const { net, web } = make(() => { throw new TypeError('fetch failed'); }, (n) => (n === 1 ? 'open' : 'refuse'));
  const seen = watch(client.job('/jobs/x'));
  const submitted = assert.rejects(client.submit('/jobs', 'x'), { name: 'AbortError' });
  await settle();
  net.last.end(1006);
  await clock.pass(20000);
  client.close();
  await submitted;
  assert.equal(seen.error.name, 'AbortError');
  const before = [net.sockets.length, web.calls.length];
  await clock.pass(120000);
  assert.deepEqual([net.sockets.length, web.calls.length], before);
  assert.ok(net.sockets.every((socket) => socket.closed));
  await assert.rejects(client.submit('/jobs', 'x'), { name: 'AbortError' });
  await assert.rejects(async () => { for await (const _ of client.job('/jobs/y').events()); }, { name: 'AbortError' });
  await assert.rejects(client.job('/jobs/y').document(), { name: 'AbortError' });
  await assert.rejects(client.job('/jobs/y').cancel(), { name: 'AbortError' });
  assert.equal(net.sockets.length, before[0]);
});
