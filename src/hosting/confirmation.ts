import type { LeaseGuard, TenantDatabase } from '#src/databases/types.ts';
import type { Session } from '#src/identity/types.ts';
import type { CancelSignal, TenantId } from '#src/kernel/index.ts';
import type { SessionCheck } from './types.ts';

/** The session is good, but something about it is not as it was presumed: the request begins anew with this one. */
export class SessionDiffers extends Error {
  readonly session: Session;

  constructor(session: Session) {
    super('the session is not the one that was presumed');
    this.session = session;
  }
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Whether a request that began with a presumed session may go on. Its check goes ahead of its handler's first statement, in the same message;
 * `confirm` asks alone when there is none. Invariants: until the check has confirmed exactly the presumed session, the handler is given no row
 * and no other capability than reading as the app; afterwards it cannot be told from one that was checked before it began; a refusal is final.
 */
export class Confirmation {
  readonly #tenantId: TenantId;
  readonly #database: Pick<TenantDatabase, 'read'>;
  readonly #signal: CancelSignal;
  readonly #guard: LeaseGuard;
  #state: 'open' | 'confirmed' | 'refused' = 'open';
  #refusal: unknown;
  /** Leases that ask the question and have no answer yet. */
  #asking = 0;
  readonly #waiters: Waiter[] = [];
  readonly #postponed: (() => void)[] = [];
  #onRefused: ((error: unknown) => void) | undefined;

  constructor(
    of: { readonly tenantId: TenantId; readonly session: Pick<Session, 'user'>; readonly signal: CancelSignal },
    check: SessionCheck,
    database: Pick<TenantDatabase, 'read'>,
  ) {
    this.#tenantId = of.tenantId;
    this.#database = database;
    this.#signal = of.signal;
    const { text, values } = check;
    this.#guard = {
      text,
      values,
      accept: (rows) => {
        try {
          const session = check.accept(rows);
          if (session !== of.session) throw new SessionDiffers(session);
        } catch (error) {
          this.#refuse(error);
        }
        // Also when a second lease asked as well: whoever said no first was right.
        if (this.#state === 'refused') throw this.#refusal;
        this.#state = 'confirmed';
        for (const { resolve } of this.#waiters.splice(0)) resolve();
      },
    };
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether somebody is asking, or it was answered. */
  get isAsked(): boolean {
    return this.#state !== 'open' || this.#asking > 0;
  }

  /** Hears of the refusal as soon as it is known. */
  onRefused(listener: (error: unknown) => void): void {
    this.#onRefused = listener;
  }

  /** A read that begins before the answer asks the question itself, ahead of its own; later ones need not. */
  async read<T>(read: (guard: LeaseGuard | undefined) => Promise<T>): Promise<T> {
    if (this.#state === 'confirmed') return read(undefined);
    if (this.#state === 'refused') throw this.#refusal;
    this.#asking++;
    try {
      const result = await read(this.#guard);
      if (this.isOpen) throw unasked();
      return result;
    } finally {
      // It may have ended without an answer: no connection, cancelled.
      if (--this.#asking === 0 && this.#state === 'open' && this.#waiters.length > 0) void this.#askAlone();
    }
  }

  /** Resolves once confirmed; rejects with the refusal, or when the question could not be asked. */
  async confirm(): Promise<void> {
    if (this.#state === 'open')
      await new Promise<void>((resolve, reject) => {
        this.#waiters.push({ resolve, reject });
        if (this.#asking === 0) void this.#askAlone();
      });
    if (this.#state === 'refused') throw this.#refusal;
    if (this.#postponed.length > 0) this.#catchUp();
  }

  /** Now, or when it is confirmed and `confirm` or this is called again; never after a refusal. */
  whenConfirmed(act: () => void): void {
    if (this.#state === 'refused') return;
    this.#postponed.push(act);
    if (this.#state === 'confirmed') this.#catchUp();
  }

  #catchUp(): void {
    for (const act of this.#postponed.splice(0)) act();
  }

  async #askAlone(): Promise<void> {
    this.#asking++;
    try {
      await this.#database.read(this.#tenantId, async () => {}, { guard: this.#guard, signal: this.#signal });
      if (this.isOpen) throw unasked();
    } catch (error) {
      for (const { reject } of this.#waiters.splice(0)) reject(error);
    } finally {
      this.#asking--;
    }
  }

  #refuse(error: unknown): void {
    if (this.#state === 'refused') return;
    this.#state = 'refused';
    this.#refusal = error;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
    this.#onRefused?.(error);
  }
}

/** A door to the database that does not know of guards must not become a way around the check. */
function unasked(): Error {
  return new Error('the question that confirms the session was not asked');
}
