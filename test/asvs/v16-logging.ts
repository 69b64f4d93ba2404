import * as at from './places.ts';
import { type AsvsRow, met, metBy, partly } from './types.ts';

export const logging: readonly AsvsRow[] = [
  metBy('review', 'V16.1.1', 'security.md, "Logs", and events.md, which lists every security event.'),
  met(
    'V16.2.1',
    'Events say when, who, what, about whom and where from; lines of requests say time, process, operation, tenant, user and request, and of refused ones the address.',
    [at.audit, 'events come back newest first, page by page, per tenant'],
    [at.gateway, 'roles of a route'],
    [at.app, 'one log line per request, an unexpected error logged once with its cause; metrics by operation'],
  ),
  metBy(
    'review',
    'V16.2.2',
    "Lines have UTC in ISO 8601, the log of PostgreSQL is set to UTC, and events have the time of the database server, one for all workers. Setting the machine's clock is the operator's.",
  ),
  metBy(
    'design',
    'V16.2.3',
    'Processes write to standard error, which the supervisor keeps in one file each; events go into two tables. Nothing else is written.',
    [at.fences, 'folders belong to whom the document says'],
  ),
  met(
    'V16.2.4',
    'One JSON object per line (pino), and events with the same few fields; a request has one id in answer, line and error.',
    [at.app, 'one log line per request, an unexpected error logged once with its cause; metrics by operation'],
  ),
  met(
    'V16.2.5',
    'Secrets are taken out by the names of fields and by their look, at any depth; no address, body, cookie or statement is logged, and a refused sign-in does not keep what was typed.',
    [at.kernel, 'removes secrets by key at any depth', 'removes secrets inside free text and errors'],
    [at.fences, 'no secret stands in a log, an argument or an environment, and passwords and tokens stand nowhere'],
    [at.apiTokens, 'the text of a token is stored, logged, mailed and audited nowhere'],
    [at.attempts, 'the beginning of throttling is in the security log once, and nothing that was typed is stored'],
  ),
  met(
    'V16.3.1',
    'Sign-ins that succeed, fail, wait for a second factor or are slowed down are events, for users and staff, with the address and whether the browser is known.',
    [at.identity, 'unknown address, wrong password, disabled user: one answer, one trail'],
    [at.secondStep, 'signing in takes two steps: no session after the password, one after the code, and nothing twice'],
    [at.staff, 'sign-in, sign-out; unknown and disabled members answer alike'],
  ),
  met(
    'V16.3.2',
    'A refused request has a line with its code, operation, tenant, user and address; refusals of dangerous acts are events. (Level 3: what is allowed has a line, without naming rows.)',
    [at.gateway, 'roles of a route'],
    [
      at.tenantBackups,
      'members, admins, a wrong password, a late, used, foreign or made-up confirmation: refused, and every refusal is in the log',
    ],
    [at.factorPolicy, 'an owner chooses, with the password; what was chosen and what was refused is recorded'],
  ),
  met(
    'V16.3.3',
    'Every act of the catalogue is an event, in its own transaction; refusals by schemas, limits and the check of where a request comes from are lines with their codes, and copied sessions are events.',
    [
      at.audit,
      'an event is there if and only if the act was committed',
      'docs/events.md lists exactly the events of the catalogue',
    ],
    [at.attempts, 'the beginning of throttling is in the security log once, and nothing that was typed is stored'],
    [at.rotation, `a key that was replaced \${age} times ends the session on every worker, is audited and told`],
  ),
  met(
    'V16.3.4',
    'What nobody expected is one line of the level error, with its cause; trouble of connections, certificates and regions is logged where it is handled, and health shows it.',
    [at.app, 'one log line per request, an unexpected error logged once with its cause; metrics by operation'],
    [at.badInput, 'after all of it every process is the one it was, and none reports a fault of its own'],
  ),
  met('V16.4.1', 'Lines are JSON, so nothing in a value ends one; events lose control characters.', [
    at.audit,
    'hostile text is stored harmlessly, unknown events and page marks are refused',
  ]),
  met(
    'V16.4.2',
    "The folder of the logs is root's, or that of the one who started it; no statement of any role of ours changes or removes an event.",
    [at.audit, 'nobody changes or removes an event, not even the owner of the table'],
    [at.identity, 'nobody changes the tenant’s security log'],
    [at.fences, 'folders belong to whom the document says'],
  ),
  partly(
    'V16.4.3',
    'Events leave the machine within a second, sealed, with the WAL, to two regions; lines of the logs stay on it unless the operator brings them away. There is no analysis and no alarm on events yet.',
  ),
  met(
    'V16.5.1',
    'An error without a code of ours says FH_INTERNAL and a request id, in JSON and as a page, for platform, apps and calls between processes.',
    [at.app, 'every refusal is a problem document with a code and the request id'],
    [at.context, 'an unexpected error tells nothing'],
    [at.rpc, 'errors become FreeholdError again, without their cause'],
  ),
  met(
    'V16.5.2',
    'A database, a region, a mail server or control that is away is said in clear codes, others go on, and what was lost is taken up again.',
    ['src/objects/s3-faults.test.ts', 'a service that never answers: unavailable after the time-outs, not for ever'],
    [at.outbox, 'nobody listens at the mail server: the message stays'],
    [at.rpc, 'calls time out, and fail while the server is away; the client comes back by itself'],
    ['test/faults/killed.test.ts', `\${victim} killed under load: nothing acknowledged is lost`],
  ),
  met(
    'V16.5.3',
    'What cannot be asked is refused: sessions, breached passwords, tokens, presumed answers; what fails in the middle is rolled back.',
    [at.breached, 'a list that cannot be relied on lets no password pass'],
    ['src/hosting/presumed.test.ts', 'a check that cannot be asked answers nothing, although the handler is done'],
    [at.bearer, 'a question that could not be asked is no refusal'],
    [at.secondStep, 'a failure before the end of a step uses nothing up'],
  ),
  metBy(
    'design',
    'V16.5.4',
    'Every process logs what nobody caught, ends with code 70, and is started again by the supervisor (src/main/child.ts, managed-process.ts); a request that fails ends alone.',
    ['src/main/watch.test.ts', 'a process that sent beats and then hangs is killed and started again'],
  ),
];
