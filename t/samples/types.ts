// What workers/node/index.d.ts promises, as tsc sees it.
import { Answer, Failed, Job, Over, Result, work } from 'nginx-await-worker';

const stop = new AbortController();

async function handler(job: Job<{ width: number }>): Promise<Answer> {
  const width: number = job.params?.width ?? 128;
  if (width < 1) throw new Failed('Too narrow', { detail: `${width} px`, width }, -1);
  await job.progress({ done: 1, total: 2 });
  await job.emit('started', null, 'once');
  for await (const piece of job.pieces()) piece.byteLength.toFixed();
  const reason: unknown = job.signal.reason;
  if (reason instanceof Over && reason.why === 'stopped') return 'stopped';
  return new Result(await job.payload(), { contentType: 'image/png', fileName: 'a.png', status: 201 });
}

export const done: Promise<void> = work({ queue: ['a', 'b'], concurrency: 4, signal: stop.signal }, handler);
// @ts-expect-error: a queue is needed
work({}, handler);
// @ts-expect-error: a handler returns something
work({ queue: 'a' }, () => {});
// @ts-expect-error: no such status
new Result('x', { status: 500 });
