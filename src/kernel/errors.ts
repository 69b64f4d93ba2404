/** What a caller may do with an error: try the same thing again soon, later, or never. */
export type Retry = 'never' | 'soon' | 'later';

export interface ErrorSpec {
  /** HTTP status of the problem document. */
  readonly status: number;
  /** What happened, in words for a person; safe to show to anyone. */
  readonly title: string;
  /** What to do or type next. */
  readonly hint?: string;
  /** Default: `never`. */
  readonly retry?: Retry;
}

export interface ErrorDetails {
  /** Why it happened this time; safe to show to the caller, so never a secret or another tenant's data. */
  readonly detail?: string;
  /** Overrides the hint of the catalogue. */
  readonly hint?: string;
  /** Per-field messages of a refused form, keyed by field name. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Seconds after which a retry makes sense (`Retry-After`). */
  readonly retryAfterSeconds?: number;
  /** The inner error: logged, never shown. */
  readonly cause?: unknown;
}

/** An error with a stable code that may be shown to the caller. Anything else is shown as FH_INTERNAL. */
export class FreeholdError extends Error {
  override readonly name = 'FreeholdError';
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly hint: string | undefined;
  readonly retry: Retry;
  readonly detail: string | undefined;
  readonly fields: Readonly<Record<string, string>> | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: string, spec: ErrorSpec, details: ErrorDetails = {}) {
    super(details.detail ? `${spec.title}: ${details.detail}` : spec.title, { cause: details.cause });
    this.code = code;
    this.status = spec.status;
    this.title = spec.title;
    this.hint = details.hint ?? spec.hint;
    this.retry = spec.retry ?? 'never';
    this.detail = details.detail;
    this.fields = details.fields;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** Every code defined by any module, for the catalogue in docs/errors.md (tested to list exactly these). */
export const errorCatalogue = new Map<string, ErrorSpec>();

/** Defines a module's errors: one factory per code. Codes are `FH_…`, unique over the whole product and never reused. */
export function defineErrors<const S extends Record<`FH_${string}`, ErrorSpec>>(
  specs: S,
): { readonly [K in keyof S]: (details?: ErrorDetails) => FreeholdError } {
  const factories: Record<string, (details?: ErrorDetails) => FreeholdError> = {};
  for (const [code, spec] of Object.entries(specs)) {
    if (errorCatalogue.has(code)) throw new TypeError(`error code ${code} is defined twice`);
    errorCatalogue.set(code, spec);
    factories[code] = (details) => new FreeholdError(code, spec, details);
  }
  return factories as { readonly [K in keyof S]: (details?: ErrorDetails) => FreeholdError };
}

export const kernelErrors = defineErrors({
  FH_INTERNAL: {
    status: 500,
    title: 'Something went wrong on our side',
    hint: 'Try again. If it happens again, tell your operator the request id.',
    retry: 'soon',
  },
  FH_INVALID_REQUEST: { status: 400, title: 'The request is not valid' },
});

/** The error as it may be shown: itself when it has a code, FH_INTERNAL (with the original as cause) otherwise. */
export function toFreeholdError(error: unknown): FreeholdError {
  return error instanceof FreeholdError ? error : kernelErrors.FH_INTERNAL({ cause: error });
}
