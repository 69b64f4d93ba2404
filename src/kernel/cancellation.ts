/** What whoever does cancellable work needs of an AbortSignal; every AbortSignal is one. */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * An AbortController for work that is almost never cancelled: several are made per request, and AbortSignal.any costs more than a query
 * (weak references, event targets). Becomes a real AbortSignal when somebody asks for one.
 */
export class Cancellation implements CancelSignal {
  #aborted = false;
  #reason: unknown;
  #listeners: (() => void)[] | undefined;
  #controller: AbortController | undefined;
  readonly #parent: CancelSignal | undefined;
  readonly #follow: (() => void) | undefined;

  /** @param parent When it is aborted, so are we; it keeps us until then, or until we are aborted. */
  constructor(parent?: CancelSignal) {
    if (!parent) return;
    if (parent.aborted) {
      this.abort(parent.reason);
      return;
    }
    this.#parent = parent;
    this.#follow = () => this.abort(parent.reason);
    parent.addEventListener('abort', this.#follow);
  }

  /** The first reason counts. A function is called when somebody asks why, because most errors that end something are never looked at. */
  abort(reason: unknown | (() => unknown)): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    if (this.#follow) this.#parent!.removeEventListener('abort', this.#follow);
    this.#controller?.abort(this.reason);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    if (typeof this.#reason === 'function') this.#reason = this.#reason();
    return this.#reason;
  }

  /** Listeners must not throw. One that comes too late is not called, as with AbortSignal. */
  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#aborted) return;
    this.#listeners ??= [];
    this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners?.indexOf(listener) ?? -1;
    if (index >= 0) this.#listeners!.splice(index, 1);
  }

  /** The same as an AbortSignal, for what knows only that. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }
}
