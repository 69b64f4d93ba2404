import { Stack, Text } from '@mantine/core';
import { CopyableLine, Fact, Facts, RelativeTime } from '../design/index.ts';
import type { CertificateFacts, Connection } from './sign-on-api.ts';

/** What the provider has to know of a SAML connection, and what there is of the provider's. */
export function SamlFacts({ connection, entityId }: { connection: Connection; entityId: string }) {
  const { certificates = [], ownCertificates = [], ssoUrl } = connection.settings;
  return (
    <Stack gap="xs">
      <Text fw={600}>SAML</Text>
      <Text size="sm" c="dimmed">
        Our metadata for this connection, with our certificate.
      </Text>
      <CopyableLine value={`${entityId}/${connection.connectionId}`} what="metadata address" />
      <Facts>
        <Fact label="Signing in happens at">{ssoUrl}</Fact>
        {certificates.map((one) => (
          <Fact key={one.fingerprint} label="Certificate of the provider">
            <Validity certificate={one} />
          </Fact>
        ))}
        {ownCertificates.map((one) => (
          <Fact key={one.fingerprint} label="Certificate of ours">
            <Validity certificate={one} />
          </Fact>
        ))}
      </Facts>
    </Stack>
  );
}

function Validity({ certificate: { fingerprint, validTo } }: { certificate: CertificateFacts }) {
  return (
    <>
      {Date.parse(validTo) < Date.now() ? 'ran out ' : 'runs out '}
      <RelativeTime value={validTo} />
      <Text size="sm" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
        SHA-256 {fingerprint}
      </Text>
    </>
  );
}
