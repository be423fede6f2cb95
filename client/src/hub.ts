// All that is watched by one client: which socket a channel is on, who may hold a connection, whose turn it is to poll.

import { ProblemError } from './errors.js';
import { type Http, succeeded } from './http.js';
import { Link } from './link.js';
import type { Source } from './types.js';
import { Watch } from './watch.js';

// A browser has six connections to a server over HTTP/1.1: two are left to the page.
const HELD = 2;
const POLLS = 2;

export class Hub {
  quiet_: number;
  most_: number;
  linger_: number;
  beat_ = 20000;    // ms in which an event stream has a beat, at least (await_ping)
  first_ = 1000;    // ms, the shortest pause until a reconnect
  asleep_ = false;
  signal_: AbortSignal;
  succeeded_ = succeeded;   // for what is loaded later, which has no errors of its own

  private watches_ = new Set<Watch>();
  private links_: Link[] = [];
  private controller_ = new AbortController();
  private waiting_: (() => void)[] = [];
  private polling_ = 0;

  constructor(readonly http_: Http) {
    const { document } = globalThis;
    const { quiet = 4000, most = 30000, linger = document ? 60000 : 0 } = http_.options_;
    this.quiet_ = quiet;
    this.most_ = most;
    this.linger_ = linger;
    const { signal } = this.controller_;
    this.signal_ = signal;
    if (!document) return;
    const look = ({ type }: Event) => {
      if (type === 'pagehide') this.links_.forEach((link) => link.stop_());   // so that the browser may keep the page for "back"
      if (document.hidden || type === 'pagehide') this.sleep_();
      else this.wake_();
    };
    for (const name of ['visibilitychange', 'resume', 'pageshow', 'pagehide', 'online']) addEventListener(name, look, { capture: true, signal });
    this.asleep_ = document.hidden;
  }

  watch_(source: Source): Watch {
    const { events, socket } = source;
    return new Watch(this, {
      ...source, events: events && this.http_.url_(events), socket: socket && this.http_.url_(socket).replace(/^http/, 'ws'),
    });
  }

  add_(watch: Watch) {
    if (this.signal_.aborted) return watch.end_(this.signal_.reason);
    if (this.watches_.has(watch)) return;
    this.watches_.add(watch);
    if (watch.source_.socket && (this.http_.options_.WebSocket ?? globalThis.WebSocket)) this.place_(watch);
    else this.fill_();
    watch.arm_();
  }

  /// Gives it a place on a socket.
  place_(watch: Watch) {
    const { socket, channelOf, channel } = watch.source_;
    let link = this.links_.find((each) => each.url_ === socket && each.watches_.size < each.room_ && !each.watches_.has(channel));
    if (!link) this.links_.push(link = new Link(this, socket as string, channelOf));
    link.add_(watch);
  }

  remove_(watch: Watch) {
    if (!this.watches_.delete(watch)) return;
    watch.link_?.remove_(watch);
    watch.rest_();
    this.fill_();
  }

  /// Lets those hold a connection that have no socket, as many as may.
  async fill_() {
    const all = [...this.watches_];
    const isFree = ({ source_, subscribed_, link_, mode_, stream_ }: Watch) =>
      source_.events && !subscribed_ && !stream_ && (link_ ? link_.refused_ && link_.mode_ < 2 : mode_ < 2) && !this.asleep_;
    if (!all.some(isFree)) return;
    const { hold } = await import('./stream.js');
    for (const watch of all) {
      if (all.filter((each) => each.stream_).length >= HELD) return;
      if (!watch.active_ || !isFree(watch)) continue;
      const controller = watch.stream_ = new AbortController();
      hold(this, watch, controller.signal).then(() => {
        if (watch.stream_ === controller) watch.stream_ = undefined;
        watch.arm_();
        this.fill_();
      });
    }
  }

  /// Whether asking again would be no use.
  isFinal_(error: unknown) {
    return error instanceof ProblemError && [400, 401, 403, 404, 410].includes(error.status);
  }

  /// Runs one of the polls when there are not too many.
  async inTurn_<T>(poll: () => Promise<T>): Promise<T> {
    while (this.polling_ >= POLLS) await new Promise<void>((done) => this.waiting_.push(done));
    this.polling_++;
    try {
      return await poll();
    } finally {
      this.polling_--;
      this.waiting_.shift()?.();
    }
  }

  /// Nobody looks: nothing is asked for. Sockets stay.
  private sleep_() {
    this.asleep_ = true;
    this.watches_.forEach((watch) => {
      watch.stream_?.abort();
      watch.arm_();
    });
  }

  /// Somebody looks again, or the network is back: catches up.
  private wake_() {
    this.asleep_ = false;
    this.links_.forEach((link) => {
      link.mode_ = 0;
      link.wake_();
    });
    this.watches_.forEach((watch) => {
      watch.mode_ = 0;
      watch.ask_();
    });
    this.fill_();
  }

  close_(reason: unknown) {
    this.controller_.abort(reason);
    this.watches_.forEach((watch) => watch.end_(reason));
    this.links_.forEach((link) => link.close_());
  }
}
