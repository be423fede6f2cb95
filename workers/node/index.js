// A worker for nginx-await: claims jobs, keeps their leases, hears of cancels, ends them. README.md shows its use.
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Failed, Job, Over, Result } from './job.js';
import { Notify } from './notify.js';
import { Redis } from './redis.js';

export { Failed, Over, Result };

// says that PostgreSQL is away, not that a statement is wrong
const isAway = (error) => !error.code || /^(08|53|57P|E[A-Z])/.test(error.code);

export async function work(options, handler) {
  const { concurrency = 1, postgres, beat = 2000, grace = 25000, signal, log = console.error } = options;
  const url = options.redis ?? process.env.AWAIT_REDIS;
  const queues = [options.queue].flat(), name = `${os.hostname()}:${process.pid}`, jobs = new Set();
  let stopping = false, wake = () => {}, beatNow = () => {};
  const stop = () => { stopping = true; wake(); };
  const place = {
    keepAlive: true, connectionTimeoutMillis: 10000,
    ...(typeof postgres === 'string' ? { connectionString: postgres } : postgres),
  };
  const pool = new pg.Pool({ max: concurrency + 2, ...place });
  pool.on('error', () => {}); // an idle connection broke: the next statement makes another
  const on = { work: () => wake(), cancel: () => beatNow(), trouble: log };
  const bus = url ? new Redis(url, queues, on) : new Notify(() => new pg.Client(place), queues, on);

  // A statement in a transaction of its own; again, for `patience` ms, while PostgreSQL is away.
  async function query(sql, values, patience = 60000) {
    for (let pause = 100, until = Date.now() + patience; ; pause = Math.min(2 * pause, 5000)) {
      try {
        return (await pool.query(sql, values)).rows;
      } catch (error) {
        if (!isAway(error) || Date.now() >= until) throw error;
        log(`PostgreSQL: ${error.message}`);
        await sleep(pause * (0.5 + Math.random() / 2));
      }
    }
  }

  async function publish(id) {
    if (!bus.connected) return;
    const hints = await query('SELECT channel, message FROM await.hint($1)', [id]);
    for (const hint of hints) bus.publish(hint.channel, hint.message);
  }

  async function claim() {
    const sql = `SELECT *, extract(epoch FROM lease_for)::float8 AS lease_seconds
                 FROM await.claim($1, $2, 1, pieces => true)`;
    const rows = await query(sql, [queues, name], 0).catch((error) => {
      if (!isAway(error)) throw error;
      log(`PostgreSQL: ${error.message}`);
      return [];
    });
    return rows.length ? new Job(rows[0], query, publish) : undefined;
  }

  async function run(job) {
    const said = `job ${job.id}, attempt ${job.attempt}`;
    try {
      const ours = await Promise.resolve(job).then(handler).then((answer) => job.complete(answer)).catch((error) => {
        if (!job.signal.aborted && !(error instanceof Failed)) log(`${said} failed: ${error?.stack ?? error}`);
        return job.fail(error).catch((refused) => job.fail(refused)); // such as a problem that is no JSON
      });
      if (!ours) log(`${said}: nothing was changed, it is ${job.why ?? 'lost'}`);
      await publish(job.id);
    } catch (error) { // its lease will run out
      log(`${said} could not be ended: ${error.message}`);
    }
    job.end('ended');
    jobs.delete(job);
    wake();
  }

  async function keepLeases() {
    while (!stopping || jobs.size) {
      const pause = Math.min(beat, ...[...jobs].map((job) => job.lease / 3));
      await Promise.race([new Promise((resolve) => { beatNow = resolve; }), sleep(pause, undefined, { ref: false })]);
      await Promise.all([...jobs].filter((job) => !job.signal.aborted).map((job) =>
        job.beat().catch((error) => log(`job ${job.id}: no heartbeat: ${error.message}`))));
    }
  }

  for (const name of ['SIGTERM', 'SIGINT']) process.on(name, stop);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();

  keepLeases();
  // the end of a job that is done before Redis is connected could not be published
  await Promise.race([bus.tried, sleep(5000, undefined, { ref: false })]);
  try {
    while (!stopping) {
      const woken = new Promise((resolve) => { wake = resolve; });
      const job = jobs.size < concurrency ? await claim() : undefined;
      if (job) {
        jobs.add(job);
        if (job.lease / 3 < beat) beatNow();
        run(job);
      } else {
        await Promise.race([woken, sleep(1000)]);
      }
    }
  } finally {
    stopping = true;
    for (const until = Date.now() + grace; jobs.size && Date.now() < until;) await sleep(20);
    await Promise.all([...jobs].map((job) => {
      job.end('stopped');
      return job.release().catch((error) => log(`job ${job.id} could not be given back: ${error.message}`));
    }));
    for (const name of ['SIGTERM', 'SIGINT']) process.off(name, stop);
    await bus.close();
    await pool.end();
  }
}
