/** One case per lifecycle operation: what it works on, and what must be true when it has ended. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  acceptInvitation,
  begin,
  clientOf,
  command,
  contentOf,
  createTenant,
  describe,
  finish,
  type Installation,
  type OperationView,
  signIn,
  type Tenant,
} from './operator.ts';

export const kinds = [
  'create',
  'suspend',
  'resume',
  'rename',
  'clone',
  'export',
  'import',
  'delete',
  'destroy',
] as const;
export type Kind = (typeof kinds)[number];

export interface Case {
  readonly kind: Kind;
  start(): Promise<OperationView>;
  /** After a success. Leaves everything as the next case wants it. */
  checkDone(operation: OperationView): Promise<void>;
  /** After it was taken back. */
  checkUndone(): Promise<void>;
}

/** A tenant that operations are tried on again and again; its content must never change. */
interface Subject {
  tenant: Tenant;
  readonly content: string;
}

export interface Scene {
  newCase(kind: Kind): Promise<Case>;
  /** Subjects hold exactly what they held at the beginning. */
  checkSubjects(): Promise<void>;
}

export const newName = (): string => `t${randomBytes(6).toString('hex')}`;

/** @param size how many cases may be under way at the same time */
export async function openScene(at: Installation, size: number): Promise<Scene> {
  const subjects: Subject[] = [];
  for (let index = 0; index < size; index++) {
    const tenant = await createTenant(at, newName());
    subjects.push({ tenant, content: await contentOf(tenant.client) });
  }
  const exported = await finish(at, `/api/tenants/${subjects[0]!.tenant.tenantId}/export`, {});
  const archive = (await command(at, 'GET', `/api/exports/${exported.operationId}/download`)).bytes;
  const archivedContent = subjects[0]!.content;
  /** Made by earlier cases and not needed any more: what `delete` and `destroy` work on. */
  const spare: string[] = [];
  let turn = 0;

  const nextSubject = (): Subject => subjects[turn++ % size]!;
  const pathOf = ({ tenant }: Subject, verb: string): string => `/api/tenants/${tenant.tenantId}/${verb}`;

  async function checkCopy(name: string, content: string): Promise<void> {
    const client = await signIn(at, name);
    assert.equal(await contentOf(client), content, `${name} is not what it was copied from`);
    await client.close();
    spare.push(name);
  }

  async function nextSpare(): Promise<{ name: string; tenantId: string }> {
    const name = spare.shift() ?? newName();
    const known = await command(at, 'GET', `/api/tenants/${name}`);
    if (known.status === 200) return { name, tenantId: known.json.tenantId };
    return { name, tenantId: (await finish(at, `/api/tenants/import?name=${name}`, archive)).tenantId };
  }

  async function isKeyDestroyed(certificateId: unknown): Promise<boolean> {
    const { json } = await command(at, 'GET', `/api/certificates/${certificateId}`);
    return json.document.destroyed.key.destroyed;
  }

  async function assertGone(name: string, status: number): Promise<void> {
    const client = clientOf(at, name);
    const answer = await client.get('/api/me');
    assert.equal(answer.status, status, `${name} answers ${answer.status} ${answer.text.slice(0, 300)}`);
    await client.close();
  }

  const makers: Record<Kind, () => Promise<Omit<Case, 'kind'>>> = {
    async create() {
      const name = newName();
      return {
        start: () => begin(at, '/api/tenants', { name, adminEmail: 'ada@example.com' }),
        async checkDone({ operationId }) {
          const client = await acceptInvitation(at, name, operationId);
          assert.equal((await client.get('/api/me')).status, 200);
          await client.close();
          spare.push(name);
        },
        checkUndone: () => assertGone(name, 404),
      };
    },
    async suspend() {
      const subject = nextSubject();
      return {
        start: () => begin(at, pathOf(subject, 'suspend'), {}),
        async checkDone() {
          const answer = await subject.tenant.client.get('/api/me');
          assert.deepEqual([answer.status, answer.json?.code], [503, 'FH_TENANT_SUSPENDED']);
          await finish(at, pathOf(subject, 'resume'), {});
        },
        checkUndone: never,
      };
    },
    async resume() {
      const subject = nextSubject();
      await finish(at, pathOf(subject, 'suspend'), {});
      return {
        start: () => begin(at, pathOf(subject, 'resume'), {}),
        async checkDone() {
          assert.equal((await subject.tenant.client.get('/api/me')).status, 200);
        },
        checkUndone: never,
      };
    },
    async rename() {
      const subject = nextSubject();
      const oldName = subject.tenant.name;
      const name = newName();
      return {
        start: () => begin(at, pathOf(subject, 'rename'), { newName: name }),
        async checkDone() {
          await assertGone(oldName, 404);
          await subject.tenant.client.close();
          subject.tenant = { ...subject.tenant, name, client: await signIn(at, name) };
        },
        checkUndone: never,
      };
    },
    async clone() {
      const subject = nextSubject();
      const name = newName();
      return {
        start: () => begin(at, pathOf(subject, 'clone'), { newName: name }),
        checkDone: () => checkCopy(name, subject.content),
        checkUndone: () => assertGone(name, 404),
      };
    },
    async export() {
      const subject = nextSubject();
      return {
        start: () => begin(at, pathOf(subject, 'export'), {}),
        async checkDone({ operationId, result }) {
          const { status, bytes } = await command(at, 'GET', `/api/exports/${operationId}/download`);
          assert.deepEqual([status, bytes.length], [200, result.sizeBytes]);
        },
        checkUndone: never,
      };
    },
    async import() {
      const name = newName();
      return {
        start: () => begin(at, `/api/tenants/import?name=${name}`, archive),
        checkDone: () => checkCopy(name, archivedContent),
        checkUndone: () => assertGone(name, 404),
      };
    },
    async delete() {
      const { name, tenantId } = await nextSpare();
      return {
        start: () => begin(at, `/api/tenants/${tenantId}/delete`, { confirm: name }),
        async checkDone({ result }) {
          await assertGone(name, 410);
          assert.equal(await isKeyDestroyed(result.certificateId), false);
        },
        checkUndone: never,
      };
    },
    async destroy() {
      const { name, tenantId } = await nextSpare();
      await finish(at, `/api/tenants/${tenantId}/delete`, { confirm: name });
      return {
        start: () => begin(at, `/api/tenants/${tenantId}/delete`, { confirm: name, now: true }),
        async checkDone({ result }) {
          await assertGone(name, 410);
          assert.equal(await isKeyDestroyed(result.certificateId), true);
        },
        checkUndone: never,
      };
    },
  };

  return {
    newCase: async (kind) => ({ kind, ...(await makers[kind]()) }),
    async checkSubjects() {
      for (const { tenant, content } of subjects) assert.equal(await contentOf(tenant.client), content, tenant.name);
    },
  };
}

async function never(): Promise<void> {
  assert.fail('this operation is never taken back by itself');
}

export async function checkEnd(one: Case, operation: OperationView, expected: 'succeeded' | 'undone'): Promise<void> {
  assert.equal(operation.state, expected, describe(operation));
  if (expected === 'succeeded') await one.checkDone(operation);
  else await one.checkUndone();
}
