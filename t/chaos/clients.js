// Clients of a service that is being knocked about: they submit jobs and watch them in every way there is, on any
// node, and write down what they were told. usage: node clients.js SEED SECONDS JOBS PORT…
// Commands on stdin: "failover" (the primary is gone, a standby is promoted: from now on each watcher of before may be
// reset once more, and what it watches may be lost), "rest" (submit no more; finish when everybody knows the ending).
// At the end one line of JSON. In `seen` is what each watcher was told: a list for each history that it knew, which a
// reset ends; of each event its job, number, type and time, and when it was heard.
'use strict';
const http = require('http');
const readline = require('readline');
const WebSocket = require('ws');

const [seed, seconds, most, ...ports] = process.argv.slice(2).map(Number);
let state = seed >>> 0 || 1;
const random = () => { state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; state >>>= 0; return state / 4294967296; };
const pick = (list) => list[Math.floor(random() * list.length)];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const endings = new Set(['completed', 'failed', 'cancelled', 'expired', 'batch.ready']);
const agent = new http.Agent({ keepAlive: true, maxSockets: 400 });

const accepted = {};           // id → body
const times = {};              // id → when the request that was accepted was sent, and when it was answered
let failovers = 0;
const batches = {};            // id → { name, jobs }
let returning = 0;             // how often watchers will yet come back
const problems = [];
const watchers = [];
const count = { submitted: 0, refused: 0, unknown: 0, requests: 0, reconnects: 0, events: 0, streams: 0, sockets: 0, pages: 0, holds: 0, polls: 0, resets: 0, broken: 0, replayed: 0, published: 0, told: 0, users: 0, batches: 0, cut: 0, late: 0 };
const settled = [];            // bodies that were sent until they were taken, with a key
const pace = 8000 * seconds / most;     // of each of the eight submitters, milliseconds
let resting = false;

function wrong(what) { if (problems.length < 50) problems.push(what); }
function accept(id, body, sent) { accepted[id] = body; times[id] = [sent, Date.now()]; }

// One exchange, whole. Resolves to { status, headers, body }, or null where the connection broke.
function ask(method, path, headers, body, timeout) {
  ++count.requests;
  return new Promise((done) => {
    const request = http.request({ host: '127.0.0.1', port: pick(ports), method, path, headers, agent }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => done(response.complete ? { status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString() } : null));
      response.on('error', () => done(null));
      response.on('close', () => done(null));
    });
    request.setTimeout(timeout, () => request.destroy());
    request.on('error', () => { ++count.broken; done(null); });
    request.end(body);
  });
}

async function submitter() {
  while (!resting && count.submitted < most) {
    const body = `n${seed}-${++count.submitted}`;
    const headers = { 'Content-Length': body.length };
    if (random() < 0.2) headers.Prefer = 'wait=2';
    if (random() < 0.5) headers['Idempotency-Key'] = `"${body}"`;
    let sent, before;          // the answer may come behind a failover
    const send = () => { sent = Date.now(); before = failovers; return ask('POST', '/jobs', headers, body, 25000); };
    let answer = await send();
    if (headers['Idempotency-Key']) {    // after a loss, a no, and now and then a yes, it is sent again, to any node
      for (const end = Date.now() + 60000; Date.now() < end && (!answer || answer.status === 503 || answer.status === 409 || random() < 0.1);) {
        if (!answer) ++count.unknown;
        await sleep(50 + random() * 300);
        answer = await send();
      }
      if (answer && answer.headers['idempotency-replayed']) ++count.replayed;
      if (answer && answer.status < 300) settled.push(body);
    }
    if (!answer) { ++count.unknown; await sleep(50 + random() * 300); continue; }
    const link = answer.headers.link && answer.headers.link.match(/<\/jobs\/([^>]+)>; rel="status"/);
    if (answer.status === 202 || (answer.status === 200 && link)) {
      const id = link[1];
      accept(id, body, sent);
      if (answer.status === 200 && answer.body !== `made of ${body}`) wrong(`${id}: POST answered ${answer.body}`);
      for (let n = random() < 0.5 ? 1 : 2; n > 0; --n) new Watcher(id, before).run();
    } else if (answer.status === 503) {
      ++count.refused;
      if (!answer.headers['retry-after']) wrong('a 503 without Retry-After');
      await sleep(100 + random() * 400);
    } else if (link) {
      accept(link[1], body, sent);      // stored, but the wait failed
      new Watcher(link[1], before).run();
    } else wrong(`POST: ${answer.status} ${answer.body}`);
    await sleep(random() * 2 * pace);
  }
}

