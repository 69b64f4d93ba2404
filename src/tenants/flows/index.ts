/** The lifecycle's operations, one flow each: what the first transaction decides, the steps in order, and the last transaction. */
import { asFlow, type Flow } from '../flow.ts';
import type { OperationKind } from '../types.ts';
import { createExportFlow, createImportFlow } from './archive.ts';
import { createResumeFlow, createSuspendFlow } from './availability.ts';
import { createCloneFlow } from './clone.ts';
import { createCreateFlow } from './create.ts';
import { createDeleteFlow } from './delete.ts';
import { createDestroyFlow } from './destroy.ts';
import { createMoveFlow } from './move.ts';
import { createRenameFlow } from './rename.ts';
import { createRestoreFlow } from './restore.ts';
import { createSetFlow } from './set.ts';
import type { FlowDeps } from './steps.ts';
import { createSwapFlow } from './swap.ts';
import { createUpdateFlow } from './update.ts';

export type { FlowDeps } from './steps.ts';

export function createFlows(deps: FlowDeps): Readonly<Record<OperationKind, Flow>> {
  return {
    create: asFlow(createCreateFlow(deps)),
    suspend: asFlow(createSuspendFlow(deps)),
    resume: asFlow(createResumeFlow(deps)),
    rename: asFlow(createRenameFlow(deps)),
    swap: asFlow(createSwapFlow(deps)),
    set: asFlow(createSetFlow(deps)),
    update: asFlow(createUpdateFlow(deps)),
    move: asFlow(createMoveFlow(deps)),
    clone: asFlow(createCloneFlow(deps)),
    export: asFlow(createExportFlow(deps)),
    import: asFlow(createImportFlow(deps)),
    restore: asFlow(createRestoreFlow(deps)),
    delete: asFlow(createDeleteFlow(deps)),
    destroy: asFlow(createDestroyFlow(deps)),
  };
}
