// Without Redis: hears of work and of cancels by LISTEN, if the database has await.notify. Nothing depends on it, and a
// pooler may swallow it: then the next claim and the next heartbeat find the same.
export class Notify {
  #queues;
  #on;
  #open;
  #client;
  #timer;
  #said = '';
  #closed = false;
  connected = false; // nothing is published: PostgreSQL tells nginx

  // open: a new pg.Client; on: { work(), cancel(), trouble(message) }
  constructor(open, queues, on) {
    this.#open = open;
    this.#queues = queues;
    this.#on = on;
    this.#listen();
  }

  publish() {}

  async close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }

  async #listen() {
    const client = this.#open();
    this.#client = client;
    client.on('notification', ({ channel, payload }) => {
      if (channel === 'await_cancel') this.#on.cancel();
      else if (this.#queues.includes(payload)) this.#on.work();
    });
    client.on('error', (error) => this.#retry(error));
    try {
      await client.connect();
      await client.query('LISTEN await_work; LISTEN await_cancel');
      this.#said = '';
      this.#on.work();
    } catch (error) {
      client.end().catch(() => {});
      this.#retry(error);
    }
  }

  #retry(error) {
    if (this.#closed) return;
    if (error.message !== this.#said) this.#on.trouble(`LISTEN: ${error.message}`);
    this.#said = error.message;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#listen(), 1000);
  }
}