class Watcher {
  constructor(id, known = failovers) {
    this.id = id; this.home = `/jobs/${id}`; this.path = `${this.home}/events`; this.channel = `job:${id}`; this.next = 1; this.cursor = ''; this.done = false; this.doc = 0;
    this.failovers = known;          // when its job was submitted
    this.docFailovers = known;       // when it asked for the document that it has
    this.resets = {};                // of each channel
    this.seen = [[]];
    this.mode = pick(['stream', 'stream', 'socket', 'socket', 'page', 'hold', 'poll', 'mixed', 'mixed']);
    watchers.push(this);
  }

  async run() {
    if (this.runs) return;    // it came back before it had left: it goes on, and hears each reset once
    this.runs = true;
    while (!this.done) {
      const mode = this.mode === 'mixed' ? pick(['stream', 'page', 'socket', 'hold']) : this.mode;
      await this[mode]();
      if (!this.done) { ++count.reconnects; await sleep(this.mode === 'poll' ? 200 + random() * 500 : 20 + random() * 250); }
    }
    this.runs = false;
    this.learned ??= Date.now();
  }
  // After a failover it asks again whether what it knows still holds, if it heard that a moment ago.
  comeBack() { if (this.done && !this.lost && this.learned > Date.now() - 10000) { this.done = false; this.hasEnded = true; this.run(); } }

  note(event) { this.seen.at(-1).push(`${event.job ?? event.batch ?? 'topic'} ${event.seq} ${event.type} ${Date.parse(event.at)} ${Date.now()}`); }

  // What it knew may not be continued. Each failover explains one.
  onReset(said) {
    const channel = said.channel ?? '';
    ++count.resets;
    this.resets[channel] = (this.resets[channel] ?? 0) + 1;
    if (this.resets[channel] > failovers - this.failovers) wrong(`${this.id} (${this.mode}): a reset that nothing explains: ${JSON.stringify(said)}`);
    this.cursor = said.cursor || this.cursor;
    this.seen.push([]);
    this.hasEnded = false;
    if (!endings.has(said.state)) this.learned = undefined;
    this.begin(channel, said.state);
  }

  // It has all of the job now, and asks how much that is. The next event that it gets is not further on.
  begin(channel, state) {
    this.next = 0;
    this.first = 0;
    this.askAnew(this.seen.length, endings.has(state));
  }

  async askAnew(history, ended) {
    for (;;) {
      const answer = await ask('GET', this.home, {}, undefined, 25000);
      if (this.seen.length !== history || this.done) return;
      if (answer && answer.status === 404) return this.onLoss();
      if (answer && answer.status === 200) {
        const job = JSON.parse(answer.body);
        this.atMost = job.seq + 1;
        if (this.first > this.atMost) wrong(`${this.id} (${this.mode}): event ${this.first} behind a reset, where ${this.atMost} was due`);
        if (!ended) return;
        if (!endings.has(job.state)) return wrong(`${this.id} (${this.mode}): reset as ended, and its document is ${job.state}`);
        this.next = job.seq + 1;
        this.state = job.state;
        this.done = true;
        return this.leave?.();
      }
      await sleep(100 + random() * 200);
    }
  }

  // It does not exist (any more). Who looks into the database knows whether that is right.
  onLoss() {
    if (failovers === this.failovers) wrong(`${this.id} (${this.mode}): it does not exist`);
    this.lost = this.done = true;
    this.leave?.();
  }

