import { type AsvsRow, notApplicable } from './types.ts';

const noClient = 'There is no OAuth client yet: signing in by OpenID Connect is being built.';
const noResourceServer =
  'There is no OAuth resource server: API tokens are our own, opaque, for one tenant, and looked up on every request (decision 0026).';
const noAuthorizationServer =
  'There is no authorization server and no OpenID provider: Freehold issues no tokens for others.';

const numbered = (section: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${section}.${index + 1}`);

export const oauth: readonly AsvsRow[] = [
  ...[...numbered('V10.1', 2), ...numbered('V10.2', 3)].map((id) => notApplicable(id, noClient)),
  ...numbered('V10.3', 5).map((id) => notApplicable(id, noResourceServer)),
  ...numbered('V10.4', 16).map((id) => notApplicable(id, noAuthorizationServer)),
  ...numbered('V10.5', 5).map((id) => notApplicable(id, noClient)),
  ...[...numbered('V10.6', 2), ...numbered('V10.7', 3)].map((id) => notApplicable(id, noAuthorizationServer)),
];
