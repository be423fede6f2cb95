// One WebSocket for all tabs of an origin: createClient({ WebSocket: SharedWebSocket }). The tab that has the lock leads: it
// has the socket, and passes messages to the others. When it is closed or frozen, all connect again, and another one leads.
// Only clients with the same URL share, so those with a ticket in it do not.

const PATIENCE = 2000;   // ms for a leader to answer
// the names that this tab uses: a second socket to the same URL is for channels that the first has no room for
const mine = new Set<string>();

interface Said { from?: string; to?: string; up?: string; down?: string; hello?: true; wait?: true; leave?: true; open?: true; closed?: number }
interface Shared { ids: Set<string>; cursor?: string | undefined }

/// What the client needs of a WebSocket, with subscriptions (await.v1). A plain socket is not shared.
export class SharedWebSocket {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readyState = 0;

  private readonly id = [...crypto.getRandomValues(new Uint32Array(2))].join('-');
  private readonly name!: string;
  private readonly channel!: BroadcastChannel;
  private readonly waiting = new AbortController();
  private timer?: ReturnType<typeof setTimeout>;
  // of the one that leads
  private socket?: WebSocket | undefined;
  private release?: (() => void) | undefined;
  private readonly shared = new Map<string, Shared>();

  constructor(readonly url: string, readonly protocol?: string) {
    if (!protocol || !globalThis.navigator?.locks || !globalThis.BroadcastChannel) return new WebSocket(url, protocol) as unknown as this;
    let n = 0;
    while (mine.has(`nginx-await ${n} ${url}`)) n++;
    mine.add(this.name = `nginx-await ${n} ${url}`);
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = ({ data }) => this.heard(data);
    this.queue({ signal: this.waiting.signal });
    this.greet();
  }

  send(text: string) {
    if (this.socket) this.up(this.id, text);
    else this.post({ from: this.id, up: text });
  }

  close() { this.end(); }

  /// A leader that is frozen has the lock and says nothing; one that still connects says so.
  private greet() {
    clearTimeout(this.timer);
    this.post({ from: this.id, hello: true });
    this.timer = setTimeout(() => { if (this.readyState === 0 && !this.release) this.queue({ steal: true }); }, PATIENCE);
  }

  private post(said: Said) { if (this.readyState < 2) this.channel.postMessage(said); }

  private queue(options: LockOptions) {
    navigator.locks.request(this.name, options, () => this.lead()).catch(() => { if (this.release) this.end(1006); });
  }

  /// Has the lock until it ends.
  private lead(): Promise<void> | undefined {
    if (this.readyState > 1) return undefined;
    clearTimeout(this.timer);
    if (this.readyState === 1) {   // those who followed another leader connect again
      this.end(1006);
      return undefined;
    }
    const socket = this.socket = new WebSocket(this.url, this.protocol);
    socket.onopen = () => {
      this.post({ open: true });
      this.opened();
    };
    socket.onmessage = ({ data }) => this.down(data);
    socket.onclose = ({ code }) => this.end(code);
    return new Promise((done) => { this.release = done; });
  }

  private opened() {
    if (this.readyState !== 0) return;
    clearTimeout(this.timer);
    this.readyState = 1;
    this.onopen?.();
  }

  private end(code?: number) {
    if (this.readyState > 1) return;
    if (this.socket) this.post({ closed: code ?? 1006 });
    else this.post({ from: this.id, leave: true });
    clearTimeout(this.timer);
    this.readyState = 3;
    mine.delete(this.name);
    this.waiting.abort();
    this.channel.close();
    if (this.socket) {
      this.socket.onclose = this.socket.onmessage = this.socket.onopen = null;
      this.socket.close();
      this.socket = undefined;
    }
    this.release?.();
    if (code !== undefined) this.onclose?.({ code });
  }

  /// What another tab has said.
  private heard({ from, to, up, down, hello, wait, leave, open, closed }: Said) {
    if (this.socket) {
      if (hello) this.post({ to: from!, ...(this.socket.readyState === 1 ? { open: true } : { wait: true }) });
      if (up) this.up(from!, up);
      if (leave) for (const channel of [...this.shared.keys()]) this.up(from!, JSON.stringify({ op: 'unsubscribe', channel }));
    } else if (!to || to === this.id) {
      if (open) this.opened();
      if (wait && this.readyState === 0) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.greet(), PATIENCE / 2);
      }
      if (down) this.onmessage?.({ data: down });
      if (closed !== undefined && this.readyState === 1) this.end(closed);
    }
  }

  /// A message of a tab for the server: what another one has subscribed to is not asked for again.
  private up(from: string, text: string) {
    const { op, channel, cursor } = JSON.parse(text);
    const shared = this.shared.get(channel);
    if (op === 'subscribe' && shared) {
      shared.ids.add(from);
      // the cursor where the socket is: the tab reads what it does not have
      this.tell(from, JSON.stringify({ op: 'beat', channel, cursor: shared.cursor }));
      return;
    }
    if (op === 'subscribe') this.shared.set(channel, { ids: new Set([from]), cursor });
    if (op === 'unsubscribe') {
      if (!shared?.ids.delete(from) || shared.ids.size > 0) return;
      this.shared.delete(channel);
    }
    if (this.socket!.readyState === 1) this.socket!.send(text);
  }

  /// A message of the server, for those who have subscribed.
  private down(text: string) {
    let message;
    try { message = JSON.parse(text); } catch { /* it is none of ours */ }
    const { op, channel, cursor, type } = message ?? {};
    const shared = this.shared.get(channel);
    if (shared && cursor && op !== 'beat') shared.cursor = cursor;
    if (channel) shared?.ids.forEach((id) => this.tell(id, text));
    else {
      this.onmessage?.({ data: text });   // a "bye" is for all
      this.post({ down: text });
    }
    if (op === 'error' || (/^(job|batch):/.test(channel) && /^(completed|failed|cancelled|expired|batch\.ready)$/.test(type))) this.shared.delete(channel);
  }

  private tell(id: string, text: string) {
    if (id === this.id) this.onmessage?.({ data: text });
    else this.post({ to: id, down: text });
  }
}
