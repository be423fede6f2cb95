// A receiver of webhooks on 127.0.0.1 and so many addresses behind it: /quick answers at once, /hang never.
'use strict';
const http = require('http');
const [port, addresses] = process.argv.slice(2).map(Number);
const on_request = (request, response) => {
  request.resume();
  request.on('end', () => { if (request.url !== '/hang') response.writeHead(204).end(); });
};
for (let n = 1; n <= addresses + 1; ++n) {
  const server = http.createServer(on_request);
  server.keepAliveTimeout = 600000;
  server.listen(port, `127.0.0.${n}`, 4096);
}
