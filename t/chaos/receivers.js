// Receivers of what await-relay hands on, for t/chaos_relay.t: a receiver of webhooks that fails now and then, and a
// proxy in front of Redis. usage: node receivers.js FILE WEBHOOKS=PORT REDIS=PORT:TARGET
// Writes a line to FILE for each event that was accepted, "webhooks JOB SEQ TIME", and for each hint that Redis has
// executed, "redis JOB SEQ". Commands on stdin: "webhooks MS" (nobody listens for as long), "cut", "stall MS",
// "refuse MS" (the lines to Redis).
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');
const readline = require('readline');

const [file, ...words] = process.argv.slice(2);
const given = Object.fromEntries(words.map((word) => word.split('=')));
const out = fs.openSync(file, 'a');
const note = (...what) => fs.writeSync(out, `${what.join(' ')}\n`);

// --- webhooks ---------------------------------------------------------------------------------------------

const sockets = new Set();
const server = http.createServer((req, res) => {
  const pieces = [];
  req.on('data', (piece) => pieces.push(piece));
  req.on('end', () => {
    const dice = Math.random();
    if (dice < 0.02) return req.socket.destroy();
    if (dice < 0.05) return res.writeHead(dice < 0.04 ? 500 : 503).end();
    const body = JSON.parse(Buffer.concat(pieces).toString());
    if (req.headers['webhook-id'] !== `${body.data.job}:${body.data.seq}`) note('wrong', req.headers['webhook-id']);
    note('webhooks', body.data.job, body.data.seq, body.timestamp);
    if (dice < 0.07) return req.socket.destroy();     // accepted, but the sender does not learn of it
    res.writeHead(200).end();
  });
});
server.on('connection', (socket) => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)); });
const listen = () => server.listen(Number(given.WEBHOOKS), '127.0.0.1');
function down(ms) {
  server.close();
  for (const socket of sockets) socket.destroy();
  setTimeout(listen, ms);
}

// --- Redis ------------------------------------------------------------------------------------------------

const [port, target] = given.REDIS.split(':').map(Number);
const pairs = new Set();
let refusing = 0;
let stalled = 0;

// The words of the commands that a client has sent, as far as they are whole.
class Commands {
  constructor() { this.text = ''; }
  take(bytes) {
    const found = [];
    this.text += bytes.toString('latin1');
    for (;;) {
      const head = this.text.match(/^\*(\d+)\r\n/);
      if (!head) return found;
      let at = head[0].length;
      const command = [];
      for (let n = Number(head[1]); n > 0; --n) {
        const size = this.text.slice(at, at + 20).match(/^\$(\d+)\r\n/);
        if (!size) return found;
        at += size[0].length;
        if (this.text.length < at + Number(size[1]) + 2) return found;
        command.push(this.text.slice(at, at + Number(size[1])));
        at += Number(size[1]) + 2;
      }
      found.push(command);
      this.text = this.text.slice(at);
    }
  }
}

net.createServer((client) => {
  if (refusing > 0) return client.destroy();
  const redis = net.connect(target, '127.0.0.1');
  const pair = { client, redis };
  pairs.add(pair);
  const commands = new Commands();
  const sent = [];             // without an answer yet: each has one, of one line
  let answers = '';
  const end = () => { pairs.delete(pair); client.destroy(); redis.destroy(); };
  for (const side of [client, redis]) side.on('error', end).on('close', end);
  client.on('data', (bytes) => {
    sent.push(...commands.take(bytes));
    redis.write(bytes);
  });
  redis.on('data', (bytes) => {
    answers += bytes.toString('latin1');
    let at;
    while ((at = answers.indexOf('\r\n')) >= 0) {
      const [name, channel, message] = sent.shift();
      const hint = name === 'PUBLISH' && answers[0] === ':' && /^await:\d+$/.test(channel) && message.match(/^1 (\S+) ([1-9]\d*) /);
      if (hint) note('redis', hint[1], hint[2]);
      answers = answers.slice(at + 2);
    }
    client.write(bytes);
  });
  if (stalled > 0) { client.pause(); redis.pause(); }
}).listen(port, '127.0.0.1', () => { listen(); console.log('ready'); });

const cut = () => { for (const { client, redis } of [...pairs]) { client.destroy(); redis.destroy(); } };
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [what, ms] = line.split(' ');
  if (what === 'webhooks') down(Number(ms));
  if (what === 'cut') cut();
  if (what === 'refuse') { ++refusing; cut(); setTimeout(() => { --refusing; }, Number(ms)); }
  if (what === 'stall') {
    ++stalled;
    for (const { client, redis } of pairs) { client.pause(); redis.pause(); }
    setTimeout(() => { if (--stalled === 0) for (const { client, redis } of pairs) { client.resume(); redis.resume(); } }, Number(ms));
  }
}).on('close', () => process.exit(0));
