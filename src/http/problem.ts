import { FreeholdError, toFreeholdError } from '#src/kernel/index.ts';
import { fromFastifyError } from './fastify-errors.ts';

/** RFC 9457 problem document. `type` names the code, so that the code alone is enough to look it up. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly requestId: string;
  /** Messages per field of a refused form. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly retryAfterSeconds?: number;
}

/** What an app throws to refuse something (apps/sdk). Recognised by shape, because an app brings its own copy of the class. */
interface AppErrorShape {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

export type PublicError = Pick<
  FreeholdError,
  'code' | 'status' | 'title' | 'detail' | 'hint' | 'fields' | 'retryAfterSeconds'
> & {
  /** True when nobody expected it: log it as an error, with its cause. */
  readonly unexpected: boolean;
};

/** Any thrown value as it may be shown. What has no code of ours becomes FH_INTERNAL: silence by default. */
export function toPublicError(error: unknown): PublicError {
  if (isAppError(error)) {
    const { code, status, message, hint, fields } = error;
    return {
      code,
      status,
      title: message,
      detail: undefined,
      hint,
      fields,
      retryAfterSeconds: undefined,
      unexpected: false,
    };
  }
  const known = error instanceof FreeholdError ? error : (fromFastifyError(error) ?? toFreeholdError(error));
  const { code, status, title, detail, hint, fields, retryAfterSeconds } = known;
  return { code, status, title, detail, hint, fields, retryAfterSeconds, unexpected: status === 500 };
}

export function toProblem(error: PublicError, requestId: string): Problem {
  const { code, status, title, detail, hint, fields, retryAfterSeconds } = error;
  return {
    type: `urn:freehold:error:${code}`,
    title,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(fields === undefined ? {} : { fields }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    requestId,
  };
}

/** An app may not speak in our name (`FH_…`) nor send a status that is no refusal. */
function isAppError(error: unknown): error is AppErrorShape {
  if (!(error instanceof Error) || error.name !== 'AppError') return false;
  const { status, code } = error as Partial<AppErrorShape>;
  return (
    typeof code === 'string' &&
    /^[A-Z][A-Z0-9_]{1,63}$/.test(code) &&
    !code.startsWith('FH_') &&
    Number.isInteger(status) &&
    status! >= 400 &&
    status! <= 599
  );
}
