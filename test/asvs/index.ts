/**
 * What is to be said of each requirement of OWASP ASVS 5.0.0. docs/asvs.md is written from it (`node test/support/asvs-docs.ts`), test/asvs.test.ts holds it
 * against the tests that it names. The requirements themselves, asvs-5.0.0.json, are OWASP's (CC BY-SA 4.0).
 */
import standard from './asvs-5.0.0.json' with { type: 'json' };
import type { AsvsRow } from './types.ts';
import { encoding } from './v01-encoding.ts';
import { validation } from './v02-validation.ts';
import { frontend } from './v03-frontend.ts';
import { api } from './v04-api.ts';
import { files } from './v05-files.ts';
import { authentication } from './v06-authentication.ts';
import { sessions } from './v07-sessions.ts';
import { authorization } from './v08-authorization.ts';
import { tokens } from './v09-tokens.ts';
import { oauth } from './v10-oauth.ts';
import { cryptography } from './v11-cryptography.ts';
import { communication } from './v12-communication.ts';
import { configuration } from './v13-configuration.ts';
import { dataProtection } from './v14-data-protection.ts';
import { architecture } from './v15-architecture.ts';
import { logging } from './v16-logging.ts';
import { webRtc } from './v17-webrtc.ts';

export interface AsvsRequirement {
  readonly id: string;
  /** 1, 2 or 3; a level asks for everything of the levels below it. */
  readonly level: number;
  readonly chapter: string;
  readonly chapterName: string;
  readonly sectionName: string;
  readonly text: string;
}

export const asvsRequirements: readonly AsvsRequirement[] = standard.requirements;

export const asvsLedger: readonly AsvsRow[] = [
  ...encoding,
  ...validation,
  ...frontend,
  ...api,
  ...files,
  ...authentication,
  ...sessions,
  ...authorization,
  ...tokens,
  ...oauth,
  ...cryptography,
  ...communication,
  ...configuration,
  ...dataProtection,
  ...architecture,
  ...logging,
  ...webRtc,
];

const rows = new Map(asvsLedger.map((row) => [row.id, row]));

export function findAsvsRow(id: string): AsvsRow | undefined {
  return rows.get(id);
}