  event(event, cursor) {
    if (this.next === 0 && !this.first) { this.first = this.next = event.seq; if (this.first > (this.atMost || Infinity)) wrong(`${this.id} (${this.mode}): event ${event.seq} behind a reset, where ${this.atMost} was due`); }
    if (event.seq !== this.next) wrong(`${this.id} (${this.mode}): event ${event.seq} where ${this.next} was due`);
    if ((event.job ?? event.batch) !== this.id) wrong(`${this.id}: an event of ${event.job}`);
    this.note(event);
    this.next = event.seq + 1;
    this.cursor = cursor || this.cursor;
    ++count.events;
    if (endings.has(event.type)) { this.done = this.hasEnded = true; this.state = event.type; }
  }

  stream() {
    ++count.streams;
    return new Promise((done) => {
      const leave = random() < 0.3 ? setTimeout(() => request.destroy(), random() * 2000) : null;
      const request = http.request({ host: '127.0.0.1', port: pick(ports), path: this.path, agent: false,
        headers: { Accept: 'text/event-stream', ...(this.cursor ? { 'Last-Event-ID': this.cursor } : {}) } }, (response) => {
        if (response.statusCode === 204) { if (this.next === 1) wrong(`${this.id}: 204 and nothing seen`); this.onEnd(); return end(); }
        if (response.statusCode === 404) { this.onLoss(); return end(); }
        if (response.statusCode !== 200) { wrong(`${this.id}: a stream answers ${response.statusCode}`); return end(); }
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece) => {
          text += piece;
          let at;
          while ((at = text.indexOf('\n\n')) >= 0) { this.frame(text.slice(0, at)); text = text.slice(at + 2); if (this.done) return end(); }
        });
        response.on('end', end); response.on('error', end); response.on('close', end);
      });
      const end = () => { clearTimeout(leave); this.leave = null; request.destroy(); done(); };
      this.leave = end;
      request.setTimeout(40000, end);       // a comment comes every second
      request.on('error', end);
      request.end();
    });
  }

  // The job has ended, and nothing is left to hear. Behind a reset the document says what that was.
  onEnd() { if (this.next > 0) this.done = true; else this.askAnew(this.seen.length, true); }

  socket() {
    ++count.sockets;
    return new Promise((done) => {
      const socket = new WebSocket(`ws://127.0.0.1:${pick(ports)}${this.ws ?? '/ws'}`, ['await.v1'], { handshakeTimeout: 25000 });
      const leave = random() < 0.3 ? setTimeout(() => socket.terminate(), random() * 2000) : null;
      let silence;
      const heard = () => { clearTimeout(silence); silence = setTimeout(() => socket.terminate(), 40000); };     // a ping comes every second
      const end = () => { clearTimeout(leave); clearTimeout(silence); this.leave = null; socket.terminate(); done(); };
      this.leave = end;
      heard();
      socket.on('ping', heard);
      socket.on('open', () => { socket.send(JSON.stringify({ op: 'subscribe', channel: this.channel, cursor: this.cursor || undefined })); });
      socket.on('message', (text) => {
        heard();
        if (this.done) return;
        const said = JSON.parse(text);
        if (said.op === 'reset') this.onReset({ ...said, channel: '' });
        if (said.op === 'error' && said.status === 404) { this.onLoss(); return end(); }
        if (said.op === 'error' && said.status !== 503) wrong(`${this.id}: a socket is told ${text}`);
        if (said.op === 'error') return end();
        if (said.op === 'subscribed') this.cursor = said.cursor;
        // who has the end already is told nothing more, unless there is a reset, which comes before the beat
        if (said.op === 'subscribed' && endings.has(said.state) && (this.hasEnded || this.next === 0)) socket.send('{"op":"ping"}');
        if (said.op === 'beat' && (this.hasEnded || this.next === 0)) this.onEnd();
        if (!said.op) this.event(said, said.cursor);
        if (this.done) end();
      });
      socket.on('unexpected-response', (request, response) => { if (response.statusCode !== 503) wrong(`${this.id}: a socket answers ${response.statusCode}`); end(); });
      socket.on('error', end);
      socket.on('close', end);
    });
  }

  frame(text) {
    const field = {};
    for (const line of text.split('\n')) { const at = line.indexOf(': '); if (at > 0) field[line.slice(0, at)] = line.slice(at + 2); }
    if (field.event === 'reset') return this.onReset(JSON.parse(field.data));
    if (field.event === 'ready' || !field.data) { this.cursor = field.id || this.cursor; return; }
    this.event(JSON.parse(field.data), field.id);
  }

  async page() {
    ++count.pages;
    const answer = await ask('GET', `${this.home}/events?wait=5${this.cursor ? '&cursor=' + this.cursor : ''}`, { Accept: 'application/json' }, undefined, 25000);
    if (!answer || answer.status === 503) return;
    if (answer.status === 404) return this.onLoss();
    if (answer.status !== 200) return wrong(`${this.id}: a page answers ${answer.status}`);
    const page = JSON.parse(answer.body);
    if (page.reset) this.onReset(page);
    for (const event of page.events) this.event(event);
    this.cursor = page.cursor;
    if (page.done && !page.reset) this.onEnd();
  }

  async hold(path = `${this.home}?wait=10`) {
    ++count.holds;
    const before = failovers;
    const answer = await ask('GET', path, {}, undefined, 25000);
    if (!answer || answer.status === 503) return;
    if (answer.status === 404) return this.onLoss();
    if (answer.status !== 200) return wrong(`${this.id}: ${answer.status} ${answer.body}`);
    const job = JSON.parse(answer.body);
    if (job.seq < this.doc && failovers === this.docFailovers) wrong(`${this.id}: its document goes back from ${this.doc} to ${job.seq}`);
    this.doc = job.seq;
    this.docFailovers = before;
    // who mixes goes on with the events behind the document
    if (endings.has(job.state) && this.mode !== 'mixed') { this.done = true; this.next = job.seq + 1; this.state = job.state; }
  }

  async poll() { ++count.polls; --count.holds; await this.hold(this.home); }
}

