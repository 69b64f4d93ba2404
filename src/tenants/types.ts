import type { OperationId, TenantId } from '#src/kernel/index.ts';
import type { ServerAuthorities } from '#src/postgres/types.ts';

/** Life of a tenant; the allowed moves are in transitions.ts. */
export const tenantStates = [
  'requested',
  'creating',
  'active',
  'migrating',
  'suspended',
  'restoring',
  'moving',
  'deleting',
  'deleted',
] as const;
export type TenantState = (typeof tenantStates)[number];
export type Edition = 'standard' | 'private-cloud';

/**
 * How much of a tenant's work may be lost with the primary: what was committed within the last second, or nothing, because each commit waits until every
 * region holds it.
 */
export const recoveryPoints = ['second', 'zero'] as const;
export type RecoveryPoint = (typeof recoveryPoints)[number];

/** A customer account, as the registry knows it. */
/** Of a place, for example `eu`, `eu-de` or `eu-de-fra`: each part lies inside the one before. */
export const placePattern = /^[a-z0-9]{1,16}(-[a-z0-9]{1,16}){0,3}$/;

/** Places that data of a tenant may be in, each with everything inside it: `eu` holds `eu-de`. */
export interface Residency {
  /** Of its database, its files and the machine that works with them. */
  readonly home: readonly string[];
  /** Of everything that lies in regions. */
  readonly copies: readonly string[];
}

export interface Tenant {
  readonly tenantId: TenantId;
  /** Host label: `name.DOMAIN`. */
  readonly name: string;
  /** Display name; default: the name. */
  readonly title: string;
  readonly state: TenantState;
  readonly edition: Edition;
  /** The PostgreSQL server that its databases are on: `main`, or one of its own (edition private-cloud). */
  readonly cluster: string;
  /** Name of the hosted app, for example `desk`. */
  readonly app: string;
  /** Of an app that runs as a process: the version that this tenant runs. Undefined: the app runs inside the gateway, always at its newest. */
  readonly appVersion: string | undefined;
  readonly adminEmail: string;
  /** Opaque name of its database and of its app role: never shows whose it is. Undefined until one is assigned. */
  readonly databaseName: string | undefined;
  readonly createdAt: Date;
  readonly stateChangedAt: Date;
  /** Last signed-in use, to the minute; undefined: never. */
  readonly lastUsedAt: Date | undefined;
  /** Size of the database at the last measurement; undefined: not measured yet. */
  readonly sizeBytes: number | undefined;
  readonly recoveryPoint: RecoveryPoint;
  /** Undefined: its data may be anywhere. */
  readonly residency: Residency | undefined;
  /** The operation that is running or failed on it, if any. */
  readonly operationId: OperationId | undefined;
  /** Of a deleted tenant whose key is not destroyed yet: when it will be. Until then the tenant can be restored. */
  readonly keyDueAt: Date | undefined;
}

export const operationKinds = [
  'create',
  'suspend',
  'resume',
  'rename',
  'swap',
  'set',
  'update',
  'move',
  'clone',
  'export',
  'import',
  'restore',
  'delete',
  'destroy',
] as const;
export type OperationKind = (typeof operationKinds)[number];
export type OperationState = 'running' | 'succeeded' | 'failed' | 'undone';

/** A lifecycle operation: recorded steps, each idempotent; resumed at the next start when the process died. */
export interface Operation {
  readonly operationId: OperationId;
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly steps: readonly OperationStep[];
  readonly requestedBy: string;
  /** The tenant that a clone copies or a restore goes back in. */
  readonly sourceTenantId?: TenantId;
  /** It gave up and takes its steps back. */
  readonly undoing?: boolean;
  /** How far the running step is, when it can tell. Lives in memory only. */
  readonly progress?: OperationProgress;
  /** A link that may be shown once is waiting: `takeSecretResult`. */
  readonly hasSecretResult?: boolean;
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
  /** Code and text of what failed; safe to show to staff. */
  readonly error: { readonly code: string; readonly text: string } | undefined;
  /**
   * What the operation made: `{url}` of create, clone, import, restore and swap, `{fileName, sizeBytes, sha256}` of export, `{certificateId}` of delete and
   * destroy. `{keptUntil}` of move: when the database that was left goes. `{keptName, keptTenantId}` of swap and of a restore in place: who had the address before. `{inPlaceOf}`: the name that a restore is to
   * take; `{notInPlace}`: why it did not.
   */
  readonly result: Readonly<Record<string, string | number>>;
}

