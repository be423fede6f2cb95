// What a channel comes by where there is no WebSocket: its event stream, or event pages that are held. Loaded when it is
// needed. Both by fetch(), which shows statuses and takes headers, unlike EventSource.

import type { Hub } from './hub.js';
import { withQuery } from './http.js';
import { follow, grow, jitter, sleep } from './pause.js';
import type { Watch } from './watch.js';

/// This way does not work here, whatever the reason: a proxy that buffers, a location without it.
class Unfit extends Error {}

const HELD = 15;   // seconds
const WAYS = [stream, page];   // the best first; behind the last, there are polls

/// Reads a channel until `signal` aborts, it ends, or no way works.
export async function hold(hub: Hub, watch: Watch, signal: AbortSignal): Promise<void> {
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
    if ([405, 406, 501].includes(status) || (status === 200 && !/^text\/event-stream/.test(headers.get('Content-Type') ?? ''))) throw new Unfit();
    await hub.succeeded_(answer);
    let retry = hub.first_;
    for await (const block of blocks(answer.body!)) {
      retry = +(block.retry ?? retry);
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
      for (const [, name, value] of part.matchAll(/^(\w+): ?(.*)/gm)) block[name!] = name === 'data' && block.data ? `${block.data}\n${value}` : value!;
      yield block;
    }
    if (done) return;
  }
}

async function page(_: Hub, watch: Watch, signal: AbortSignal): Promise<number> {
  const begun = Date.now();
  const news = await watch.read_(HELD, signal);
  if (!news && watch.active_ && Date.now() - begun < 1000) throw new Unfit();   // it was not held
  watch.heard_();
  return 0;
}
