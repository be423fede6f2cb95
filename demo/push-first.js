// Push first, polling as a fallback: one WebSocket sends the events; a run that sends nothing for a while is polled.
// A push delays the next poll; a poll that finds nothing new delays the next one further. A run that has ended is not
// polled any more, and the socket stays open for the next run. Works in browsers and in Node (pass a WebSocket there).

const TERMINAL = /^workflow_(completed|failed|cancelled|expired)$/;
const STEADY = 5000;      // ms for which a socket was open before the pause until a reconnect is short again

/// socket: URL of the user's socket. poll(run): URL of a run's events. onEvent(event, how): each event once, `how` is "push"
/// or "poll". The events need the members `seq`, and `cursor` where the socket is to resume. quiet: ms without a push until a poll; backoff: factor by which `quiet` grows with every poll that finds
/// nothing; most: its maximum. Returns { watch(run), close(), polls, connected }.
export function pushFirst({ socket, poll, onEvent, quiet = 4000, backoff = 1.5, most = 30000, reconnect = 1000,
                            WebSocket = globalThis.WebSocket, fetch = globalThis.fetch }) {
  const runs = new Map();          // id → { seen, timer, wait, done }
  const self = { polls: 0, connected: false, watch, close };
  let connection = null;
  let reconnecting = null;
  let cursor = null;               // of the newest event that was pushed: a new socket goes on behind it
  let pause = reconnect;
  let closed = false;

  function connect() {
    let opened = Infinity;
    let asked = null;              // ms, by a "bye"
    const resume = cursor ? `${socket.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}` : '';
    connection = new WebSocket(socket + resume);
    connection.onopen = () => { self.connected = true; opened = Date.now(); };
    connection.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.op) {                                         // a beat, a reset, a bye
        if (event.op === 'bye') asked = event.retry;
        return;
      }
      cursor = event.cursor ?? cursor;
      const run = runs.get(event.run_id);
      if (!run) return;
      run.wait = quiet;
      arm(run);
      take(run, event, 'push');
    };
    connection.onerror = () => {};
    connection.onclose = () => {
      self.connected = false;
      if (closed) return;
      if (Date.now() - opened > STEADY) pause = reconnect;
      reconnecting = setTimeout(connect, (asked ?? pause) * (0.75 + Math.random() / 2));
      pause = Math.min(most, pause * 2);
    };
  }

  // Identifies an event of a run: a push and a poll may both deliver it.
  const key = ({ timestamp, cursor: _, ...rest }) => rest.seq ?? JSON.stringify(rest);

  function take(run, event, how) {
    if (run.done || run.seen.has(key(event))) return false;
    run.seen.add(key(event));
    if (TERMINAL.test(event.type)) {
      run.done = true;
      clearTimeout(run.timer);
    }
    onEvent(event, how);
    return true;
  }

  function arm(run) {
    clearTimeout(run.timer);
    if (!run.done && !closed) run.timer = setTimeout(() => ask(run), run.wait);
  }

  async function ask(run) {
    self.polls += 1;
    let news = 0;
    try {
      const answer = await fetch(poll(run.id), { headers: { Accept: 'application/json' } });
      if (!answer.ok) {
        run.wait = Math.max(run.wait, 1000 * (Number(answer.headers?.get('Retry-After')) || 0));
        throw new Error(`${answer.status}`);
      }
      for (const event of (await answer.json()).events) news += take(run, event, 'poll') ? 1 : 0;
    } catch { /* the next one may do better */ }
    run.wait = news ? quiet : Math.min(most, run.wait * backoff);
    arm(run);
  }

  function watch(id) {
    if (runs.has(id)) return;
    const run = { id, seen: new Set(), timer: null, wait: quiet, done: false };
    runs.set(id, run);
    arm(run);
  }

  function close() {
    closed = true;
    clearTimeout(reconnecting);
    for (const run of runs.values()) clearTimeout(run.timer);
    connection.close();
  }

  connect();
  return self;
}
