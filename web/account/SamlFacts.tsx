import { Stack, Text } from '@mantine/core';
import { CopyableLine, Fact, Facts, Notice, RelativeTime } from '../design/index.ts';
import type { CertificateFacts, Connection } from './sign-on-api.ts';

/** What the provider has to know of a SAML connection, and what there is of the provider's. */
export function SamlFacts({ connection, entityId }: { connection: Connection; entityId: string }) {
  const {
    certificates = [],
    ownCertificates = [],
    ssoUrl,
    slo,
    metadataUrl,
    metadataReading,
    retiringUntil,
  } = connection.settings;
  return (
    <Stack gap="xs">
      <Text fw={600}>SAML</Text>
      <Text size="sm" c="dimmed">
        Our metadata for this connection, with our certificate.
      </Text>
      <CopyableLine value={`${entityId}/${connection.connectionId}`} what="metadata address" />
      <Text size="sm" c="dimmed">
        Where the provider may sign people out (logout URL, single logout).
      </Text>
      <CopyableLine
        value={`${new URL(entityId).origin}/-/sign-on/saml/log-out/${connection.connectionId}`}
        what="sign-out address"
      />
      {metadataReading?.problem && (
        <Notice tone="late" title="The provider’s metadata could not be read again">
          {metadataReading.problem} What there was goes on counting. They are tried again every hour somebody signs in
          {metadataReading.problemSince && (
            <>
              , since <RelativeTime value={metadataReading.problemSince} />
            </>
          )}
          .
        </Notice>
      )}
      <Facts>
        <Fact label="Signing in happens at">{ssoUrl}</Fact>
        <Fact label="Signing out happens at">
          {slo?.binding === 'redirect'
            ? slo.url
            : slo
              ? 'Here only: the provider takes sign-outs by POST alone.'
              : 'Here only.'}
        </Fact>
        {metadataUrl && (
          <Fact label="Metadata read">
            {metadataReading?.readAt ? <RelativeTime value={metadataReading.readAt} /> : 'when they were given'}, again
            each day somebody signs in
          </Fact>
        )}
        {retiringUntil && Date.parse(retiringUntil) > Date.now() && (
          <Fact label="Keys before, too">
            until <RelativeTime value={retiringUntil} />: the provider replaced all at once
          </Fact>
        )}
        <Fact label="Signing in from the provider’s side">
          Refused: nothing would bind it to a browser, so anybody could sign your people in as somebody else. Have the
          tile there open the sign-in page.
        </Fact>
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
