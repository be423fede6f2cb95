// A herd of event streams that behave as EventSource does: on any end they come back after `retry`, with their last id.
// usage: node streams.js PORT STREAMS FILE, a job's id a line; on stdin: "status" → one line of JSON; "end" → the last one, and it ends.
'use strict';
const net = require('net');
const readline = require('readline');

const [port, streams, file] = process.argv.slice(2);
const jobs = require('fs').readFileSync(file, 'utf8').trim().split('\n');
const problems = [];
const count = { connects: 0, open: 0, ready: 0, events: 0, ended: 0, empty: 0, resets: 0, retry_min: 1e9, retry_max: 0 };
const wrong = (what) => { if (problems.length < 20) problems.push(what); };

class Stream {
  constructor(job) { this.job = job; this.id = ''; this.next = 1; this.retry = 1000; this.connect(); }

  connect() {
    ++count.connects;
    this.text = ''; this.head = false; this.length = 0;
    const socket = this.socket = net.connect(Number(port), '127.0.0.1');
    socket.setNoDelay(true);
    socket.write(`GET /jobs/${this.job}/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${this.id ? `Last-Event-ID: ${this.id}\r\n` : ''}\r\n`);
    socket.setEncoding('latin1');
    socket.on('data', (piece) => this.take(piece));
    socket.on('error', () => {});
    socket.on('close', () => this.closed());
  }

  closed() {
    if (this.head) --count.open;
    if (this.wasReady) { --count.ready; this.wasReady = false; }
    if (this.over) return;
    setTimeout(() => this.connect(), this.head ? this.retry : 200 + Math.random() * 300);
  }

  take(piece) {
    this.text += piece;
    if (!this.head) {
      const end = this.text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const status = Number(this.text.slice(9, 12));
      this.head = true; ++count.open;
      this.text = this.text.slice(end + 4);
      if (status === 204) { this.over = true; ++count.ended; return this.socket.destroy(); }
      if (status !== 200) { wrong(`${this.job}: ${status}`); return this.socket.destroy(); }
      this.body = '';
    }
    // chunked
    let at;
    while ((at = this.text.indexOf('\r\n')) >= 0) {
      const size = parseInt(this.text.slice(0, at), 16);
      if (this.text.length < at + 2 + size + 2) break;
      this.body += this.text.slice(at + 2, at + 2 + size);
      this.text = this.text.slice(at + 2 + size + 2);
      if (size === 0) { this.socket.end(); break; }
    }
    while ((at = this.body.indexOf('\n\n')) >= 0) { this.frame(this.body.slice(0, at)); this.body = this.body.slice(at + 2); }
  }

  frame(text) {
    const field = {};
    for (const line of text.split('\n')) { const at = line.indexOf(': '); if (at > 0) field[line.slice(0, at)] = line.slice(at + 2); }
    if (field.retry) {
      this.retry = Number(field.retry);
      count.retry_min = Math.min(count.retry_min, this.retry); count.retry_max = Math.max(count.retry_max, this.retry);
    }
    if (field.id) this.id = field.id;
    if (!field.data) return;
    if (field.event === 'ready') { this.wasReady = true; ++count.ready; return; }
    if (field.event === 'reset') { ++count.resets; return wrong(`${this.job}: a reset`); }
    const event = JSON.parse(field.data);
    if (event.seq !== this.next) wrong(`${this.job}: event ${event.seq} where ${this.next} was due`);
    this.next = event.seq + 1;
    ++count.events;
    if (event.type === 'completed') { this.over = true; ++count.ended; }
  }
}

const all = [];
for (let n = 0; n < Number(streams); ++n) all.push(new Stream(jobs[n % jobs.length]));
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify({ ...count, problems, behind: Math.min(...all.map((stream) => stream.next)) }) + '\n');
  if (line === 'end') process.exit(0);
}).on('close', () => process.exit(0));
