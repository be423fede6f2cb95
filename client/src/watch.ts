// One channel, whatever it comes by: in order, each event once, nothing missed. WebSockets and event streams push; this polls
// when nothing has come in time, or when a number is missing. Members of the inner classes end in _ and are shortened.

import type { Hub } from './hub.js';
import type { Link } from './link.js';
import { grow, jitter, later } from './pause.js';
import type { RawEvent, Source } from './types.js';

export interface Listener {
  event(event: RawEvent): void;
  /// Nothing follows. With an error: what follows cannot be had.
  end(error?: unknown): void;
}

const MOST_SEEN = 1000;

export class Watch {
  /// All events of a job or batch, the latest one of a topic, for listeners that come later.
  log_: RawEvent[] = [];
  listeners_ = new Set<Listener>();
  cursor_?: string;
  ended_ = false;
  error_: unknown;
  polls_ = 0;

  // set by the transports
  link_?: Link;
  subscribed_ = false;
  stream_?: AbortController | undefined;
  mode_ = 0;
  version_ = 0;   // of the cursor
  taken_ = 0;     // events
  again_ = 0;   // ms until it is subscribed again, after a refusal

  private last_ = NaN;                 // seq of the newest event, of what is numbered without gaps; NaN: not known
  private seen_ = new Set<string>();   // of other channels: events of late
  private pause_: number;              // until the next poll
  private timer_?: ReturnType<typeof setTimeout>;
  private polling_?: Promise<void> | undefined;
  abort_ = new AbortController();

  constructor(readonly hub_: Hub, readonly source_: Source) {
    this.cursor_ = source_.cursor;
    if (!source_.cursor) this.last_ = source_.hidden ?? 0;
    this.pause_ = hub_.quiet_;
  }

  get active_() { return !this.ended_ && this.listeners_.size > 0; }
  /// Without gaps, that is. A topic may keep only its latest message.
  get isNumbered_() { return !/^(topic|user):/.test(this.source_.channel); }

  /// @returns ends it
  attach_(listener: Listener): () => void {
    if (!this.hub_.signal_.aborted) this.log_.forEach((event) => safely(() => listener.event(event)));
    this.listeners_.add(listener);
    if (this.ended_) safely(() => listener.end(this.error_));
    else this.hub_.add_(this);
    return () => {
      this.listeners_.delete(listener);
      // a component that is mounted anew at once goes on with the same
      setTimeout(() => { if (!this.active_) this.hub_.remove_(this); }, 0);
    };
  }

  /// A message has come for it.
  heard_() {
    this.pause_ = this.hub_.quiet_;
    this.arm_();
  }

  /// A push, or an event of a page.
  take_(event: RawEvent, isPush: boolean) {
    if (!this.active_) return;
    const { seq, cursor } = event;
    const last = this.last_;
    if (isPush) this.heard_();
    if (this.isNumbered_) {
      if (isPush && seq! > last + 1 && this.source_.events) return void this.poll_();   // which brings what is between, and this too
      // an end may come in place of a hidden event: the first one is always new
      if (this.taken_ && seq! <= last) return void (isPush && seq === last && this.moveTo_(cursor));
      this.last_ = seq ?? NaN;
      this.log_.push(event);
    } else {
      const key = [event.job, event.batch, seq].join();
      if (this.seen_.has(key)) return;
      this.seen_.add(key);
      const [oldest] = this.seen_;
      if (this.seen_.size > MOST_SEEN) this.seen_.delete(oldest!);
      if (/^t/.test(this.source_.channel)) this.log_ = [event];   // a topic begins with its latest message
    }
    this.taken_++;
    if (isPush) this.moveTo_(cursor);
    this.tell_(event);
  }

  moveTo_(cursor?: string) {
    this.cursor_ = cursor ?? this.cursor_;
    this.version_++;
  }

  /// The cursor could not be honoured.
  reset_({ cursor, state }: { cursor?: string; state?: string }) {
    const event = { type: 'reset', state };
    this.moveTo_(cursor);
    this.last_ = NaN;
    this.seen_.clear();
    if (this.isNumbered_) this.log_.push(event);
    this.tell_(event);
  }

  end_(error?: unknown) {
    if (this.ended_) return;
    this.ended_ = true;
    this.error_ = error;
    const listeners = [...this.listeners_];
    this.hub_.remove_(this);
    listeners.forEach((listener) => safely(() => listener.end(error)));
  }

  /// Stops all that goes on for it.
  rest_() {
    clearTimeout(this.timer_);
    this.stream_?.abort();
    this.cancel_();
    this.listeners_.clear();
  }

  cancel_() {
    this.abort_.abort();
    this.abort_ = new AbortController();
  }

  /// Begins to wait for a sign of life.
  arm_() {
    const { hub_: { quiet_, beat_, asleep_ }, pause_ } = this;
    clearTimeout(this.timer_);
    if (!this.active_ || asleep_) return;
    const pause = pause_ > quiet_ ? jitter(pause_) : pause_;
    this.timer_ = this.canAsk_ ? later(() => this.ask_(), pause - quiet_ / 2)
      : later(() => this.poll_(), this.stream_ ? Math.max(pause, beat_) : pause);
  }

  /// A plain socket is not asked: it reads nothing.
  private get canAsk_() { return this.subscribed_ && !this.source_.channelOf; }

  /// Asks the socket how far it is. Polls if it does not answer, or there is none.
  ask_() {
    const link = this.link_!;
    if (!this.canAsk_) return void this.poll_();
    const { heardAt_ } = link;
    clearTimeout(this.timer_);
    this.timer_ = setTimeout(() => {
      if (link.heardAt_ === heardAt_) link.missed_();
      this.poll_();
    }, this.hub_.quiet_ / 2);
    link.send_('ping', this);
  }

  /// The answer: behind what was sent of it. It is not told of a user, nor by an old server.
  answered_(cursor?: string) {
    if (cursor && cursor !== this.cursor_) return void this.poll_();
    this.pause_ = grow(this.pause_, this.hub_.most_);
    this.arm_();
  }

  /// Reads what is behind the cursor; one request at a time.
  poll_(): Promise<void> | void {
    const { hub_: hub } = this;
    clearTimeout(this.timer_);
    if (!this.active_ || !this.source_.events) return this.arm_();
    this.polling_ ??= hub.more_().then(({ poll }) => poll(hub, this)).then((news) => {
      this.pause_ = news ? hub.quiet_ : grow(this.pause_, hub.most_);
    }, (error) => {
      if (hub.isFinal_(error)) this.end_(error);
      this.pause_ = Math.max(grow(this.pause_, hub.most_), error?.after || 0);
    }).finally(() => {
      this.polling_ = undefined;
      this.arm_();
    });
    if (this.canAsk_) this.arm_();   // it may be the socket that answers first
    return this.polling_;
  }

  /// An event of a job's end is the last one, as is a reset behind it.
  private tell_(event: RawEvent) {
    const { isLast = ({ type, state }) => ENDS.test(type === 'reset' ? state : type) } = this.source_;
    // not those who come meanwhile: they get it from the log
    [...this.listeners_].forEach((listener) => this.listeners_.has(listener) && safely(() => listener.event(event)));
    if (this.isNumbered_ && isLast(event)) this.end_();
  }
}

/// What a listener throws is its own: the others are told, and the channel goes on.
function safely(call: () => void) {
  try { call(); } catch (error) { setTimeout(() => { throw error; }); }
}

const ENDS = /^(completed|failed|cancelled|expired|gone|batch\.ready)$/;
