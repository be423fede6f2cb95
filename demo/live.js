// One WebSocket for all jobs of a page, however many: a browser has only six connections to a server over HTTP/1.1, and an
// EventSource for each job would use them up. While the socket cannot be opened, the jobs are polled, one after the other.

const MOST = 90;                   // channels at the same time; await_max_channels allows 100
const ENDED = /^(completed|failed|cancelled|expired)$/;

/// watch(job, on): calls on(event) with each event of the job, or with {state} if only that is known.
export function liveJobs(url, { quiet = 3000, least = 500, most = 15000 } = {}) {
  const jobs = new Map();          // channel → { job, on, cursor, asked }
  let socket = null;
  let pause = least;               // until the next try to connect
  let poller = null;

  const isOpen = () => socket?.readyState === WebSocket.OPEN;

  function subscribe() {
    let active = [...jobs.values()].filter((one) => one.asked).length;
    for (const [channel, one] of jobs) {
      if (one.asked || active >= MOST || !isOpen()) continue;
      one.asked = true;
      active += 1;
      socket.send(JSON.stringify({ op: 'subscribe', channel, ...(one.cursor ? { cursor: one.cursor } : {}) }));
    }
  }

  function take(message) {
    if (message.op === 'bye') pause = message.retry ?? pause;
    const one = jobs.get(message.channel);
    if (!one) return;
    if (message.op === 'error') {
      one.asked = false;
      if (message.status === 404) jobs.delete(message.channel);
      else setTimeout(subscribe, 1000);
      return;
    }
    if (message.cursor) one.cursor = message.cursor;
    if (message.op === 'reset') one.on({ state: message.state });
    if (!message.type) return;
    one.on(message);
    if (ENDED.test(message.type)) {
      jobs.delete(message.channel);
      subscribe();                 // there is room for another
    }
  }

  function connect() {
    socket = new WebSocket(url, 'await.v1');
    socket.onopen = () => { pause = least; subscribe(); };
    socket.onmessage = ({ data }) => take(JSON.parse(data));
    socket.onclose = () => {
      socket = null;
      for (const one of jobs.values()) one.asked = false;
      if (jobs.size > 0) setTimeout(() => socket ?? connect(), pause * (0.75 + Math.random() / 2));
      pause = Math.min(most, pause * 2);
    };
    clearTimeout(poller);
    poller = setTimeout(poll, quiet);
  }

  async function poll() {
    for (const [channel, { job, on }] of [...jobs]) {
      if (isOpen()) return;
      const answer = await fetch(job.links.self, { headers: { Accept: 'application/json' } }).catch(() => null);
      if (!answer?.ok) continue;
      const { state, error } = await answer.json();
      on({ state, data: error });
      if (ENDED.test(state)) jobs.delete(channel);
    }
    if (jobs.size > 0 && !isOpen()) poller = setTimeout(poll, quiet);
  }

  // a page that the browser keeps for "back" would keep its socket too; it connects again if it is shown again
  addEventListener('pagehide', () => socket?.close());

  return {
    watch(job, on) {
      jobs.set(`job:${job.id}`, { job, on, cursor: null, asked: false });
      if (isOpen()) subscribe();
      else if (!socket) connect();
    },
  };
}
