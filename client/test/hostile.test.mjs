// What authors of payloads and servers that are broken can send, and an end at any time.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AwaitError, createClient, NetworkError, ProblemError } from '../dist/nginx-await.js';
import { fakeFetch, fakeJob, fakeSockets, json, settle, until, useClock, watch } from './fakes.mjs';

let clock, client, thrown;
const note = (error) => { thrown.push(error); };
beforeEach(() => { clock = useClock(); thrown = []; process.on('uncaughtException', note).on('unhandledRejection', note); });
afterEach(async () => {
  client?.close();
  await settle();
  clock.restore();
  process.off('uncaughtException', note).off('unhandledRejection', note);
  assert.deepEqual(thrown, [], 'nothing is thrown into the void');
});

const html = () => new Response('<!doctype html><title>Log in</title>', { headers: { 'Content-Type': 'text/html' } });
const sse = (text) => new Response(text, { headers: { 'Content-Type': 'text/event-stream' } });
const isStream = ({ headers }) => /stream/.test(headers?.Accept);
/// As fetch() does: pending until it is aborted.
const never = ({ signal }) => new Promise((done, fail) => signal.addEventListener('abort', () => fail(signal.reason)));
function make(answer, options = {}) {
  const net = fakeSockets(() => 'refuse');
  const web = fakeFetch(answer);
  client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket, ...options });
  return { net, web };
}

