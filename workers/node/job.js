// A claimed job, as its handler sees it, and what a handler can answer.
import { randomUUID } from 'node:crypto';

const PIECE = 1 << 20;

// As jsonb takes it: without NUL, and without halves of surrogate pairs.
export const json = (value) =>
  (value === undefined ? null : JSON.stringify(value).replace(/\\u(0000|d[89a-f]..)|\\./g,
    (found, refused) => (refused ? '\\ufffd' : found)));

export class Over extends Error {
  constructor(why) {
    super(`the job is over: ${why}`);
    this.why = why;
  }
}

export class Failed extends Error {
  constructor(title, problem = {}, retryIn = undefined) {
    super(title);
    this.problem = { title, ...problem };
    this.retryIn = retryIn;
  }
}

export class Result {
  constructor(body, { contentType = 'application/octet-stream', fileName = null, status = 200 } = {}) {
    Object.assign(this, { body, contentType, fileName, status });
  }

  static of(answer) {
    if (answer instanceof Result) return answer;
    if (answer instanceof Uint8Array) return new Result(answer);
    if (typeof answer === 'string') return new Result(answer, { contentType: 'text/plain' });
    if (answer && typeof answer === 'object') return new Result(json(answer), { contentType: 'application/json' });
    throw new TypeError(`a handler returns bytes, a string, an object, an array or a Result, not ${answer}`);
  }
}

export class Job {
  #receipt;
  #payload;
  #query;
  #publish;
  #over = new AbortController();

  constructor(row, query, publish) {
    ({ id: this.id, attempt: this.attempt, queue: this.queue, params: this.params, deadline: this.deadline } = row);
    this.contentType = row.content_type;
    this.fileName = row.file_name;
    this.payloadSize = Number(row.payload_size);
    this.lease = row.lease_seconds * 1000;
    this.#receipt = row.receipt;
    this.#payload = row.payload;
    this.#query = query;
    this.#publish = publish;
  }

  get signal() { return this.#over.signal; }
  get why() { return this.signal.reason?.why; }

  async payload() {
    if (this.#payload) return this.#payload;
    const pieces = [];
    for await (const piece of this.pieces()) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async* pieces(size = PIECE) {
    for (let offset = 0; offset < this.payloadSize; offset += size) {
      yield this.#checked(await this.#call('payload', offset, size));
    }
  }

  async progress(progress) {
    await this.beat(progress);
    this.#checked(true);
    await this.#publish(this.id);
  }

  async emit(type, data, eventId = randomUUID()) {
    this.#checked(await this.#call('emit', type, json(data), eventId));
    await this.#publish(this.id);
  }

  // What follows is the worker's.

  async beat(progress) {
    const answer = await this.#call('heartbeat', json(progress));
    if (answer !== 'ok') this.end(answer);
  }

  end(why) { this.#over.abort(new Over(why)); }

  async complete(answer) {
    const { body, contentType, status, fileName } = Result.of(answer);
    if (typeof body === 'string' || body instanceof Uint8Array) {
      return this.#call('complete', Buffer.from(body), contentType, status, fileName);
    }
    let n = 0;
    for await (const part of body) {
      for (let at = 0; at < part.length; at += PIECE) {
        this.#checked(await this.#call('append_result', n++, part.subarray(at, at + PIECE)));
      }
    }
    return this.#call('complete', null, contentType, status, fileName);
  }

  async fail(error) {
    // a failure ends the lease of what was cancelled; what is given back must not fail
    if (this.signal.aborted) return this.why === 'cancelled' && this.#call('fail', '{}');
    if (error instanceof Failed) {
      return this.#call('fail', json(error.problem), error.retryIn == null ? null : `${error.retryIn} s`);
    }
    const detail = String(error?.message ?? error).slice(0, 4000);
    return this.#call('fail', json({ title: error?.name ?? 'Error', detail }));
  }

  release() { return this.#call('release'); }

  async #call(name, ...values) {
    const places = values.map((_, i) => `, $${i + 3}`).join('');
    const sql = `SELECT await.${name}($1, $2${places}) AS answer`;
    return (await this.#query(sql, [this.id, this.#receipt, ...values]))[0].answer;
  }

  #checked(answer) {
    if (answer === null) this.end('lost');
    this.signal.throwIfAborted();
    return answer;
  }
}