/**
 * The moment that a restore goes back to. Times are ISO 8601 in UTC.
 * - `time`: everything committed until then, by the server's clock.
 * - `name`: a restore point; `xid`: up to and with this transaction. `after`: a moment that is known to be before it.
 * - `lsn`: everything written before this place.
 * - `before`: just before the commit that changed the tenant, or before an operation began. `at` and, when it is known, the place are what was found;
 *   whoever asks says only `event`.
 */
export type RestoreMoment =
  | { readonly kind: 'time'; readonly time: string }
  | { readonly kind: 'name'; readonly name: string; readonly after: string }
  | { readonly kind: 'xid'; readonly xid: string; readonly after: string }
  | { readonly kind: 'lsn'; readonly lsn: string }
  | {
      readonly kind: 'before';
      readonly event: RestoreEvent;
      readonly at: string;
      readonly lsn?: string;
      readonly timeline?: number;
    };

/** A deletion or renaming of the tenant (the last one), or an operation. */
export type RestoreEvent = 'delete' | 'rename' | OperationId;
/** What may be asked for: what a `before` means is found in the ledger of tenants. */
export type WantedMoment =
  | Exclude<RestoreMoment, { kind: 'before' }>
  | { readonly kind: 'before'; readonly event: RestoreEvent };

export interface OperationProgress {
  /** 0 to 1; undefined: how much is left is not known. */
  readonly fraction: number | undefined;
  /** For example `12 of 40 files`. */
  readonly text: string;
}

export interface OperationStep {
  readonly name: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'undone';
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
}

/** What a gateway knows of a host: enough to choose a door, no secret. */
export interface TenantRoute {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly title: string;
  readonly state: TenantState;
  readonly app: string;
  /** Host name without port, lower case: `acme.localhost`. */
  readonly host: string;
  /** The app runs as a process of this tenant (docs/decisions/0038); undefined: inside the gateway. */
  readonly process?: TenantProcess;
}

/** What gateways know of a tenant's app that runs as a process. Shapes and defaults: AppManifest in src/releases/types.ts. */
export interface TenantProcess {
  readonly version: string;
  readonly identity: {
    readonly kind: 'none' | 'headers' | 'oidc';
    readonly publicPaths: readonly string[];
    /** Of `oidc`; manifests of older versions have none. */
    readonly redirectPaths?: readonly string[];
    readonly signedOutPaths?: readonly string[];
  };
  readonly healthPath: string;
  /** Most that the body of one request may have. */
  readonly bodyBytes: number;
  /** The release that has given the tenant this version and would take it back with its content, as long as nobody may have changed that. */
  readonly trial?: string;
}

/** What a gateway worker gets while a tenant is hot: the means to reach this tenant's data and nothing else. */
export interface TenantAccess {
  readonly tenantId: TenantId;
  readonly database: {
    readonly host: string;
    readonly port: number;
    readonly name: string;
    readonly tls: 'off' | 'verify-full';
    readonly ca?: ServerAuthorities;
  };
  /** Role for the app's own statements: schema `app`. */
  readonly app: { readonly user: string; readonly password: string };
  /** Role for the platform's statements: schema `freehold` (users, sessions, files, audit). */
  readonly platform: { readonly user: string; readonly password: string };
  /** 32 bytes each. */
  readonly cookieKey: Uint8Array;
  readonly filesKey: Uint8Array;
  readonly factorsKey: Uint8Array;
  /** Of the JWT in `Freehold-Identity`; the tenant's app has it, too, and the platform trusts nothing that is signed with it. */
  readonly identityKey: Uint8Array;
}

/** The gateway's view of control. Answers may be cached until `onChanged` names the tenant or `onFlush` fires. */
export interface TenantDirectory {
  /** Exact host (lower case, no port) → tenant in any state; undefined: no such tenant. Deleted tenants keep answering `deleted` for their last host. */
  findRoute(host: string): Promise<TenantRoute | undefined>;
  /** Throws FH_TENANT_NOT_ACTIVE unless the tenant's data may be reached now. */
  getAccess(tenantId: TenantId): Promise<TenantAccess>;
  /** PEM certificate chain for exactly this host, signed by the local authority for the gateway's own key; undefined: not a host of ours. */
  findCertificate(host: string): Promise<string | undefined>;
  /** Called when a tenant's state, name or access changed; control waits for the promise before it goes on. */
  onChanged(listener: (tenantId: TenantId) => Promise<void>): void;
  /** Called when the link to control was re-made: anything cached may be old. */
  onFlush(listener: () => Promise<void>): void;
}