describe('the data of an event', () => {
  const ODD = ['\u2028id: x', '\u2029data: {}', '\u0085', '\ufeff', '\u202e\u2066', '\r\n\r\nid: 1\n\n', '\0', '\ud800', '</script><!--', '__proto__', 'x'.repeat(1 << 20)];

  for (const by of ['stream', 'pages', 'socket']) {
    test(`is what was sent, by ${by}`, async () => {
      const job = fakeJob('a');
      const all = [job.happen('pending'), ...ODD.map((text) => job.happen('note', { [text.slice(0, 9)]: text })), job.happen('completed')];
      let open;
      const net = fakeSockets(() => (by === 'socket' ? 'open' : 'refuse'));
      const web = fakeFetch((url, init) => {
        if (by === 'socket') throw new TypeError('fetch failed');
        if (!isStream(init)) return by === 'pages' ? json(job.page(url.searchParams.get('cursor'))) : json({ events: [], cursor: 'c0' });
        if (by === 'pages') return html();
        // as the server sends it: JSON on one line, everything else as it is
        open = sse(all.map(({ channel, cursor, ...event }) => `id: ${cursor}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''));
        return open;
      });
      client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket });
      const channel = client.job('/jobs/a');
      const seen = watch(channel);
      await settle();
      if (by === 'socket') all.forEach((event) => net.last.say(event));
      await clock.pass(10000);
      assert.deepEqual(seen.seqs, all.map(({ seq }) => seq));
      assert.deepEqual(seen.events.slice(1, -1).map(({ data }) => Object.values(data)[0]), by === 'stream' ? ODD.map((text) => text.toWellFormed?.() ?? text.replace('\ud800', '\ufffd')).map((text, i) => (ODD[i] === '\ud800' ? '\ud800' : text)) : ODD);
      assert.equal({}.x, undefined);
    });
  }
});

describe('a server that is broken', () => {
  const answers = {
    'HTML': html, 'nothing': () => new Response(''), 'no object': () => json(null), 'a list': () => json([]), 'events of null': () => json({ events: [null] }),
    'no events': () => json({}), 'a loop of redirects': () => { throw new TypeError('fetch failed'); },
    'half a document': () => new Response('{"events":[{"seq":1', { headers: { 'Content-Type': 'application/json' } }),
    'a stream of garbage': () => sse('data: {\n\ndata: null\n\n: x\n\nid\n\n\0\n\n'), 'an empty stream': () => sse(''), 'a stream that says to hurry': () => sse('retry: 1\n\n'),
    'a stream of null': () => sse('data: null\n\n'), '503 of ever': () => json({}, 503, { 'Retry-After': '-1' }), '503 of NaN': () => new Response('x', { status: 503, headers: { 'Retry-After': 'soon' } }),
    'a page that names itself': () => json({ events: [], cursor: 'c0' }, 200, { Link: '<?cursor=c0>; rel="next"' }),
    'status 299': () => new Response('x', { status: 299 }), 'status 418': () => json({ detail: { a: 1 } }, 418),
  };
  for (const [what, answer] of Object.entries(answers)) {
    for (const socket of [undefined, false]) {
      test(`${what}: it is asked less and less often, and when it is well again, each event comes once${socket === false ? ', without sockets' : ''}`, async () => {
        const job = fakeJob('a');
        let well = false;
        const { web } = make((url, init) => (!well ? answer() : isStream(init) ? html() : json(job.page(url.searchParams.get('cursor')))), { socket });
        const seen = watch(client.job('/jobs/a'));
        await clock.pass(600000, 5000);
        assert.deepEqual([seen.events, seen.ended], [[], false]);
        const late = web.calls.filter(({ at }) => at > Date.now() - 300000).length;
        assert.ok(late <= 30, `${late} requests in the second five minutes`);
        for (const type of ['pending', 'processing', 'completed']) job.happen(type);
        well = true;
        await clock.pass(60000, 5000);
        assert.deepEqual([seen.seqs, seen.error], [[1, 2, 3], undefined]);
      });
    }
  }

  for (const [what, data] of Object.entries({ 'no JSON': '{', 'null': 'null', 'a number': '5', 'a list': '[]', 'an event without a number': '{"channel":"job:a"}', 'an unknown channel': '{"channel":"job:b","seq":1}',
    'an unknown op': '{"op":"x","channel":"job:a"}', 'a reset of nothing': '{"op":"reset"}', 'an error of nothing': '{"op":"error"}', 'a bye of never': '{"op":"bye","retry":1e300}' })) {
    test(`a socket that says ${what}: the job goes on`, async () => {
      const job = fakeJob('a');
      const net = fakeSockets();
      const web = fakeFetch((url) => json(job.page(url.searchParams.get('cursor'))));
      client = createClient({ base: 'http://server/', fetch: web.fetch, WebSocket: net.FakeSocket });
      const seen = watch(client.job('/jobs/a'));
      await settle();
      net.last.onmessage({ data });
      net.last.say(job.happen('pending'));
      net.last.say(job.happen('completed'));
      await clock.pass(5000);
      assert.deepEqual(seen.seqs.filter(Boolean), [1, 2]);
      assert.ok(seen.ended);
    });
  }

  test('a Retry-After of a year is not the end: it is asked again within the hour', async () => {
    const job = fakeJob('a');
    let well = false;
    make((url) => (well ? json(job.page(url.searchParams.get('cursor'))) : json({}, 503, { 'Retry-After': '31536000' })), { socket: false });
    const seen = watch(client.job('/jobs/a'));
    await clock.pass(60000, 5000);
    job.happen('completed');
    well = true;
    await clock.pass(3600000, 60000);
    assert.deepEqual(seen.seqs, [1]);
  });

  test('a submission that is answered with no job is an AwaitError', async () => {
    for (const answer of [html, () => json(null), () => json({}), () => json([]), () => json({ links: {} }), () => new Response(null, { status: 204 })]) {
      const { web } = make(answer);
      await assert.rejects(client.submit('/jobs', 'x'), (error) => error instanceof AwaitError && /self/.test(error.message));
      assert.equal(web.calls.length, 1);
    }
  });

  test('a problem may be anything', async () => {
    for (const body of ['null', '5', '"x"', '[]', '{"detail":null}', '{"detail":{"a":1}}', '<p>', '']) {
      make(() => new Response(body, { status: 422 }));
      await assert.rejects(client.job('/jobs/a').document(), (error) => error instanceof ProblemError && error.status === 422 && typeof error.message === 'string');
    }
  });

  test('a result that is never ready is asked for less and less often', async () => {
    for (const answer of [() => json({}, 202), () => json({}, 503), () => json({}, 429, { 'Retry-After': '0' })]) {
      const job = fakeJob('a');
      job.happen('completed');
      const { web } = make((url, init) => (/events/.test(url) ? (isStream(init) ? html() : json(job.page(url.searchParams.get('cursor')))) : answer()), { socket: false });
      client.job('/jobs/a').result().catch(() => {});
      await clock.pass(600000, 5000);
      const asked = web.calls.filter(({ url }) => /result/.test(url)).length;
      assert.ok(asked > 5 && asked < 40, `${asked} in ten minutes`);
      client.close();
    }
  });
});

describe('an end at any time', () => {
  const accepted = (job) => json({ id: job.id, links: { self: `/jobs/${job.id}` } }, 202, { Location: `/jobs/${job.id}` });
  // what is begun, and how the server answers
  const calls = {
    'submit': (signal) => client.submit('/jobs', 'x', { signal }),
    'submit with progress': (signal) => client.submit('/jobs', 'x', { signal, onUploadProgress() {} }),
    'events': async (signal) => { for await (const _ of client.job('/jobs/a').events({ signal })); },
    'result': (signal) => client.job('/jobs/a').result({ signal }),
    'document': (signal) => client.job('/jobs/a').document({ signal }),
    'cancel': (signal) => client.job('/jobs/a').cancel({ signal }),
    'done': (signal) => client.batch('/batches/a').done({ signal }),
    'with a ticket': (signal) => client.job('/jobs/a').document({ signal }),
  };
  const servers = {
    'that answers nothing': (url, init) => never(init),
    'that is away': () => { throw new TypeError('fetch failed'); },
    'that is overloaded': () => json({}, 503, { 'Retry-After': '7' }),
    'whose body does not come': (url, { signal }) => new Response(new ReadableStream({ start(it) { signal?.addEventListener('abort', () => it.error(signal.reason)); } }), { headers: { 'Content-Type': 'application/json' } }),
    'whose job does not end': (url, init) => (/events/.test(url) ? json({ events: [], cursor: 'c0' }) : never(init)),
    'that wants a ticket': (url, init) => (/ticket/.test(url) ? never(init) : new Response('', { status: 401, headers: { 'WWW-Authenticate': 'Ticket' } })),
  };
  for (const [name, begin] of Object.entries(calls)) {
    for (const [state, server] of Object.entries(servers)) {
      for (const how of ['abort', 'close', 'abort before', 'close before']) {
        test(`${name}, a server ${state}: ${how}`, async () => {
          let requests = 0;   // that are sent: fetch() sends none whose signal has aborted
          const { net } = make((...request) => { requests++; return server(...request); }, { ticket: '/ticket' });
          const abort = new AbortController();
          const end = () => (/abort/.test(how) ? abort.abort(new Error('enough')) : client.close());
          if (/before/.test(how)) end();
          let outcome;
          begin(abort.signal).then((value) => { outcome = { value }; }, (error) => { outcome = { error }; });
          await clock.pass(3000);
          if (!/before/.test(how) && !outcome) end();   // it may have failed by itself
          await until(() => outcome);
          assert.ok(outcome.error, 'it is rejected');
          const { error } = outcome;
          const reason = /abort/.test(how) ? 'enough' : 'The client is closed.';
          assert.ok(error.message === reason || (!/before/.test(how) && error instanceof AwaitError), String(error));
          if (/before/.test(how)) assert.deepEqual([requests, net.sockets.length], [0, 0]);
          client.close();
          await settle();
          const before = [requests, net.sockets.length];
          await clock.pass(120000, 10000);
          assert.deepEqual([requests, net.sockets.length], before, 'nothing happens afterwards');
        });
      }
    }
  }
});
