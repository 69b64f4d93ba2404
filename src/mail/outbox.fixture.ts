/** For tests: an outbox over a control database and a mail server that stands on loopback. Run by itself: sends once, in a process that can be killed. */

import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { armFailpoints, type Clock, newId, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import { type ConnectionTarget, createPool, type Pool } from '#src/postgres/index.ts';
import { createDelivery, createLetterBox, createMailSender, createOutbox, parseSmtpServer } from './index.ts';

export interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly raw: string;
}

export interface TestMailServer {
  readonly port: number;
  readonly received: readonly Received[];
  /** Answers this to the next message, in place of taking it. */
  refuseNext(responseCode: number): void;
  stop(): Promise<void>;
}

export async function startTestMailServer(options: SMTPServerOptions = {}): Promise<TestMailServer> {
  const received: Received[] = [];
  const refusals: number[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const responseCode = refusals.shift();
        if (responseCode) return done(Object.assign(new Error('not today, alice@example.com'), { responseCode }));
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        received.push({ from, to: rcptTo.map(({ address }) => address), raw: Buffer.concat(chunks).toString() });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    received,
    refuseNext: (responseCode) => void refusals.push(responseCode),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Header lines, unfolded, by lower-case name. */
export function headersOf(raw: string): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  const head = raw.slice(0, raw.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]+/g, ' ');
  for (const line of head.split('\r\n')) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(line.indexOf(':') + 1).trim()]);
  }
  return headers;
}
/** The parts of a message, decoded. */
export function textsOf(raw: string): string {
  return raw
    .split(/\r\n--[^\r\n]+\r\n/)
    .map((part) => {
      const body = part.slice(part.indexOf('\r\n\r\n') + 4);
      if (/content-transfer-encoding: base64/i.test(part)) return Buffer.from(body, 'base64').toString();
      return Buffer.from(
        body
          .replaceAll(/=\r\n/g, '')
          .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
        'latin1',
      ).toString();
    })
    .join('\n');
}

/** The key of a test tenant follows from its id; of a destroyed one there is none. */
export const destroyed = new Set<TenantId>();
async function keyOf(tenantId: TenantId): Promise<Buffer> {
  if (destroyed.has(tenantId)) throw keyErrors.FH_KEY_DESTROYED();
  return createHash('sha256').update(tenantId).digest();
}

export function openMail({
  db,
  smtpUrl,
  clock = systemClock,
  ca,
}: {
  readonly db: Pool;
  /** Undefined: none is configured. */
  readonly smtpUrl?: string | undefined;
  readonly clock?: Clock;
  readonly ca?: string;
}) {
  const letters = createLetterBox(keyOf);
  const server = smtpUrl === undefined ? undefined : parseSmtpServer(smtpUrl, 'no-reply@operator.example');
  const sender =
    server &&
    createMailSender({
      db,
      letters,
      deliver: createDelivery({ ...server, ...(ca !== undefined && { ca }) }),
      clock,
      log: silentLog,
    });
  const outbox = createOutbox({
    db,
    letters,
    tenantOf: async (tenantId) => {
      const [row] = await db.query<{ name: string; title: string }>(
        'SELECT name, title FROM tenants WHERE tenant_id = $1',
        [tenantId],
      );
      return { ...row!, url: `https://${row!.name}.example.com` };
    },
    isConfigured: server !== undefined,
    onQueued: () => sender?.wake(),
    clock,
  });
  return { outbox, sender };
}

export async function insertTenant(db: Pool, name: string, title = `${name} works`): Promise<TenantId> {
  const tenantId = newId('ten');
  await db.query(
    `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, created_at, state_changed_at)
     VALUES ($1, $2, $3, 'active', 'standard', 'desk', 'ada@example.com', now(), now())`,
    [tenantId, name, title],
  );
  return tenantId;
}

/** Argument: JSON of `{ control, smtpUrl, failpoints }`. */
export interface ChildOrder {
  readonly control: ConnectionTarget;
  readonly smtpUrl: string;
  readonly failpoints: string;
}

if (process.argv[1] === import.meta.filename) {
  const { control, smtpUrl, failpoints } = JSON.parse(process.argv[2]!) as ChildOrder;
  const db = createPool(control, { max: 2, applicationName: 'test child' });
  armFailpoints(failpoints);
  await openMail({ db, smtpUrl }).sender!.sendDue();
  await db.stop();
}
