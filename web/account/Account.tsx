import { Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { PageTitle } from '../design/index.ts';
import { sessionQuery } from './api.ts';
import { ChangePassword } from './ChangePassword.tsx';
import { Devices } from './Devices.tsx';
import { Passkeys } from './Passkeys.tsx';
import { Profile } from './Profile.tsx';
import { SecondFactor } from './SecondFactor.tsx';
import { SessionNotices } from './SessionNotices.tsx';
import { roleWords } from './words.ts';

/** One person's own things: name, password, devices. */
export function Account() {
  const user = useQuery(sessionQuery).data?.user;
  if (!user) return null;
  return (
    <>
      <PageTitle title="Account" subtitle={`${user.email} · ${roleWords[user.role].label}`} />
      <Stack gap="lg" maw="46rem">
        <SessionNotices />
        <Profile user={user} />
        <ChangePassword user={user} />
        <Passkeys user={user} />
        <SecondFactor user={user} />
        <Devices />
      </Stack>
    </>
  );
}
