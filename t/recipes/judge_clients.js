// Clients of conf/recipes/judge.conf: each submits, follows its submission on one transport, and fetches the output
// file, however often its connection breaks. Prints "half" when half of them have submitted, and a line of JSON at the
// end: what each of them was told.
// usage: node judge_clients.js PORT NAME CLIENTS MILLISECONDS     (they begin within so many milliseconds)
'use strict';
const http = require('http');
const WebSocket = require('ws');

const [port, name] = process.argv.slice(2, 4);
const [clients, spread] = process.argv.slice(4).map(Number);
const basic = { Authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
let submitted = 0;
const agent = new http.Agent({ keepAlive: true, maxSockets: 400 });

// One exchange. Resolves to { status, headers, body }, or null where the connection broke. With `on_text`, that gets
// the body as it comes.
function ask(method, path, wanted = {}, body = undefined, on_text = null) {
  return new Promise((done) => {
    const options = { port, method, path, agent, headers: { ...basic, ...wanted } };
    const request = http.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => { text += piece; if (on_text && response.statusCode === 200) on_text(text); });
      const { statusCode: status, headers } = response;
      response.on('close', () => done(response.complete ? { status, headers, body: text } : null));
    });
    request.setTimeout(25000, () => request.destroy());
    request.on('error', () => done(null));
    request.end(body);
  });
}

class Client {
  constructor(number) {
    this.how = ['poll', 'held', 'stream', 'socket'][number % 4];
    Object.assign(this, { number, events: [], posts: 0, cuts: 0, other: [], state: null, cursor: null });
  }

  async run() {
    await this.submit();
    this.path = `/submissions/${this.id}`;
    while (!/completed|failed|cancelled|expired/.test(this.state)) {
      if (!await this[this.how]()) {
        this.cuts += 1;
        await sleep(50 + 100 * Math.random());
      }
    }
    for (;;) {
      const answer = await ask('GET', `${this.path}/result`);
      if (answer?.status === 200) {
        this.result = answer.body.trim().split('\n').at(-1);
        this.file = /filename="?([^";]+)/.exec(answer.headers['content-disposition'] ?? '')?.[1];
        return;
      }
      this.note(answer);
      await sleep(50);
    }
  }

  // An answer that a client may be told while servers are gone, and repeats.
  note(answer) {
    if (answer && ![409, 502, 503, 504].includes(answer.status)) this.other.push(`${answer.status} ${answer.body}`);
  }

  async submit() {
    const headers = { 'Content-Type': 'text/plain', 'Idempotency-Key': `"${name}-${this.number}"` };
    for (;;) {
      this.posts += 1;
      const answer = await ask('POST', '/submissions', headers, '2 3 5 7 11 13 17 19 23 29');
      if (answer?.status === 202) { this.id = JSON.parse(answer.body).id; break; }
      this.note(answer);
      await sleep(50 + 100 * Math.random());
    }
    submitted += 1;
    if (submitted === clients / 2) console.log('half');
  }

  take(event, cursor) {
    this.events.push(event.seq);
    this.cursor = cursor;
    if (['completed', 'failed', 'cancelled', 'expired'].includes(event.type)) this.state = event.type;
  }

  async poll() {
    const answer = await ask('GET', this.path);
    if (answer?.status === 200) this.state = JSON.parse(answer.body).state;
    else this.note(answer);
    await sleep(100);
    return answer?.status === 200;
  }

  async held() {
    const answer = await ask('GET', `${this.path}?wait=20`);
    if (answer?.status === 200) this.state = JSON.parse(answer.body).state;
    else this.note(answer);
    return answer?.status === 200;
  }

  async stream() {
    let at = 0;
    const headers = { Accept: 'text/event-stream', ...(this.cursor ? { 'Last-Event-ID': this.cursor } : {}) };
    const answer = await ask('GET', `${this.path}/events`, headers, undefined, (text) => {
      for (let end; (end = text.indexOf('\n\n', at)) >= 0; at = end + 2) {
        const lines = Object.fromEntries(text.slice(at, end).split('\n').map((line) => line.split(/: (.*)/s)));
        if (lines.event === 'reset') this.other.push(`reset ${lines.data}`);
        else if (lines.id && lines.event && JSON.parse(lines.data).seq) this.take(JSON.parse(lines.data), lines.id);
      }
    });
    if (answer && answer.status !== 200) this.note(answer);
    return this.state !== null;
  }

  socket() {
    return new Promise((done) => {
      const resume = this.cursor ? `?cursor=${this.cursor}` : '';
      const url = `ws://127.0.0.1:${port}${this.path}/events${resume}`;
      const socket = new WebSocket(url, 'await.v1', { headers: basic });
      socket.on('message', (text) => {
        const message = JSON.parse(text);
        if (message.op === 'reset' || message.op === 'error') this.other.push(String(text));
        if (!message.type) return;
        this.take(message, message.cursor);
        if (this.state) socket.close();
      });
      socket.on('error', () => {});
      socket.on('close', () => done(this.state !== null));
    });
  }
}

(async () => {
  const all = Array.from({ length: clients }, (_, number) => new Client(number));
  await Promise.all(all.map(async (client, number) => { await sleep(spread * number / clients); await client.run(); }));
  console.log(JSON.stringify(all));
  process.exit(0);
})();
