import type { TenantId, UserId } from '#src/kernel/index.ts';

export const pluginTriggers = ['manual', 'schedule', 'events'] as const;
export type PluginTrigger = (typeof pluginTriggers)[number];
export type PluginState = 'enabled' | 'disabled' | 'failed';
export type PluginAccess = 'read' | 'write';

/** `freehold.plugin.json`, with its defaults. */
export interface PluginManifest {
  readonly name: string;
  readonly version: string;
  readonly title: string;
  /** A JavaScript module of the folder. */
  readonly entry: string;
  readonly capabilities: {
    /** Of the tenant's own API; undefined: none. */
    readonly api: PluginAccess | undefined;
    /** Names of events in the tenant's security log. */
    readonly events: readonly string[];
    /** Five fields of cron, UTC. */
    readonly schedule: string | undefined;
    /** Host names, with a port where it is not 443. */
    readonly outgoing: readonly string[];
  };
  readonly limits: { readonly memoryMb: number; readonly timeoutSeconds: number };
}

/** A plugin of a tenant. */
export interface Plugin {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly version: string;
  /** SHA-256 of the canonical package, hex. */
  readonly digest: string;
  readonly manifest: PluginManifest;
  readonly place: number;
  readonly userId: UserId;
  readonly state: PluginState;
  readonly addedAt: Date;
  readonly addedBy: string;
  readonly nextRunAt: Date | undefined;
  readonly failures: number;
  readonly last:
    | {
        readonly at: Date;
        readonly trigger: PluginTrigger;
        readonly outcome: 'running' | 'succeeded' | 'failed';
        /** Why it failed; one line. */
        readonly reason: string | undefined;
      }
    | undefined;
}

/** What the handler of a plugin is called with. */
export interface PluginInput {
  readonly trigger: PluginTrigger;
  /** ISO 8601. */
  readonly at: string;
  /** Of the trigger `events`, oldest first. */
  readonly events?: readonly PluginEvent[];
  /** Of the trigger `manual`: what was given on the command line. */
  readonly payload?: unknown;
}

export interface PluginEvent {
  readonly eventId: string;
  readonly name: string;
  readonly at: string;
  readonly actor: string;
  readonly subject: string;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** What the keeper needs to run a plugin once. The code in the sandbox gets nothing of it but `input` and `tenant`. */
export interface PluginOrder {
  /** Another one each run; the keeper's word for it when it asks for the plugin's state. */
  readonly runId: string;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly digest: string;
  readonly place: number;
  readonly entry: string;
  readonly memoryBytes: number;
  readonly timeoutMs: number;
  readonly outgoing: readonly string[];
  readonly api: { readonly access: PluginAccess; readonly token: string } | undefined;
  readonly tenant: { readonly id: string; readonly name: string; readonly url: string };
  readonly input: PluginInput;
}

/** How a run ended. `reason`: why it failed, one line, safe to show to staff. */
export interface PluginEnd {
  readonly outcome: 'succeeded' | 'failed';
  readonly reason: string | undefined;
  readonly durationMs: number;
  /** What the handler returned, when that is JSON of at most 64 KiB. */
  readonly result: unknown;
}

/** A call of the plugin's own store. Values are JSON texts. */
export type StateCall =
  | { readonly kind: 'get' | 'delete'; readonly key: string }
  | { readonly kind: 'set'; readonly key: string; readonly value: string }
  | { readonly kind: 'list'; readonly prefix: string };
/** `get`: the value or null. `list`: keys. Others: null. */
export type StateAnswer = string | readonly string[] | null;
