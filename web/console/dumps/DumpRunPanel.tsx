import { Progress, Stack, Text } from '@mantine/core';
import { useEffect, useEffectEvent, useState } from 'react';
import {
  CopyableId,
  formatBytes,
  formatCount,
  formatPlural,
  Notice,
  Panel,
  RelativeTime,
  StateBadge,
} from '../../design/index.ts';
import { type DumpedTenant, type DumpRun, useDumpsAnew } from './api.ts';

/** The dumps that are being made by command, and how that ended, for whoever saw them run. A failure stays. */
export function DumpRunPanel({ run }: { run: DumpRun }) {
  const { state, phase, doneTenants } = run;
  const [wasSeen, setSeen] = useState(state === 'running');
  if (state === 'running' && !wasSeen) setSeen(true);
  const askAnew = useEffectEvent(useDumpsAnew());
  // Each tenant that is done changes the list.
  // biome-ignore lint/correctness/useExhaustiveDependencies: they are the reason to ask, not what is asked with
  useEffect(() => askAnew(), [state, phase, doneTenants]);
  if (state === 'running') return <Running run={run} />;
  const wrong = run.tenants.filter(isWrong);
  if (state === 'failed' || wrong.length > 0) return <Failed run={run} wrong={wrong} />;
  if (!wasSeen) return null;
  const stored = run.tenants.filter(({ outcome }) => outcome === 'stored');
  const bytes = stored.reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0);
  const regions = [...new Set(stored.flatMap((tenant) => tenant.regions ?? []))].sort();
  return (
    <Notice tone="ok" role="status" title={run.tenants.length === 1 ? 'The dump is made' : 'The dumps are made'}>
      <Text size="sm">
        {formatPlural(stored.length, 'dump')}, {formatBytes(bytes)} in each region
        {regions.length > 0 ? ` (${regions.join(', ')})` : ''}; {describeVerified(stored)}.
      </Text>
    </Notice>
  );
}

const isWrong = ({ outcome, verified }: DumpedTenant) => outcome === 'failed' || verified?.passed === false;

function describeVerified(stored: readonly DumpedTenant[]): string {
  const verified = stored.filter((tenant) => tenant.verified?.passed).length;
  if (verified === stored.length) return stored.length === 1 ? 'it restores' : 'each of them restores';
  return `${formatCount(verified)} of them restored so far, the others follow within the hour`;
}

function Running({ run: { phase, startedAt, doneTenants, allTenants, writtenBytes, tenants } }: { run: DumpRun }) {
  const verified = tenants.filter((tenant) => tenant.verified).length;
  const toVerify = tenants.filter(({ outcome }) => outcome === 'stored').length;
  const isDumping = phase === 'dumping';
  // Restoring takes about as long as dumping.
  const share = isDumping ? doneTenants / Math.max(1, allTenants) / 2 : 0.5 + verified / Math.max(1, toVerify) / 2;
  return (
    <Panel
      title={isDumping ? 'Dumping' : 'Restoring what was dumped, to see that it does'}
      description="You can leave this page; it goes on. Tenants are not held up."
      action={<StateBadge tone="working">Running</StateBadge>}
    >
      <Text size="sm" c="dimmed" mb={4} role="status">
        {isDumping
          ? `${formatCount(doneTenants)} of ${formatPlural(allTenants, 'tenant')} dumped${writtenBytes > 0 ? `, ${formatBytes(writtenBytes)} of the one under way` : ''}`
          : `${formatCount(verified)} of ${formatPlural(toVerify, 'dump')} restored and compared`}
        , begun <RelativeTime value={startedAt} />
      </Text>
      <Progress value={Math.max(2, Math.min(0.99, share) * 100)} size="sm" color="green" aria-label="Progress" />
    </Panel>
  );
}

/** More would hide the list that everybody of them is in. */
const shownFailures = 5;

function Failed({ run, wrong }: { run: DumpRun; wrong: readonly DumpedTenant[] }) {
  const title =
    wrong.length === 0
      ? `The last dumps by command failed: ${run.error?.text ?? 'nobody knows why'}`
      : `${formatPlural(wrong.length, 'tenant')} of ${formatCount(run.allTenants)} could not be dumped soundly`;
  return (
    <Notice tone="urgent" role="alert" title={title}>
      <Stack gap={4}>
        {wrong.slice(0, shownFailures).map(({ tenantId, tenantName, error, verified }) => (
          <Text key={tenantId} size="sm">
            {tenantName}: {error ? error.text : `the copy in region ${verified?.region} does not restore`}{' '}
            {error && <CopyableId value={error.code} what="code" />}
          </Text>
        ))}
        {wrong.length > shownFailures && (
          <Text size="sm">and {formatCount(wrong.length - shownFailures)} more, first in the list.</Text>
        )}
        <Text size="sm">
          It began <RelativeTime value={run.startedAt} />. A dump that did not end well is in no region; the earlier
          ones are untouched. Look at Health, mend what it names, then dump again.
        </Text>
      </Stack>
    </Notice>
  );
}
