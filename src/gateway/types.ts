import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { ApiTokenUse, PresumedSession, Role, ScimTokenUse, Session } from '#src/identity/types.ts';
import type { CancelSignal, TenantId, UserId } from '#src/kernel/index.ts';
import type { TenantDirectory, TenantRoute } from '#src/tenants/types.ts';
import type { Answer } from './session-renewal.ts';
import type { UnconfirmedSession } from './unconfirmed-session.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What happens without a session. `allow`: the gateway does not even look for one; `optional`: it looks. Default: `refuse`. */
    withoutSession?: 'refuse' | 'sign-in' | 'allow' | 'optional';
    /** Also for those who must set up a second factor and have not: the way to it. Default false. */
    whileEnrolling?: boolean;
    /** Who may call it. Default: every signed-in user. */
    roles?: readonly Role[];
    /**
     * It only reads, and lets nothing out before `request.unconfirmed` has seen the answer to the check: its handler may begin with the session
     * that the cookie meant a moment ago. Default false.
     */
    mayPresume?: boolean;
    /** A request may come with an API token in place of a session. Default false: nothing about accounts is done with a token. */
    acceptsTokens?: boolean;
    /** A request comes with a SCIM token, and with nothing else. Default false. */
    acceptsScimTokens?: boolean;
    /** A form that a page of another site posts as a navigation gets in. Only where no cookie is read and nothing is done. Default false. */
    takesForeignForms?: boolean;
    /** With `takesForeignForms`: in a frame, too. Only where the answer shows nothing to act on. Default false. */
    mayBeFramed?: boolean;
  }
  interface FastifyRequest {
    /** Set before any handler runs: no request reaches a route without exactly one tenant. */
    tenant: TenantRoute;
    /** Undefined only on routes that say `withoutSession: 'allow'`, and where `apiToken` is there. */
    session: Session | undefined;
    /** On routes that say `acceptsTokens`, when the request came with one: then there is no session. */
    apiToken: ApiTokenUse | undefined;
    /** On routes that say `acceptsScimTokens`, always: then there is no session. */
    scimToken: ScimTokenUse | undefined;
    /** Whose session or token came with the request, also when it was refused for the role; for the log only. */
    askedBy: string | undefined;
    /** There on routes that say `mayPresume`, when `session` is presumed; whoever answers asks it first. */
    unconfirmed: UnconfirmedSession | undefined;
    /** Aborts when the client is gone or the server's patience at drain ends. */
    readonly signalAbort: CancelSignal;
  }
}

/** What the gateway needs of identity. */
export interface IdentityPort {
  /**
   * The session that this request's cookie names in `request.tenant`; undefined: nobody is signed in.
   * Asked once per request on every route that does not say `withoutSession: 'allow'`.
   */
  authenticate(request: FastifyRequest): Promise<Session | undefined>;
  /** The session that the cookie meant a moment ago, with the check that is to be asked now; undefined: ask `authenticate`. */
  presume?(request: FastifyRequest): PresumedSession | undefined | Promise<PresumedSession | undefined>;
  /** Whether `request.session` or `request.apiToken` is good by now, by its id: its key may have been replaced meanwhile, as it should. Default: yes. */
  isStillSignedIn?(request: FastifyRequest): Promise<boolean>;
  /** `Set-Cookie` with the session's next key, if there is one, for an answer that can carry it. Never rejects. */
  renew?(request: FastifyRequest): Promise<string | undefined> | undefined;
  /** Whose API token this is at `request.tenant`, now; undefined: it is not good. Asked on every request with a token. */
  checkToken?(request: FastifyRequest, tokenHash: Buffer): Promise<ApiTokenUse | undefined>;
  /** What SCIM token this is at `request.tenant`, now; undefined: it is not good. Asked on every request with one. */
  checkScimToken?(request: FastifyRequest, tokenHash: Buffer): Promise<ScimTokenUse | undefined>;
  /**
   * Ends the sessions that a SAML provider names in a signed message to the log-out address of a connection. @returns where the browser goes with our answer.
   * Undefined: nobody signs in over a provider.
   */
  endFromProvider?(
    request: FastifyRequest,
    connectionId: string,
    received:
      | { readonly binding: 'redirect'; readonly rawQuery: string }
      | { readonly binding: 'post'; readonly message: string; readonly relayState?: string },
  ): Promise<string | undefined>;
  /** Everything below `/-/scim/v2`; undefined: nothing is provisioned. */
  readonly scim?: FastifyPluginAsync;
  /** A tenant as the OpenID provider of its app: `all` below `/-/oidc`, `backChannel` for the app alone. Undefined: none is. */
  readonly provider?: { readonly all: FastifyPluginAsync; readonly backChannel: FastifyPluginAsync };
  /** Everything below `/-/api/`; registered with that prefix. */
  readonly routes: FastifyPluginAsync;
}

