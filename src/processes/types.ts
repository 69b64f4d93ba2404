import type { TenantId } from '#src/kernel/index.ts';
import type { RpcProtocol } from '#src/rpc/index.ts';

/** A running app of a tenant. */
export interface Entrance {
  /** Another one each time the app is started. */
  readonly instanceId: string;
  /** HTTP/1.1 here reaches the app. */
  readonly socketPath: string;
}

/** Between gateways and the keeper, over `run/apps/link.sock`. */
export interface AppLinkProtocol extends RpcProtocol {
  readonly server: {
    /**
     * Wakes the app when it sleeps, and answers when it is healthy. FH_APP_FAILED when it does not start, FH_APP_BUSY when there is no room,
     * FH_TENANT_NOT_ACTIVE when the tenant is not open.
     */
    readonly enter: { params: { tenantId: TenantId }; result: Entrance };
    /** Tenants whose apps had a request since the last call, or have one now. Every few seconds. */
    readonly used: { params: { tenantIds: readonly TenantId[] }; result: null };
  };
  readonly client: {
    /** True: no request of this instance is under way, and none begins without another `enter`. */
    readonly letGo: { params: { tenantId: TenantId; instanceId: string }; result: boolean };
    /** True: of this instance no request is under way that comes to an end by itself: streams do not count. */
    readonly isLeft: { params: { instanceId: string }; result: boolean };
    /** Nobody may enter the instance from now on: it has ended, or is about to. */
    readonly ended: { params: { tenantId: TenantId; instanceId: string }; result: null };
  };
}

/** What the keeper learns from control before it starts an app. */
export interface RunSpec {
  readonly tenantId: TenantId;
  readonly app: string;
  readonly version: string;
  /** SHA-256 of the version's content, hex. */
  readonly digest: string;
  /** Of `tenant_apps`: the OS user is 1879048192 + this. */
  readonly place: number;
  /** The PostgreSQL server of its tenant; undefined: the one that all share. */
  readonly cluster?: string | undefined;
  readonly migrate: readonly string[] | undefined;
  readonly start: readonly string[];
  /** Whole and resolved; holds secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
  /** The tenant's, for the question about its health. */
  readonly host: string;
  /** Where its provider is: the tenant's own address, which leads there and nowhere else inside. Undefined: it has none. */
  readonly issuer?: { readonly host: string; readonly port: number };
  readonly healthPath: string;
  readonly startMs: number;
  readonly idleMs: number;
  readonly limits: {
    readonly memoryBytes: number;
    readonly cpus: number;
    readonly processes: number;
    readonly folderBytes: number;
    /** To the database, at once. */
    readonly connections: number;
  };
}

/** What keeps apps that are processes in, on this machine. */
export interface AppFences {
  /** Bubblewrap: own view of files, processes and network. Without it no such app is started. */
  readonly sandbox: boolean;
  /** Each app runs as an operating-system user of its own. */
  readonly users: boolean;
  /** Version of the control groups that bound memory, processors and processes; 0: there are none. */
  readonly controlGroups: 0 | 1 | 2;
  /** The filter of system calls. */
  readonly systemCalls: boolean;
}

export const appStates = ['asleep', 'waking', 'awake', 'stopping', 'failed'] as const;
export type AppState = (typeof appStates)[number];

/** How the app of a tenant is. */
export interface KeptApp {
  readonly tenantId: TenantId;
  readonly state: AppState;
  readonly version: string | undefined;
  /** Since its last request. */
  readonly idleMs: number;
  readonly upMs: number | undefined;
  /** Crashes and failed starts in a row. */
  readonly failures: number;
  readonly memoryBytes: number | undefined;
  /** Why it failed, with the last lines of its log. For staff only. */
  readonly error: string | undefined;
}

/** A part of an app's log, oldest line first. */
export interface LogPage {
  readonly lines: readonly string[];
  /** Where it ends: what comes after it is asked for with this, also when the files were rotated meanwhile. */
  readonly cursor: string;
  /** What was asked to go on from is no longer kept: lines are missing before these. */
  readonly hasGap: boolean;
}

export type LogQuery = { readonly last: number } | { readonly after: string };
