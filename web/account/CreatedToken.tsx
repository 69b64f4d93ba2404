import { Button, Group, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { CopyableLine, Notice } from '../design/index.ts';

/** The one time that a token is shown. `children`: what to do with it. */
export function CreatedToken(props: { token: string; what: string; children: ReactNode; onClose: () => void }) {
  const { token, what, children, onClose } = props;
  return (
    <Stack gap="md">
      <Notice tone="late" title="Copy it now: it is shown this once">
        {children}
      </Notice>
      <CopyableLine value={token} what={what} />
      <Group justify="flex-end">
        <Button onClick={onClose} data-autofocus>
          Done
        </Button>
      </Group>
    </Stack>
  );
}
