// What an application holds: a job, a batch, a topic, the jobs of a user.

import { JobError } from './errors.js';
import { follow } from './pause.js';
import type { AwaitEvent, BatchDocument, EventMap, JobDocument, RawEvent } from './types.js';
import type { Watch } from './watch.js';

interface Options { signal?: AbortSignal }

/// A channel that can be watched, any number of times.
export class Channel<M extends object = EventMap> {
  /** @internal */
  constructor(protected watch_: Watch) {}

  get channel() { return this.watch_.source_.channel; }
  /// How far it was read: give it to `job()`, `topic()` … to go on from there, in another page too.
  get cursor() { return this.watch_.cursor_; }
  get ended() { return this.watch_.ended_; }
  /// How often it was polled.
  get polls() { return this.watch_.polls_; }
  /// Whether it comes by a socket.
  get connected() { return this.watch_.subscribed_; }

  /// Calls for each event, and when no more follow. @returns ends it
  subscribe(on: (event: AwaitEvent<M>) => void, onEnd: (error?: unknown) => void = () => {}): () => void {
    this.watch_ = this.watch_.hub_.same_(this.watch_);
    return this.watch_.attach_({ event: on as (event: RawEvent) => void, end: onEnd });
  }

  /// Each event once, in order, to the last one. Throws a ProblemError if it cannot be watched, or the signal's reason.
  async* events({ signal }: Options = {}): AsyncGenerator<AwaitEvent<M>, void, undefined> {
    let queue: AwaitEvent<M>[] = [];
    let ended = false;
    let failure: unknown;
    let wake = () => {};
    const end = (error?: unknown) => { ended = true; failure ??= error; wake(); };
    const all = this.watch_.hub_.http_.signal_(signal);
    all.throwIfAborted();
    const unfollow = follow(() => { queue = []; end(all.reason); }, all);
    const detach = this.subscribe((event) => { queue.push(event); wake(); }, end);
    try {
      for (;;) {
        while (queue[0]) yield queue.shift()!;
        if (failure) throw failure;
        if (ended) return;
        await new Promise<void>((done) => { wake = done; });
      }
    } finally {
      unfollow();
      detach();
    }
  }
}

/// What is submitted, and has an end.
class Submitted<M extends object, Document> extends Channel<M> {
  /** @internal */
  constructor(watch: Watch, readonly id: string, readonly url: string, protected readonly resultUrl_: string) { super(watch); }

  document(options: Options = {}): Promise<Document> { return this.call_('GET', options); }
  cancel(options: Options = {}): Promise<Document> { return this.call_('DELETE', options); }

  private async call_(method: string, options: Options) {
    return (await this.watch_.hub_.http_.send_(this.url, { ...options, method, headers: { Accept: 'application/json' } }, this.channel)).json();
  }
}

export class Job<M extends object = EventMap> extends Submitted<M, JobDocument> {
  /// The result, when it is there. Rejects with a JobError if there is none.
  async result(options: Options = {}): Promise<Response> {
    const { hub_ } = this.watch_;
    let type = '';
    for await (const event of this.events(options)) type = event.type;
    const { result } = await hub_.more_();
    return result(hub_.http_, this.resultUrl_, this.channel, type, hub_.http_.signal_(options.signal), JobError);
  }
}

export class Batch<M extends object = EventMap> extends Submitted<M, BatchDocument> {
  /// The document of the batch, when all its jobs have ended.
  async done(options: Options = {}): Promise<BatchDocument> {
    for await (const _ of this.events(options));
    return this.document(options);
  }
}
