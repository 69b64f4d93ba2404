/**
 * audit: append-only security events, one typed catalogue. Two logs of the same shape: the installation's in the control database,
 * and each tenant's own, which its administrators read. Events are written in the transaction of the act, so there is never one without the other.
 */
export { csvField, type ExportFormat, exportFormats, exportHead, exportLine } from './export.ts';
export { type AuditLog, type AuditPage, controlAuditLog, type RecordedEvent, tenantAuditLog } from './log.ts';
export type { AuditEvent, AuditEventName, AuditFilter, RecordAudit } from './types.ts';
export { auditEvents } from './types.ts';

import { controlAuditLog, tenantAuditLog } from './log.ts';

/** Records in the control database. */
export const recordAudit = controlAuditLog.record;
/** Records in the tenant's own database, as its platform role. */
export const recordTenantAudit = tenantAuditLog.record;
