// What one writes with fastify and pg: a POST becomes a row, then 202. usage: submit.js PORT CONNINFO
const fastify = require('fastify')({ logger: false });
const { Pool } = require('pg');
const { randomUUID } = require('crypto');
const [port, conninfo] = process.argv.slice(2);
const option = (name) => conninfo.match(new RegExp(`${name}=(\\S+)`))[1];
const pool = new Pool({ host: option('host'), port: Number(option('port')), database: option('dbname'), user: option('user'), password: option('password'), max: 16 });
fastify.post('/jobs', async (request, reply) => {
  const id = randomUUID();
  await pool.query({ name: 'insert', text: 'INSERT INTO plain_job (id, queue, payload, content_type) VALUES ($1, $2, $3, $4)', values: [id, 'work', Buffer.from(JSON.stringify(request.body)), 'application/json'] });
  reply.code(202).header('Location', `/jobs/${id}`).send({ id, state: 'pending' });
});
pool.query("CREATE TABLE IF NOT EXISTS plain_job (id uuid PRIMARY KEY, queue text, state text DEFAULT 'pending', payload bytea, content_type text, created_at timestamptz DEFAULT now())")
  .then(() => fastify.listen({ port: Number(port), host: '127.0.0.1' }));
