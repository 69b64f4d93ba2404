import { Text } from '@mantine/core';
import { CopyableId, formatCount, formatPlural } from '../../design/index.ts';
import type { Checked, Finding } from './api.ts';

/** How far the comparison came, in figures. */
export function describeChecked({
  tenants,
  ofTenants,
  rows,
  canaries,
  busyTenants,
  destroyedTenants,
}: Checked): string {
  const parts = [
    tenants === undefined
      ? ''
      : ofTenants === undefined || ofTenants === tenants
        ? formatPlural(tenants, 'tenant')
        : `${formatCount(tenants)} of ${formatPlural(ofTenants, 'tenant')}`,
    rows === undefined ? '' : formatPlural(rows, 'row'),
    canaries === undefined ? '' : formatPlural(canaries, 'canary', 'canaries'),
    busyTenants ? `${formatCount(busyTenants)} too busy, first the next time` : '',
    destroyedTenants ? `${formatCount(destroyedTenants)} left out, their keys are destroyed` : '',
  ].filter(Boolean);
  return parts.join(', ') || 'nothing';
}

/** What was wrong, each with its cause and whose data it is about. */
export function Findings({ findings }: { findings: readonly Finding[] }) {
  return findings.map(({ code, text, tenantId, tenantName }) => (
    <Text key={`${code} ${tenantId} ${text}`} size="sm" c="var(--fh-urgent)">
      {tenantName ? `${tenantName}: ` : ''}
      {text} <CopyableId value={code} what="code" />
    </Text>
  ));
}
