// Jobs for the pages of the demo, with the calls of the package nginx-await, which can replace this file.
//
//   const job = await submit('/jobs', form);
//   for await (const event of job.events()) …      // each event once, up to the last one
//   const response = await job.result();           // rejects with the problem of a job that has failed

import { liveJobs } from './live.js';

const ENDED = /^(completed|failed|cancelled|expired)$/;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const sockets = new Map();        // path → the jobs on this WebSocket

/// An answer that is no success; the members of its problem are its own.
export class ProblemError extends Error {
  constructor(problem, status) {
    super(problem.detail ?? problem.title ?? `The server has answered ${status}.`);
    Object.assign(this, { problem, status });
  }
}

const problemOf = async (answer) => new ProblemError(await answer.json().catch(() => ({})), answer.status);

/// Submits `body`, once, however often it has to be sent. socket: path of a WebSocket that takes any jobs; without it, events
/// are read by held requests. Rejects with ProblemError, or with the error of the network after a minute.
export async function submit(url, body, { headers = {}, socket = null } = {}) {
  const key = `"${[...crypto.getRandomValues(new Uint32Array(4))].join('-')}"`;
  for (const end = Date.now() + 60000; ;) {
    let answer = null;
    try {
      answer = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': key, ...headers }, body });
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (answer?.status === 202) return jobOf(await answer.json(), { headers, socket });
    if (answer && (![409, 429, 503].includes(answer.status) || Date.now() > end)) throw await problemOf(answer);
    await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

function jobOf(document, options) {
  return {
    id: document.id,
    document,
    events: () => (options.socket ? pushed(document, options.socket) : held(document, options.headers)),
    cancel: () => fetch(document.links.self, { method: 'DELETE', headers: options.headers }),
    async result() {
      const answer = await fetch(`${document.links.result}`, { headers: { Prefer: 'wait=50', ...options.headers } });
      if (answer.status === 202) return this.result();
      if (!answer.ok) throw await problemOf(answer);
      return answer;
    },
  };
}

async function* pushed(document, path) {
  if (!sockets.has(path)) sockets.set(path, liveJobs(`${location.origin.replace('http', 'ws')}${path}`));
  const events = [];
  let wake = () => {};
  sockets.get(path).watch(document, (event) => { events.push(event); wake(); });
  for (;;) {
    while (events.length === 0) await new Promise((done) => { wake = done; });
    const event = events.shift();
    yield event;
    if (ENDED.test(event.type ?? event.state)) return;
  }
}

async function* held(document, headers) {
  for (let cursor = ''; ;) {
    const answer = await fetch(`${document.links.events}${cursor && `?cursor=${cursor}`}`,
      { headers: { Accept: 'application/json', Prefer: 'wait=20', ...headers } }).catch(() => null);
    if (answer && answer.status >= 400 && answer.status < 500 && answer.status !== 429) throw await problemOf(answer);
    if (!answer?.ok) { await pause(Number(answer?.headers.get('Retry-After')) || 1); continue; }
    const page = await answer.json();
    yield* page.events;
    if (page.done) return;
    cursor = page.cursor;
  }
}