// Batches of a few jobs in two phases. They are sent with a key until they are taken; a job of the second phase may be added
// later; some clients leave in the middle of the body.
async function batcher() {
  while (!resting) {
    const name = `b${seed}-${++count.batches}`;
    const jobs = 1 + Math.floor(random() * 6);
    const late = random() < 0.5;
    const before = failovers;
    const line = (n) => JSON.stringify({ payload: `${name}-${n}`, phase: late || n === 0 ? 'a' : 'b', params: { pad: 'x'.repeat(random() < 0.1 ? 50000 : 10) } });
    const lines = Array.from({ length: late ? jobs : jobs + 1 }, (_, n) => line(n)).join('\n');
    const headers = { 'Content-Type': 'application/x-ndjson', 'Idempotency-Key': `"${name}"` };
    if (random() < 0.2) { ++count.cut; await cutBatch(lines); }
    const answer = await until_taken('/batches', headers, lines);
    if (answer && answer.status === 202) {
      const { id } = JSON.parse(answer.body);
      const batch = batches[id] = { name, jobs: late ? jobs : jobs + 1, before };
      for (let n = random() < 0.5 ? 1 : 2; n > 0; --n) new BatchWatcher(id, before).run();
      if (late) await add_late(id, batch);
    } else if (answer && answer.status !== 503 && answer.status !== 409) wrong(`a batch is answered ${answer.status} ${answer.body}`);
    await sleep(200 + random() * 600);
  }
}

async function until_taken(path, headers, body) {
  let answer = null;
  for (const end = Date.now() + 60000; Date.now() < end && (!answer || answer.status === 503 || answer.status === 409);) {
    answer = await ask('POST', path, headers, body, 25000);
    if (!answer || answer.status === 503 || answer.status === 409) await sleep(50 + random() * 300);
    if (answer && answer.status === 409 && answer.body.includes('has ended')) break;
  }
  return answer;
}

