import { newId } from '#src/kernel/index.ts';
import type { Flow, Step } from '../flow.ts';
import { parseEmail, parseTenantName, parseTitle } from '../names.ts';
import { parseResidency, requireResidency } from '../residency.ts';
import { newCluster, serverStep } from './servers.ts';
import {
  abandonNewTenant,
  beginNewTenant,
  databaseStep,
  type FlowDeps,
  goLive,
  hostStep,
  keepSecretResult,
  keyStep,
  migrationsStep,
  openStep,
  pinAppVersion,
} from './steps.ts';

export function createCreateFlow(deps: FlowDeps): Flow<'create'> {
  return {
    kind: 'create',
    onFailure: 'undo',
    cancellable: true,
    // A server of its own has a log of its own.
    isInWal: ({ edition }) => edition !== 'private-cloud',
    steps: (input) => [
      // By itself: it needs room in every region, and a server whose disk is full can drop no database.
      keyStep(deps),
      ...(input.edition === 'private-cloud' ? [serverStep(deps)] : []),
      databaseStep(deps),
      openStep(deps),
      beside(migrationsStep(deps)),
      administratorStep(deps),
      ...(input.demoVariant === undefined ? [] : [demoStep(deps, input.demoVariant)]),
      ...(deps.settings.apps.includes(input.app ?? deps.settings.defaultApp) ? [] : [appStep(deps)]),
      beside(hostStep(deps)),
    ],

    async begin(tx, { operationId, input }) {
      const name = parseTenantName(input.name);
      const title = input.title === undefined ? name : parseTitle(input.title);
      const adminEmail = parseEmail(input.adminEmail);
      const edition = input.edition ?? 'standard';
      const cluster = edition === 'private-cloud' ? newCluster(deps) : undefined;
      const app = input.app ?? deps.settings.defaultApp;
      const appVersion = await pinAppVersion(tx, deps, app, { app: JSON.stringify(app) });
      const residency = input.residency && parseResidency(input.residency);
      requireResidency(residency, deps.settings.places);
      const tenantId = newId('ten');
      const tenant = { tenantId, name, title, adminEmail, app, appVersion, edition, cluster, residency };
      await beginNewTenant(tx, deps, tenant, operationId);
      return { tenantId, tenantName: name, input: { ...input, name, title, adminEmail, app } };
    },

    async finish(tx, context) {
      const { operation, tenantId } = context;
      const { name, app } = await goLive(tx, deps, context);
      await deps.recordAudit(tx, {
        name: 'tenant.created',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name, app },
      });
    },

    announce: ({ tenantId }) => deps.notifyGateways(tenantId),
    abandon: (tx, context) => abandonNewTenant(tx, deps, context),
  };
}

const beside = (step: Step): Step => ({ ...step, isBeside: true });

/** The link is good once and is shown once; only its hash lies in the tenant's database. */
function administratorStep(deps: FlowDeps): Step {
  return {
    name: 'administrator',
    async run(context) {
      const { name, adminEmail } = await context.tenant();
      const { token, expiresAt } = await deps.identity.createInvitation(context.tenantId, {
        email: adminEmail,
        role: 'owner',
      });
      const secret = { invitationUrl: `${deps.settings.tenantUrl(name)}/-/invitations/${token}` };
      await keepSecretResult(deps, context, secret, { invitationExpiresAt: expiresAt.toISOString() });
    },
  };
}

function demoStep(deps: FlowDeps, variant: number): Step {
  return { name: 'demo', run: ({ tenantId }) => deps.fillDemo(tenantId, variant) };
}

/** An app that cannot run is found out before the customer is told of the address. */
function appStep(deps: FlowDeps): Step {
  return {
    name: 'app',
    run: async ({ tenantId }) => deps.appProcesses?.start(tenantId),
    undo: async ({ tenantId }) => deps.appProcesses?.remove(tenantId),
  };
}
