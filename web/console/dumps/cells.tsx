import { Stack, Text } from '@mantine/core';
import { CopyableId, RelativeTime, StateBadge } from '../../design/index.ts';
import { type Dump, standingWords, type TenantDumps } from './api.ts';

/** The regions that hold a dump, and those that do not. */
export function Regions({ held, regions }: { held: readonly string[]; regions: readonly string[] }) {
  const missing = regions.filter((region) => !held.includes(region));
  return (
    <>
      {held.join(', ') || 'none'}
      {missing.length > 0 && (
        <Text span c="var(--fh-late)">
          {' '}
          · not in {missing.join(', ')}
        </Text>
      )}
    </>
  );
}

/** When it was restored, from where, and what was wrong. */
export function Verified({ verification }: { verification: Dump['verification'] }) {
  if (!verification) return <Text c="dimmed">Not yet: within the hour</Text>;
  return (
    <Stack gap={2} align="flex-start">
      <Text size="sm" c="dimmed">
        <RelativeTime value={verification.finishedAt} />, from {verification.region} alone
      </Text>
      {verification.findings.map(({ code, text }) => (
        <Text key={`${code} ${text}`} size="sm" c="var(--fh-urgent)">
          {text} <CopyableId value={code} what="code" />
        </Text>
      ))}
    </Stack>
  );
}

/** How a tenant stands, and why when it is not well. */
export function Standing({ tenant: { standing, lastRun } }: { tenant: TenantDumps }) {
  const { label, tone } = standingWords[standing];
  return (
    <Stack gap={2} align="flex-start">
      <StateBadge tone={tone}>{label}</StateBadge>
      {lastRun?.outcome === 'failed' && lastRun.error && (
        <Text size="sm" c="var(--fh-urgent)">
          <RelativeTime value={lastRun.endedAt} />: {lastRun.error.text}{' '}
          <CopyableId value={lastRun.error.code} what="code" />
        </Text>
      )}
    </Stack>
  );
}
