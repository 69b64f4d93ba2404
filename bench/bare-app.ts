/**
 * The peer of bench/request.ts: Fastify and pg with a pool, nothing else (no session, no tenants, no log), over the same TLS, with the
 * gateway's own key and certificate. `node bench/bare-app.ts CONFIG.json`
 */
import { readFileSync } from 'node:fs';
import fastify from 'fastify';
import pg from 'pg';

const { target, key, cert, port } = JSON.parse(readFileSync(process.argv[2]!, 'utf8'));
const pool = new pg.Pool({ ...target, max: 10 });
const app = fastify({ https: { key, cert, minVersion: 'TLSv1.2' } });
const schema = {
  params: { type: 'object', properties: { note: { type: 'string' } }, required: ['note'] },
  response: {
    200: {
      type: 'object',
      properties: {
        id: { type: 'string' },
        text: { type: 'string' },
        authorId: { type: 'string' },
        hasFile: { type: 'boolean' },
        createdAt: { type: 'string', format: 'date-time' },
      },
    },
  },
};
app.get<{ Params: { note: string } }>('/api/notes/:note', { schema }, async (request, reply) => {
  const { rows } = await pool.query(
    `SELECT note_id AS id, text, author_id AS "authorId", file_id IS NOT NULL AS "hasFile", created_at AS "createdAt"
     FROM notes WHERE note_id = $1`,
    [request.params.note],
  );
  return rows[0] ?? reply.code(404).send();
});
await app.listen({ host: '127.0.0.1', port });
process.stdout.write('ready\n');
process.once('SIGTERM', () =>
  app
    .close()
    .then(() => pool.end())
    .then(() => process.exit(0)),
);
