// A worker by workers/node, for t/samples.t and t/samples_libraries.t: params say what it does.
import { setTimeout as sleep } from 'node:timers/promises';
import { Failed, Result, work } from 'nginx-await-worker';

const upper = (bytes) => bytes.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte));

async function* inPieces(job) {
  for await (const piece of job.pieces(100_000)) yield upper(piece);
}

let claimedAgain;
const secondAttempt = new Promise((resolve) => { claimedAgain = resolve; });

const actions = {
  async events(job) {
    await job.progress({ done: 1 });
    await job.emit('note', { n: 1 }, 'once');
    await job.emit('note', { n: 1 }, 'once');
    return { ok: true };
  },
  stream: (job) => new Result(inPieces(job), { contentType: 'text/plain', fileName: 'up.txt', status: 201 }),
  fail() { throw new Failed('No way', { detail: 'because', code: 7 }, -1); },
  crash() { throw new Error('a\0b\udcff\\u0000'); },
  unwritable() { throw new Failed('No way', { detail: 'because', number: 1n }); },
  async deaf(job) {
    if (job.attempt === 1) await secondAttempt;
    claimedAgain();
    return actions.upper(job);
  },
  refused: () => new Result('x', { contentType: 'text/plain\r\nX: y' }),
  nothing() {},
  stubborn: () => sleep(600_000),
  async upper(job) {
    const text = await job.payload();
    if (!text.length) throw new Error('There is no text.');
    await sleep((job.params?.seconds ?? 0) * 1000, undefined, { signal: job.signal });
    return new Result(upper(text), { contentType: 'text/plain' });
  },
};

const [concurrency, grace] = process.argv.slice(2).map(Number);
await work({ queue: 'node-library', concurrency, grace: grace * 1000 }, (job) => actions[job.params?.do ?? 'upper'](job));
process.exit(0); // what ignored its signal still runs
