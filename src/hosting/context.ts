import type { AppContext, AppDb, AppEvent, AppTenant, AppUser } from '#sdk';
import type { LeaseGuard, TenantDb } from '#src/databases/types.ts';
import { Cancellation, type CancelSignal, type FileId, newId, randomName, type TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { BackgroundWork } from './background.ts';
import type { Confirmation } from './confirmation.ts';
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
  /** There when the session is only presumed. */
  readonly confirmation?: Confirmation | undefined;
  /** False: a token that only reads; whatever the handler does, nothing of the tenant changes. Default true. */
  readonly mayWrite?: boolean;
}

/** A file outside an upload route, when the app names no limit. */
export const defaultMaxFileBytes = 100 * 1024 * 1024;

/**
 * The capability of one request: this tenant, this user, until `end`. The tenant id is closed over, not an argument, so
 * there is nothing an app could pass to reach another tenant. After `end` every member that reaches anything
 * throws FH_APP_CONTEXT_ENDED, and statements that nobody awaited are cancelled. Before the session is confirmed, only `db.read` does
 * anything, behind the check; everything else waits.
 */
export function createContext(deps: ContextDeps, of: ContextOf): { context: AppContext; end(): void } {
  const context = new RequestContext(deps, of);
  return { context, end: () => endContext(context) };
}

/** Not a method: the app must not find it. */
let endContext: (context: RequestContext) => void;

/** Members are made when they are asked for: most requests need one or two. */
class RequestContext implements AppContext {
  readonly user: AppUser;
  readonly tenant: AppTenant;
  readonly requestId: string;
  readonly #deps: ContextDeps;
  readonly #of: ContextOf;
  readonly #tenantId: TenantId;
  /** Aborted with the request, and at the end: so whoever has work running hears of both. */
  readonly #life: Cancellation;
  #isOver = false;
  #db: AppContext['db'] | undefined;
  #files: AppContext['files'] | undefined;
  #users: AppContext['users'] | undefined;

  static {
    endContext = (context) => {
      context.#isOver = true;
      context.#life.abort(() => hostingErrors.FH_APP_CONTEXT_ENDED());
    };
  }

  constructor(deps: ContextDeps, of: ContextOf) {
    this.#deps = deps;
    this.#of = of;
    this.#tenantId = of.tenant.tenantId;
    this.#life = new Cancellation(of.signal);
    this.user = Object.freeze(of.user);
    this.tenant = describeTenant(of.tenant, deps.urlOf);
    this.requestId = of.requestId;
    Object.freeze(this);
  }

  get signal() {
    return this.#life.signal;
  }

  get db(): AppContext['db'] {
    this.#db ??= Object.freeze({
      read: <T>(fn: (db: AppDb) => Promise<T>) => {
        this.#requireOpen();
        const { confirmation } = this.#of;
        const read = (guard: LeaseGuard | undefined) =>
          this.#deps.databases.app.read(this.#tenantId, (db) => fn(narrow(db)), { signal: this.#life, guard });
        return confirmation ? confirmation.read(read) : read(undefined);
      },
      transact: <T>(fn: (db: AppDb) => Promise<T>) =>
        this.#confirmedWrite(() =>
          this.#deps.databases.app.transact(this.#tenantId, (db) => fn(narrow(db)), { signal: this.#life }),
        ),
    });
    return this.#db;
  }

  get files(): AppContext['files'] {
    const { files } = this.#deps;
    this.#files ??= Object.freeze<AppContext['files']>({
      put: (content, info) =>
        this.#confirmedWrite(async () => {
          const maxBytes = info.maxBytes ?? this.#of.maxFileBytes;
          return toAppFile(await files.put(this.#tenantId, content, { ...info, maxBytes, createdBy: this.user.id }));
        }),
      open: (fileId) =>
        this.#confirmed(async () => {
          const opened = await files.open(this.#tenantId, fileId as FileId);
          return opened && { file: toAppFile(opened.file), content: opened.content };
        }),
      remove: (fileId) => this.#confirmedWrite(() => files.remove(this.#tenantId, fileId as FileId)),
    });
    return this.#files;
  }

  get users(): AppContext['users'] {
    this.#users ??= Object.freeze({
      list: () => this.#confirmed(async () => (await this.#deps.users.listUsers(this.#tenantId)).map(toAppUser)),
    });
    return this.#users;
  }

  get publish(): AppContext['publish'] {
    return (event) => {
      this.#requireOpen();
      this.#requireWrite();
      const checked = checkedEvent(event);
      this.#whenConfirmed(() => this.#deps.publish(this.#tenantId, checked));
    };
  }

  get background(): AppContext['background'] {
    return (operation, work) => {
      this.#requireOpen();
      this.#requireWrite();
      this.#whenConfirmed(() =>
        this.#deps.background.start(this.#tenantId, operation, async (signal) => {
          const { confirmation: _confirmed, ...of } = this.#of;
          const inner = createContext(this.#deps, { ...of, signal, maxFileBytes: defaultMaxFileBytes });
          try {
            await work(inner.context);
          } finally {
            inner.end();
          }
        }),
      );
    };
  }

  get now(): AppContext['now'] {
    return () => new Date(this.#deps.clock.now());
  }

  get newId(): AppContext['newId'] {
    return (prefix) => {
      if (!/^[a-z]{2,8}$/.test(prefix)) throw new TypeError('the prefix of an id has 2 to 8 lower-case letters');
      return `${prefix}_${randomName(26)}`;
    };
  }

  #requireOpen(): void {
    if (this.#isOver) throw hostingErrors.FH_APP_CONTEXT_ENDED();
  }

  /** The gateway lets such a token make safe requests only; here a handler of GET that writes is stopped as well. */
  #requireWrite(): void {
    if (this.#of.mayWrite === false) throw hostingErrors.FH_APP_TOKEN_READS_ONLY();
  }

  #confirmedWrite<T>(act: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    this.#requireWrite();
    return this.#confirmed(act);
  }

  /** Waits for the session to be confirmed; holds nothing meanwhile that somebody else could be waiting for. */
  #confirmed<T>(act: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    const { confirmation } = this.#of;
    if (!confirmation?.isOpen) return act();
    return confirmation.confirm().then(() => {
      this.#requireOpen();
      return act();
    });
  }

  #whenConfirmed(act: () => void): void {
    const { confirmation } = this.#of;
    if (confirmation) confirmation.whenConfirmed(act);
    else act();
  }
}

const describedTenants = new WeakMap<TenantRoute, AppTenant>();

/** What the app sees of a route; the directory keeps routes as they are, and makes a new one when something changes. */
function describeTenant(route: TenantRoute, urlOf: ContextDeps['urlOf']): AppTenant {
  let described = describedTenants.get(route);
  if (!described) {
    described = Object.freeze({ id: route.tenantId, name: route.name, title: route.title, url: urlOf(route) });
    describedTenants.set(route, described);
  }
  return described;
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
