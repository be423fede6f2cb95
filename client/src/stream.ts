// What a channel comes by where there is no WebSocket: its event stream, or event pages; and what else is rare, or can wait.
// Loaded when something is watched, behind what a page loads first. Both by fetch(), which shows statuses and takes headers, unlike EventSource.

import type { Hub } from './hub.js';
import type { Page, RawEvent } from './types.js';
import type { JobError } from './errors.js';
import { type Http, withQuery } from './http.js';
import { follow, grow, jitter, sleep } from './pause.js';
import type { Watch } from './watch.js';

/// This way does not work here, whatever the reason: a proxy that buffers, a location without it.
class Unfit extends Error {}

// A browser has six connections to a server over HTTP/1.1: two are left to the page.
const STREAMS = 2;
const POLLS = 2;
const PATIENCE = 10000;   // ms for a poll, in a network that answers nothing
const HELD = 15;   // seconds
const WAYS = [stream, page];   // the best first; behind the last, there are polls

/// Lets as many hold a connection as may.
export function fill(hub: Hub): void {
  const all = [...hub.watches_];
  for (const watch of all) {
    const { source_, subscribed_, link_, mode_, stream_, active_ } = watch;
    if (hub.asleep_ || all.filter((each) => each.stream_).length >= STREAMS) return;
    if (!source_.events || !active_ || subscribed_ || stream_ || !(link_ ? link_.refused_ && WAYS[link_.mode_] : WAYS[mode_])) continue;
    const controller = watch.stream_ = new AbortController();
    hold(hub, watch, controller.signal).then(() => {
      if (watch.stream_ === controller) watch.stream_ = undefined;
      watch.arm_();
      hub.fill_();
    });
  }
}

/// Reads a channel until `signal` aborts, it ends, or no way works.
async function hold(hub: Hub, watch: Watch, signal: AbortSignal): Promise<void> {
  const at = watch.link_ ?? watch;
  for (let pause = hub.first_; !signal.aborted && watch.active_ && WAYS[at.mode_];) {
    const { mode_: mode } = at;
    try {
      const again = await WAYS[mode]!(hub, watch, signal);
      pause = hub.first_;
      await sleep(again, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Unfit) at.mode_ = Math.max(at.mode_, mode + 1);
      else if (hub.isFinal_(error)) watch.end_(error);
      else await sleep(Math.max(jitter(pause), (error as { after?: number }).after || 0), signal).catch(() => {});
      pause = grow(pause, hub.most_);
    }
  }
}

/// @returns ms until it should be opened again
async function stream(hub: Hub, watch: Watch, signal: AbortSignal): Promise<number> {
  const { source_: source } = watch;
  const abort = new AbortController();
  const unfollow = follow(() => abort.abort(signal.reason), signal);
  let begun = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expect = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(begun ? new Error('Nothing has come.') : new Unfit()), ms);
  };
  try {
    expect(hub.quiet_);
    const url = withQuery(source.events!, { beat: '1', cursor: watch.cursor_ });
    const answer = await hub.http_.fetch_(url, { headers: { Accept: 'text/event-stream' }, signal: abort.signal }, source.channel);
    if (answer.status === 204) {
      await watch.poll_();   // which brings the last of it
      return hub.first_;
    }
    const { status, headers } = answer;
    if ([405, 406, 501].includes(status) || (answer.ok && !/^text\/event-stream/.test(headers.get('Content-Type') ?? ''))) throw new Unfit();
    await hub.succeeded_(answer);
    let retry = hub.first_;
    for await (const block of blocks(answer.body!)) {
      if (+block.retry! > 0) retry = +block.retry!;
      if (!block.data) continue;
      begun = true;
      expect(1.5 * hub.beat_);
      const message = JSON.parse(block.data);
      const type = message.type ?? block.event;
      if (type === 'beat') watch.heard_();
      else if (type === 'reset') watch.reset_(message);
      else if (type === 'ready') { watch.moveTo_(block.id); watch.heard_(); }
      else watch.take_({ ...message, cursor: block.id }, true);
    }
    if (!begun) throw Object.assign(new Error('Nothing has come.'), { after: retry });   // the next one is not at once
    return jitter(retry);
  } catch (error) {
    throw abort.signal.reason ?? error;
  } finally {
    clearTimeout(timer);
    unfollow();
    abort.abort();
  }
}

interface Block { id?: string; event?: string; data?: string; retry?: string }

