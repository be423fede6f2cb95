// What one writes with fastify and pg: a batch's document from a table of jobs, counted for each request; and the better one, which
// keeps documents for a second at most and forgets one when a trigger says that it has changed. usage: batch.js PORT CONNINFO
const fastify = require('fastify')({ logger: false });
const { Client, Pool } = require('pg');
const [port, conninfo] = process.argv.slice(2);
const option = (name) => conninfo.match(new RegExp(`${name}=(\\S+)`))[1];
const options = { host: option('host'), port: Number(option('port')), database: option('dbname'), user: option('user'), password: option('password') };
const pool = new Pool({ ...options, max: 16 });
const cache = new Map();

async function read(id, owner) {
  const [counts, jobs] = await Promise.all([
    pool.query({ name: 'counts', text: `SELECT b.id, b.created_at, b.owner, count(*) AS total, count(*) FILTER (WHERE state = 'completed') AS completed, count(*) FILTER (WHERE state = 'failed') AS failed,
      count(*) FILTER (WHERE state IN ('pending', 'processing')) AS open, max(j.updated_at) AS updated_at
      FROM plain_batch b JOIN plain_batch_job j ON j.batch = b.id WHERE b.id = $1 AND b.owner = $2 GROUP BY b.id`, values: [id, owner] }),
    pool.query({ name: 'jobs', text: 'SELECT id, queue, state, params, result, created_at, updated_at FROM plain_batch_job WHERE batch = $1 ORDER BY id LIMIT 50', values: [id] }),
  ]);
  return counts.rows.length ? { ...counts.rows[0], jobs: jobs.rows } : null;
}
fastify.get('/plain/:id', async (request, reply) => await read(request.params.id, request.headers['x-user']) ?? reply.code(404).send());
fastify.get('/cached/:id', async (request, reply) => {
  const { id } = request.params;
  const known = cache.get(id);
  if (known && known.until > Date.now()) {
    reply.header('X-Cache', 'HIT');
    return known.document.owner === request.headers['x-user'] ? known.document : reply.code(404).send();
  }
  const entry = { until: 0 }; // until it is read
  cache.set(id, entry);
  const document = await read(id, request.headers['x-user']);
  if (!document) return reply.code(404).send();
  if (cache.get(id) === entry) Object.assign(entry, { document, until: Date.now() + 1000 });
  return document;
});
(async () => {
  const listener = new Client(options);
  await listener.connect();
  listener.on('notification', (message) => cache.delete(message.payload));
  await listener.query('LISTEN plain_batch');
  fastify.listen({ port: Number(port), host: '127.0.0.1' });
})();