/** `Set-Cookie` with the session's next key, if there is one and the answer can carry it. Never rejects. */
export type Renew = (request: FastifyRequest, answer: Answer) => Promise<string | undefined> | undefined;

/** What the gateway needs of hosting. */
export interface HostingPort {
  /** Routes and page of one app. Throws when there is no such app. */
  plugin(appName: string): FastifyPluginAsync;
  /** What passes requests of all tenants whose app is a process on to it. Default: there are none. */
  proxied?(methods: readonly string[], renew: Renew): FastifyPluginAsync;
  /** Ends event streams, then gives background work this long. Called at the beginning of a drain. */
  stop?(deadlineMs: number): Promise<void>;
}

/** The part of the directory that the request path needs. */
export interface GatewayDirectory extends Pick<TenantDirectory, 'findRoute' | 'findCertificate'> {
  /** The answer of `findRoute` where it is known without waiting. */
  readonly knownRoute?: (host: string) => TenantRoute | undefined;
}

/** Certificates: the gateway's own key with certificates from control, and PEM files that take precedence. */
export interface GatewayTls {
  /** Key of the certificates that the directory finds. Undefined: only files are used. */
  readonly privateKeyPem: string | undefined;
  /** Chosen by the names in the certificate; read again when they change. */
  readonly certificates: readonly { readonly certificateFile: string; readonly keyFile: string }[];
  /** 48 bytes shared by all workers, so that a session ticket of one is good at the other. Default: each its own. */
  readonly ticketKeys?: Buffer;
}

/** 0 turns a rate limit off. Every number is per worker. */
export interface GatewayLimits {
  /** Requests per address (IPv6: per /64) and second, measured over ten. Default 500. */
  readonly requestsPerAddress: number;
  /** API tokens that are not good, per address (IPv6: per /64) and minute; what is beyond asks no database. Default 30. */
  readonly tokenFailuresPerAddress: number;
  /** Addresses that stand for many clients, as a load balancer's does, and are not limited. Default: this machine's loopback. */
  readonly unlimitedAddresses: readonly string[];
  /** Requests per tenant and second, measured over ten. Default 5,000. */
  readonly requestsPerTenant: number;
  /** Requests of one tenant's users being answered at once, event streams not counted. Default 128. */
  readonly concurrentPerTenant: number;
  /** The same for requests of people who are not signed in, on top of those: of one tenant, and of one address at one tenant. */
  readonly strangersPerTenant: number;
  readonly strangersPerAddress: number;
  /** Event streams and WebSockets of one tenant. Default 1,000. */
  readonly streamsPerTenant: number;
  /** The same for people who are not signed in, of one address at one tenant. Default 200. */
  readonly streamsPerAddress: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly requestsPerConnection: number;
  readonly headerBytes: number;
  readonly headerCount: number;
  readonly urlBytes: number;
  readonly bodyBytes: number;
  /** From the connection to its first byte. */
  readonly firstByteMs: number;
  readonly handshakeMs: number;
  readonly headersMs: number;
  /** For a body that is not an upload. */
  readonly bodyMs: number;
  /** For a whole upload. */
  readonly uploadMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** Between two requests of a connection. */
  readonly keepAliveMs: number;
  /** How long a request waits for a tenant that is closed for a copy or another version of its app. Default 20,000. */
  readonly updateMs: number;
  /** How many do so at one tenant; others hear that it is closed. Default 500. */
  readonly waitingPerTenant: number;
}

