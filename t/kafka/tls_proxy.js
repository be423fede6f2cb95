// TLS in front of a broker that has none. usage: tls_proxy.js CERTIFICATE KEY PORT; prints the port that it listens on.
const { readFileSync } = require('fs');
const net = require('net');
const tls = require('tls');

const [certificate, key, port] = process.argv.slice(2);
const server = tls.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (client) => {
  const broker = net.connect(Number(port), '127.0.0.1');
  client.pipe(broker).pipe(client);
  client.on('error', () => broker.destroy());
  broker.on('error', () => client.destroy());
});
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
