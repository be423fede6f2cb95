// TCP proxies between nginx and its backends, that cut or stall on command.
// usage: node proxy.js NAME=LISTEN:TARGET …; commands on stdin: "cut NAME", "stall NAME MS", "refuse NAME MS"
'use strict';
const net = require('net');
const readline = require('readline');

const proxies = new Map();
for (const word of process.argv.slice(2)) {
  const [, name, listen, target] = word.match(/^(\w+)=(\d+):(\d+)$/);
  const proxy = { pairs: new Set(), refusing: 0, stalled: false };
  proxies.set(name, proxy);
  net.createServer((client) => {
    if (proxy.refusing > 0) return client.destroy();
    const server = net.connect(Number(target), '127.0.0.1');
    const pair = { client, server };
    proxy.pairs.add(pair);
    const end = () => { proxy.pairs.delete(pair); client.destroy(); server.destroy(); };
    for (const [from, to] of [[client, server], [server, client]]) {
      from.on('data', (bytes) => { if (!to.write(bytes)) from.pause(); });
      to.on('drain', () => { if (!proxy.stalled) from.resume(); });
      from.on('error', end); from.on('close', end);
    }
    if (proxy.stalled) { client.pause(); server.pause(); }
  }).listen(Number(listen), '127.0.0.1', () => { if (--waiting === 0) console.log('ready'); });
}
let waiting = proxies.size;

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [what, name, ms] = line.split(' ');
  const proxy = proxies.get(name);
  if (what === 'cut') for (const { client, server } of [...proxy.pairs]) { client.destroy(); server.destroy(); }
  if (what === 'stall') {
    proxy.stalled = true;
    for (const { client, server } of proxy.pairs) { client.pause(); server.pause(); }
    setTimeout(() => { proxy.stalled = false; for (const { client, server } of proxy.pairs) { client.resume(); server.resume(); } }, Number(ms));
  }
  if (what === 'refuse') {
    ++proxy.refusing;
    for (const { client, server } of [...proxy.pairs]) { client.destroy(); server.destroy(); }
    setTimeout(() => { --proxy.refusing; }, Number(ms));
  }
}).on('close', () => process.exit(0));
