// A front of a broker that has neither TLS nor passwords: with both. It speaks so much of Kafka's protocol that clients
// come back to it, and not to the broker behind it, which has one address. usage: front.js OPTIONS, a JSON object:
//   port        of the broker
//   host        under which clients are to come; 127.0.0.1 by default
//   cert, key   files: with TLS
//   users       names and passwords: with SASL, PLAIN and SCRAM-SHA-256
//   partitions  of topics: as many are shown as there
// Prints the port that it listens on. A line on the standard input has options that change; with users, all connections
// are ended.
const crypto = require('crypto');
const { readFileSync } = require('fs');
const net = require('net');
const readline = require('readline');
const tls = require('tls');

const options = { host: '127.0.0.1', partitions: {}, ...JSON.parse(process.argv[2]) };
const API = { Metadata: 3, FindCoordinator: 10, SaslHandshake: 17, ApiVersions: 18, SaslAuthenticate: 36 };
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256'];
const ERRORS = { mechanism: 33, version: 35, authentication: 58 };
const MOST = 100 << 20; // bytes of a request
const clients = new Set();

const i16 = (n) => { const out = Buffer.alloc(2); out.writeInt16BE(n); return out; };
const i32 = (n) => { const out = Buffer.alloc(4); out.writeInt32BE(n); return out; };
const text = (s) => Buffer.concat([i16(Buffer.byteLength(s)), Buffer.from(s)]);
const bytes = (b) => Buffer.concat([i32(b.length), b]);
const frame = (...parts) => bytes(Buffer.concat(parts));

// What is read from a frame, one after the other.
class Reader {
  constructor(buffer) { this.buffer = buffer; this.at = 0; }
  take(size) { this.at += size; return this.buffer.subarray(this.at - size, this.at); }
  i8() { return this.take(1).readInt8(); }
  i16() { return this.take(2).readInt16BE(); }
  i32() { return this.take(4).readInt32BE(); }
  text() { const size = this.i16(); return size < 0 ? null : this.take(size).toString(); }
  bytes() { return this.take(this.i32()); }
  skip(read) { const from = this.at; read(); return this.buffer.subarray(from, this.at); }
  rest() { return this.buffer.subarray(this.at); }
}

// Calls back with each whole frame, without its length.
function frames(socket, each) {
  let had = Buffer.alloc(0);
  socket.on('data', (data) => {
    had = Buffer.concat([had, data]);
    if (had.length >= 4 && had.readUInt32BE() > MOST) socket.destroy(); // no frame, as one of TLS
    while (had.length >= 4 && had.length >= 4 + had.readInt32BE()) {
      const size = had.readInt32BE();
      const one = had.subarray(4, 4 + size);
      had = had.subarray(4 + size);
      each(one);
    }
  });
}

const address = () => [text(options.host), i32(server.address().port)];

// What Metadata says of a topic, with so many partitions as are to be shown.
function shown(from, version) {
  const head = [from.skip(() => from.i16())];
  const name = from.text();
  head.push(text(name), version >= 1 ? from.skip(() => from.i8()) : Buffer.alloc(0));
  const partitions = Array.from({ length: from.i32() }, () => from.skip(() => {
    from.take(2 + 4 + 4);
    for (let lists = 2; lists > 0; --lists) from.take(4 * from.i32()); // replicas, and those in sync
  })).slice(0, options.partitions[name]);
  return Buffer.concat([...head, i32(partitions.length), ...partitions]);
}

// An answer of the broker in which its address is ours.
function led_here(key, version, answer) {
  const from = new Reader(answer);
  const out = [i32(from.i32())];
  if (key === API.Metadata) {
    if (version >= 3) out.push(i32(from.i32()));
    const count = from.i32();
    out.push(i32(count));
    for (let i = 0; i < count; ++i) {
      out.push(i32(from.i32()), ...address());
      from.skip(() => { from.text(); from.i32(); });
      if (version >= 1) out.push(from.skip(() => from.text()));
    }
    if (version >= 2) out.push(from.skip(() => from.text())); // the cluster
    if (version >= 1) out.push(from.skip(() => from.i32())); // its controller
    const topics = from.i32();
    out.push(i32(topics));
    for (let i = 0; i < topics; ++i) out.push(shown(from, version));
  } else {
    if (version >= 1) out.push(i32(from.i32()));
    out.push(i16(from.i16()));
    if (version >= 1) out.push(from.skip(() => from.text()));
    out.push(i32(from.i32()), ...address());
    from.skip(() => { from.text(); from.i32(); });
  }
  return frame(...out, from.rest());
}

const hmac = (key, data) => crypto.createHmac('sha256', key).update(data).digest();

