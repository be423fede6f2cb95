// One connection to Redis that hears of work and of cancels, and publishes hints. Nothing depends on it: without it
// work is found by the next claim, and a cancel by the next heartbeat.
import net from 'node:net';

const command = (...words) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

export class Redis {
  #url;
  #queues;
  #on;
  #socket;
  #timer;
  #said = '';
  #closed = false;
  connected = false;
  #tried;
  tried = new Promise((resolve) => { this.#tried = resolve; }); // to connect

  // on: { work(), cancel(), trouble(message) }
  constructor(url, queues, on) {
    this.#url = new URL(url);
    this.#queues = queues;
    this.#on = on;
    this.#connect();
  }

  publish(channel, message) {
    if (this.connected) this.#socket.write(command('PUBLISH', channel, message));
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.end();
  }

  #connect() {
    const { hostname, port, username, password: secret } = this.#url;
    const password = decodeURIComponent(secret) || process.env.REDISCLI_AUTH;
    const socket = net.connect({ host: hostname, port: port || 6379, noDelay: true });
    this.#socket = socket;
    const auth = password ? ['AUTH', username || 'default', password] : [];
    socket.write(command('HELLO', '3', ...auth)); // RESP3: a connection that subscribes may also PUBLISH
    socket.write(command('SUBSCRIBE', 'await:cancel', ...this.#queues.map((queue) => `await:queue:${queue}`)));
    let silent = 0;
    socket.setTimeout(5000, () => {
      if (silent++) socket.destroy(new Error('it does not answer'));
      else socket.write(command('PING'));
    });
    socket.on('data', (data) => {
      silent = 0;
      const text = data.toString('latin1');
      if (text.startsWith('-')) return socket.destroy(new Error(text.split('\r\n')[0]));
      this.connected = true;
      this.#tried();
      this.#said = '';
      if (text.includes('await:')) this.#on.work(); // not the answer to a PUBLISH
      if (text.includes('await:cancel')) this.#on.cancel();
    });
    socket.on('error', (error) => this.#complain(error.message));
    socket.on('close', () => {
      this.connected = false;
      this.#tried();
      if (this.#closed) return;
      this.#complain('the connection was closed');
      this.#timer = setTimeout(() => this.#connect(), 1000);
    });
  }

  #complain(message) {
    if (this.#said === '') this.#on.trouble(`Redis: ${message}`);
    this.#said ||= message;
  }
}
