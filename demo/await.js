// Jobs for the pages of the demo, with the calls of the package nginx-await, which can replace this file.
//
//   const job = await submit('/jobs', form);
//   for await (const event of job.events()) …      // each event once, up to the last one
//   const response = await job.result();           // rejects with the problem of a job that has failed

import { liveJobs } from './live.js';

const ENDED = /^(completed|failed|cancelled|expired)$/;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const sockets = new Map();        // URL → the jobs on this WebSocket

/// An answer that is no success; the members of its problem are its own.
export class ProblemError extends Error {
  constructor(problem, status) {
    super(problem.detail ?? problem.title ?? `The server has answered ${status}.`);
    Object.assign(this, { problem, status });
  }
}

const problemOf = async (answer) => new ProblemError(await answer.json().catch(() => ({})), answer.status);

/// Submits `body`, once, however often it has to be sent. Rejects with ProblemError, or with the error of the network after
/// a minute.
export async function submit(url, body, { headers = {} } = {}) {
  const key = `"${[...crypto.getRandomValues(new Uint32Array(4))].join('-')}"`;
  for (const end = Date.now() + 60000; ;) {
    let answer = null;
    try {
      answer = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': key, ...headers }, body });
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (answer?.status === 202) return new Job(await answer.json());
    if (answer && (![409, 429, 503].includes(answer.status) || Date.now() > end)) throw await problemOf(answer);
    await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

class Job {
  constructor({ id, links }) { Object.assign(this, { id, url: new URL(links.self, location.href).href }); }

  /// Its events, by the WebSocket that `await` has beside the jobs; { type: 'reset', state } where only that is known.
  async* events() {
    const socket = new URL('socket', this.url).href.replace(/^http/, 'ws');
    if (!sockets.has(socket)) sockets.set(socket, liveJobs(socket));
    const events = [];
    let wake = () => {};
    sockets.get(socket).watch({ id: this.id, links: { self: this.url } }, (event) => { events.push(event); wake(); });
    for (;;) {
      while (events.length === 0) await new Promise((done) => { wake = done; });
      const event = events.shift();
      yield event.type ? event : { type: 'reset', ...event };
      if (ENDED.test(event.type ?? event.state)) return;
    }
  }

  async result() {
    const answer = await fetch(`${this.url}/result`, { headers: { Prefer: 'wait=50' } });
    if (answer.status === 202 || answer.status === 404) { await pause(1); return this.result(); }
    if (!answer.ok) throw await problemOf(answer);
    return answer;
  }

  cancel() { return fetch(this.url, { method: 'DELETE' }); }
}
