// A receiver of webhooks for t/webhooks*.t: what it does depends on the path. Prints its ports, then a line of JSON for
// each request and for each connection to 127.0.0.2, which is an address of the network that must not be reached. Verifies what it gets by the library "standardwebhooks" if it has a secret for the path.
// usage: node receiver.js VERIFIER CERTIFICATE KEY       (secrets come on standard input: a line "PATH SECRET")
const fs = require('fs');
const http = require('http');
const https = require('https');
const readline = require('readline');

const [verifier, certificate, key] = process.argv.slice(2);
const { Webhook } = require(verifier);
const secrets = new Map();
const seen = new Map();
let open = 0;
let most = 0;

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [path, secret] = line.split(' ');
  secrets.set(path, secret);
  console.log(JSON.stringify({ secret: path }));
});

function verify(path, body, headers) {
  if (!secrets.has(path)) return null;
  try {
    new Webhook(secrets.get(path)).verify(body, headers);
    return true;
  } catch (error) {
    return String(error.message);
  }
}

// How each path answers, the nth time.
const answers = {
  ok: (res) => res.writeHead(200).end('thanks'),
  none: (res) => res.writeHead(204).end(),
  gone: (res) => res.writeHead(410).end(),
  fail: (res, n) => res.writeHead(n < 3 ? 500 : 200).end(),
  busy: (res, n) => (n < 2 ? res.writeHead(429, { 'Retry-After': '2' }).end() : res.writeHead(200).end()),
  later: (res, n, port, url) => res.writeHead(429, { 'Retry-After': url.split('/')[2] }).end(),
  hang: () => {},
  slow: (res) => setTimeout(() => res.writeHead(200).end(), 300),
  redirect: (res, n, port) => res.writeHead(302, { Location: `http://127.0.0.1:${port}/redirected` }).end(),
  redirected: (res) => res.writeHead(200).end(),
  endless: (res) => {
    res.writeHead(200);
    const more = () => { while (res.writable && res.write('x'.repeat(65536))); };
    res.on('drain', more);
    more();
  },
  gigabyte: (res) => {
    res.writeHead(200, { 'Content-Length': 1 << 30 });
    const more = () => { while (res.writable && res.write('x'.repeat(65536))); };
    res.on('drain', more);
    more();
  },
  half: (res) => {
    res.writeHead(200, { 'Content-Length': 1000 });
    res.write('half');
    setTimeout(() => res.destroy(), 50);
  },
  stuck: (res, n) => (n < 2 ? res.writeHead(503, { 'Retry-After': '2', 'Content-Length': 9 }).write('half') : res.writeHead(200).end()),
  garbage: (res) => res.socket.end('\x00\x01 this is no HTTP\r\n\r\n'),
  head: (res) => res.socket.end('HTTP/1.1 200 OK\r\n' + 'X-Long: ' + 'x'.repeat(100000) + '\r\n\r\n'),
  unmodified: (res) => res.writeHead(304).end(),
  soon: (res, n) => {
    const at = new Date(Date.now() + 2500).toUTCString();  // whole seconds: at least 1.5 s
    n < 2 ? res.writeHead(503, { 'Retry-After': at }).end() : res.writeHead(200).end();
  },
  headers: (res) => {
    for (let i = 0; i < 100; ++i) res.setHeader('X-Header-' + i, 'v'.repeat(50));
    res.writeHead(200).end('ok');
  },
  trailers: (res, n, port, url) => res.socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n'
    + '2\r\nok\r\n0\r\n' + (url.endsWith('status') ? 'HTTP/1.1 500 No\r\n' : '') + 'X-T: 1\r\n\r\n'),
  halfhead: (res) => res.socket.end('HTTP/1.1 200 OK\r\nContent-Le'),
  nothing: (res) => res.socket.end(),
  silence: (res) => res.socket.destroy(),
  status: (res) => res.socket.end('HTTP/1.1 999 What\r\n\r\n'),
  switch: (res) => res.socket.end('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
  chunks: (res) => res.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n'),
  drip: (res) => {
    res.writeHead(200);
    const drop = setInterval(() => res.write('x'), 100);
    res.on('close', () => clearInterval(drop));
  },
  many: (res) => res.socket.end('HTTP/1.1 200 OK\r\n' + 'X: y\r\n'.repeat(20000) + '\r\n'),
  flood: (res) => res.socket.end('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(10000) + 'HTTP/1.1 200 OK\r\n\r\n'),
  line: (res) => res.socket.end('HTTP/1.1 200 OK\r\nX: ' + 'x'.repeat(1 << 20) + '\r\n\r\n'),
  old: (res) => res.socket.end('only a body, as in HTTP/0.9'),
  coded: (res) => res.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n'),
  lengths: (res) => res.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
  stale: (res) => { res.writeHead(200, { Connection: 'keep-alive' }).end('ok'); res.socket.destroySoon(); },
  early: (res) => res.socket.end('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3) + 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
};

function on_request(req, res) {
  const chunks = [];
  most = Math.max(most, ++open);
  res.on('close', () => --open);
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    const [, path] = req.url.split('?')[0].split('/');
    const n = (seen.get(req.url) ?? 0) + 1;
    seen.set(req.url, n);
    console.log(JSON.stringify({ url: req.url, path, n, at: Date.now(), most, to: req.socket.localAddress, method: req.method, headers: req.headers, body,
      good: verify(path, body, req.headers) }));
    (answers[path] ?? answers.ok)(res, n, http_server.address().port, req.url);
  });
}

function on_stranger(socket) {
  console.log(JSON.stringify({ stranger: socket.localAddress }));
  socket.on('error', () => {});
}

const http_server = http.createServer(on_request).listen(0, '127.0.0.1', () => {
  http.createServer(on_request).on('connection', on_stranger).listen(http_server.address().port, '127.0.0.2');
  const https_server = https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, on_request);
  https_server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ http: http_server.address().port, https: https_server.address().port }));
  });
});
