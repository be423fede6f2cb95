// Requests: what is sent where, what is repeated, what an error is, and that close() is heeded everywhere.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createClient, JobError, NetworkError, ProblemError } from '../dist/nginx-await.js';
import { fakeFetch, fakeJob, fakeSockets, json, settle, until, useClock, watch } from './fakes.mjs';

let clock, client;
beforeEach(() => { clock = useClock(); });
afterEach(() => { client?.close(); clock.restore(); delete globalThis.XMLHttpRequest; });

function make(answer, behave, options = {}) {
  const net = fakeSockets(behave);
  const web = fakeFetch(answer);
  client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket, ...options });
  return { net, web };
}
const accepted = (location = '/jobs/j') => json({ id: 'j' }, 202, { Location: location });
const failed = (promise) => promise.then(() => assert.fail('it is answered'), (error) => error);

describe('another origin', () => {
  const options = { ticket: '/ticket', headers: { Authorization: 'Bearer secret' } };
  const leaks = (web) => web.calls.filter(({ url, headers }) => url.host === 'other.example' && (headers?.Authorization || url.searchParams.has('ticket')));

  test('that a Location names gets no headers, and its socket no ticket', async () => {
    const { net, web } = make((url) => (url.pathname === '/ticket' ? json({ ticket: 'secret' }) : url.pathname === '/jobs' ? accepted('//other.example/jobs/j')
      : json({}, 401, { 'WWW-Authenticate': 'Ticket' })), undefined, options);
    const job = await client.submit('/jobs', 'x');
    assert.equal(web.calls[0].headers.Authorization, 'Bearer secret');
    watch(job);
    await settle();
    assert.equal(net.last.url, 'ws://other.example/jobs/socket');
    await failed(job.document());
    assert.ok(web.calls.some(({ url }) => url.host === 'other.example'));
    assert.deepEqual(leaks(web), []);
  });

  test('that a document names gets none; one that the application gives does', async () => {
    const { web } = make(() => json({ events: [], cursor: 'c' }), undefined, options);
    watch(client.job({ id: 'a', links: { self: '/jobs/a', events: 'https://other.example/e' } }, { socket: false }));
    watch(client.job('https://api.example/jobs/b', { socket: false }));
    await clock.pass(4000);
    assert.deepEqual(leaks(web), []);
    assert.ok(web.calls.some(({ url, headers }) => url.host === 'api.example' && headers.Authorization));
  });

  test('is not followed as the next page; nor is a page that leads to itself', async () => {
    for (const next of ['https://other.example/e', '/jobs/a/events']) {
      const { web } = make(() => json({ events: [], cursor: 'c' }, 200, { Link: `<${next}>; rel="next"` }), () => 'nothing');
      watch(client.job('/jobs/a'));
      await clock.pass(4000);
      assert.ok(web.calls.length > 0 && web.calls.length <= 2, `${web.calls.length} requests`);
      assert.ok(web.calls.every(({ url }) => url.host === 'server'));
      client.close();
    }
  });
});

test('the query of a job goes with all of its URLs; what a document names is taken as it is', async () => {
  const { net, web } = make(() => json({ events: [], cursor: 'c' }), (n) => (n > 1 ? 'refuse' : 'open'));
  const job = client.job('/jobs/a?username=ann#here');
  assert.deepEqual([job.channel, job.url], ['job:a', 'http://server/jobs/a?username=ann']);
  watch(job);
  await clock.pass(5000);
  await job.cancel();
  assert.equal(net.sockets[0].url, 'ws://server/jobs/socket?username=ann');
  assert.deepEqual(web.calls.map(({ url }) => url.pathname + url.search), ['/jobs/a/events?username=ann', '/jobs/a?username=ann']);
  watch(client.job({ id: 'b', links: { self: '/jobs/b?username=ann', events: '/e?x=1' } }, { socket: false }));
  await clock.pass(5000);
  assert.ok(web.calls.some(({ url }) => url.pathname + url.search === '/e?x=1'), 'links are taken as they are');
});