// The job of the second phase; by its key it is added once, however often.
function late_job(id, batch) {
  const name = `${batch.name}-late`;
  return until_taken(`/added/${id}`, { 'Idempotency-Key': `"${name}"`, 'Content-Type': 'text/plain' }, name);
}

// If no job of the first phase was completed, the batch has ended without the second one.
async function add_late(id, batch) {
  const answer = await late_job(id, batch);
  if (answer && answer.status === 202) { ++batch.jobs; ++count.late; batch.added = Date.now(); } else if (!answer || (answer.status !== 409 && (answer.status !== 404 || failovers === batch.before))) wrong(`batch ${id}: a job to be added is answered ${answer && answer.status}`);
}

// A failover may have lost a job that was added last; without one of its second phase a batch does not end.
async function add_again() {
  ++returning;
  for (const [id, batch] of Object.entries(batches)) {
    if (!(batch.added > Date.now() - 20000)) continue;
    const answer = await late_job(id, batch);
    if (!answer || ![202, 404, 409].includes(answer.status)) wrong(`batch ${id}: its job is not taken again: ${answer && answer.status}`);
  }
  --returning;
}

// Half of the body of a batch without a key: it must not become one.
function cutBatch(lines) {
  return new Promise((done) => {
    const request = http.request({ host: '127.0.0.1', port: pick(ports), method: 'POST', path: '/batches', agent: false,
      headers: { 'Content-Type': 'application/x-ndjson', 'Content-Length': lines.length + 1000 } }, (response) => { response.resume(); });
    request.on('error', done);
    request.on('close', done);
    request.write(lines.replaceAll(`"payload":"b`, `"payload":"cut-b`), () => setTimeout(() => request.destroy(), random() * 100));
  });
}

class BatchWatcher extends Watcher {
  constructor(id, known) { super(id, known); this.home = `/batches/${id}`; this.path = `${this.home}/events`; this.channel = `batch:${id}`; this.totals = { total: 0, done: 0 }; }
  event(event, cursor) {
    super.event(event, cursor);
    if (event.data) this.counted(event.data, `event ${event.seq}`);
    if (event.type === 'batch.ready' && event.data.done !== event.data.total) wrong(`batch ${this.id} is said to be ready, and ${event.data.open} jobs are open`);
  }
  counted(totals, where) {
    if (failovers === this.counts && (totals.total < this.totals.total || totals.done < this.totals.done)) wrong(`batch ${this.id} (${this.mode}): its totals go back at ${where}`);
    this.totals = totals;
    this.counts = failovers;
  }
}

// One topic, published to all the time and watched on streams and sockets: each event once, in order, from wherever one began.
let told = 0;
async function publisher() {
  const publish = (data) => ask('POST', '/topic', { 'Content-Type': 'application/json' }, JSON.stringify(data), 25000);
  for (let n = 1; !resting; ++n) {
    const answer = await publish({ n });
    if (answer && answer.status === 200) ++count.published;
    else if (answer && answer.status !== 503) wrong(`a publication is answered ${answer.status} ${answer.body}`);
    await sleep(100 + random() * 200);
  }
  for (;;) {
    const answer = await publish({ end: true });
    if (answer && answer.status === 200) return;
    await sleep(300);
  }
}

class TopicWatcher extends Watcher {
  constructor(mode) { super('topic'); watchers.pop(); this.path = '/topic'; this.channel = 'topic:chaos'; this.mode = mode; this.next = 0; topicWatchers.push(this); }
  event(event, cursor) {
    if (this.next && event.seq !== this.next) wrong(`topic (${this.mode}): event ${event.seq} where ${this.next} was due`);
    this.note(event);
    this.next = event.seq + 1;
    this.cursor = cursor || this.cursor;
    ++told;
    if (event.data.end) this.done = true;
  }
  begin() { this.next = 0; }    // the latest message is next
  onLoss() { wrong(`topic (${this.mode}): it does not exist`); }
}
const topicWatchers = [];

