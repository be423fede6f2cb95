// Compiled by t/client.t: what an application writes, and what the compiler has to refuse.

import { createClient, job, JobError, NetworkError, ProblemError, submit, topic, type AwaitEvent, type Problem } from 'nginx-await';
import { workflow } from 'nginx-await/workflow';

interface Thumbnails { progress: { done: number; of: number }; thumbnail: { url: string } }

export async function upload(file: File, signal: AbortSignal): Promise<string> {
  const made = await submit<Thumbnails>('/jobs', file, { signal, onUploadProgress: ({ loaded, total }) => console.log(loaded / total) });
  for await (const event of made.events({ signal })) {
    if (event.type === 'progress') console.log(event.data.done / event.data.of, event.seq + 1);
    else if (event.type === 'thumbnail') console.log(event.data.url.length);
    else if (event.type === 'failed') console.log(event.data.title?.length);
    else if (event.type === 'completed') console.log(event.result?.size);
    else if (event.type === 'reset') console.log(event.state.length);
    // @ts-expect-error: there is no such event
    else if (event.type === 'thumbnial') console.log(event);
    // @ts-expect-error: its data has no such member
    if (event.type === 'thumbnail') console.log(event.data.size);
  }
  try {
    const result: Response = await made.result({ signal });
    return await result.text();
  } catch (error) {
    if (error instanceof JobError) return `${error.status} ${(error.problem satisfies Problem).detail}`;
    if (error instanceof ProblemError) return error.problem.request_id ?? '';
    if (error instanceof NetworkError) return String(error.cause);
    throw error;
  }
}

export async function others(): Promise<void> {
  const client = createClient({ ticket: '/ticket', headers: async () => ({ Authorization: 'Bearer x' }), quiet: 4000, socket: false });
  const batch = await client.submitBatch('/batches', { jobs: [{ payload: 1 }] });
  const { totals } = await batch.done();
  const stop = topic<{ headline: { title: string } }>('news', { socket: '/ws', events: '/news' }).subscribe((event) => {
    if (event.type === 'headline') console.log(event.data.title);
  });
  stop();
  const untyped: AwaitEvent = { type: 'anything', data: 1, seq: 1, at: '' };
  const { state, queue } = await job('/jobs/x', { cursor: 'c' }).document();
  client.watch(workflow('r', 'ann'));
  client.close();
  console.log(totals.done + 1, untyped.type, state, queue);
  // @ts-expect-error: the options have no such member
  await submit('/jobs', 'x', { onProgress: () => {} });
  // @ts-expect-error: it is internal
  console.log(batch.watch_);
}
