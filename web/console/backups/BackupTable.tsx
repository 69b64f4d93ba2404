import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import {
  type Column,
  CopyableId,
  DataTable,
  formatCount,
  RelativeTime,
  SizeText,
  StateBadge,
} from '../../design/index.ts';
import { type Backup, type Verification, verificationsQuery } from './api.ts';
import { PrivateServer } from './PrivateServer.tsx';

/** Base backups, newest first, with what the last verification of each has found. */
export function BackupTable({ backups, away }: { backups: readonly Backup[]; away: readonly string[] }) {
  const verifications = useQuery(verificationsQuery).data ?? [];
  // A region that no backup of the list names is not known here.
  const regions = [...new Set(backups.flatMap((backup) => backup.regions))].sort();
  const columns: Column<Backup>[] = [
    {
      key: 'taken',
      header: 'Taken',
      cell: (backup) => (
        <>
          <Text span fw={500}>
            <RelativeTime value={backup.finishedAt} />
          </Text>
          {backup.cluster && <PrivateServer name={backup.cluster} />}
        </>
      ),
    },
    {
      key: 'state',
      header: 'Verification',
      narrow: 'corner',
      cell: (backup) => (
        <VerificationResult backup={backup} last={verifications.find(({ subject }) => subject === backup.backupId)} />
      ),
    },
    {
      key: 'regions',
      header: 'Regions',
      cell: (backup) => {
        const missing = regions.filter((region) => !backup.regions.includes(region) && !away.includes(region));
        return (
          <>
            {backup.regions.join(', ') || 'none'}
            {missing.length > 0 && (
              <Text span c="var(--fh-late)">
                {' '}
                · not in {missing.join(', ')}
              </Text>
            )}
          </>
        );
      },
    },
    { key: 'databases', header: 'Databases', align: 'right', cell: ({ databases }) => formatCount(databases) },
    { key: 'size', header: 'Size', align: 'right', cell: ({ sizeBytes }) => <SizeText bytes={sizeBytes} /> },
    { key: 'stored', header: 'Sealed', align: 'right', cell: ({ storedBytes }) => <SizeText bytes={storedBytes} /> },
    {
      key: 'id',
      header: 'Backup id',
      cell: ({ backupId }) => <CopyableId value={backupId} what="backup id" short />,
    },
  ];
  return <DataTable label="Base backups" columns={columns} rows={backups} rowKey={({ backupId }) => backupId} />;
}

function VerificationResult({ backup, last }: { backup: Backup; last: Verification | undefined }) {
  return (
    <Stack gap={2} align="flex-start">
      {backup.suspect && <StateBadge tone="urgent">Suspect: a page failed its checksum</StateBadge>}
      {last ? (
        <>
          <StateBadge tone={last.passed ? 'ok' : 'urgent'}>{last.passed ? 'Restored and right' : 'Failed'}</StateBadge>
          <Text size="sm" c="dimmed">
            <RelativeTime value={last.finishedAt} />, from {last.region} alone
          </Text>
        </>
      ) : (
        !backup.suspect && <StateBadge tone="quiet">Not verified yet</StateBadge>
      )}
    </Stack>
  );
}
