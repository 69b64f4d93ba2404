import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { type RawMessage, rawMessages } from './raw-messages.fixture.ts';
import { startWorld, type World } from './test-world.ts';

const deadlineMs = 120_000;
const atOnce = 10;

/**
 * Behind every message stands a last, proper request, which says that the connection ends after it. So there is one answer (the message was refused) or two, and a third one would be
 * something that was smuggled in.
 */
test('whatever is sent: one answer or none, nothing smuggled, nothing of another tenant', {
  timeout: 600_000,
}, async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  world.addSession('globex', 'other');
  const host = `acme.localhost:${world.port}`;
  const messages = rawMessages({ host, other: `globex.localhost:${world.port}`, cookie: '__Host-freehold=token' });
  assert.ok(messages.length >= 200, `${messages.length}`);
  const last = `GET /api/whoami?last HTTP/1.1\r\nhost: ${host}\r\ncookie: __Host-freehold=token\r\nconnection: close\r\n\r\n`;
  const found: string[] = [];
  const waiting = [...messages];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let message = waiting.shift(); message; message = waiting.shift()) {
        const trouble = judge(message, await exchange(world, message.bytes + last));
        if (trouble) found.push(`${message.what}: ${trouble}`);
      }
    }),
  );
  assert.deepEqual(found, []);
  t.diagnostic(`${messages.length} of ${messages.length} messages: one answer or none, nothing smuggled`);
});

/** What is wrong with what came back; undefined: nothing. */
function judge({ must }: RawMessage, text: string): string | undefined {
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/g)].map((match) => Number(match[1]));
  const shown = `${statuses.join(' ')} ${text.slice(0, 200)}`;
  if (statuses.some((status) => status >= 500)) return `our own mistake: ${shown}`;
  if (/globex/.test(text)) return `something of another tenant: ${shown}`;
  if (must === 'refused') {
    if (statuses.length > 1) return `read on after it: ${shown}`;
    return statuses.every((status) => status >= 400) ? undefined : `not refused: ${shown}`;
  }
  if (!must.includes(statuses[0]!)) return `answered otherwise: ${shown}`;
  if (statuses.length > 2) return `something smuggled: ${shown}`;
  // A refusal may end the connection; then the last request was not read.
  if (statuses.length === 2 && (statuses[1] !== 200 || !text.includes('Ann of acme'))) return `the last one: ${shown}`;
  return undefined;
}

/** Everything that comes until the connection ends. */
function exchange({ port, ca }: World, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'acme.localhost', ca, ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.setTimeout(deadlineMs, () => reject(new Error(`no end of the connection: ${bytes.slice(0, 200)}`)));
    // Reset while we were still sending: what had come counts.
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write(bytes, 'latin1');
  });
}
