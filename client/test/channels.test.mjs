// Channels and sockets: what is refused, overloaded, malformed, watched twice, or stopped in the middle.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { createClient } from '../dist/nginx-await.js';
import { fakeFetch, fakeJob, fakeSockets, json, settle, until, useClock, watch } from './fakes.mjs';

let clock, client;
beforeEach(() => { clock = useClock(); });
afterEach(() => { client?.close(); clock.restore(); delete globalThis.document; delete globalThis.addEventListener; });

function make(answer = () => json({ events: [] }), behave, options = {}, create = createClient) {
  const net = fakeSockets(behave);
  const web = fakeFetch(answer);
  client = create({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket, ...options });
  return { net, web };
}
const pagesOf = (job) => (url) => json(job.page(url.searchParams.get('cursor')));

describe('a socket', () => {
  test('is opened once when a page is loaded, and nothing is polled', async () => {
    const window = new EventTarget();
    globalThis.document = { hidden: false, baseURI: 'http://server/' };
    globalThis.addEventListener = window.addEventListener.bind(window);
    const { net, web } = make(undefined, () => 'nothing');
    for (const name of 'abc') watch(client.job(`/jobs/${name}`));
    await settle();
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: false }));
    await settle();
    assert.deepEqual([net.sockets.length, web.calls.length], [1, 0]);
  });

  test('without channels is not opened again; with the next one it is', async () => {
    const job = fakeJob('a');
    const { net } = make(undefined, undefined, { linger: 60000 });
    watch(client.job('/jobs/a'));
    await settle();
    net.last.say(job.happen('completed'));
    net.last.end(1006);
    await clock.pass(600000, 5000);
    assert.equal(net.sockets.length, 1);
    watch(client.job('/jobs/b'));
    await settle();
    assert.equal(net.last.of('subscribe').at(-1).channel, 'job:b');
  });

  test('has a ticket for all that is watched, also while it is fetched', async () => {
    let give;
    const { net, web } = make(() => new Promise((done) => { give = () => done(json({ ticket: 't' })); }), undefined, { ticket: '/ticket' });
    for (const name of ['a', 'b']) watch(client.topic(name, { socket: '/ws' }));
    await settle();
    assert.equal(web.calls[0].body, '{"channels":["topic:a","topic:b"]}', 'in one tick');
    watch(client.topic('c', { socket: '/ws' }));
    give();
    await settle();
    give();
    await settle();
    assert.equal(web.calls.at(-1).body, '{"channels":["topic:a","topic:b","topic:c"]}');
    assert.deepEqual(net.last.of('subscribe').map(({ channel }) => channel), ['topic:a', 'topic:b', 'topic:c']);
  });

  test('survives malformed messages and has a handler of errors', async () => {
    const job = fakeJob('a');
    const { net } = make();
    const seen = watch(client.job('/jobs/a'));
    await settle();
    assert.equal(typeof net.last.onerror, 'function');
    for (const data of ['not json', 'null', '7', '"x"']) net.last.onmessage({ data });
    net.last.say(job.happen('pending'));
    assert.deepEqual(seen.seqs, [1]);
  });

  test('a bye that is no time, or more than a timer takes, is no reason to hurry', async () => {
    for (const retry of [3e9, 'soon', -5]) {
      const { net } = make();
      watch(client.job('/jobs/a'));
      await settle();
      net.last.say({ op: 'bye', retry });
      net.last.end(1012);
      await clock.pass(500);
      assert.equal(net.sockets.length, 1);
      client.close();
    }
  });
});

describe('a subscription', () => {
  for (const status of [503, 429]) {
    test(`that is refused with ${status} is polled, and repeated less and less often`, async () => {
      const job = fakeJob('a');
      job.happen('pending');
      const { net, web } = make(pagesOf(job));
      const seen = watch(client.job('/jobs/a'));
      await settle();
      const socket = net.last;
      socket.answer = ({ op, channel }) => op === 'subscribe' && queueMicrotask(() => socket.say({ op: 'error', channel, status }));
      socket.say({ op: 'error', channel: 'job:a', status });
      await clock.pass(120000);
      assert.deepEqual([seen.seqs, net.sockets.length], [[1], 1]);
      assert.ok(web.calls.length > 2, 'polled');
      const times = socket.of('subscribe').length;
      assert.ok(times > 4 && times < 15, `${times} times`);
    });
  }

  test('of the same job is shared by all who watch it', async () => {
    const job = fakeJob('a');
    const { net } = make();
    const seen = Array.from({ length: 3 }, () => client.job('/jobs/a')).map(watch);
    await settle();
    net.last.say(job.happen('pending'));
    seen.push(watch(client.job('/jobs/a')));
    net.last.say(job.happen('completed'));
    assert.deepEqual([net.sockets.length, net.last.of('subscribe').length], [1, 1]);
    assert.deepEqual(seen.map(({ seqs, ended }) => [seqs, ended]), Array(4).fill([[1, 2], true]));
  });
});