// The answer to the client's next message, or null if it is to be refused; `done` says that it is who it says.
function sasl_step(state, message) {
  if (state.mechanism === 'PLAIN') {
    const [, user, password] = message.toString().split('\0');
    state.done = Object.hasOwn(options.users, user) && options.users[user] === password;
    return state.done ? Buffer.alloc(0) : null;
  }
  const fields = new Map(message.toString().replace(/^n,,/, '').split(',').map((f) => [f[0], f.slice(2)]));
  if (!state.first) {
    const password = Object.hasOwn(options.users, fields.get('n')) ? options.users[fields.get('n')] : crypto.randomUUID();
    const salt = crypto.randomBytes(16);
    state.salted = crypto.pbkdf2Sync(password, salt, 4096, 32, 'sha256');
    state.nonce = fields.get('r') + crypto.randomBytes(12).toString('hex');
    state.answer = `r=${state.nonce},s=${salt.toString('base64')},i=4096`;
    state.first = message.toString().replace(/^n,,/, '');
    return Buffer.from(state.answer);
  }
  // as Kafka compares it: librdkafka before 2.6 has its own nonce twice in it
  const nonce = fields.get('r') ?? '';
  const signed = `${state.first},${state.answer},c=biws,r=${nonce}`;
  const client_key = hmac(state.salted, 'Client Key');
  const signature = hmac(crypto.createHash('sha256').update(client_key).digest(), signed);
  const proof = Buffer.from(client_key.map((byte, i) => byte ^ signature[i])).toString('base64');
  state.done = fields.get('p') === proof && nonce.endsWith(state.nonce);
  return state.done ? Buffer.from(`v=${hmac(hmac(state.salted, 'Server Key'), signed).toString('base64')}`) : null;
}

function serve(client) {
  const broker = net.connect(options.port, '127.0.0.1');
  const asked = new Map(); // the requests whose answers are changed
  const state = { done: !options.users };
  clients.add(client);
  const end = () => { clients.delete(client); client.destroy(); broker.destroy(); };
  for (const socket of [client, broker]) socket.on('error', end).on('close', end);

  frames(client, (request) => {
    const from = new Reader(request);
    const [key, version, id] = [from.i16(), from.i16(), from.i32()];
    from.text(); // the client's name
    if (key === API.ApiVersions) {
      // a version that we have not is answered in the first one, as brokers do
      const own = options.users ? [[17, 0, 1], [36, 0, 0]] : [];
      const all = [...versions, ...own];
      client.write(frame(i32(id), i16(version > 0 ? ERRORS.version : 0), i32(all.length), ...all.flat().map(i16)));
    } else if (key === API.SaslHandshake && options.users) {
      state.mechanism = from.text();
      const known = MECHANISMS.includes(state.mechanism);
      client.write(frame(i32(id), i16(known ? 0 : ERRORS.mechanism), i32(MECHANISMS.length), ...MECHANISMS.map(text)));
      if (!known) client.end();
    } else if (key === API.SaslAuthenticate && MECHANISMS.includes(state.mechanism)) {
      const answer = sasl_step(state, from.bytes());
      if (answer) {
        client.write(frame(i32(id), i16(0), i16(-1), bytes(answer)));
      } else {
        const why = 'Authentication failed: Invalid username or password';
        client.end(frame(i32(id), i16(ERRORS.authentication), text(why), bytes(Buffer.alloc(0))));
      }
    } else if (!state.done) {
      end(); // as brokers do
    } else {
      if (key === API.Metadata || key === API.FindCoordinator) asked.set(id, [key, version]);
      broker.write(frame(request));
    }
  });
  frames(broker, (answer) => {
    const id = answer.readInt32BE();
    const request = asked.get(id);
    asked.delete(id);
    client.write(request ? led_here(...request, answer) : frame(answer));
  });
}

let versions; // [key, least, most] of what the broker speaks
const server = options.cert
  ? tls.createServer({ cert: readFileSync(options.cert), key: readFileSync(options.key) }, serve)
  : net.createServer(serve);
server.on('tlsClientError', () => {});
const question = net.connect(options.port, '127.0.0.1', () => {
  question.write(frame(i16(API.ApiVersions), i16(0), i32(1), i16(-1)));
});
frames(question, (answer) => {
  const from = new Reader(answer);
  from.take(6);
  versions = Array.from({ length: from.i32() }, () => [from.i16(), from.i16(), from.i16()]);
  question.end();
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const change = JSON.parse(line);
    Object.assign(options, change);
    if (change.users) for (const client of clients) client.destroy();
    console.log('ok');
  })
  .on('close', () => process.exit());
