// All that is watched by one client: which socket a channel is on, who may hold a connection, whose turn it is to poll.

import { NetworkError, ProblemError } from './errors.js';
import { type Http, succeeded } from './http.js';
import { Link } from './link.js';
import type { RawEvent, Source } from './types.js';
import { Watch } from './watch.js';

export class Hub {
  quiet_: number;
  most_: number;
  linger_: number;
  beat_ = 20000;    // ms in which an event stream has a beat, at least (await_ping)
  first_ = 1000;    // ms, the shortest pause until a reconnect
  asleep_ = false;
  signal_: AbortSignal;
  succeeded_ = succeeded;   // for what is loaded later, which has no errors of its own

  watches_ = new Set<Watch>();
  private links_: Link[] = [];
  private controller_ = new AbortController();
  waiting_: (() => void)[] = [];   // for their turn to poll
  polling_ = 0;

  constructor(readonly http_: Http) {
    const { document } = globalThis;
    const { quiet = 4000, most = 30000, linger = document ? 60000 : 0 } = http_.options_;
    this.quiet_ = quiet;
    this.most_ = most;
    this.linger_ = linger;
    const { signal } = this.controller_;
    this.signal_ = http_.closed_ = signal;
    if (!document) return;
    const look = ({ type }: Event) => {
      if (type === 'pagehide') this.links_.forEach((link) => link.stop_());   // so that the browser may keep the page for "back"
      if (document.hidden || type === 'pagehide') this.sleep_();
      else if (this.asleep_ || type === 'online') this.wake_();   // not when a page is loaded, and once for several of them
    };
    for (const name of ['visibilitychange', 'pageshow', 'pagehide', 'online']) addEventListener(name, look, { capture: true, signal });
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
    this.fill_();   // which loads it while the network is there
    if (watch.source_.socket && (this.http_.options_.WebSocket ?? globalThis.WebSocket)) this.place_(watch);
    watch.arm_();
  }

  /// The same, if it is watched already from its beginning: what two parts of a page show is followed once.
  same_(watch: Watch): Watch {
    const { channel, events, socket, cursor, isLast } = watch.source_;
    if (cursor || isLast || this.watches_.has(watch)) return watch;
    return [...this.watches_].find(({ source_: each }) => !each.cursor && !each.isLast && each.channel === channel && each.events === events && each.socket === socket) ?? watch;
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

  /// Lets those hold a connection that have no socket.
  fill_() { this.more_().then(({ fill }) => fill(this), () => {}); }   // else, they are polled

  /// What a page does not load first. If it cannot be loaded, it is tried again.
  more_() {
    return import('./stream.js').catch((cause) => { throw new NetworkError('Server unreachable', { cause }); });
  }

  refuse_(watch: Watch, message: RawEvent) {
    watch.subscribed_ = false;
    this.more_().then(({ refused }) => refused(this, watch, message), () => watch.arm_());
  }

  /// Whether asking again would be no use.
  isFinal_(error: unknown) {
    return error instanceof ProblemError && [400, 401, 403, 404, 410].includes(error.status);
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