// One user's jobs, submitted all the time and watched as one history: each event once, each job's in order, all of them.
const owned = new Map();       // id → when it was sent
const ownedLost = new Set();
let ownedClosed = false;
const userWatchers = [];
async function owner() {
  while (userWatchers.some((watcher) => !watcher.cursor)) await sleep(50);     // they begin with what comes from now on
  while (!resting) {
    const sent = Date.now();
    const answer = await ask('POST', '/owned?u=chaos', {}, `owned-${owned.size}`, 25000);
    if (answer && answer.status === 202) { const { id } = JSON.parse(answer.body); accept(id, `owned-${owned.size}`, sent); owned.set(id, sent); }
    else if (answer && answer.status !== 503) wrong(`an owner's POST is answered ${answer.status}`);
    await sleep(50 + random() * 150);
  }
  ownedClosed = true;
  for (const watcher of userWatchers) { watcher.settle(); watcher.catchUp(); }
}

class UserWatcher extends Watcher {
  constructor(mode) { super('user'); watchers.pop(); this.path = '/owned?u=chaos'; this.ws = '/ownedws?u=chaos'; this.channel = 'user:chaos'; this.mode = mode; this.at = new Map(); this.ended = new Map(); this.resetAt = 0; this.atMost = new Map(); this.firsts = new Map(); userWatchers.push(this); }
  event(event, cursor) {
    const known = this.at.get(event.job);
    if (known === undefined && this.resetAt) this.onFirst(event);
    else if (event.seq !== (known ?? 0) + 1) wrong(`user (${this.mode}): event ${event.seq} of ${event.job} where ${(known ?? 0) + 1} was due`);
    this.note(event);
    this.at.set(event.job, event.seq);
    this.cursor = cursor || this.cursor;
    if (endings.has(event.type)) this.ended.set(event.job, Date.now());
    ++count.users;
    this.settle();
  }
  settle() { this.done = ownedClosed && [...owned.keys()].every((id) => this.ended.has(id) || ownedLost.has(id)); }

  // Behind a reset comes what happens from then on. How far each job was, its document says.
  begin() {
    this.resetAt = Date.now();
    this.at.clear(); this.firsts.clear(); this.atMost.clear();
    for (const [id, heard] of this.ended) if (heard > this.resetAt - 20000) this.ended.delete(id);
    this.catchUp();
  }
  onFirst({ job, seq }) {
    this.firsts.set(job, seq);
    this.checkFirst(job);
    if (seq > 1 && owned.get(job) > this.resetAt) wrong(`user (${this.mode}): event ${seq} of ${job} where 1 was due`);
  }
  checkFirst(job) { if (this.firsts.get(job) > this.atMost.get(job)) wrong(`user (${this.mode}): event ${this.firsts.get(job)} of ${job} behind a reset, where ${this.atMost.get(job)} was due`); }
  async catchUp() {
    const history = this.seen.length;
    for (const [id, sent] of [...owned]) {
      while (sent <= this.resetAt && !this.ended.has(id) && !ownedLost.has(id)) {
        const answer = await ask('GET', `/jobs/${id}`, {}, undefined, 25000);
        if (this.seen.length !== history) return;
        if (answer && answer.status === 404) ownedLost.add(id);
        if (!answer || answer.status !== 200) { await sleep(100 + random() * 200); continue; }
        const job = JSON.parse(answer.body);
        if (!this.atMost.has(id)) this.atMost.set(id, job.seq + 1);
        this.checkFirst(id);
        if (endings.has(job.state)) this.ended.set(id, Date.now());
        break;
      }
    }
    this.settle();
    if (this.done) this.leave?.();
  }
  onLoss() { wrong(`user (${this.mode}): it does not exist`); }
}