describe('two of one name', () => {
  const message = (seq) => ({ channel: 'topic:a', cursor: `c${seq}`, seq, type: 'note' });
  const place = { socket: '/socket', events: '/topics/a' };

  test('topics share a socket and a subscription; the second begins with the latest message', async () => {
    const { net } = make();
    const first = watch(client.topic('a', place));
    await settle();
    net.last.say(message(1));
    net.last.say(message(2));
    const second = watch(client.topic('a', place));
    await settle();
    net.last.say(message(3));
    assert.deepEqual([net.sockets.length, net.last.of('subscribe').length], [1, 1]);
    assert.deepEqual([first.seqs, second.seqs], [[1, 2, 3], [2, 3]]);
    first.stop();
    await clock.pass(1000);
    net.last.say(message(4));
    assert.deepEqual([first.seqs, second.seqs, net.last.of('unsubscribe').length], [[1, 2, 3], [2, 3, 4], 0]);
  });

  test('users share one, too; the second begins with what follows', async () => {
    const { net } = make();
    const first = watch(client.user('a', place));
    await settle();
    net.last.say({ ...message(1), channel: 'user:a', job: 'j' });
    const second = watch(client.user('a', place));
    await settle();
    net.last.say({ ...message(2), channel: 'user:a', job: 'j' });
    assert.deepEqual([first.seqs, second.seqs, net.sockets.length], [[1, 2], [2], 1]);
  });

  test('with a cursor, or at another place, each has its own', async () => {
    const { net } = make();
    watch(client.topic('a', place));
    watch(client.topic('a', { ...place, cursor: 'c7' }));
    watch(client.topic('a', { ...place, events: '/other' }));
    await settle();
    assert.deepEqual(net.sockets.flatMap((socket) => socket.of('subscribe')).map(({ cursor }) => cursor), [undefined, 'c7', undefined]);
  });
});

describe('events', () => {
  test('are not lost when one who reads stops in the middle of a page', async () => {
    const job = fakeJob('a');
    for (const type of ['pending', 'processing', 'progress']) job.happen(type);
    make(pagesOf(job), () => 'nothing');
    const channel = client.job('/jobs/a');
    const stop = channel.subscribe(() => stop());
    await clock.pass(5000);
    const seen = watch(channel);
    job.happen('completed');
    await clock.pass(30000);
    assert.deepEqual([seen.seqs, seen.ended], [[1, 2, 3, 4], true]);
  });

  test('with a hole, where there are no pages, go on to the end', async () => {
    const { net } = make();
    const seen = watch(client.watch({ channel: 'job:a', socket: '/ws' }));
    await settle();
    for (const [seq, type] of [[1, 'pending'], [3, 'progress'], [4, 'completed']]) net.last.say({ channel: 'job:a', job: 'a', seq, type });
    assert.deepEqual([seen.seqs, seen.ended], [[1, 3, 4], true]);
  });

  test('come once to one who begins to listen inside of a callback', async () => {
    const job = fakeJob('a');
    const { net } = make();
    const channel = client.job('/jobs/a');
    let seen;
    channel.subscribe(() => { seen ??= watch(channel); });
    await settle();
    net.last.say(job.happen('pending'));
    net.last.say(job.happen('processing'));
    assert.deepEqual(seen.seqs, [1, 2]);
  });

  test('of a topic by a plain socket go on behind a hole', async () => {
    const { net } = make();
    const seen = watch(client.watch({ channel: 'topic:news', socket: '/ws', events: '/news', channelOf: ({ topic }) => `topic:${topic}` }));
    await settle();
    for (const seq of [1, 5, 9]) net.last.say({ topic: 'news', seq, type: 'headline' });
    assert.deepEqual(seen.seqs, [1, 5, 9]);
  });

  test('an end in place of the hidden events is shown, and is the end', async () => {
    const { net } = make();
    const seen = watch(client.watch({ channel: 'r1', socket: '/ws', events: '/e', hidden: 2, channelOf: ({ run }) => run, isLast: ({ type }) => type === 'over' }));
    await settle();
    net.last.say({ run: 'r1', seq: 2, type: 'over' });
    assert.deepEqual([seen.seqs, seen.ended], [[2], true]);
  });

  test('what an onEnd throws harms no other', async () => {
    const { net } = make();
    client.job('/jobs/a').subscribe(() => {}, () => { throw new Error('mine'); });
    const seen = watch(client.job('/jobs/b'));
    await settle();
    client.close();
    assert.ok(seen.ended && net.last.closed);
    assert.throws(() => mock.timers.tick(1), /mine/);
  });
});

test('a Retry-After beyond what a timer takes is not at once', async () => {
  const { web } = make(() => json({}, 503, { 'Retry-After': '3000000' }), () => 'nothing');
  watch(client.job('/jobs/a'));
  await clock.pass(20000);
  assert.equal(web.calls.length, 1);
});

test('without the rest of the package, sockets work; nothing is thrown into the void', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'await-client-'));
  cpSync(new URL('../dist/nginx-await.js', import.meta.url), join(dir, 'nginx-await.mjs'));
  const rejected = [];
  const note = (error) => rejected.push(error);
  process.on('unhandledRejection', note);
  const { createClient: create } = await import(join(dir, 'nginx-await.mjs'));
  const job = fakeJob('a');
  const { net } = make(undefined, (n) => (n === 1 ? 'refuse' : 'open'), {}, create);
  const seen = watch(client.job('/jobs/a'));
  await until(() => net.sockets.length > 0);
  await clock.pass(10000);
  net.last.say(job.happen('pending'));
  net.last.say(job.happen('completed'));
  await settle();
  process.off('unhandledRejection', note);
  rmSync(dir, { recursive: true });
  assert.deepEqual([seen.seqs, seen.ended, rejected], [[1, 2], true, []]);
});

test('all files that package.json names exist', () => {
  const at = new URL('../', import.meta.url);
  const names = Object.values(JSON.parse(readFileSync(new URL('package.json', at))).exports).flatMap((each) => (typeof each === 'string' ? each : Object.values(each)));
  assert.ok(names.length > 8);
  assert.deepEqual(names.filter((name) => !existsSync(new URL(name, at))), []);
});
