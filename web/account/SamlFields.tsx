import { Checkbox, FileInput, Radio, Stack, Text, Textarea, TextInput } from '@mantine/core';

export interface SamlFormInput {
  readonly metadataXml: string;
  readonly metadataUrl: string;
  /** Undefined: as it is, or as the metadata say. */
  readonly sloUrl?: string;
  readonly nameIdFormat: 'persistent' | 'email' | 'unspecified';
  readonly renewsKey: boolean;
}
export const noSamlInput: SamlFormInput = {
  metadataXml: '',
  metadataUrl: '',
  nameIdFormat: 'persistent',
  renewsKey: false,
};

/** What the API takes of it. */
export function samlBody({ metadataXml, metadataUrl, sloUrl, nameIdFormat, renewsKey }: SamlFormInput, isNew: boolean) {
  return {
    ...(metadataXml.trim() && { metadataXml }),
    ...(metadataUrl.trim() && { metadataUrl: metadataUrl.trim() }),
    ...(sloUrl?.trim() && { sloUrl: sloUrl.trim() }),
    ...(isNew ? { nameIdFormat } : renewsKey && { renewsKey }),
  };
}

const formats = {
  persistent: {
    label: 'Persistent',
    what: 'A name that is given to nobody else later. Take it if the provider has it.',
  },
  email: { label: 'E-mail address', what: 'As Google and Okta have it at first.' },
  unspecified: {
    label: 'Unspecified',
    what: 'Whatever the provider was told to send. It must never be given to somebody else.',
  },
} as const;

export function SamlFields({
  value,
  onChange,
  wrong,
  isNew,
  hasKey,
}: {
  readonly value: SamlFormInput;
  readonly onChange: (value: SamlFormInput) => void;
  readonly wrong: Readonly<Record<string, string>>;
  readonly isNew: boolean;
  readonly hasKey: boolean;
}) {
  const set = (more: Partial<SamlFormInput>) => onChange({ ...value, ...more });
  return (
    <>
      <TextInput
        label="Address of the provider’s metadata"
        description={
          isNew
            ? 'They are read now, and again each day somebody signs in.'
            : 'Leave it and the metadata empty to keep what is there.'
        }
        placeholder="https://login.example.com/metadata.xml"
        autoComplete="off"
        spellCheck={false}
        value={value.metadataUrl}
        onChange={(event) => set({ metadataUrl: event.currentTarget.value })}
        error={wrong.metadataUrl}
      />
      <FileInput
        label="Or a file with them"
        placeholder="Choose a file"
        accept=".xml,application/xml,text/xml,application/samlmetadata+xml"
        onChange={(file) => void file?.text().then((metadataXml) => set({ metadataXml }))}
      />
      <Textarea
        label="Or the metadata themselves"
        autoComplete="off"
        spellCheck={false}
        rows={4}
        value={value.metadataXml}
        onChange={(event) => set({ metadataXml: event.currentTarget.value })}
        error={wrong.metadataXml}
      />
      <TextInput
        label="Sign-out address of the provider"
        description="Only if its metadata name none: where it takes SAML sign-outs (HTTP-Redirect)."
        placeholder="https://login.example.com/logout"
        autoComplete="off"
        spellCheck={false}
        value={value.sloUrl ?? ''}
        onChange={(event) => set({ sloUrl: event.currentTarget.value })}
        error={wrong.sloUrl}
      />
      {isNew ? (
        <Radio.Group
          label="Format of the NameID"
          description="By which the provider tells people apart. It cannot be changed later."
          value={value.nameIdFormat}
          onChange={(format) => set({ nameIdFormat: format as SamlFormInput['nameIdFormat'] })}
        >
          <Stack gap="xs" mt="xs">
            {(['persistent', 'email', 'unspecified'] as const).map((one) => (
              <Radio key={one} value={one} label={formats[one].label} description={formats[one].what} />
            ))}
          </Stack>
        </Radio.Group>
      ) : (
        <Checkbox
          label="Make a new key of ours"
          description="Then give the provider our metadata again. Until it has them, what it encrypts for the key before is still opened."
          checked={value.renewsKey}
          onChange={(event) => set({ renewsKey: event.currentTarget.checked })}
        />
      )}
      {!hasKey && (
        <Text size="sm" c="dimmed">
          The key is not here: make a new one.
        </Text>
      )}
    </>
  );
}
