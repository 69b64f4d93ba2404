import { Button, CopyButton, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { Notice } from './states.tsx';

/** Ten codes, shown this once. `title`: of what they let in to. */
export function RecoveryCodes({
  title,
  codes,
  onDone,
}: {
  title: string;
  codes: readonly string[];
  onDone: () => void;
}) {
  const text = `Recovery codes for ${title} (${window.location.host})\nEach works once in place of a code from the app.\n\n${codes.join('\n')}\n`;
  return (
    <Stack gap="md">
      <Notice tone="late" title="Keep these codes now" role="status">
        Each lets you in once when your app is not at hand. They are shown only here, only now: keep them apart from
        your password, on paper or in a password manager.
      </Notice>
      <SimpleGrid
        component="ul"
        // By the room that there is: a code stays on one line.
        type="container"
        cols={{ base: 1, '34rem': 2 }}
        spacing="xs"
        m={0}
        p={0}
        aria-label="Recovery codes"
      >
        {codes.map((code) => (
          <Text key={code} component="li" ff="monospace" style={{ listStyle: 'none' }}>
            {code}
          </Text>
        ))}
      </SimpleGrid>
      <Group gap="xs">
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? 'Copied' : 'Copy codes'}
            </Button>
          )}
        </CopyButton>
        <Button variant="default" onClick={() => download(text)}>
          Download codes
        </Button>
        <Button onClick={onDone}>I have kept them</Button>
      </Group>
    </Stack>
  );
}

/** From memory: a data URL would stay in the browser's list of downloads. */
function download(text: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = 'recovery-codes.txt';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