describe('a submission', () => {
  test('of which the answer says to come later than there is time is not repeated', async () => {
    for (const [after, calls] of [['59', 2], ['61', 1], ['86400', 1]]) {
      const { web } = make(() => json({}, 503, { 'Retry-After': after }));
      const error = failed(client.submit('/jobs', 'x'));
      await clock.pass(60000);
      assert.deepEqual([(await error).status, web.calls.length], [503, calls], `Retry-After: ${after}`);
    }
  });

  test('tells of its progress where there is no XMLHttpRequest: once, when it is sent', async () => {
    const { web } = make(() => accepted());
    const told = [];
    const onUploadProgress = (progress) => told.push([progress, web.calls.length]);
    await client.submit('/jobs', new Blob(['x'.repeat(1000)]), { onUploadProgress });
    await client.submit('/jobs', { a: 'ä' }, { onUploadProgress });
    await client.submit('/jobs', new Blob(['x']).stream(), { onUploadProgress });
    assert.deepEqual(told, [[{ loaded: 1000, total: 1000 }, 1], [{ loaded: 10, total: 10 }, 2]]);
    assert.equal(web.calls.length, 3);
  });

  test('of an async iterable is sent once', async () => {
    const { web } = make(() => json({}, 503, { 'Retry-After': '1' }));
    const error = failed(client.submit('/jobs', (async function* () { yield 'x'; })()));
    await clock.pass(3000);
    assert.equal((await error).status, 503);
    assert.equal(web.calls.length, 1);
  });

  test('of any object is JSON; what fetch() takes is not', async () => {
    class Order { id = 7; }
    const { web } = make(() => accepted());
    for (const body of [new Order(), { id: 7 }, Object.assign(Object.create(null), { id: 7 })]) await client.submit('/jobs', body);
    assert.deepEqual(web.calls.map(({ body, headers }) => [body, headers['Content-Type']]), Array(3).fill(['{"id":7}', 'application/json']));
    const raw = [new Blob(['x']), new FormData(), new URLSearchParams('a=1'), new Uint8Array(2), new ArrayBuffer(2), new DataView(new ArrayBuffer(1)), 'text', new File([], 'f')];
    for (const body of raw) await client.submit('/jobs', body);
    assert.deepEqual(web.calls.slice(3).map(({ body }) => body), raw);
  });

  test('with a mistake of the program is not repeated', async () => {
    const { web } = make(() => accepted());
    const mistakes = [() => client.submit('/jobs', 'x', { key: '订单' })];
    for (const mistake of mistakes) {
      let error;
      failed(mistake()).then((it) => { error = it; });
      await settle();
      assert.ok(error instanceof TypeError);
    }
    assert.equal(web.calls.length, 0);
  });

  test('that is answered without a document is a job', async () => {
    for (const body of [null, { links: null }]) {
      make(() => json(body, 202, { Location: '/jobs/j' }));
      assert.equal((await client.submit('/jobs', 'x')).url, 'http://server/jobs/j');
    }
  });

  test('that is aborted while its upload is prepared sends nothing', async () => {
    let sent = 0;
    globalThis.XMLHttpRequest = class {
      upload = {};
      open() {} setRequestHeader() {} abort() {} getAllResponseHeaders() { return 'Location: /jobs/j\r\n'; }
      send() { sent++; setImmediate(() => { Object.assign(this, { status: 202, response: '{}', responseURL: 'http://server/jobs' }); this.onloadend(); }); }
    };
    make(() => accepted());
    const abort = new AbortController();
    let error;
    failed(client.submit('/jobs', 'x', { signal: abort.signal, onUploadProgress() {} })).then((it) => { error = it; });
    abort.abort();
    await until(() => error);
    assert.deepEqual([error.name, sent], ['AbortError', 0]);
  });

  test('heeds no negative Retry-After', async () => {
    const { web } = make(() => json({}, 503, { 'Retry-After': '-1' }));
    failed(client.submit('/jobs', 'x'));
    await clock.pass(4000);
    assert.ok(web.calls.length <= 4, `${web.calls.length} in 4 s`);
  });
});

describe('an error', () => {
  async function resultOf(type, answers) {
    const job = fakeJob('a');
    const { net } = make((url, init, n) => (answers[n - 1] ?? answers.at(-1))());
    const promise = client.job('/jobs/a').result().catch((error) => error);
    await settle();
    net.last.say(job.happen('pending'));
    net.last.say(job.happen(type));
    await clock.pass(8000);
    return promise;
  }

  test('of a result is a JobError only if the job has none', async () => {
    assert.equal((await resultOf('completed', [() => json({}, 401)])).constructor, ProblemError);
    assert.equal((await resultOf('failed', [() => json({}, 403)])).constructor, ProblemError);
    assert.equal((await resultOf('failed', [() => json({}, 422)])).constructor, JobError);
    assert.equal((await resultOf('cancelled', [() => json({}, 410)])).constructor, JobError);
    assert.equal((await resultOf('completed', [() => { throw new TypeError('fetch failed'); }])).constructor, NetworkError);
  });

  test('503 of a result is waited for', async () => {
    const answer = await resultOf('completed', [() => json({}, 503, { 'Retry-After': '2' }), () => new Response('HELLO')]);
    assert.equal(await answer.text(), 'HELLO');
  });

  test('of the network is a NetworkError of every call', async () => {
    make(() => { throw new TypeError('fetch failed'); });
    assert.equal((await failed(client.job('/jobs/a').document())).constructor, NetworkError);
    assert.equal((await failed(client.job('/jobs/a').cancel())).constructor, NetworkError);
  });
});

describe('close()', () => {
  test('ends requests that have a signal of their own', async () => {
    const { web } = make((_, { signal }) => new Promise((done, fail) => signal.addEventListener('abort', () => fail(signal.reason))));
    const { signal } = new AbortController();
    const document = failed(client.job('/jobs/x').document({ signal }));
    const cancel = failed(client.job('/jobs/x').cancel({ signal: undefined }));
    await settle();
    client.close();
    assert.deepEqual([(await document).name, (await cancel).name], ['AbortError', 'AbortError']);
    assert.equal(web.calls.length, 2);
  });

  test('lets nothing be delivered, also of what has come', async () => {
    const job = fakeJob('a');
    const { net } = make(() => json({ events: [] }));
    const got = [];
    const loop = failed((async () => { for await (const { seq } of client.job('/jobs/a').events()) got.push(seq); })());
    await settle();
    for (const type of ['pending', 'processing']) net.last.say(job.happen(type));
    client.close();
    assert.equal((await loop).name, 'AbortError');
    assert.deepEqual(got, []);
  });
});
