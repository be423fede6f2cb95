// One WebSocket and the channels on it. It stays open when they end, and connects again when it breaks.

import { withQuery } from './http.js';
import type { Hub } from './hub.js';
import { grow, jitter, later } from './pause.js';
import type { RawEvent } from './types.js';
import type { Watch } from './watch.js';

const STEADY = 5000;   // ms for which a socket was open before the pause until a reconnect is short again

export class Link {
  watches_ = new Map<string, Watch>();
  /// How many channels it takes: await_max_channels, at first its default.
  room_ = 100;
  heardAt_ = 0;
  isOpen_ = false;
  /// It was refused, and has not been open since: the channels need another transport.
  refused_ = false;
  mode_ = 0;

  private busy_ = false;                // open, or about to be
  private socket_?: WebSocket | undefined;
  private turn_ = 0;                    // of connecting
  private timer_?: ReturnType<typeof setTimeout>;
  private pause_: number;
  private retry_?: number | undefined;  // by a "bye"
  private cursor_?: string | undefined; // of a plain socket
  private allowed_?: string[];          // by the ticket
  private misses_ = 0;

  constructor(readonly hub_: Hub, readonly url_: string, readonly channelOf_?: (event: RawEvent) => string) {
    this.pause_ = hub_.first_;
  }

  add_(watch: Watch) {
    const { channel } = watch.source_;
    this.watches_.set(channel, watch);
    watch.link_ = this;
    if (!this.busy_) this.connect_();
    else if (this.isOpen_) {
      clearTimeout(this.timer_);
      if (this.lacks_()) this.connect_();
      else this.subscribe_(watch);
    }
  }

  remove_(watch: Watch) {
    this.watches_.delete(watch.source_.channel);
    if (watch.subscribed_ && !watch.ended_) this.send_('unsubscribe', watch);
    watch.link_ = undefined;
    watch.subscribed_ = false;
    if (this.watches_.size > 0) return;
    if (this.isOpen_) this.timer_ = later(() => this.close_(), this.hub_.linger_);
    else this.close_();
  }

  /// Nothing at all has come where an answer was due.
  missed_() {
    if (++this.misses_ > 1) this.connect_();
  }

  /// The page is shown again, or the network is back.
  wake_() {
    this.pause_ = this.hub_.first_;
    if (this.busy_ && !this.isOpen_) this.connect_();
  }

  close_() {
    this.stop_();
    this.busy_ = false;
  }

  stop_() {
    const { socket_: socket } = this;
    clearTimeout(this.timer_);
    this.turn_++;
    this.misses_ = 0;
    this.socket_ = undefined;
    this.isOpen_ = false;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.watches_.forEach((watch) => {
      watch.subscribed_ = false;
      watch.arm_();
    });
  }

  send_(op: string, watch: Watch) {
    const { channel } = watch.source_;
    if (this.isOpen_ && !this.channelOf_) this.socket_!.send(JSON.stringify({ op, channel, cursor: op === 'subscribe' ? watch.cursor_ : undefined }));
  }

  /// Whether a channel has come after the ticket.
  private lacks_() { return this.allowed_ && !this.channelOf_ && [...this.watches_.keys()].some((each) => !this.allowed_!.includes(each)); }

  private async connect_() {
    this.stop_();
    if (!(this.busy_ = this.watches_.size > 0)) return;   // nobody needs it: the next channel opens it
    const { hub_: { http_: http, signal_ }, channelOf_, turn_ } = this;
    const { ticket, WebSocket: Socket = globalThis.WebSocket } = http.options_;
    let openedAt = 0;
    const closed = (event?: { code: number }) => {
      if (turn_ === this.turn_) this.closed_(openedAt, event?.code);
    };
    this.timer_ = setTimeout(closed, this.hub_.most_);   // a network that answers nothing
    try {
      const query: Record<string, string | undefined> = { cursor: channelOf_ && this.cursor_ };
      if (ticket && http.isGiven_(this.url_)) {
        await 0;   // for all that are watched at once
        this.allowed_ = [...this.watches_.keys()];
        query.ticket = await http.ticket_(channelOf_ ? [] : this.allowed_, signal_);
      }
      if (turn_ !== this.turn_) return;
      const url = withQuery(this.url_, query);
      const socket = this.socket_ = channelOf_ ? new Socket(url) : new Socket(url, 'await.v1');
      socket.onerror = () => {};   // onclose follows; `ws` throws what nobody handles
      socket.onopen = () => {
        if (this.lacks_()) return void this.connect_();
        clearTimeout(this.timer_);
        openedAt = this.heardAt_ = Date.now();
        this.isOpen_ = true;
        this.refused_ = false;
        this.watches_.forEach((watch) => this.subscribe_(watch));
      };
      socket.onmessage = ({ data }) => {
        this.heardAt_ = Date.now();
        this.misses_ = 0;
        let message;
        try { message = JSON.parse(data); } catch { /* it is none of ours */ }
        if (message) this.take_(message);
      };
      socket.onclose = closed;
    } catch {
      closed();
    }
  }

  private closed_(openedAt: number, code?: number) {
    if (openedAt && Date.now() - openedAt > STEADY) this.pause_ = this.hub_.first_;
    if (code === 1012) this.cursor_ = undefined;   // of a plain socket: it could not be honoured
    this.refused_ ||= !openedAt;
    this.stop_();
    this.timer_ = later(() => this.connect_(), this.retry_ ?? jitter(this.pause_));
    this.pause_ = grow(this.pause_, this.hub_.most_);
    this.retry_ = undefined;
    this.hub_.fill_();
  }

  subscribe_(watch: Watch) {
    watch.subscribed_ = true;
    this.send_('subscribe', watch);
    watch.stream_?.abort();
    if (this.channelOf_) watch.heard_();
  }

  private take_(message: RawEvent) {
    const { op, cursor, channel } = message;
    const watch = this.watches_.get(!op && this.channelOf_ ? this.channelOf_(message) : channel);
    if (op === 'bye') this.retry_ = message.retry > 0 ? message.retry : undefined;
    else if (op === 'beat' && !channel) this.watches_.forEach((each) => each.answered_());
    else if (!op) {
      if (this.channelOf_) {
        // its cursor is the socket's, and says nothing to the pages of one of its channels
        this.cursor_ = cursor;
        delete message.cursor;
      }
      watch?.take_(message, true);
    } else if (watch) {
      if (op === 'beat') watch.answered_(cursor);
      if (op === 'reset') watch.reset_(message);
      if (op === 'subscribed') { watch.cursor_ ??= cursor; watch.again_ = 0; watch.heard_(); }
      if (op === 'error') this.hub_.refuse_(watch, message);
    }
  }
}
