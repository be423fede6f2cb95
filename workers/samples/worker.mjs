// A worker in Node: turns text to upper case. npm install pg. docs/workers.md explains it.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

// Yours. params.seconds stands for its time. The signal is aborted when the job is cancelled or no longer ours.
async function work(text, seconds, signal) {
  if (text.length === 0) throw new Error('There is no text.');
  await sleep(seconds * 1000, undefined, { signal });
  return text.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte));
}

const db = new pg.Client(); // to PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
await db.connect();
db.on('notification', () => wake());
await db.query('LISTEN await_work'); // without Redis: heard if the database has await.notify
const value = async (sql, ...values) => Object.values((await db.query(sql, values)).rows[0])[0];

let stop = false, wake = () => {}, redis;
process.on('SIGTERM', () => { stop = true; wake(); }); // finishes its job, then ends

function connectRedis() {
  const { hostname, port } = new URL(process.env.AWAIT_REDIS), password = process.env.REDISCLI_AUTH;
  redis = net.connect(port, hostname);
  redis.on('data', () => wake());
  redis.on('error', (error) => console.error('Redis:', error.message));
  redis.on('close', () => { redis = undefined; });
  redis.write(`HELLO 3 ${password ? `AUTH default ${password}` : ''}\r\nSUBSCRIBE await:queue:node\r\n`);
}

function publish({ channel, message }) { // on the same connection, as HELLO 3 allows
  const words = ['PUBLISH', channel, message].map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  redis?.write(`*3\r\n${words.join('')}`);
}

async function run({ id, receipt, payload, params }) {
  const over = new AbortController();
  const beats = setInterval(async () => {
    if (await value('SELECT await.heartbeat($1, $2)', id, receipt) !== 'ok') over.abort();
  }, 1000);
  let ended;
  try {
    const result = await work(payload, params?.seconds ?? 0, over.signal);
    ended = ["SELECT await.complete($1, $2, $3, 'text/plain')", id, receipt, result];
  } catch (error) {
    ended = ['SELECT await.fail($1, $2, $3)', id, receipt, { title: 'The work failed', detail: error.message }];
  }
  clearInterval(beats);
  if (!await value(...ended)) console.error(id, 'cancelled, or no longer ours'); // nothing was changed
  (await db.query('SELECT channel, message FROM await.hint($1)', [id])).rows.forEach(publish);
}

if (process.env.AWAIT_REDIS) connectRedis(); // before the first job, whose end is to be told
while (!stop) {
  const woken = new Promise((resolve) => { wake = resolve; }); // by a message that there is work
  const { rows } = await db.query("SELECT * FROM await.claim(ARRAY['node'], 'node', 1, inline => 64 << 20)");
  if (rows.length) { await run(rows[0]); continue; }
  if (!redis && process.env.AWAIT_REDIS) connectRedis();
  await Promise.race([woken, sleep(1000)]);
}
await db.end();
redis?.destroy();
