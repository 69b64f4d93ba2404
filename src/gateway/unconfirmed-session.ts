import type { FastifyReply, FastifyRequest } from 'fastify';
import { identityErrors } from '#src/identity/index.ts';
import type { PresumedSession, Role, Session } from '#src/identity/types.ts';
import type { TenantId } from '#src/kernel/index.ts';

/**
 * The session of a request that began on a presumption, until the check of this very request is answered (docs/decisions/0014). Whoever
 * answers the request asks the question, or has it asked, and hands the rows to `accept` before it lets anything out.
 */
export class UnconfirmedSession {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly #presumed: PresumedSession;
  readonly #request: FastifyRequest;
  readonly #noteUse: (tenantId: TenantId) => void;
  #isAnswered = false;
  #isConfirmed = false;

  constructor(presumed: PresumedSession, request: FastifyRequest, noteUse: (tenantId: TenantId) => void) {
    this.text = presumed.check.text;
    this.values = presumed.check.values;
    this.#presumed = presumed;
    this.#request = request;
    this.#noteUse = noteUse;
  }

  /** The answer has come, whatever it was. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** It was answered with a session that may do this. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /**
   * Throws what the door would have said to somebody who was not presumed.
   * @returns the request's session: the presumed one itself when that is confirmed, another one when something about it has changed
   */
  accept(rows: readonly object[]): Session {
    this.#isAnswered = true;
    const session = this.#presumed.read(rows);
    if (!session) throw identityErrors.FH_SESSION_REQUIRED();
    requireFactor(session, this.#request);
    requireRole(session, this.#request.routeConfig.roles);
    this.#isConfirmed = true;
    this.#request.session = session;
    this.#noteUse(this.#request.tenant.tenantId);
    return session;
  }
}

/** Throws FH_SECOND_FACTOR_REQUIRED. */
export function requireFactor({ mustEnrol }: Session, { routeConfig }: FastifyRequest): void {
  if (mustEnrol && !routeConfig.whileEnrolling) throw identityErrors.FH_SECOND_FACTOR_REQUIRED();
}

/** Throws FH_ROLE_REQUIRED. */
export function requireRole({ user }: Pick<Session, 'user'>, roles: readonly Role[] | undefined): void {
  if (roles && !roles.includes(user.role))
    throw identityErrors.FH_ROLE_REQUIRED({ detail: `It is for: ${roles.join(', ')}.` });
}

/**
 * Whether this answer must not go out: its session is not confirmed, and it is not a refusal of the platform's own (whose codes begin with
 * FH_). What handlers do should never let it come to that.
 */
export function isPremature(request: FastifyRequest, reply: FastifyReply): boolean {
  if (!request.unconfirmed || request.unconfirmed.isAnswered) return false;
  return !(reply.statusCode >= 400 && request.errorCode?.startsWith('FH_'));
}
