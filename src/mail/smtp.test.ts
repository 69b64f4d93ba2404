import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { newId, waitFor } from '#src/kernel/index.ts';
import { startTestMailServer } from './outbox.fixture.ts';
import { createDelivery, type Delivery, parseSmtpServer } from './smtp.ts';

const from = 'no-reply@operator.example';

function deliverTo(port: number, limits?: { attemptMs: number }): Promise<Delivery> {
  const deliver = createDelivery(parseSmtpServer(`smtp://127.0.0.1:${port}`, from), limits);
  const letter = { fromName: 'Acme', to: 'mia@example.com', subject: 'Hello', text: 'Hello', html: '<p>Hello</p>' };
  return deliver(newId('mai'), new Date(0), letter);
}

test('an attempt ends though the mail server never falls silent', async () => {
  const timers = new Set<NodeJS.Timeout>();
  const dribbling = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 mail.example.com\r\n');
    socket.once('data', () => {
      const timer = setInterval(() => socket.write('250-x\r\n'), 20);
      timers.add(timer);
      socket.once('close', () => {
        clearInterval(timer);
        timers.delete(timer);
      });
    });
  });
  await once(dribbling.listen(0, '127.0.0.1'), 'listening');
  const delivery = await deliverTo((dribbling.address() as AddressInfo).port, { attemptMs: 1_000 });
  assert.deepEqual(delivery, { outcome: 'later', problem: 'The mail server did not answer in time.' });
  await waitFor('the connection to be closed', () => timers.size === 0, { deadlineMs: 60_000 });
  dribbling.close();
  await once(dribbling, 'close');
});

for (const { refusing, delivery } of [
  { refusing: 'onMailFrom', delivery: { outcome: 'later', problem: 'The mail server answered 550 to the sender.' } },
  { refusing: 'onRcptTo', delivery: { outcome: 'refused', problem: 'The mail server answered 550 to the address.' } },
] as const)
  test(`a refusal by ${refusing}: ${delivery.outcome}`, async () => {
    const strict = await startTestMailServer({
      [refusing]: (_address: unknown, _session: unknown, done: (error: Error) => void) =>
        done(Object.assign(new Error('mia@example.com'), { responseCode: 550 })),
    });
    assert.deepEqual(await deliverTo(strict.port).finally(() => strict.stop()), delivery);
  });

test('the setting of the mail server: TLS unless it is this machine, and nothing of it in an error', () => {
  const at = (url: string) => {
    const { security, host, port } = parseSmtpServer(url, from);
    return `${security} ${host}:${port}`;
  };
  assert.equal(at('smtps://u:p@mail.example.com'), 'tls mail.example.com:465');
  assert.equal(at('smtp://u:p@mail.example.com'), 'starttls mail.example.com:587');
  assert.equal(at('smtp://localhost'), 'plain localhost:25');
  assert.equal(at('smtp://[::1]:2525'), 'plain ::1:2525');
  assert.equal(at('smtp://127.0.0.1.evil.example'), 'starttls 127.0.0.1.evil.example:587');
  assert.equal(parseSmtpServer('smtps://u%40x:p%3Aw@mail.example.com', from).password, 'p:w');
  for (const [url, sender] of [
    ['http://u:secret@mail.example.com', from],
    ['smtp://u:secret@mail.example.com/?secure=false', from],
    ['secret', from],
    ['smtp://u:%E0%A4%A@mail.example.com', from],
    ['smtps://u:secret@mail.example.com', undefined],
    ['smtps://u:secret@mail.example.com', 'A <a@example.com>'],
    ['smtps://u:secret@mail.example.com', 'a@example.com\r\nBcc: x@example.com'],
  ] as const)
    assert.throws(
      () => parseSmtpServer(url, sender),
      (error: Error & { code: string }) =>
        error.code === 'FH_MAIL_SETTING_INVALID' &&
        !JSON.stringify({ ...error, text: String(error) }).includes('secret'),
    );
});
