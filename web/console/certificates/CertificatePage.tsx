import { Button, List, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import {
  apiFetch,
  ButtonLink,
  CopyableId,
  ErrorState,
  Fact,
  Facts,
  formatBytes,
  formatExact,
  formatPlural,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  StateBadge,
} from '../../design/index.ts';
import { Actor } from '../Actor.tsx';

/** As the lifecycle writes it; parts that a later version leaves out are shown as missing. */
interface CertificateDocument {
  readonly certificateId: string;
  readonly issuedAt: string;
  readonly tenant: { readonly tenantId: string; readonly name: string; readonly title: string };
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly destroyed: {
    readonly database: {
      readonly bytes: number;
      readonly tables: number;
      readonly rows: number;
      readonly contentSha256: string;
    };
    readonly files: { readonly count: number; readonly bytes: number };
    readonly exports: { readonly count: number; readonly bytes: number };
    /** `dueAt`: it is kept until then. */
    readonly key: { readonly destroyed: boolean; readonly dueAt?: string; readonly at?: string };
  };
  readonly kept: readonly { readonly what: string; readonly until: string }[];
  readonly expires: readonly { readonly what: string; readonly when: string }[];
  readonly backups: string;
  /** Tenants that were made of it and live on. */
  readonly copies?: readonly { readonly tenantId: string; readonly name: string; readonly madeBy: string }[];
}

interface Certificate {
  readonly certificateId: string;
  readonly tenantName: string;
  readonly issuedAt: string;
  /** The signed document: `CertificateDocument` with its signature. */
  readonly document: CertificateDocument;
  readonly publicKeyPem: string;
  /** A later one, which says that the key is destroyed as well. */
  readonly completedBy?: string;
}

/** What was destroyed, what is kept, what expires when: for the customer's security officer. Prints on one page. */
export function CertificatePage() {
  const { certificateId } = useParams({ strict: false }) as { certificateId: string };
  const url = `/api/certificates/${encodeURIComponent(certificateId)}`;
  const query = useQuery({
    queryKey: ['certificate', certificateId],
    queryFn: ({ signal }) => apiFetch<Certificate>(url, { signal }),
    staleTime: 60_000,
  });
  if (!query.data)
    return (
      <>
        <PageTitle title="Deletion certificate" />
        {query.isError ? <ErrorState error={query.error} onRetry={() => void query.refetch()} /> : <LoadingState />}
      </>
    );
  const { document } = query.data;
  const { destroyed } = document;
  return (
    <>
      <PageTitle
        title="Deletion certificate"
        subtitle={`${document.tenant.title} (${document.tenant.name})`}
        back={{ to: `/tenants/${document.tenant.tenantId}`, label: document.tenant.name }}
        action={
          <Button component="a" href={toDataUrl(query.data)} download={`${document.certificateId}.json`}>
            Download with its signature
          </Button>
        }
      />
      <Stack gap="lg">
        {query.data.completedBy && (
          <Notice tone="ok">
            Its key was destroyed since.{' '}
            <ButtonLink
              variant="default"
              to="/certificates/$certificateId"
              params={{ certificateId: query.data.completedBy }}
            >
              View the certificate that completes this one
            </ButtonLink>
          </Notice>
        )}
        <Panel title="Destroyed">
          <Facts>
            <Fact label="Database">
              {formatBytes(destroyed.database.bytes)}, {formatPlural(destroyed.database.tables, 'table')},{' '}
              {formatPlural(destroyed.database.rows, 'row')}
            </Fact>
            <Fact label="Files">
              {formatPlural(destroyed.files.count, 'file')}, {formatBytes(destroyed.files.bytes)}
            </Fact>
            <Fact label="Exports">
              {formatPlural(destroyed.exports.count, 'archive')}, {formatBytes(destroyed.exports.bytes)}
            </Fact>
            <Fact label="Key of the tenant">
              {destroyed.key.destroyed ? (
                <StateBadge tone="ok">Destroyed</StateBadge>
              ) : destroyed.key.dueAt ? (
                <>
                  <StateBadge tone="late">Kept</StateBadge> until {formatExact(new Date(destroyed.key.dueAt))}
                </>
              ) : (
                <StateBadge tone="urgent">Still there</StateBadge>
              )}
            </Fact>
            <Fact label="Content before deletion, SHA-256">
              <CopyableId value={destroyed.database.contentSha256 || 'none'} what="checksum" short />
            </Fact>
          </Facts>
        </Panel>
        <Panel title="Kept, and what expires">
          <List spacing={4}>
            {document.kept.map(({ what, until }) => (
              <List.Item key={what}>
                {sentence(what)}: until {until === 'unlimited' ? 'further notice' : formatExact(new Date(until))}
              </List.Item>
            ))}
            {document.expires.map(({ what, when }) => (
              <List.Item key={what}>
                {sentence(what)}: expires {when}
              </List.Item>
            ))}
            <List.Item>Backups: {document.backups}</List.Item>
            {document.copies?.map(({ tenantId, name, madeBy }) => (
              <List.Item key={tenantId}>
                {name} was made of it by {madeBy} and is a tenant of its own, which this deletion did not touch.
              </List.Item>
            ))}
          </List>
        </Panel>
        <Panel title="Issued">
          <Facts>
            <Fact label="Issued">{formatExact(new Date(document.issuedAt))}</Fact>
            <Fact label="Asked for">{formatExact(new Date(document.requestedAt))}</Fact>
            <Fact label="Asked for by">
              <Actor actor={document.requestedBy} />
            </Fact>
            <Fact label="Certificate id">
              <CopyableId value={document.certificateId} what="certificate id" />
            </Fact>
            <Fact label="Tenant id">
              <CopyableId value={document.tenant.tenantId} what="tenant id" />
            </Fact>
          </Facts>
          <Text size="sm" c="dimmed" mt="md">
            The document is signed with this installation's key. The download holds document, signature and public key.
          </Text>
        </Panel>
      </Stack>
    </>
  );
}

function toDataUrl(certificate: Certificate): string {
  return `data:application/json;charset=utf-8,${encodeURIComponent(JSON.stringify(certificate, null, 2))}`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
