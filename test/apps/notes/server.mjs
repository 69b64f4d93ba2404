/** A small app that nobody told of Freehold: HTTP, PostgreSQL by psql, a file in a folder, all from its environment. */
import { execFile } from 'node:child_process';
import { appendFile, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';

const { DATABASE_URL, DATA, PORT } = process.env;
const run = promisify(execFile);
const sql = async (text, ...values) => {
  const variables = values.flatMap((value, index) => ['-v', `v${index}=${value}`]);
  const child = run('psql', [DATABASE_URL, '-XAtq', '-v', 'ON_ERROR_STOP=1', ...variables]);
  child.child.stdin.end(text);
  return (await child).stdout;
};
const diary = join(DATA, 'diary.txt');

await sql(
  'CREATE TABLE IF NOT EXISTS notes (note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL)',
);

createServer(async (request, response) => {
  try {
    const url = new URL(request.url, 'http://app');
    if (url.pathname === '/healthz') return response.end('well');
    if (url.pathname === '/crash') process.exit(1);
    // A version that is well, but for its users.
    if (process.env.BREAKS === 'reads' && request.method === 'GET') return response.writeHead(500).end('broken');
    if (request.method === 'POST') {
      const text = url.searchParams.get('text');
      await sql("INSERT INTO notes (text) VALUES (:'v0')", text);
      await appendFile(diary, `${text}\n`);
      return response.writeHead(201).end();
    }
    const notes = (await sql('SELECT text FROM notes ORDER BY note_id')).split('\n').slice(0, -1);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ notes, diary: await readFile(diary, 'utf8').catch(() => '') }));
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}).listen(Number(PORT));
process.on('SIGTERM', () => process.exit(0));
