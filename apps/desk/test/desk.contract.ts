/** Desk under the real host, for two tenants whose users have the same ids and e-mail addresses. Tests speak HTTP, as the page does. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { AppEvent, Role, RouteDefinition } from '#sdk';
import type { HostedRequest } from '#src/hosting/index.ts';
import { newId, silentLog, type UserId } from '#src/kernel/index.ts';
import { type HostedApp, startHostedApp } from '../../../test/support/hosted-app.ts';
import type { CreateItem, Import, Item, Project } from '../api.ts';
import { desk } from '../index.ts';

export type TenantName = 'acme' | 'globex';
export type Who = 'owner' | 'admin' | 'member' | 'other';

export interface TestUser {
  readonly userId: UserId;
  readonly email: string;
  readonly role: Role;
  readonly name: string;
}

/** The same in both tenants but for the names that `nameIn` gives. */
export const users: Readonly<Record<Who, TestUser>> = {
  owner: { userId: newId('usr'), email: 'olga@example.com', role: 'owner', name: 'Olga Owner' },
  admin: { userId: newId('usr'), email: 'anton@example.com', role: 'admin', name: 'Anton Admin' },
  member: { userId: newId('usr'), email: 'mia@example.com', role: 'member', name: 'Mia Member' },
  other: { userId: newId('usr'), email: 'otto@example.com', role: 'member', name: 'Otto Other' },
};
const nameIn = (tenant: TenantName, user: TestUser) => `${user.name} of ${tenant}`;

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

export interface Problem {
  readonly code: string;
  readonly title: string;
  readonly fields?: Record<string, string>;
}

export interface Desk {
  readonly hosted: HostedApp;
  readonly events: readonly (readonly [TenantName, AppEvent])[];
  as(who: Who, tenant?: TenantName): DeskClient;
  /** Statements of the tenant's own app role, for looking behind the API. */
  sql<R = Record<string, unknown>>(tenant: TenantName, text: string, values?: readonly unknown[]): Promise<R[]>;
  stop(): Promise<void>;
}

export interface DeskClient {
  call<T>(method: string, path: string, body?: unknown): Promise<Answer<T>>;
  /** Expects success. */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  /** Expects a refusal with this status and code. */
  refused(status: number, code: string, method: string, path: string, body?: unknown): Promise<Problem>;
  upload<T>(path: string, content: string | Uint8Array<ArrayBuffer>, name?: string, type?: string): Promise<Answer<T>>;
  download(path: string): Promise<{ status: number; text: string; headers: Headers }>;
  project(key: string): Promise<Project>;
  item(project: string, fields?: Partial<CreateItem>): Promise<Item>;
  import(csv: string | Uint8Array<ArrayBuffer>, name?: string): Promise<Import>;
}

export async function startDesk(): Promise<Desk> {
  const events: [TenantName, AppEvent][] = [];
  const identified = new WeakMap<object, HostedRequest>();
  let hosted: HostedApp;
  const tenantNameOf = (tenantId: string): TenantName =>
    tenantId === hosted.tenants.globex.tenantId ? 'globex' : 'acme';
  // These tests need no built page: any will do.
  const page = await mkdtemp(join(tmpdir(), 'freehold-desk-page-'));
  await writeFile(join(page, 'index.html'), '<!doctype html><title>Desk</title>');
  hosted = await startHostedApp(
    { ...desk, routes: desk.routes.map(withFaults), web: pathToFileURL(`${page}/`) },
    {
      users: {
        listUsers: async (tenantId) =>
          Object.values(users)
            .map((user) => ({ ...user, name: nameIn(tenantNameOf(tenantId), user) }))
            .sort((a, b) => (a.name < b.name ? -1 : 1)),
      },
      identify(request) {
        const known = identified.get(request);
        if (known) return known;
        const tenant = request.headers['x-tenant'] === 'globex' ? 'globex' : 'acme';
        const user = users[request.headers['x-user'] as Who];
        const gone = new AbortController();
        request.raw.once('close', () => {
          if (!request.raw.complete) gone.abort(new Error('client gone'));
        });
        const found: HostedRequest = {
          tenant: hosted.tenants[tenant],
          session: user && {
            sessionId: newId('ses'),
            user: { ...user, name: nameIn(tenant, user) },
            createdAt: new Date(0),
            expiresAt: new Date(8.64e15),
          },
          requestId: request.id,
          signal: gone.signal,
          isStillSignedIn: async () => true,
        };
        identified.set(request, found);
        return found;
      },
      publishEvent: (tenantId, event) => void events.push([tenantNameOf(tenantId), event]),
      log: silentLog,
    },
  );
  return {
    hosted,
    events,
    as: (who, tenant = 'acme') => createClient(hosted, who, tenant),
    sql: (tenant, text, values) =>
      hosted.tenants.databases.app.transact(hosted.tenants[tenant].tenantId, (db) => db.query(text, values)),
    async stop() {
      await hosted.stop();
      await rm(page, { recursive: true });
    },
  };
}

/** The host hides what went wrong inside from clients; tests want to read it. */
function withFaults(route: RouteDefinition): RouteDefinition {
  return {
    ...route,
    async handler(context, input) {
      try {
        return await route.handler(context, input);
      } catch (error) {
        if (!(error instanceof Error && 'status' in error))
          process.stderr.write(`${route.operation}: ${inspect(error)}\n`);
        throw error;
      }
    },
  };
}

function createClient(hosted: HostedApp, who: Who, tenant: TenantName): DeskClient {
  const fetchAs = (path: string, init: RequestInit = {}) =>
    hosted.fetch(path, {
      ...init,
      as: tenant,
      headers: { ...(init.headers as Record<string, string>), 'x-user': who },
    });
  const client: DeskClient = {
    async call(method, path, body) {
      const init: RequestInit = { method };
      if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers = { 'content-type': 'application/json' };
      }
      const response = await fetchAs(path, init);
      const text = await response.text();
      return { status: response.status, body: text ? JSON.parse(text) : undefined, headers: response.headers };
    },
    get: (path) => succeed(client, 'GET', path),
    post: (path, body) => succeed(client, 'POST', path, body),
    patch: (path, body) => succeed(client, 'PATCH', path, body),
    async refused(status, code, method, path, body) {
      const answer = await client.call<Problem>(method, path, body);
      assert.deepEqual(
        [answer.status, answer.body?.code],
        [status, code],
        `${method} ${path}: ${JSON.stringify(answer.body)}`,
      );
      return answer.body;
    },
    async upload(path, content, name = 'file.txt', type = 'text/plain') {
      const form = new FormData();
      form.set('file', new File([content], name, { type }));
      const response = await fetchAs(path, { method: 'POST', body: form });
      const text = await response.text();
      return { status: response.status, body: text ? JSON.parse(text) : undefined, headers: response.headers };
    },
    async download(path) {
      const response = await fetchAs(path);
      // response.text() would drop the byte order mark.
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(await response.arrayBuffer());
      return { status: response.status, text, headers: response.headers };
    },
    project: (key) => client.post('/api/projects', { key, name: `Project ${key}` }),
    item: (project, fields = {}) => client.post('/api/items', { project, title: 'An item', ...fields }),
    async import(csv, name = 'tickets.csv') {
      const answer = await client.upload<Import>('/api/imports', csv, name, 'text/csv');
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return answer.body;
    },
  };
  return client;
}

async function succeed<T>(client: DeskClient, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await client.call<T>(method, path, body);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