// The same, and the topic, on one stream with one cursor.
class BothWatcher extends UserWatcher {
  constructor() { super('stream'); this.path = '/both?u=chaos'; this.topicNext = 0; this.topicEnded = false; }
  event(event, cursor) {
    if (event.channel !== 'topic:chaos') return super.event(event, cursor);
    if (this.topicNext && event.seq !== this.topicNext) wrong(`both: event ${event.seq} of the topic where ${this.topicNext} was due`);
    this.note(event);
    this.topicNext = event.seq + 1;
    this.topicEnded ||= Boolean(event.data.end);
    this.cursor = cursor || this.cursor;
    this.settle();
  }
  begin(channel) { if (channel === 'topic:chaos') this.topicNext = 0; else super.begin(); }
  settle() { super.settle(); this.done &&= this.topicEnded; }
}

// Somebody who is revoked again and again: when it was there, from the primer to the end of each connection.
const sessions = [];
class RevokedWatcher extends Watcher {
  constructor(mode) { super('revoked'); watchers.pop(); this.path = '/owned?u=gone'; this.ws = '/ownedws?u=gone'; this.channel = 'user:gone'; this.mode = mode; this.run(); }
  set cursor(cursor) { if (cursor && !this.session) sessions.push(this.session = { from: Date.now(), mode: this.mode }); }
  get cursor() { return ''; }
  begin() {}
  async run() {
    while (!resting) {
      this.session = null;
      await this[this.mode]();
      if (this.session) this.session.to = Date.now();
      await sleep(20 + random() * 250);
    }
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'rest') resting = true;
  if (line === 'failover') {
    ++failovers; ++returning;
    for (const watcher of watchers) watcher.comeBack();
    add_again();
    // and those to whom the last words of the server that is gone were still under way
    setTimeout(() => { for (const watcher of watchers) watcher.comeBack(); --returning; }, 2000);
  }
}).on('close', () => process.exit(1));
(async () => {
  setTimeout(() => { resting = true; }, seconds * 1000);
  for (const mode of ['stream', 'stream', 'stream', 'socket', 'socket', 'socket']) new TopicWatcher(mode).run();
  for (const mode of ['stream', 'stream', 'socket', 'socket']) new UserWatcher(mode).run();
  for (let n = 0; n < 2; ++n) new BothWatcher().run();
  for (const mode of ['stream', 'socket', 'stream', 'socket']) new RevokedWatcher(mode);
  const submitters = [owner(), batcher(), batcher(), ...Array.from({ length: 8 }, submitter)];
  const publishes = publisher();
  await Promise.all(submitters);
  console.error('submitted');
  const end = Date.now() + 120000;
  while ((returning || watchers.some((watcher) => !watcher.done)) && Date.now() < end) await sleep(100);
  await publishes;
  while (topicWatchers.some((watcher) => !watcher.done) && Date.now() < end) await sleep(100);
  for (const watcher of topicWatchers) if (!watcher.done) wrong(`topic (${watcher.mode}) is at ${watcher.next - 1} and has not heard the end`);
  while (userWatchers.some((watcher) => !watcher.done) && Date.now() < end) await sleep(100);
  for (const watcher of userWatchers) if (!watcher.done) wrong(`user (${watcher.mode}) has heard the end of ${watcher.ended.size} of ${owned.size} jobs`);
  count.told = told;
  for (const watcher of watchers) if (!watcher.done) wrong(`${watcher.id} (${watcher.mode}) is at ${watcher.next - 1} and has not heard the end`);
  const heard = watchers.map((watcher) => ({ id: watcher.id, mode: watcher.mode, last: watcher.next - 1, learned: watcher.learned, state: watcher.state, lost: watcher.lost }));
  const seen = [...watchers, ...topicWatchers, ...userWatchers].map((watcher) => ({ id: watcher.id, mode: watcher.mode, lost: watcher.lost, histories: watcher.seen }));
  for (const session of sessions) session.to ??= Date.now();
  process.stdout.write(JSON.stringify({ accepted, times, batches, settled, problems, heard, seen, sessions, count }) + '\n', () => process.exit(0));
})();
