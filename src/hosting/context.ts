import type { AppContext, AppDb, AppEvent, AppUser } from '#sdk';
import type { TenantDb } from '#src/databases/types.ts';
import { Cancellation, type CancelSignal, type FileId, newId, randomName, type TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { BackgroundWork } from './background.ts';
import { hostingErrors } from './errors.ts';
import type { HostingDeps } from './types.ts';

export interface ContextDeps extends Pick<HostingDeps, 'databases' | 'files' | 'users' | 'urlOf' | 'clock'> {
  readonly background: BackgroundWork;
  readonly publish: (tenantId: TenantId, event: AppEvent) => void;
}

export interface ContextOf {
  readonly tenant: TenantRoute;
  readonly user: AppUser;
  readonly requestId: string;
  readonly signal: CancelSignal;
  /** Largest file that `files.put` takes unless told. */
  readonly maxFileBytes: number;
}

/** A file outside an upload route, when the app names no limit. */
export const defaultMaxFileBytes = 100 * 1024 * 1024;

/**
 * The capability of one request: this tenant, this user, until `end`. The tenant id is closed over, not an argument, so
 * there is nothing an app could pass to reach another tenant. After `end` every member that reaches anything
 * throws FH_APP_CONTEXT_ENDED, and statements that nobody awaited are cancelled.
 */
export function createContext(deps: ContextDeps, of: ContextOf): { context: AppContext; end(): void } {
  const { tenant, user } = of;
  const { tenantId } = tenant;
  // Aborted with the request, and at the end: so whoever has work running hears of both.
  const life = new Cancellation(of.signal);
  let isOver = false;
  const whileOpen =
    <A extends unknown[], R>(member: (...args: A) => R) =>
    (...args: A): R => {
      if (isOver) throw hostingErrors.FH_APP_CONTEXT_ENDED();
      return member(...args);
    };

  const context: AppContext = {
    user: Object.freeze({ ...user }),
    tenant: Object.freeze({ id: tenantId, name: tenant.name, title: tenant.title, url: deps.urlOf(tenant) }),
    requestId: of.requestId,
    get signal() {
      return life.signal;
    },
    db: Object.freeze({
      read: whileOpen(<T>(fn: (db: AppDb) => Promise<T>) =>
        deps.databases.app.read(tenantId, (db) => fn(narrow(db)), { signal: life }),
      ),
      transact: whileOpen(<T>(fn: (db: AppDb) => Promise<T>) =>
        deps.databases.app.transact(tenantId, (db) => fn(narrow(db)), { signal: life }),
      ),
    }) as AppContext['db'],
    files: Object.freeze({
      put: whileOpen(async (content, info) => {
        const maxBytes = info.maxBytes ?? of.maxFileBytes;
        const file = await deps.files.put(tenantId, content, { ...info, maxBytes, createdBy: user.id });
        return toAppFile(file);
      }),
      open: whileOpen(async (fileId) => {
        const opened = await deps.files.open(tenantId, fileId as FileId);
        return opened && { file: toAppFile(opened.file), content: opened.content };
      }),
      remove: whileOpen((fileId) => deps.files.remove(tenantId, fileId as FileId)),
    } satisfies AppContext['files']),
    users: Object.freeze({
      list: whileOpen(async () => (await deps.users.listUsers(tenantId)).map(toAppUser)),
    }),
    publish: whileOpen((event) => deps.publish(tenantId, checkedEvent(event))),
    background: whileOpen((operation, work) =>
      deps.background.start(tenantId, operation, async (workSignal) => {
        const inner = createContext(deps, { ...of, signal: workSignal, maxFileBytes: defaultMaxFileBytes });
        try {
          await work(inner.context);
        } finally {
          inner.end();
        }
      }),
    ),
    now: () => new Date(deps.clock.now()),
    newId(prefix) {
      if (!/^[a-z]{2,8}$/.test(prefix)) throw new TypeError('the prefix of an id has 2 to 8 lower-case letters');
      return `${prefix}_${randomName(26)}`;
    },
  };
  return {
    context: Object.freeze(context),
    end: () => {
      isOver = true;
      life.abort(() => hostingErrors.FH_APP_CONTEXT_ENDED());
    },
  };
}

/** A demonstration has no request, but its log lines want an id as well. */
export function newRequestId(): string {
  return newId('req');
}

export function toAppUser(user: { userId: string; email: string; name: string; role: AppUser['role'] }): AppUser {
  return { id: user.userId, email: user.email, name: user.name, role: user.role };
}

function toAppFile(file: { fileId: string; name: string; mediaType: string; sizeBytes: number; sha256: string }) {
  const { fileId: id, name, mediaType, sizeBytes, sha256 } = file;
  return { id, name, mediaType, sizeBytes, sha256 };
}

/** Only `query`: an app sees nothing else of a lease. */
function narrow(db: TenantDb): AppDb {
  return Object.freeze({ query: db.query.bind(db) }) as AppDb;
}

const maxEventBytes = 65_536;

/** The type becomes a line of the stream, so it must not contain one; the data is copied, so that later changes stay out. */
function checkedEvent(event: AppEvent): AppEvent {
  if (!/^[a-z][a-zA-Z0-9_.-]{0,63}$/.test(event.type)) throw new TypeError('the type of an event is like item.changed');
  const data = JSON.stringify(event.data ?? null);
  if (Buffer.byteLength(data) > maxEventBytes)
    throw new TypeError(`the data of an event has at most ${maxEventBytes} bytes`);
  return { type: event.type, data: JSON.parse(data) };
}