async function* blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<Block> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    // what no blank line follows is the retry of a server that has no more to say
    const parts = (done ? `${text}\n\n` : text + decoder.decode(value, { stream: true })).split('\n\n');
    text = parts.pop()!;
    for (const part of parts) {
      const block: Record<string, string> = {};
      // a line ends with \n here, not with others that . and ^ know
      for (const [, name, value] of part.matchAll(/(?<=^|\n)(\w+): ?([^\n]*)/g)) block[name!] = name === 'data' && block.data ? `${block.data}\n${value}` : value!;
      yield block;
    }
    if (done) return;
  }
}

async function page(hub: Hub, watch: Watch, signal: AbortSignal): Promise<number> {
  const begun = Date.now();
  const news = await read(hub, watch, HELD, signal);
  if (!news && watch.active_ && Date.now() - begun < 1000) throw new Unfit();   // it was not held
  watch.heard_();
  return 0;
}

/// What a socket has answered to a subscription: that it has no room, or that this channel is not to be had.
export function refused(hub: Hub, watch: Watch, { status, detail }: RawEvent) {
  const link = watch.link_;
  if (!link || watch.subscribed_) return;   // it is on another one by now
  const isAlone = link.watches_.size === 1;
  if (status === 503 || (status === 429 && isAlone)) {
    // it is polled meanwhile
    watch.again_ = grow(watch.again_ || hub.first_ / 1.5, hub.most_);
    setTimeout(() => { if (link.isOpen_ && watch.link_ === link && !watch.subscribed_) link.subscribe_(watch); }, jitter(watch.again_));
    watch.arm_();
    return;
  }
  link.remove_(watch);
  if (status === 429) {
    // it has no room for more: another one has
    link.room_ = link.watches_.size;
    hub.place_(watch);
  } else if (watch.source_.events) {
    // its answer says why, or that it is only the socket that cannot have it
    Promise.resolve(watch.poll_()).then(() => hub.fill_());
  } else {
    refusal(hub, detail, status).then((error) => watch.end_(error));
  }
}

/// As if a request had been answered with it.
async function refusal(hub: Hub, detail: string, status: number): Promise<unknown> {
  try { await hub.succeeded_(Response.json({ detail }, { status })); } catch (error) { return error; }
  return undefined;
}

/// Polls once, when not too many others do.
export async function poll(hub: Hub, watch: Watch): Promise<boolean> {
  while (hub.polling_ >= POLLS) await new Promise<void>((done) => hub.waiting_.push(done));
  hub.polling_++;
  const timer = setTimeout(() => watch.cancel_(), PATIENCE);
  try {
    return await read(hub, watch, 0, watch.abort_.signal);
  } finally {
    clearTimeout(timer);
    hub.polling_--;
    hub.waiting_.shift()?.();
  }
}

/// One event page, and those that follow it. @returns whether it had news
async function read(hub: Hub, watch: Watch, wait: number, signal: AbortSignal): Promise<boolean> {
  const { source_: { events, channel }, taken_: taken } = watch;
  const headers = { Accept: 'application/json', Prefer: `wait=${wait}` };
  for (let next: string | undefined = withQuery(events!, { cursor: watch.cursor_ }); next;) {
    const { version_: version, cursor_: cursor } = watch;
    watch.polls_++;
    const answer: Response = await hub.http_.send_(next, { headers, signal }, channel);
    const page: Page = await answer.json();
    signal.throwIfAborted();
    if (page.reset) watch.reset_(page);
    page.events.forEach((event) => watch.take_(event, false));
    if (!watch.active_) break;   // stopped in the middle: the rest is read anew
    if (watch.version_ === version) watch.moveTo_(page.cursor);
    if (page.done) watch.end_();
    next = /<([^>]+)>; *rel="?next/.exec(answer.headers.get('Link')!)?.[1];
    next &&= hub.http_.url_(next, events);
    // one that leads nowhere, or to another server, is not followed
    if (!watch.active_ || watch.cursor_ === cursor || (next && new URL(next).origin !== new URL(events!).origin)) break;
  }
  return watch.taken_ > taken;
}

/// The result of a job of which `type` was the last event.
export async function result(http: Http, url: string, channel: string, type: string, signal: AbortSignal, Failure: typeof JobError): Promise<Response> {
  for (let pause = 1000; ; pause = grow(pause, 30000)) {
    let wait = jitter(pause);
    try {
      const answer = await http.send_(url, { signal }, channel);
      if (answer.status !== 202) return answer;
    } catch (error: any) {
      const { problem, status, after } = error;
      if (![429, 502, 503, 504].includes(status)) {
        const hasNone = status === 410 || (status && /^(failed|cancelled|expired)$/.test(type) && ![401, 403].includes(status));
        throw hasNone ? new Failure(problem, status, after) : error;
      }
      wait = Math.max(wait, after || 0);
    }
    await sleep(wait, signal);
  }
}