export const defaultLimits: GatewayLimits = {
  requestsPerAddress: 500,
  tokenFailuresPerAddress: 30,
  unlimitedAddresses: ['127.0.0.1', '::1'],
  requestsPerTenant: 5_000,
  concurrentPerTenant: 128,
  strangersPerTenant: 128,
  strangersPerAddress: 32,
  streamsPerTenant: 1_000,
  streamsPerAddress: 200,
  connections: 10_000,
  connectionsPerAddress: 1_000,
  requestsPerConnection: 100_000,
  headerBytes: 16_384,
  headerCount: 100,
  urlBytes: 8_192,
  bodyBytes: 262_144,
  firstByteMs: 10_000,
  handshakeMs: 10_000,
  headersMs: 15_000,
  bodyMs: 30_000,
  uploadMs: 3_600_000,
  idleMs: 120_000,
  keepAliveMs: 72_000,
  updateMs: 20_000,
  waitingPerTenant: 500,
};

/** An event for the pages of one tenant. */
export interface LiveEvent {
  readonly type: string;
  readonly data: unknown;
}

export type EventListener = (tenantId: TenantId, event: LiveEvent) => void;

/** What an owner is told about the backups of the account. Times in ISO 8601; null: none yet. */
export interface TenantBackups {
  /** The newest base backup of the server that holds the account. */
  readonly lastBackup: { readonly finishedAt: string } | null;
  /** The newest restore of a base backup, or of a dump of this account, that was made to check it. */
  readonly lastVerification: {
    readonly finishedAt: string;
    readonly kind: 'backup' | 'dump';
    readonly passed: boolean;
  } | null;
  readonly dump: {
    readonly dumpId: string;
    readonly madeAt: string;
    /** As stored, sealed; a download is as large within a thousandth. */
    readonly sizeBytes: number;
    readonly regions: number;
    /** Since then nothing had changed that a new one would hold. */
    readonly unchangedUntil: string | null;
    readonly verification: { readonly finishedAt: string; readonly passed: boolean } | null;
    /** Tables of the app (`schema.table`) whose rows are in no copy: it made them UNLOGGED. */
    readonly unloggedTables: readonly string[];
  } | null;
  /** Any second of it can be restored; the region that reaches back furthest counts. */
  readonly restorable: { readonly from: string; readonly to: string } | null;
  readonly location: {
    /** Where the database and the files are worked with, and each place where copies lie; null: nobody says. */
    readonly home: string | null;
    readonly copies: readonly (string | null)[];
    /** What the operator has bound the installation to for this account; null: nothing. */
    readonly residency: { readonly home: readonly string[]; readonly copies: readonly string[] } | null;
  };
}

/** Who downloads: the session of a request at this very tenant. */
export interface Downloader {
  readonly tenantId: TenantId;
  readonly userId: UserId;
  readonly sessionId: Session['sessionId'];
}

export interface DownloadRequest {
  /** What `confirm` gave, once. */
  readonly confirmation: string;
  /** A recipient of age; undefined: as pg_dump wrote it. */
  readonly recipient?: string;
}

export interface DumpDownload {
  readonly dumpId: string;
  readonly madeAt: string;
  /** undefined: not known before its end. */
  readonly sizeBytes?: number;
  /** Ends with an error unless it is whole. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** What the gateway needs of backups; control answers, which has the keys. */
export interface TenantBackupsPort {
  overview(tenantId: TenantId): Promise<TenantBackups>;
  /** For somebody who has just shown again who they are: good once, for a short time, for this session alone. */
  confirm(who: Downloader): Promise<{ readonly confirmation: string; readonly expiresAt: string }>;
  /** The newest dump. Throws FH_DOWNLOAD_NOT_CONFIRMED, FH_KEY_AGE_RECIPIENT, FH_DUMP_NOT_FOUND. */
  open(who: Downloader, download: DownloadRequest, signal?: AbortSignal): Promise<DumpDownload>;
}
