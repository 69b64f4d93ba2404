/** What the fault suite does to a running installation as its operator and as its tenants' people: command socket and HTTPS only. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { foldersOf } from '#src/main/folders.ts';
import { type Answer, Client, until } from '../../acceptance/harness.ts';

// biome-ignore lint/suspicious/noExplicitAny: a black-box test reads whatever JSON came.
export type Json = any;

export interface Installation {
  readonly dataDir: string;
  readonly port: number;
}

export interface OperationView {
  readonly operationId: string;
  readonly tenantId: string;
  readonly kind: string;
  readonly state: 'running' | 'succeeded' | 'failed' | 'undone';
  readonly error?: { readonly code: string; readonly text: string };
  readonly result: Readonly<Record<string, string | number>>;
  readonly steps: readonly { readonly name: string; readonly state: string }[];
}

/** One request over the command socket; bodies are JSON unless they are bytes. Rejects when control is not there. */
export function command(
  { dataDir }: Installation,
  method: string,
  path: string,
  body?: object | Buffer,
): Promise<{ status: number; bytes: Buffer; json: Json }> {
  const isRaw = Buffer.isBuffer(body);
  const bytes = isRaw ? body : body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        socketPath: foldersOf(dataDir).commandSocket,
        method,
        path,
        agent: false,
        headers: bytes
          ? { 'content-type': isRaw ? 'application/x-tar' : 'application/json', 'content-length': bytes.length }
          : {},
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks);
          const isJson = String(response.headers['content-type']).includes('json');
          resolve({
            status: response.statusCode ?? 0,
            bytes: answer,
            json: isJson ? JSON.parse(answer.toString()) : undefined,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(bytes);
  });
}

/** Begins a lifecycle operation. @returns its id */
export async function begin(at: Installation, path: string, body: object | Buffer): Promise<OperationView> {
  const { status, json } = await command(at, 'POST', path, body);
  if (status !== 202) throw new Error(`${path} was refused: ${status} ${JSON.stringify(json)}`);
  return json.operation;
}

/** Waits until the operation no longer runs, also over deaths of control. */
export async function ended(
  at: Installation,
  { operationId }: OperationView,
  deadlineMs = 180_000,
): Promise<OperationView> {
  let seen: OperationView | undefined;
  const isOver = async (): Promise<OperationView | undefined> => {
    const answer = await command(at, 'GET', `/api/operations/${operationId}`).catch(() => undefined);
    if (answer?.status === 200) seen = answer.json;
    return seen && seen.state !== 'running' ? seen : undefined;
  };
  return until(`operation ${operationId} to end`, isOver, deadlineMs).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)}`, { cause: error });
  });
}

export async function finish(
  at: Installation,
  path: string,
  body: object | Buffer,
  deadlineMs?: number,
): Promise<OperationView> {
  const operation = await ended(at, await begin(at, path, body), deadlineMs);
  if (operation.state !== 'succeeded') throw new Error(`${path} ended ${operation.state}: ${describe(operation)}`);
  return operation;
}

export const describe = (operation: OperationView): string => JSON.stringify(operation);

export interface Tenant {
  readonly tenantId: string;
  readonly name: string;
  readonly email: string;
  readonly client: Client;
  /** Id of an item to comment on. */
  readonly itemId: string;
  readonly project: string;
}

export const password = 'quarry-lantern-58-otter';
// The same everywhere: nothing may depend on who is who.
const email = 'ada@example.com';

export function clientOf({ dataDir, port }: Installation, name: string): Client {
  return new Client(`https://${name}.localhost:${port}`, readFileSync(join(dataDir, 'ca.crt'), 'utf8'));
}

/** A tenant with its owner signed in, a project, items, a comment and an attachment. */
export async function createTenant(
  at: Installation,
  name: string,
  more: { readonly edition?: 'private-cloud'; readonly residency?: { home: string[]; copies?: string[] } } = {},
): Promise<Tenant> {
  const { operationId, tenantId } = await finish(at, '/api/tenants', { name, adminEmail: email, ...more });
  const client = await acceptInvitation(at, name, operationId);
  const project = await sent(client, 'POST', '/api/projects', { key: 'OPS', name: 'Operations' });
  const item = await sent(client, 'POST', '/api/items', {
    project: project.key,
    title: `Printer of ${name}`,
    description: '**on fire**',
    tags: ['office'],
  });
  await sent(client, 'POST', `/api/items/${item.id}/comments`, { body: `first of ${name}` });
  await attach(client, item.id, `notes of ${name}`);
  return { tenantId, name, email, client, itemId: item.id, project: project.key };
}

/** Takes the link that the operation shows once, accepts it, and stays signed in. */
export async function acceptInvitation(at: Installation, name: string, operationId: string): Promise<Client> {
  const secret = await command(at, 'POST', `/api/operations/${operationId}/secret-result`, {});
  if (secret.status !== 200) throw new Error(`no invitation: ${JSON.stringify(secret.json)}`);
  const token = new URL(secret.json.invitationUrl).pathname.split('/').at(-1)!;
  const client = clientOf(at, name);
  await sent(client, 'POST', `/-/api/invitations/${token}`, { name: 'Ada', password });
  return client;
}

export async function signIn(at: Installation, name: string): Promise<Client> {
  const client = clientOf(at, name);
  await sent(client, 'POST', '/-/api/session', { email, password });
  return client;
}

/** The answer's JSON; throws unless it is a success. */
export async function sent(client: Client, method: string, path: string, body?: object): Promise<Json> {
  const answer = await client.send(method, path, body);
  if (answer.status >= 300)
    throw new Error(`${method} ${client.origin}${path}: ${answer.status} ${answer.text.slice(0, 500)}`);
  return answer.json;
}

export async function attach(client: Client, itemId: string, text: string | Buffer): Promise<Json> {
  const answer = await upload(client, `/api/items/${itemId}/attachments`, text);
  if (answer.status !== 201) throw new Error(`upload: ${answer.status} ${answer.text.slice(0, 500)}`);
  return answer.json;
}

export function upload(client: Client, path: string, content: string | Buffer): Promise<Answer> {
  const boundary = 'freehold-fault-suite';
  const body = Buffer.concat([
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="notes.txt"\r\ncontent-type: text/plain\r\n\r\n`,
    ),
    Buffer.from(content),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  return client.send('POST', path, body, { 'content-type': `multipart/form-data; boundary=${boundary}` });
}

/** Digest of everything that people of the tenant can see: items, comments, attachments with their bytes. */
export async function contentOf(client: Client): Promise<string> {
  const hash = createHash('sha256');
  const { items } = await sent(client, 'GET', '/api/items?limit=100&sort=created');
  for (const { id } of items) {
    hash.update(JSON.stringify(await sent(client, 'GET', `/api/items/${id}`)));
    const { comments } = await sent(client, 'GET', `/api/items/${id}/comments?limit=100`);
    hash.update(JSON.stringify(comments));
    const { attachments } = await sent(client, 'GET', `/api/items/${id}/attachments`);
    for (const attachment of attachments) {
      const answer = await client.get(`/api/attachments/${attachment.id}/content`);
      if (answer.status !== 200) throw new Error(`attachment: ${answer.status} ${answer.text.slice(0, 500)}`);
      hash.update(JSON.stringify(attachment)).update(answer.text);
    }
  }
  return hash.digest('hex');
}
