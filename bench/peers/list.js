// What one writes with fastify and pg: a list of a user's jobs by OFFSET, and the better one by a cursor. usage: list.js PORT CONNINFO
const fastify = require('fastify')({ logger: false });
const { Pool } = require('pg');
const [port, conninfo] = process.argv.slice(2);
const option = (name) => conninfo.match(new RegExp(`${name}=(\\S+)`))[1];
const pool = new Pool({ host: option('host'), port: Number(option('port')), database: option('dbname'), user: option('user'), password: option('password'), max: 16 });
const columns = 'id, queue, state, params, created_at, updated_at';

// The conditions that a request names, as SQL with parameters; undefined where there is none.
function conditions(request, values) {
  const where = [];
  const add = (sql, value) => { values.push(value); where.push(sql.replace('?', `$${values.length}`)); };
  if (request.headers['x-user']) add('owner = ?', request.headers['x-user']);
  for (const name of ['state', 'queue']) if (request.query[name]) add(`${name} = ?`, request.query[name]);
  return where;
}
fastify.get('/offset', async (request) => {
  const values = [];
  const where = conditions(request, values);
  values.push(Number(request.query.offset || 0));
  const { rows } = await pool.query(`SELECT ${columns} FROM plain_list ${where.length ? 'WHERE ' + where.join(' AND ') : ''} ORDER BY created_at DESC, id DESC LIMIT 50 OFFSET $${values.length}`, values);
  return { jobs: rows };
});
fastify.get('/keyset', async (request) => {
  const values = [];
  const where = conditions(request, values);
  if (request.query.before) {
    const [at, id] = request.query.before.split(',');
    values.push(at, id);
    where.push(`(created_at, id) < ($${values.length - 1}, $${values.length})`);
  }
  const { rows } = await pool.query(`SELECT ${columns} FROM plain_list ${where.length ? 'WHERE ' + where.join(' AND ') : ''} ORDER BY created_at DESC, id DESC LIMIT 50`, values);
  return { jobs: rows };
});
fastify.listen({ port: Number(port), host: '127.0.0.1' });
