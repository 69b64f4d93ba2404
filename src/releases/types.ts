/** A command: the words of a program call, or one line for `/bin/sh -c`. */
export type AppCommand = string | readonly string[];

/** What `freehold.app.json` says, checked and with its defaults filled in. */
export interface AppManifest {
  /** 2 to 40 of a–z, 0–9 and `-`; the name of the app everywhere. */
  readonly name: string;
  readonly title: string;
  /** Of this content; at most 64 of letters, digits, `.`, `-`, `+`, `_`. */
  readonly version: string;
  /** Run once, when the version is added, in a sandbox with a network. undefined: nothing is to be built. */
  readonly build: AppCommand | undefined;
  /** Run to its end before `start`, whenever the tenant comes to this version. undefined: none. */
  readonly migrate: AppCommand | undefined;
  readonly start: AppCommand;
  /** Environment of `migrate` and `start`: texts with `${…}`, resolved by `resolveEnvironment`. */
  readonly env: Readonly<Record<string, string>>;
  readonly health: {
    /** Answers 200 to 399 when the app is ready. Default `/`. */
    readonly path: string;
    /** How long a start may take. Default 60. */
    readonly startSeconds: number;
  };
  readonly identity: {
    /** `none`: the app knows its own users. `headers`: who is asking comes with each request. `oidc`: the tenant is its OpenID provider. */
    readonly kind: 'none' | 'headers' | 'oidc';
    /** With `headers`: paths, and everything below those that end in `/`, that need no session. */
    readonly publicPaths: readonly string[];
    /** With `oidc`, at least one: where browsers come back to with a code. */
    readonly redirectPaths: readonly string[];
    /** With `oidc`: where they may be sent when they have signed out. */
    readonly signedOutPaths: readonly string[];
  };
  readonly limits: {
    /** Default 512. */
    readonly memoryMb: number;
    /** Cores, for example 0.5. Default 1. */
    readonly cpus: number;
    /** Processes and threads. Default 128. */
    readonly processes: number;
    /** Connections to the database. Default 10. */
    readonly connections: number;
    /** Of the writable folder. Default 1,024. */
    readonly folderMb: number;
    /** Of one request. Default 100. */
    readonly bodyMb: number;
  };
  /** Without a request for so long it sleeps. 0: never. Default 15. */
  readonly idleMinutes: number;
  /** Names of secrets that are made once per tenant: `${secrets.NAME}`. */
  readonly secrets: readonly string[];
}

export const appVersionStates = ['building', 'ready', 'failed'] as const;
export type AppVersionState = (typeof appVersionStates)[number];

export interface AppVersion {
  readonly app: string;
  readonly version: string;
  /** SHA-256 of what was sent, hex. */
  readonly digest: string;
  readonly manifest: AppManifest;
  readonly notes: string;
  readonly state: AppVersionState;
  /** Why it failed, with the last lines of its build. */
  readonly error: string | undefined;
  readonly addedAt: Date;
  readonly addedBy: string;
}

/** What `${…}` in a manifest's environment may name. */
export interface EnvironmentFacts {
  /** `${database.url}`, `.host`, `.port`, `.name`, `.user`, `.password` */
  readonly database: Readonly<Record<'url' | 'host' | 'port' | 'name' | 'user' | 'password', string>>;
  /** `${port}`: where the app must listen, on 127.0.0.1 or every address. */
  readonly port: string;
  /** `${url}`: `https://NAME.DOMAIN[:PORT]`. */
  readonly url: string;
  /** `${host}`: without scheme. */
  readonly host: string;
  /** `${folder}`: writable and backed up. */
  readonly folder: string;
  readonly tenant: Readonly<Record<'id' | 'name' | 'title', string>>;
  /** `${identity.key}`: of the JWT in `Freehold-Identity`, base64url. The others are for a client of OpenID Connect. */
  readonly identity: Readonly<Record<'key' | 'issuer' | 'clientId' | 'clientSecret', string>>;
  readonly secrets: Readonly<Record<string, string>>;
}
