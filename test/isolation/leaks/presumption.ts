import type { PlantedLeak } from './types.ts';

const confirmation = 'src/hosting/confirmation.ts';
const context = 'src/hosting/context.ts';
const lease = 'src/databases/lease.ts';
const presumed = 'src/identity/sessions/presumed.ts';

const leak = (name: string, threat: string, ...edits: PlantedLeak['edits']): PlantedLeak => ({
  name,
  threat,
  edits,
  groups: ['presumption'],
});

/** Requests that begin with a presumed session (docs/decisions/0014). */
export const presumptionLeaks: readonly PlantedLeak[] = [
  leak('a presumed session is never confirmed', 'whoever signed out goes on for a minute', {
    file: 'src/gateway/tenant-app.ts',
    find: '    request.unconfirmed = new UnconfirmedSession(',
    replace: '    void new UnconfirmedSession(',
  }),
  leak('the result of a presumed run does not wait for the check', 'whoever signed out gets one more answer', {
    file: 'src/hosting/presumed-run.ts',
    find: '    await confirmation.confirm();\n',
    replace: '    void confirmation;\n',
  }),
  leak('a presumed run may do everything before the check', 'whoever signed out changes one more thing', {
    file: context,
    find: 'if (!confirmation?.isOpen) return act();',
    replace: 'if (confirmation) return act();',
  }),
  leak('a presumed run may publish before the check', 'whoever signed out says one more thing', {
    file: context,
    find: 'if (confirmation) confirmation.whenConfirmed(act);',
    replace: 'if (confirmation) act();',
  }),
  leak(
    'rows are given out although the guard has refused',
    "an app's handler sees rows for somebody whose session is over",
    {
      file: 'src/postgres/statement.ts',
      find: '      this.#failure = error;\n    }\n  }\n\n  handleEmptyQuery',
      replace: '      void error;\n    }\n  }\n\n  handleEmptyQuery',
    },
    { file: lease, find: '      this.interrupt(error as Error);\n', replace: '' },
  ),
  leak('a session that changed goes on as it was presumed', 'a name or role of before is used', {
    file: confirmation,
    find: 'if (session !== of.session) throw new SessionDiffers(session);',
    replace: 'void SessionDiffers;',
  }),
  leak('the role of a presumed session is not compared', 'rights that were taken away go on for a minute', {
    file: presumed,
    find: '    one.user.role === other.user.role &&\n',
    replace: '',
  }),
  leak('presumed sessions are found by their token alone', "a handler begins as another tenant's user", {
    file: presumed,
    find: 'const found = tenants.get(tenantId)?.get(keyOf(tokenHash));',
    replace: 'const found = [...tenants.values()].map((all) => all.get(keyOf(tokenHash))).find(Boolean);',
  }),
  leak('nobody holds back an answer that comes before the check', 'one careless route answers whoever signed out', {
    file: 'src/gateway/unconfirmed-session.ts',
    find: "return !(reply.statusCode >= 400 && request.errorCode?.startsWith('FH_'));",
    replace: 'return reply.statusCode === 0;',
  }),
];
