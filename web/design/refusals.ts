import { ProblemError } from './api.ts';

/** What belongs beside the field of the password. */
export function passwordProblem(error: unknown): string | undefined {
  return wordsOf(error, 'FH_PASSWORD_WRONG');
}

/** What belongs beside the field of the code. */
export function codeProblem(error: unknown): string | undefined {
  return wordsOf(error, 'FH_CODE_WRONG') ?? wordsOf(error, 'FH_CODE_REQUIRED');
}

/** What belongs beside the field of a name. */
export function nameProblem(error: unknown): string | undefined {
  return wordsOf(error, 'FH_NAME_REFUSED');
}

function wordsOf(error: unknown, code: string): string | undefined {
  if (!(error instanceof ProblemError) || error.problem.code !== code) return undefined;
  const { title, hint } = error.problem;
  return [`${title}.`, hint].filter(Boolean).join(' ');
}
